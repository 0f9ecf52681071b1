"""The other end of one link: it remembers what it was asked, and does nothing by itself."""

from __future__ import annotations

from ...bitfield import to_wire
from ...types import BlockInfo
from ...wire import messages as wire
from ...wire.handshake import HANDSHAKE_LENGTH, Handshake
from ...wire.handshake import encode as encode_handshake
from .errors import Violation

PEER_ID = b"-XP0000-peer-%07d"
_FAST_BIT = b"\0\0\0\0\0\0\0\4"
_PREFIX = 4


class Peer:
    """One peer as the protocol lets it be; ``link`` is None while it is not connected."""

    __slots__ = ("asked", "choking", "fast", "greeting", "has", "link", "number", "opened", "owed")

    def __init__(self, number: int, fast: bool, info_hash: bytes) -> None:
        reserved = _FAST_BIT if fast else bytes(len(_FAST_BIT))
        self.number = number
        self.fast = fast
        self.greeting = encode_handshake(Handshake(info_hash, PEER_ID % number, reserved))
        self.opened = 0
        """How often it has connected."""
        self._forget()

    def _forget(self) -> None:
        self.link: str | None = None
        self.has = 0
        """Set of pieces that it has said it has."""
        self.choking = True
        self.asked: dict[BlockInfo, None] = {}
        """Requests that stand, oldest first."""
        self.owed: list[BlockInfo] = []
        """Requests that do not stand any more, oldest first: it may answer them all the same."""

    def connect(self) -> str:
        """A new link; returns its name."""
        self.opened += 1
        self.link = f"{self.number}/{self.opened}"
        return self.link

    def disconnect(self) -> None:
        """The link is gone, and all that was said on it."""
        self._forget()

    def bitfield(self, pieces: int, count: int) -> bytes:
        """The message by which it says at the start that it has ``pieces`` of ``count``."""
        self.has = pieces
        return wire.encode(wire.Bitfield(to_wire(pieces, count)))

    def have(self, piece: int) -> bytes:
        """The message by which it says that it has one piece more."""
        self.has |= 1 << piece
        return wire.encode(wire.Have(piece))

    def unchoke(self) -> bytes:
        """The message; it may be asked from now on."""
        self.choking = False
        return wire.encode(wire.Unchoke())

    def choke(self) -> bytes:
        """The message; without BEP 6 every request is dropped by that, but for blocks on their
        way already."""
        self.choking = True
        if not self.fast:
            self.owed += self.asked
            self.asked.clear()
        return wire.encode(wire.Choke())

    def take(self, *, newest: bool) -> BlockInfo:
        """A request that it will answer or reject now; there must be one."""
        block = next(reversed(self.asked)) if newest else next(iter(self.asked))
        del self.asked[block]
        return block

    def take_late(self) -> BlockInfo:
        """The oldest request that was withdrawn, to be answered; there must be one.

        If it was asked for again since, the answer counts as that one's: on the wire the two
        look alike, and one more answer may come either way.
        """
        block = self.owed[0]
        if block in self.asked:
            del self.asked[block]
        else:
            del self.owed[0]
        return block

    def hear(self, data: bytes) -> None:
        """Take in what we sent it: whole messages, after the handshake."""
        at = HANDSHAKE_LENGTH if data[1:20] == b"BitTorrent protocol" else 0
        while at < len(data):
            length = int.from_bytes(data[at : at + _PREFIX], "big")
            at += _PREFIX
            kind = data[at] if length else None
            if kind == wire.REQUEST:
                self._requested(_block(data, at))
            elif kind == wire.CANCEL:
                self._cancelled(_block(data, at))
            at += length

    def _requested(self, block: BlockInfo) -> None:
        if self.choking or not self.has >> block.piece & 1:
            raise Violation(f"peer {self.number} is asked for {block}, which it does not offer")
        if block in self.asked:
            raise Violation(f"peer {self.number} is asked for {block} twice at once")
        self.asked[block] = None

    def _cancelled(self, block: BlockInfo) -> None:
        if block in self.asked:
            del self.asked[block]
            self.owed.append(block)


def _block(data: bytes, at: int) -> BlockInfo:
    return BlockInfo(*wire.RANGE.unpack_from(data, at + 1))
