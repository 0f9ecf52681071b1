"""How fast bytes flow, from (now, count) samples alone.

An exponentially weighted mean over fixed slots: cheap to feed (one comparison and one
addition per sample), smooth to read, and a function of its inputs only.
"""

from __future__ import annotations

SLOT = 0.5
"""Seconds gathered before the mean moves."""

WEIGHT = 0.4
"""Share of the newest slot in the mean; four slots make up 87 % of it."""


class Rate:
    """Bytes per second over the last few seconds, and the total ever."""

    __slots__ = ("_mean", "_slot_bytes", "_slot_start", "_warm", "total")

    def __init__(self, now: float) -> None:
        self.total = 0
        """Bytes counted since the start."""
        self._slot_start = now
        self._slot_bytes = 0
        self._mean = 0.0
        self._warm = False

    def add(self, count: int, now: float) -> None:
        """Count ``count`` bytes at ``now``."""
        if now - self._slot_start >= SLOT:
            self._turn(now)
        self.total += count
        self._slot_bytes += count

    def value(self, now: float) -> float:
        """Bytes per second at ``now``; falls towards zero when nothing comes."""
        elapsed = now - self._slot_start
        if elapsed < SLOT:
            if self._warm:
                return self._mean
            return self._slot_bytes / max(elapsed, SLOT / 4)
        return self._mixed(elapsed)

    def _mixed(self, elapsed: float) -> float:
        """The mean once the open slot, ``elapsed`` seconds long, is taken in."""
        newest = self._slot_bytes / elapsed
        if not self._warm:
            return newest
        # A long silence counts as the many empty slots that it is.
        keep: float = (1.0 - WEIGHT) ** min(elapsed / SLOT, 64.0)
        return self._mean * keep + newest * (1.0 - keep)

    def _turn(self, now: float) -> None:
        if self.total:  # the wait for the first byte says nothing of what follows it
            self._mean = self._mixed(now - self._slot_start)
            self._warm = True
        self._slot_start = now
        self._slot_bytes = 0
