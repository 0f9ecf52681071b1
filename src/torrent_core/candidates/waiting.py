"""Strangers who wait to be dialled: first until their pause is over, then for their turn.

Those who are due are dialled in the order of their rank, lowest first, since there may be
thousands of them and room for a few.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import TypeAlias

from ..deadlines import SLACK, Deadlines
from ..types import Address

Rank: TypeAlias = tuple[int, int]
_Entry: TypeAlias = tuple[Rank, int, Address]


class WaitingLine:
    """Addresses with the moment when each is due, and ``rank`` of those that are."""

    __slots__ = ("_due", "_heap", "_pauses", "_rank", "_serial")

    def __init__(self, rank: Callable[[Address], Rank]) -> None:
        self._rank = rank
        self._pauses: Deadlines[Address] = Deadlines()
        # Of those who are due: since when, and the one entry in the heap that counts.
        self._due: dict[Address, tuple[float, _Entry]] = {}
        self._heap: list[_Entry] = []
        self._serial = 0

    def put(self, address: Address, when: float | None) -> None:
        """It is due at ``when``, in place of what it was; None takes it out of the line."""
        self._due.pop(address, None)
        self._pauses.put(address, when)

    def when(self, address: Address) -> float | None:
        """When it is or was due, or None if it does not wait."""
        due = self._due.get(address)
        return self._pauses.get(address) if due is None else due[0]

    def pop_due(self, now: float) -> Address | None:
        """Take out who is next of those that are due, or None."""
        while (when := self._pauses.soonest()) is not None and when[0] <= now:
            self._enter(when[1], when[0])
        if self._first() is None:
            return None
        address = heappop(self._heap)[2]
        del self._due[address]
        return address

    def soonest(self) -> tuple[float, Address] | None:
        """Who is next, and since when or from when it is due; None if nobody waits."""
        first = self._first()
        return self._pauses.soonest() if first is None else (self._due[first][0], first)

    def __bool__(self) -> bool:
        """Whether anybody waits."""
        return bool(self._due or self._pauses)

    def rerank(self) -> None:
        """Ranks have changed."""
        for address, (when, entry) in self._due.items():
            self._due[address] = when, (self._rank(address), entry[1], address)
        self._rebuild()

    def _enter(self, address: Address, when: float) -> None:
        self._pauses.clear(address)
        self._serial += 1
        entry = self._rank(address), self._serial, address
        self._due[address] = when, entry
        heappush(self._heap, entry)
        if len(self._heap) > 2 * len(self._due) + SLACK:
            self._rebuild()

    def _rebuild(self) -> None:
        self._heap = [entry for _, entry in self._due.values()]
        heapify(self._heap)

    def _first(self) -> Address | None:
        while self._heap:
            entry = self._heap[0]
            due = self._due.get(entry[2])
            if due is not None and due[1] is entry:
                return entry[2]
            heappop(self._heap)  # taken out of the line, or put back since
        return None

    def __contains__(self, address: Address) -> bool:
        return address in self._due or self._pauses.get(address) is not None

    def __len__(self) -> int:
        return len(self._due) + len(self._pauses)
