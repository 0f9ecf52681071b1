"""Where the next bytes of a link belong, if it goes on as it should.

A peer that answers requests in order sends nothing but PIECEs whose headers are known before
they come.  So an adapter can have the payload put straight into its place (``recvmsg_into``),
and all that is left to do is to compare headers, many at once.  What turns out to be something
else is taken out of the places again, and read as any input: nobody has used them meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, repeat
from typing import TypeAlias

from ..limits import BLOCK_SIZE, MAX_PLACED_BLOCKS
from ..wire.messages import PIECE, PIECE_HEADER, PIECE_OVERHEAD
from .events import PeerEvent, Run

HEADER = PIECE_HEADER.size
STRIDE = HEADER + BLOCK_SIZE
"""A PIECE of a block of the usual length, header and all."""

# Made once: what can be left to ``map`` costs a block next to nothing.
_HEADERS = [slice(at * HEADER, (at + 1) * HEADER) for at in range(MAX_PLACED_BLOCKS)]
_HEADS = [slice(at * STRIDE, at * STRIDE + HEADER) for at in range(MAX_PLACED_BLOCKS)]
_PAYLOADS = [slice(at * STRIDE + HEADER, (at + 1) * STRIDE) for at in range(MAX_PLACED_BLOCKS)]
_ALL = slice(None)
_BLOCKS = [slice(at * BLOCK_SIZE, (at + 1) * BLOCK_SIZE) for at in range(MAX_PLACED_BLOCKS)]


class Landing:
    """Places for ``runs``; of the first block, ``rest`` is all that is still to come, if a part
    of it has."""

    __slots__ = ("_expected", "_headers", "_opened", "_read", "_runs", "buffers", "room")

    def __init__(self, runs: list[Run], rest: memoryview | None, read: Read) -> None:
        self._runs = runs
        self._read = read
        self._opened = rest is not None
        self._expected = b"".join(map(_headers_of, runs))[HEADER * self._opened :]
        self._headers = bytearray(len(self._expected))
        headers = memoryview(self._headers)
        blocks = chain.from_iterable(map(_blocks_of, runs))
        self.buffers: list[memoryview] = []
        """To be filled one after the other."""
        if rest is not None:
            next(blocks)
            self.buffers.append(rest)
        pairs = zip(map(headers.__getitem__, _HEADERS), blocks, strict=False)
        self.buffers += chain.from_iterable(pairs)
        blocks_ahead = len(self._expected) // HEADER
        self.room = blocks_ahead * STRIDE + (0 if rest is None else len(rest))
        """Bytes that they hold."""

    def take(self, data: memoryview) -> int:
        """Put the blocks that end in ``data`` into the places; returns how many bytes that took,
        none if it does not begin as was expected."""
        rest = self.rest
        blocks = min((len(data) - rest) // STRIDE, len(self._expected) // HEADER)
        if blocks <= 0 or data[rest : rest + HEADER] != self._expected[:HEADER]:
            return 0
        after = data[rest:]
        heads = map(after.__getitem__, _HEADS[:blocks])
        payloads = map(after.__getitem__, _PAYLOADS[:blocks])
        parts = chain(
            [data[:rest]] * self._opened, chain.from_iterable(zip(heads, payloads, strict=True))
        )
        deque(map(memoryview.__setitem__, self.buffers, repeat(_ALL), parts), maxlen=0)
        return rest + blocks * STRIDE

    def landed(self, count: int, now: float) -> Iterator[PeerEvent]:
        """What the ``count`` bytes mean that are there now.  Raises WireError."""
        return self._read(self, count, now)

    @property
    def rest(self) -> int:
        """Bytes that are missing of a block which had begun to come."""
        return len(self.buffers[0]) if self._opened else 0

    def agreed(self, count: int) -> int:
        """How many of the first ``count`` bytes, after ``rest``, are what was expected: up to
        where a PIECE should begin and something else does."""
        complete = min((count + BLOCK_SIZE) // STRIDE * HEADER, len(self._expected))
        if self._headers[:complete] == self._expected[:complete]:
            return count
        at = 0
        while self._headers[_HEADERS[at]] == self._expected[_HEADERS[at]]:
            at += 1
        return at * STRIDE

    def filled(self, blocks: int) -> list[Run]:
        """The runs of the first ``blocks`` blocks, the one that had begun to come included."""
        filled: list[Run] = []
        for run in self._runs:
            if blocks <= 0:
                break
            index, first, count, place = run
            filled.append(run if count <= blocks else (index, first, blocks, place))
            blocks -= count
        return filled

    def gathered(self, blocks: int, count: int) -> bytes:
        """What came after so many whole blocks that were expected, as it came; ``count`` is all
        that came.  Neither counts ``rest``."""
        after = self.buffers[2 * blocks + self._opened :]
        return gathered(after, count - blocks * STRIDE)


Read: TypeAlias = Callable[[Landing, int, float], Iterator[PeerEvent]]
"""Says what so many bytes in the places mean, at a time."""


def gathered(places: Iterable[memoryview], count: int) -> bytes:
    """The first ``count`` bytes in these places."""
    parts = []
    for place in places:
        if count <= 0:
            break
        parts.append(place[:count])
        count -= len(place)
    return b"".join(parts)


def _headers_of(run: Run) -> bytes:
    index, first, count, _ = run
    begins = range(first * BLOCK_SIZE, (first + count) * BLOCK_SIZE, BLOCK_SIZE)
    length = repeat(PIECE_OVERHEAD + BLOCK_SIZE)
    return b"".join(map(PIECE_HEADER.pack, length, repeat(PIECE), repeat(index), begins))


def _blocks_of(run: Run) -> map[memoryview]:
    _, _, count, place = run
    return map(place.__getitem__, _BLOCKS[:count])
