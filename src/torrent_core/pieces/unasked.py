"""Blocks that are not the answer to a request that is out: late, doubled, or never asked for.

A late answer to a request that was given up is used if it is still of use, and is no offence
if it is not.  Everything else is waste: it is counted, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from ..limits import BLOCK_SIZE
from .active import ActivePiece, RequestInfo, Stage
from .asking import Asking
from .lateness import Lateness
from .manager import ActivePieceManager
from .outcome import Outcome
from .parole import Parole
from .requests import LinkRequests

Take = Callable[[ActivePiece, int, memoryview, LinkRequests, float], Outcome]
"""Takes a block into its piece (``arrivals``)."""


class Unasked:
    """Judges what a link sends beyond what it is being asked for."""

    __slots__ = ("_active", "_asking", "_lateness", "_parole", "_take")

    def __init__(
        self,
        active: ActivePieceManager,
        parole: Parole,
        asking: Asking,
        lateness: Lateness,
        take: Take,
    ) -> None:
        self._active = active
        self._parole = parole
        self._asking = asking
        self._lateness = lateness
        self._take = take

    def received(
        self,
        link: LinkRequests,
        key: int,
        index: int,
        begin: int,
        data: memoryview | None,
        now: float,
    ) -> Outcome:
        """A block that no request out is for; ``data`` None: it was not kept."""
        detached, link.detached = link.detached, None
        info = link.out.get(key)
        # Of two answers owed, to a request given up and to one sent since, the older is first.
        if info is not None and data is None and key == detached and not link.withdrawn.owed(key):
            return self.in_vain(link, info, "came while its piece was started over", now)
        self._active.unclaim(link)
        late = key in link.withdrawn and self._is_block(index, begin, data)
        piece = None
        if data is not None:
            piece = self.expected(link, key, index, begin, len(data))
        if late:
            link.withdrawn.answered(key)
            self._lateness.progressed(link, now)
            self._asking.touch(link)
        else:
            link.unsolicited += 1
        if piece is None or data is None:
            return Outcome(waste="came too late" if late else "was not asked for")
        outcome = self._take(piece, begin // BLOCK_SIZE, data, link, now)
        self._active.refresh(piece)  # its block may have been free
        return outcome

    def in_vain(self, link: LinkRequests, info: RequestInfo, why: str, now: float) -> Outcome:
        """The peer has answered, but its block cannot be used: others may be asked for it."""
        self._active.unclaim(link)
        self._active.forget(info)
        self._lateness.progressed(link, now)
        self._asking.touch_hungry()
        self._asking.touch(link)
        return Outcome(waste=why)

    def expected(
        self, link: LinkRequests, key: int, index: int, begin: int, length: int
    ) -> ActivePiece | None:
        """The piece that a withdrawn request's answer would still serve, or None."""
        piece = self._active.get(index) if key in link.withdrawn else None
        if piece is None or piece.stage is not Stage.DOWNLOADING or begin % BLOCK_SIZE:
            return None
        block = begin // BLOCK_SIZE
        if piece.has_block(block) or piece.block_length(block) != length:
            return None
        if self._parole.is_closed_to(index, link.state.ordinal) or piece.writing >> block & 1:
            return None
        return piece if self._active.has_place(piece, block) else None

    def _is_block(self, index: int, begin: int, data: memoryview | None) -> bool:
        """Whether this may be a block; of one that was not kept, the length is unknown."""
        if data is None:
            return begin % BLOCK_SIZE == 0
        return self._active.is_block(index, begin, len(data))
