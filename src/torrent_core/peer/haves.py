"""HAVEs of one input, told together at its end.

A set of pieces is one long integer, and whoever learns of a piece takes some steps on the whole
of several sets.  At the most pieces that a torrent may have, that is 0.2 ms for nine bytes of
a HAVE, and a peer that sends nothing else would cost thousands of times what it spends.  So the
HAVEs of an input are gathered, whatever lies between them, and are one step for all who learn of
it.  What is left is a price per input; and while we are busy with it, more comes to be in the
next, so that it falls as it is driven.
"""

from __future__ import annotations

from ..bitfield import from_indices
from ..errors import WireError
from ..geometry import Geometry
from ..linkstate import LinkState
from ..wire.messages import PREFIX
from .events import PiecesGained


class Haves:
    """Pieces that the peer has said to have, and that nobody has been told of yet."""

    __slots__ = ("_geometry", "_state", "indices")

    def __init__(self, state: LinkState, geometry: Geometry) -> None:
        self._state = state
        self._geometry = geometry
        self.indices: list[int] = []
        """In the order in which they came; as many as fit in an input."""

    def read(self, body: memoryview) -> None:
        """BEP 3, have.  Raises WireError for a piece that does not exist."""
        self.add(PREFIX.unpack(body)[0])

    def add(self, index: int) -> None:
        """The same, of the piece that it names."""
        if index >= self._geometry.piece_count:
            raise WireError(f"piece {index} does not exist", "have")
        self.indices.append(index)

    def told(self) -> PiecesGained | None:
        """Those of them that are news, which the peer has from now on."""
        indices, self.indices = self.indices, []
        if len(indices) == 1:
            said = 1 << indices[0]
        else:
            said = from_indices(indices, self._geometry.piece_count)
        known = said & self._state.pieces
        if known == said:
            return None
        news = said ^ known if known else said
        self._state.pieces |= news
        return PiecesGained(news)
