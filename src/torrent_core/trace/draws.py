"""Randomness: noted while it is drawn, and handed out again in the same order.

So a replay needs no seed, and any source will do.
"""

from __future__ import annotations

import struct
from collections import deque

from ..types import RandomSource
from .values import Cursor

_DRAW = struct.Struct("<II")
_COUNT = struct.Struct("<H")
_FRACTION = struct.Struct("<d")
_NO_BITS = 0xFFFFFFFF
"""Stands for ``random()`` where the number of bits would be."""


class Strayed(Exception):
    """The machine that is replayed draws other randomness than the one that was recorded."""


class RecordedRandom:
    """A source that passes on what another draws, and notes it."""

    __slots__ = ("_notes", "_source", "count")

    def __init__(self, source: RandomSource) -> None:
        self._source = source
        self._notes = bytearray()
        self.count = 0
        """Draws since ``take``."""

    def getrandbits(self, k: int, /) -> int:
        """``k`` random bits as a number."""
        value = self._source.getrandbits(k)
        size = (k + 7) // 8
        self._notes += _DRAW.pack(k, size) + value.to_bytes(size, "little")
        self.count += 1
        return value

    def random(self) -> float:
        """A number from 0 up to 1."""
        value = self._source.random()
        self._notes += _DRAW.pack(_NO_BITS, _FRACTION.size) + _FRACTION.pack(value)
        self.count += 1
        return value

    def take(self) -> bytes:
        """What was drawn since the last call."""
        taken = _COUNT.pack(self.count) + self._notes
        self._notes.clear()
        self.count = 0
        return taken


def read_draws(cursor: Cursor) -> tuple[tuple[int, bytes], ...]:
    """What ``RecordedRandom.take`` wrote: for each draw the bits, or None, and the outcome."""
    count: int = cursor.unpack(_COUNT)[0]
    draws = []
    for _ in range(count):
        bits, size = cursor.unpack(_DRAW)
        draws.append((bits, cursor.take(size)))
    return tuple(draws)


class ReplayedRandom:
    """A source that repeats what was noted.  Raises Strayed when asked for anything else."""

    __slots__ = ("_draws",)

    def __init__(self) -> None:
        self._draws: deque[tuple[int, bytes]] = deque()

    def load(self, draws: tuple[tuple[int, bytes], ...]) -> None:
        """What may be drawn next, in place of what is left."""
        self._draws = deque(draws)

    @property
    def is_spent(self) -> bool:
        """Whether all was drawn."""
        return not self._draws

    def getrandbits(self, k: int, /) -> int:
        """The number that was drawn."""
        return int.from_bytes(self._next(k), "little")

    def random(self) -> float:
        """The fraction that was drawn."""
        value: float = _FRACTION.unpack(self._next(_NO_BITS))[0]
        return value

    def _next(self, bits: int) -> bytes:
        if not self._draws or self._draws[0][0] != bits:
            raise Strayed("it draws other randomness")
        return self._draws.popleft()[1]
