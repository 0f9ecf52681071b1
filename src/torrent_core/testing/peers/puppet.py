"""A peer that does what it is told, and knows what it could still say."""

from __future__ import annotations

from typing import Any

from ...limits import BLOCK_SIZE
from ...types import BlockInfo
from ...wire import messages as wire
from ..promises import expect
from .base import Peer


class Puppet(Peer):
    """Does nothing by itself.  Remembers what it could still answer; holds back the rest of a
    block half sent until it says anything else.

    With BEP 6 it answers a CANCEL by a REJECT if it ``answers_cancel``; otherwise the answer
    stays in ``owed``, to be given late or never.
    """

    def __init__(self, *where: Any, answers_cancel: bool = True, **options: Any) -> None:
        super().__init__(*where, **options)
        self.answers_cancel = answers_cancel
        self.owed: list[BlockInfo] = []
        """Cancelled requests that it may still answer."""
        self.sent: list[BlockInfo] = []
        """Blocks that it was asked for and gave, in order."""
        self.tail = b""
        """The rest of a block half sent."""
        self.tail_of: BlockInfo | None = None

    def say_bytes(self, data: bytes) -> float:
        """Send bytes, after what was held back."""
        data, self.tail, self.tail_of = self.tail + data, b"", None
        return super().say_bytes(data)

    def on_request(self, block: BlockInfo) -> None:
        """They ask."""
        may = not self.choking or block.piece in self.allowed
        expect(may, "{} was asked of one who chokes", block)

    def on_cancel(self, block: BlockInfo) -> None:
        """They ask no longer."""
        if block in self.asked:
            if self.answers_cancel:
                self.refuse(block)
            else:
                del self.asked[block]
                self.owed.append(block)

    def choke(self) -> None:
        """Choke: without BEP 6 nothing is owed any longer."""
        if not self.fast:
            self.owed.clear()
        super().choke()

    def deliver(self, block: BlockInfo, *, spoiled: bool = False) -> None:
        """Answer a request."""
        self.sent.append(block)
        self.give(block, bytes(block.length) if spoiled else None)

    def begin(self, block: BlockInfo, cut: int) -> None:
        """Answer a request, but send only so many bytes (modulo all) of the message."""
        data = wire.encode(wire.Piece(block.piece, block.begin, self.block(block)))
        cut %= len(data)
        del self.asked[block]
        self.say_bytes(data[:cut])
        self.tail, self.tail_of = data[cut:], block

    def send(self, block: BlockInfo) -> None:
        """Send a block, whoever wants it."""
        self.say(wire.Piece(block.piece, block.begin, self.block(block)))

    def may_answer(self, piece: int, begin: int) -> bool:
        """Whether what lies at ``begin`` was asked for, and could still be answered."""
        open_ones = [*self.asked, *self.owed, *([self.tail_of] if self.tail_of else [])]
        place = (piece, begin // BLOCK_SIZE)
        return any((block.piece, block.begin // BLOCK_SIZE) == place for block in open_ones)
