"""What the tests of the peer machine share: a small torrent, a sink that notes its calls."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from torrent_core.geometry import Geometry
from torrent_core.linkstate import LinkState
from torrent_core.peer.connection import PeerConnection
from torrent_core.peer.events import BlocksReceived, PeerEvent, PiecesGained
from torrent_core.rates import Rate
from torrent_core.testing import strategies
from torrent_core.testing.speech import parse
from torrent_core.types import Address
from torrent_core.wire import messages as wire

GEOMETRY = Geometry(total_length=2 * 40_000 + 20_000, piece_length=40_000)
"""Three pieces of 40,000, 40,000 and 20,000 bytes, so that blocks and pieces end unevenly."""


class Sink:
    """Gives out a fresh buffer for each block, or None when it is told to refuse."""

    def __init__(self, refuse: bool = False) -> None:
        self.refuse = refuse
        self.opened: list[tuple[int, int, int]] = []
        self.buffers: list[bytearray] = []

    def open_block(
        self, state: LinkState, index: int, begin: int, length: int
    ) -> memoryview | None:
        self.opened.append((index, begin, length))
        if self.refuse:
            return None
        self.buffers.append(bytearray(length))
        return memoryview(self.buffers[-1])

    def expected(self, state: LinkState, most: int) -> None:
        """Nobody was asked for anything."""


def make_state(*, fast: bool = True, extended: bool = True, incoming: bool = False) -> LinkState:
    return LinkState(
        ordinal=1,
        link="link",
        address=Address("192.0.2.1", 6881),
        incoming=incoming,
        down=Rate(0.0),
        up=Rate(0.0),
        fast=fast,
        extended=extended,
    )


def make_peer(
    *,
    fast: bool = True,
    extended: bool = True,
    geometry: Geometry = GEOMETRY,
    sink: Sink | None = None,
    announced: bool = True,
) -> PeerConnection:
    """A connection at time 0; ``announced`` means that we said what we have (nothing)."""
    peer = PeerConnection(make_state(fast=fast, extended=extended), geometry, sink or Sink(), 0.0)
    if announced:
        peer.send_pieces(0)
        peer.sent(len(peer.drain(0.0)), 0.0)
    return peer


def hear(peer: PeerConnection, *messages: wire.Message, now: float = 0.0) -> list[PeerEvent]:
    """What the peer makes of these messages, in one input."""
    return list(peer.receive(b"".join(map(wire.encode, messages)), now))


def said(peer: PeerConnection, now: float = 0.0) -> list[wire.Message]:
    """The messages that the peer queued, as values."""
    return list(parse(peer.drain(now)))


def serving(*, fast: bool = True) -> PeerConnection:
    """A connection that we unchoked."""
    peer = make_peer(fast=fast)
    peer.unchoke()
    assert said(peer) == [wire.Unchoke()]
    return peer


def frozen(events: Iterable[PeerEvent]) -> list[object]:
    """Events with their payload copied, so that they can be kept and compared."""
    kept: list[object] = []
    for event in events:
        if isinstance(event, BlocksReceived):
            assert event.blocks
            kept += [(*where, data and bytes(data)) for *where, data in event.blocks]
        else:
            kept.append(event)
    return kept


def gains_apart(events: Iterable[object]) -> tuple[list[object], int]:
    """What was told of, and the pieces that were, each of them once: when depends on inputs."""
    rest: list[object] = []
    told = 0
    for event in events:
        if isinstance(event, PiecesGained):
            assert event.pieces
            assert not event.pieces & told
            told |= event.pieces
        else:
            rest.append(event)
    return rest, told


def pieces_of(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """``data`` cut at the given places."""
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(places)]


blocks = strategies.blocks(GEOMETRY)
"""PIECE messages."""

honest_messages = strategies.fair_messages(GEOMETRY)
"""Messages that a peer with both extensions may send at any time."""

any_messages = strategies.any_messages()
"""Every message, with any field that fits its place on the wire."""
