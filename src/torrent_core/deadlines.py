"""When something is due, and why.

``Deadlines`` keeps one moment per key and answers which comes first.  A moment that moves
*later*, as nearly all do (every block received postpones an idle timeout), costs one dict
store: the heap keeps the older, earlier entry and corrects it when that comes to the top.
"""

from __future__ import annotations

from collections.abc import Hashable
from heapq import heappop, heappush, heapreplace
from operator import attrgetter
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)

SLACK = 64
"""Useless heap entries that are tolerated, beyond as many as there are deadlines."""


class Deadline(NamedTuple):
    """A moment on the machine's clock, and what is due then."""

    when: float
    why: str


_when = attrgetter("when")


def soonest(*deadlines: Deadline | None) -> Deadline | None:
    """The earliest of several; of equal ones the first named; None if there is none."""
    return min(filter(None, deadlines), key=_when, default=None)


class Deadlines(Generic[K]):
    """One deadline per key; of equal ones the key comes first that was first armed, or that has
    the lesser rank: whoever arms one key with a rank does so with all.

    The answers depend on what was set and cleared alone, never on when they were asked for.
    """

    __slots__ = ("_entry", "_heap", "_serial", "_true")

    def __init__(self) -> None:
        self._true: dict[K, float] = {}
        # The one heap entry of each key that counts: never later than the true moment.
        self._entry: dict[K, tuple[float, int, K]] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._serial = 0

    def set(self, key: K, when: float, rank: int | None = None) -> None:
        """Arm ``key`` for ``when``, in place of what it had."""
        self._true[key] = when
        entry = self._entry.get(key)
        if entry is None:
            self._serial += 1
            self._push(when, self._serial if rank is None else rank, key)
        elif when < entry[0]:
            self._push(when, entry[1], key)

    def _push(self, when: float, serial: int, key: K) -> None:
        entry = self._entry[key] = (when, serial, key)
        heappush(self._heap, entry)
        # A key that flips between soon and late leaves an entry behind each time, and a
        # peer may be what makes it flip.  Amortised, this costs a push little more.
        if len(self._heap) > 2 * len(self._entry) + SLACK:
            self._heap = sorted(self._entry.values())

    def put(self, key: K, when: float | None) -> None:
        """``set``, or ``clear`` when ``when`` is None."""
        if when is None:
            self.clear(key)
        else:
            self.set(key, when)

    def clear(self, key: K) -> None:
        """Disarm ``key``; no effect if it is not armed."""
        if self._true.pop(key, None) is not None:
            del self._entry[key]

    def get(self, key: K) -> float | None:
        """When ``key`` is due, or None."""
        return self._true.get(key)

    def soonest(self) -> tuple[float, K] | None:
        """The earliest moment with its key, or None.  Nothing observable changes."""
        while self._heap:
            entry = self._heap[0]
            when, serial, key = entry
            if self._entry.get(key) is not entry:
                heappop(self._heap)  # superseded by another entry, or disarmed
            elif self._true[key] > when:
                self._entry[key] = entry = (self._true[key], serial, key)
                heapreplace(self._heap, entry)
            else:
                return when, key
        return None

    def next_at(self) -> float | None:
        """The earliest moment, or None."""
        first = self.soonest()
        return None if first is None else first[0]

    def pop_due(self, now: float) -> K | None:
        """Disarm and return the earliest key that is due at ``now``, or None."""
        first = self.soonest()
        if first is None or first[0] > now:
            return None
        self.clear(first[1])
        return first[1]

    def __len__(self) -> int:
        return len(self._true)
