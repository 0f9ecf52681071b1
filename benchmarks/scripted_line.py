"""One connection from the side of a scripted peer: BEP 3, BEP 6, and a rate that is exact."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Iterable
from typing import NamedTuple

PROTOCOL = b"\x13BitTorrent protocol"
HANDSHAKE = 68
FAST_BYTE, FAST_BIT = 27, 0x04
"""Where in a handshake BEP 6 says that its sender speaks it."""

CHOKE, UNCHOKE, INTERESTED, HAVE, BITFIELD = 0, 1, 2, 4, 5
REQUEST, PIECE, CANCEL = 6, 7, 8
HAVE_ALL, HAVE_NONE, REJECT = 14, 15, 16

RANGE = struct.Struct(">III")
PIECE_HEAD = struct.Struct(">IBII")

Range = tuple[int, int, int]
"""Piece, begin and length of a block, as REQUEST has them."""


class Course(NamedTuple):
    """What is served."""

    data: bytes
    info_hash: bytes
    piece_length: int

    @property
    def pieces(self) -> int:
        """How many pieces there are."""
        return -(-len(self.data) // self.piece_length)


class Pace:
    """So many bytes a second, exact over any stretch in which there is something to send.

    What is late because a timer was is caught up; what nobody asked for is lost.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._due = 0.0

    def begin(self) -> None:
        """There is something to send after a pause."""
        self._due = max(self._due, time.monotonic())

    async def spend(self, size: int) -> None:
        """Wait until the last of ``size`` more bytes has had its time."""
        self._due += size / self.rate
        wait = self._due - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)


class Tally:
    """What one peer did, over all its connections."""

    def __init__(self) -> None:
        self.connections = 0
        self.asked = 0
        self.cancelled = 0
        self.sent = 0
        """Payload bytes, spoiled ones too."""
        self.idle = 0.0
        """Seconds between the first block and the last in which nobody asked for anything."""
        self.first: float | None = None
        """When, on the monotonic clock, somebody connected."""
        self.last: float | None = None
        """When the last block was given."""


class Line:
    """One connection: the requests that wait, and verbs to answer them, or not."""

    def __init__(
        self,
        course: Course,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        tally: Tally,
        *,
        fast: bool,
    ) -> None:
        self.course = course
        self.tally = tally
        self.fast = fast
        """Whether both sides speak BEP 6."""
        self.asked: dict[Range, None] = {}
        """Requests not answered yet, oldest first."""
        self.choking = True
        self._reader, self._writer = streams
        self._interest = asyncio.Event()
        self._work = asyncio.Event()
        self._bored = 0.0  # seconds without a request since the last block

    # --- The beginning -----------------------------------------------------------------

    async def shake(self, peer_id: bytes) -> None:
        """Shake hands, the other side first."""
        theirs = await self._reader.readexactly(HANDSHAKE)
        reserved = bytes(7) + bytes([FAST_BIT if self.fast else 0])
        self.fast = self.fast and bool(theirs[FAST_BYTE] & FAST_BIT)
        self._writer.write(PROTOCOL + reserved + self.course.info_hash + peer_id)

    def announce(self, pieces: Iterable[int] | None) -> None:
        """Say which pieces we have; None: all of them."""
        count = self.course.pieces
        if pieces is None and self.fast:
            self.say(HAVE_ALL)
            return
        field = bytearray(-(-count // 8))
        for index in range(count) if pieces is None else pieces:
            field[index // 8] |= 0x80 >> index % 8
        self.say(BITFIELD, bytes(field))

    async def interest(self) -> None:
        """Return once the other side wants something."""
        await self._interest.wait()

    # --- Saying things -----------------------------------------------------------------

    def say(self, message: int, body: bytes = b"") -> None:
        """Send one message."""
        self._writer.write(struct.pack(">IB", 1 + len(body), message) + body)

    def unchoke(self) -> None:
        """From now on requests are taken."""
        self.choking = False
        self.say(UNCHOKE)

    def choke(self) -> None:
        """Choke; without BEP 6 that drops all requests, with it they are still owed."""
        self.choking = True
        self.say(CHOKE)
        if not self.fast:
            self.asked.clear()

    def reject(self, wanted: Range) -> None:
        """Say that this will not be answered (BEP 6)."""
        self.asked.pop(wanted, None)
        self.say(REJECT, RANGE.pack(*wanted))

    async def give(self, wanted: Range, *, spoil: bool = False) -> None:
        """Send the block that was asked for, or, to spoil it, another of the same length."""
        self.asked.pop(wanted, None)
        self._note_block(wanted[2])
        index, begin, length = wanted
        at = index * self.course.piece_length + begin
        block = bytes(length) if spoil else self.course.data[at : at + length]
        self._writer.write(PIECE_HEAD.pack(9 + len(block), PIECE, index, begin))
        self._writer.write(block)
        await self._writer.drain()

    def _note_block(self, length: int) -> None:
        tally, now = self.tally, time.monotonic()
        if tally.last is not None:
            tally.idle += self._bored
        self._bored, tally.last = 0.0, now
        tally.sent += length

    def break_off(self) -> None:
        """Leave in the middle of a block."""
        self._writer.write(PIECE_HEAD.pack(9 + 16384, PIECE, 0, 0) + bytes(1000))
        self._writer.transport.abort()

    # --- Hearing things ----------------------------------------------------------------

    async def next_request(self, pace: Pace | None = None) -> Range:
        """The oldest request that waits, or the next to come; it stays in ``asked``."""
        if not self.asked:
            since = time.monotonic()
            while not self.asked:
                self._work.clear()
                await self._work.wait()
            self._bored += time.monotonic() - since
            if pace is not None:
                pace.begin()
        return next(iter(self.asked))

    async def listen(self) -> None:
        """Take in what the other side says, until it leaves."""
        while True:
            length = int.from_bytes(await self._reader.readexactly(4), "big")
            message = await self._reader.readexactly(length) if length else b""
            if message:
                self._hear(message[0], message[1:])

    def _hear(self, message: int, body: bytes) -> None:
        if message == INTERESTED:
            self._interest.set()
        elif message == REQUEST:
            self._asked_for(RANGE.unpack(body))
        elif message == CANCEL:
            self.tally.cancelled += 1
            wanted = RANGE.unpack(body)
            if wanted in self.asked:
                del self.asked[wanted]
                if self.fast:
                    self.say(REJECT, body)

    def _asked_for(self, wanted: Range) -> None:
        self.tally.asked += 1
        if not self.choking:
            self.asked[wanted] = None
            self._work.set()
        elif self.fast:
            self.say(REJECT, RANGE.pack(*wanted))
