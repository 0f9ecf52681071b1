"""The links of a magnet: what is said on each when hands are shaken, and giving them away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from ..classes import define
from ..geometry import Geometry
from ..link import Link
from ..linkstate import LinkState
from ..peer.events import HandshakeDone, PeerEvent
from ..peer.outbox import Outbox
from ..pex import PexReceiver
from ..torrent import HandedLink
from ..torrent.linktable import LinkTable
from ..torrent.live import LiveLink
from ..types import Address, Buffer, LinkId
from ..wire.handshake import HANDSHAKE_LENGTH, INFO_HASH_END
from .context import Context
from .early import EarlyFramer

_NOTHING = Geometry(1, 1)
"""Of a torrent of which nothing is known.  It is asked about nothing but our own empty hands."""


class _NoSink:
    """Where blocks would go, if there were any."""

    def open_block(self, state: LinkState, index: int, begin: int, length: int) -> None:
        """Never called: a block is a fault here."""

    def expected(self, state: LinkState, most: int) -> None:
        """Nothing is asked for."""


@define(eq=False)
class EarlyLink(LiveLink):
    """One link with what its peer has said."""

    exchange: PexReceiver
    """Takes what the peer tells of others (BEP 11)."""
    framer: EarlyFramer | None = None
    """From the end of the handshakes on."""
    head: bytearray = attrs.field(factory=bytearray)
    """The peer's handshake as far as it has come."""
    metadata_id: int = 0
    """The peer's number for ut_metadata; 0 if it does not speak that."""
    gave_metadata: bool = False
    """Some of it came on this link."""

    @property
    def was_useful(self) -> bool:
        """Whether it brought us anything."""
        return self.gave_metadata

    def receive(self, data: Buffer, now: float) -> Iterator[PeerEvent]:
        """``Link.receive``, and the handshake is kept."""
        missing = HANDSHAKE_LENGTH - len(self.head)
        self.head += memoryview(data)[:missing]
        return self.wire.receive(data, now)

    def hand_over(self, piece_count: int) -> HandedLink:
        """All that a torrent of so many pieces needs to go on with it."""
        heard, dialled = bytes(self.head), not self.state.incoming
        if self.framer is not None:
            heard += self.framer.said.again(self.state, piece_count) + self.framer.tail
        return HandedLink(
            link=self.id,
            address=self.state.address,
            dialled=dialled,
            since=self.opened_at,
            candidates=tuple(self.candidates),
            greeted=dialled or len(self.head) >= INFO_HASH_END,
            shaken=self.framer is not None,
            unsent=self.wire.unsent,
            heard=heard,
        )


class Links(LinkTable[EarlyLink]):
    """The table of a magnet, which has nothing to tell and gives all its links away."""

    _context: Context

    def __init__(self, context: Context) -> None:
        super().__init__(context, _NOTHING, _NoSink(), self._frame)

    def named(self, ordinals: Iterable[int]) -> dict[LinkId, Address]:
        """The live links of these ordinals, and their other ends."""
        found = [link for link in map(self.find, ordinals) if link is not None]
        return {link.id: link.state.address for link in found}

    def _make(self, wire: Link, handed: HandedLink) -> EarlyLink:
        exchange = PexReceiver(handed.address.host)
        return EarlyLink(wire, handed.since, list(handed.candidates), exchange)

    def _frame(self, state: LinkState, outbox: Outbox) -> EarlyFramer:
        framer = self.live(state.ordinal).framer = EarlyFramer(state, outbox)
        return framer

    def _begin(self, link: EarlyLink, event: HandshakeDone) -> None:
        link.wire.peer.send_pieces(0)
        self._introduce(link, self._context.extensions)
        self._report_ready(link)

    def give_away(self, piece_count: int) -> list[HandedLink]:
        """All live links, for a torrent of so many pieces; they are not ours any more."""
        handed = [link.hand_over(piece_count) for link in self.active]
        for link in self.active:
            self._drop(link)
        return handed
