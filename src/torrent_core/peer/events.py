"""What a connection tells the torrent, one value per thing that happened.

``receive`` yields these in wire order, each before the next message is looked at; only blocks
that follow one upon the other come together, and what all HAVEs of an input say at its end.
Buffers inside them are valid until the iteration is resumed.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

from ..classes import frozen
from ..linkstate import LinkState
from ..types import CloseReason
from ..wire.extended import ExtendedHandshake
from ..wire.handshake import Handshake


class BlockSink(Protocol):
    """Where the payload of a block goes that does not arrive in one input."""

    def open_block(
        self, state: LinkState, index: int, begin: int, length: int
    ) -> memoryview | None:
        """A place of exactly ``length`` bytes for the block, or None to have it dropped.

        The view is this link's alone until its ``Block`` has been yielded or
        ``detach_block()`` was called.  The range lies inside the torrent; whether it was
        ever asked for is for the sink to judge.
        """
        ...

    def expected(self, state: LinkState, most: int) -> list[Run] | None:
        """What the link sends next if it answers in order, ``most`` blocks of it at most, and
        places for that: blocks of the usual length, of pieces that are not the last, each run
        of another piece.

        None if anything is out of the ordinary.  A block for which there is a view out of
        ``open_block`` comes first.  The places are the link's until the sink is told of
        anything: ``RunsReceived``, at best.
        """
        ...


Run: TypeAlias = tuple[int, int, int, memoryview]
"""Blocks of a piece that follow one upon the other: index of the piece, number of the first
block, how many, and the place of all of them."""


# --- Frequent ------------------------------------------------------------------------------


Block: TypeAlias = tuple[int, int, int, memoryview | None]
"""BEP 3, piece: index, begin, length in bytes, data.  The last is a view on the input when the
payload came in one, else the sink's view, or None when that refused or was detached.  A plain
tuple, since nothing is made more often."""


@frozen
class BlocksReceived:
    """Blocks that came one upon the other, in one input; at least one."""

    blocks: list[Block]


@frozen
class RunsReceived:
    """As ``BlocksReceived``, of blocks that are in their places already."""

    runs: list[Run]


@frozen
class PiecesGained:
    """The peer has these pieces (a bit set) that it had not named before.

    BEP 3, have and bitfield; BEP 6, have all.  What HAVEs say comes at the end of their input.
    """

    pieces: int


@frozen
class UploadRequested:
    """BEP 3, request: valid, and already in the upload queue."""

    index: int
    begin: int
    length: int


@frozen
class UploadCancelled:
    """BEP 3, cancel: the request is no longer wanted, and rejected where BEP 6 is agreed."""

    index: int
    begin: int
    length: int


@frozen
class RequestRejected:
    """BEP 6, reject request: that one request will not be answered by a block."""

    index: int
    begin: int
    length: int


# --- Changes of state ------------------------------------------------------------------------


@frozen
class Choked:
    """The peer began to choke us.  Without BEP 6 every request to it is void."""


@frozen
class Unchoked:
    """The peer stopped choking us."""


@frozen
class InterestChanged:
    """The peer became interested in what we have, or lost its interest."""

    interested: bool


@frozen
class FastAllowed:
    """BEP 6, allowed fast: we may request this piece although choked."""

    index: int


@frozen
class PieceSuggested:
    """BEP 6, suggest piece: the peer would like us to fetch this one first."""

    index: int


# --- Rare ------------------------------------------------------------------------------------


@frozen
class HandshakeDone:
    """Both handshakes are through; from here on the two sides talk about pieces."""

    handshake: Handshake
    """The peer's."""


@frozen
class ExtensionHandshake:
    """BEP 10, extended message 0: what the peer said of itself, unusable fields left out."""

    value: ExtendedHandshake


@frozen
class ExtensionMessage:
    """BEP 10, any other extended message.  ``ext_id`` is a number of our own choosing."""

    ext_id: int
    payload: bytes


@frozen
class PortReceived:
    """BEP 5, port: UDP port of the peer's DHT node, never 0."""

    port: int


@frozen
class Fault:
    """The link must be closed.  Always the last event; later input is ignored."""

    reason: CloseReason
    detail: str


PeerEvent: TypeAlias = (
    BlocksReceived
    | RunsReceived
    | PiecesGained
    | UploadRequested
    | UploadCancelled
    | RequestRejected
    | Choked
    | Unchoked
    | InterestChanged
    | FastAllowed
    | PieceSuggested
    | HandshakeDone
    | ExtensionHandshake
    | ExtensionMessage
    | PortReceived
    | Fault
)
