"""A passive end of a link: keeps its books, and checks what it is told."""

from __future__ import annotations

from typing import Any

from ...limits import MAX_PIPELINE
from ...types import BlockInfo
from ...wire import messages as wire
from ..line import Line
from ..promises import expect
from .end import End


class Peer(End):
    """One end of a link.  Says hello, notes what it hears, and does nothing by itself.

    It speaks real wire bytes.  What a machine must never tell a peer raises PromiseBroken:
    requests for what the peer does not have, pieces announced before they are written.
    """

    def __init__(self, *where: Any, **options: Any) -> None:
        """The world, the disk and the payload; ``options`` are those of ``End``."""
        super().__init__(*where, **options)
        self.choking = True
        self.allowed: set[int] = set()
        """Pieces that it may be asked for though it chokes (BEP 6)."""
        self.their_choking = True
        self.their_interest = False
        self.their_pieces: set[int] = set()
        self.granted: set[int] = set()
        """Pieces that we may ask for though they choke us (BEP 6)."""
        self.asked: dict[BlockInfo, float] = {}
        """Requests that wait for an answer, and when they came."""
        self.cancelled: set[BlockInfo] = set()
        self.blocks_sent = 0
        self.blocks_got: dict[BlockInfo, bytes] = {}

    def opened(self, line: Line) -> None:
        """A link stands: nothing of an earlier one counts."""
        self.their_choking, self.their_interest, self.choking = True, False, True
        self.asked.clear()
        self.allowed.clear()
        super().opened(line)

    # --- The books -----------------------------------------------------------------------

    def note(self, message: wire.Message) -> None:
        """Keep the books of the link, check the message against them, then act."""
        match message:
            case wire.Request() | wire.Cancel() | wire.Reject() | wire.Piece():
                self._note_block(message)
            case wire.Choke():
                self.their_choking = True
            case wire.Unchoke():
                self.their_choking = False
                self.on_unchoked()
            case wire.Interested():
                self.their_interest = True
                self.on_interested()
            case wire.NotInterested():
                self.their_interest = False
            case wire.AllowedFast(index):
                self.granted.add(index)
            case wire.Have(index):
                self._note_have(index)
            case wire.HaveAll():
                for index in range(self.meta.piece_count):
                    self._note_have(index)
            case wire.Bitfield(data):
                for index in range(self.meta.piece_count):
                    if data[index >> 3] << (index & 7) & 0x80:
                        self._note_have(index)

    def _note_have(self, index: int) -> None:
        expect(self.disk.holds(index), "piece {} was announced before it was written", index)
        self.their_pieces.add(index)
        self.on_have(index)

    def _note_block(self, message: wire.Request | wire.Cancel | wire.Reject | wire.Piece) -> None:
        match message:
            case wire.Request(index, begin, length):
                self._note_request(BlockInfo(index, begin, length))
            case wire.Cancel(index, begin, length):
                self.cancelled.add(BlockInfo(index, begin, length))
                self.on_cancel(BlockInfo(index, begin, length))
            case wire.Piece(index, begin, data):
                block = BlockInfo(index, begin, len(data))
                expect(data == self.block(block), "{} came with wrong bytes", block)
                self.blocks_got[block] = bytes(data)
                self.on_block(block)
            case _:
                self.on_rejected(BlockInfo(message.index, message.begin, message.length))

    def _note_request(self, block: BlockInfo) -> None:
        expect(block.piece in self.claims, "{} was asked of one who lacks it", block)
        expect(self.meta.geometry.is_block(*block), "{} is not one of our blocks", block)
        # A block given up crosses with its CANCEL, and may be wanted again: then it is fair.
        twice = block in self.asked and block not in self.cancelled
        expect(not twice, "{} was asked for twice", block)
        self.asked[block] = self.world.now
        expect(len(self.asked) <= MAX_PIPELINE, "{} requests are out", len(self.asked))
        self.on_request(block)

    def block(self, block: BlockInfo) -> bytes:
        """The right bytes."""
        start = block.piece * self.meta.piece_length + block.begin
        return self.payload[start : start + block.length]

    # --- Saying --------------------------------------------------------------------------

    def give(self, block: BlockInfo, data: bytes | None = None) -> float:
        """Send a block, asked for or not; returns when it has left."""
        self.asked.pop(block, None)
        self.blocks_sent += 1
        content = self.block(block) if data is None else data
        return self.say(wire.Piece(block.piece, block.begin, content))

    def refuse(self, block: BlockInfo) -> None:
        """REJECT, where BEP 6 is agreed."""
        del self.asked[block]
        if self.fast:
            self.say(wire.Reject(*block))

    def unchoke(self) -> None:
        """Stop choking."""
        self.choking = False
        self.say(wire.Unchoke())

    def choke(self) -> None:
        """Choke: without BEP 6 all requests are void, with it they are rejected."""
        self.choking = True
        self.say(wire.Choke())
        for block in list(self.asked):
            if block.piece not in self.allowed:
                self.refuse(block)

    # --- What differs --------------------------------------------------------------------

    def on_interested(self) -> None:
        """We are interesting."""

    def on_unchoked(self) -> None:
        """We may ask."""

    def on_have(self, index: int) -> None:
        """They have a piece."""

    def on_request(self, block: BlockInfo) -> None:
        """They ask; the request is in ``asked``."""

    def on_cancel(self, block: BlockInfo) -> None:
        """They ask no longer.  BEP 6: answer all the same, unless it is answered already."""
        if block in self.asked:
            self.refuse(block)

    def on_block(self, block: BlockInfo) -> None:
        """They answered."""

    def on_rejected(self, block: BlockInfo) -> None:
        """They will not answer."""
