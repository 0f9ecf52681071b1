"""How deep to pipeline, and how long to wait: pure arithmetic on what a link has shown.

1. Depth follows rate: so many requests out as the link delivers in ``PIPELINE_SECONDS``,
   between ``MIN_PIPELINE`` and ``MAX_PIPELINE``.  A credible ``reqq`` (BEP 10) only lowers
   it, even below the floor: the peer drops or rejects what is above.  A link that has no
   rate yet, or none any longer, starts at the floor and grows by one per block, which
   doubles it every round trip as TCP's slow start does (RFC 5681).
2. Patience follows the link's own gaps between deliveries, as TCP's retransmission timer
   follows round trips (RFC 6298): smoothed mean plus four mean deviations, never below
   ``LATENESS_FLOOR`` and never above the ceiling that the caller gives.  A fixed timeout
   breaks slow peers: at ten seconds and fifty requests, any peer below 80 KiB/s is late
   for ever.
"""

from __future__ import annotations

from ..limits import (
    BLOCK_SIZE,
    LATENESS_FLOOR,
    LATENESS_UNKNOWN,
    MAX_PIPELINE,
    MIN_PIPELINE,
    PIPELINE_SECONDS,
)
from ..rates import SLOT

SLOW_START = 2 * SLOT
"""Seconds until a rate may be gone by: two slots of ``Rate``, after which it shows 64 %.

What comes within a second is less than ``PIPELINE_SECONDS`` of any rate above the floor, so
that growth by one per block needs no other bound until then."""


def pipeline_depth(rate: float, reqq: int | None = None) -> int:
    """Requests to keep out on a link of ``rate`` bytes a second."""
    blocks = min(rate * PIPELINE_SECONDS / BLOCK_SIZE, MAX_PIPELINE)
    depth = max(int(blocks), MIN_PIPELINE)
    return depth if reqq is None else min(depth, reqq)


class ResponseGaps:
    """Smoothed mean and deviation of the seconds between deliveries of one link."""

    __slots__ = ("_deviation", "_known", "_mean")

    def __init__(self) -> None:
        self._mean = 0.0
        self._deviation = 0.0
        self._known = False

    def add(self, gap: float) -> None:
        """Take in one gap: the weights are RFC 6298's 1/8 and 1/4."""
        if not self._known:
            self._known = True
            self._mean, self._deviation = gap, gap / 2
            return
        self._deviation += (abs(gap - self._mean) - self._deviation) / 4
        self._mean += (gap - self._mean) / 8

    def patience(self, ceiling: float) -> float:
        """Seconds of silence after which the link is late."""
        if not self._known:
            return min(LATENESS_UNKNOWN, ceiling)
        return min(max(self._mean + 4 * self._deviation, LATENESS_FLOOR), ceiling)
