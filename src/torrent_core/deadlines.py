"""When something is due, and why.

``Deadlines`` keeps one moment per key and answers which comes first.  A moment that moves
*later*, as nearly all do (every block received postpones an idle timeout), costs one dict
store: the heap keeps the older, earlier entry and corrects it when that comes to the top.
"""

from __future__ import annotations

from collections.abc import Hashable
from heapq import heappop, heappush, heapreplace
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)

SLACK = 64
"""Useless heap entries that are tolerated, beyond as many as there are deadlines."""


class Deadline(NamedTuple):
    """A moment on the machine's clock, and what is due then."""

    when: float
    why: str


def soonest(*deadlines: Deadline | None) -> Deadline | None:
    """The earliest of several; of equal ones the first named; None if there is none."""
    best: Deadline | None = None
    for deadline in deadlines:
        if deadline is not None and (best is None or deadline.when < best.when):
            best = deadline
    return best


class Deadlines(Generic[K]):
    """One deadline per key; ties are settled by the order in which they were armed."""

    __slots__ = ("_armed", "_heap", "_serial", "_true")

    def __init__(self) -> None:
        self._true: dict[K, float] = {}
        # Earliest heap entry of each key: never later than the true moment.
        self._armed: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._serial = 0

    def set(self, key: K, when: float) -> None:
        """Arm ``key`` for ``when``, in place of what it had."""
        self._true[key] = when
        armed = self._armed.get(key)
        if armed is None or when < armed:
            self._armed[key] = when
            self._serial += 1
            heappush(self._heap, (when, self._serial, key))
            if len(self._heap) > 2 * len(self._true) + SLACK:
                self._compact()

    def _compact(self) -> None:
        """Drop the entries that mean nothing any more, in amortised constant time per push.

        A key that flips between soon and late leaves one behind each time, and a peer may
        be what makes it flip.
        """
        live: dict[K, tuple[float, int, K]] = {}
        for entry in sorted(self._heap):
            if entry[2] in self._true and self._armed[entry[2]] == entry[0]:
                live.setdefault(entry[2], entry)
        self._heap = list(live.values())  # sorted, and so a heap
        self._armed = {key: entry[0] for key, entry in live.items()}

    def put(self, key: K, when: float | None) -> None:
        """``set``, or ``clear`` when ``when`` is None."""
        if when is None:
            self._true.pop(key, None)
        else:
            self.set(key, when)

    def clear(self, key: K) -> None:
        """Disarm ``key``; no effect if it is not armed."""
        self._true.pop(key, None)

    def get(self, key: K) -> float | None:
        """When ``key`` is due, or None."""
        return self._true.get(key)

    def soonest(self) -> tuple[float, K] | None:
        """The earliest moment with its key, or None.  Nothing observable changes."""
        while self._heap:
            when, serial, key = self._heap[0]
            true = self._true.get(key)
            if self._armed.get(key) != when or true is None:
                heappop(self._heap)  # superseded by an earlier entry, or disarmed
                if true is None:
                    self._armed.pop(key, None)
            elif true > when:
                self._armed[key] = true
                heapreplace(self._heap, (true, serial, key))
            else:
                return when, key
        return None

    def pop_due(self, now: float) -> K | None:
        """Disarm and return the earliest key that is due at ``now``, or None."""
        first = self.soonest()
        if first is None or first[0] > now:
            return None
        self.clear(first[1])
        return first[1]

    def __len__(self) -> int:
        return len(self._true)
