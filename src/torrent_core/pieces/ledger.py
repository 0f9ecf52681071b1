"""Requests of one link that are no longer out, but may still be answered.

Two kinds.  A request that *we* gave up is owed an answer (BEP 6: also after CANCEL), and a
block that is given up again and again is owed as many.  One that a CHOKE without BEP 6 made
void is owed none, but its block may have been on its way, or being read for us; if it comes
it was asked for, and is no offence.

Bounded: the entry that was made first goes first.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..limits import MAX_WITHDRAWN


class Ledger:
    """Keys of such requests, oldest first, and how many answers each is owed."""

    __slots__ = ("_owed",)

    def __init__(self) -> None:
        self._owed: dict[int, int] = {}

    def withdraw(self, key: int) -> None:
        """We gave a request up: one more answer is owed."""
        self._note(key, self.owed(key) + 1)

    def void(self, key: int) -> None:
        """The peer dropped what it was asked: nothing is owed, and something may come."""
        self._note(key, 0)

    def answered(self, key: int) -> None:
        """One answer came.  No effect for a key that is not here."""
        owed = self._owed.pop(key, 0)
        if owed > 1:
            self._owed[key] = owed - 1

    def owed(self, key: int) -> int:
        """Answers that the peer owes for this key."""
        return self._owed.get(key, 0)

    def __contains__(self, key: int) -> bool:
        """Whether a block of this key would be the answer to a request of ours."""
        return key in self._owed

    def __iter__(self) -> Iterator[int]:
        return iter(self._owed)

    def __len__(self) -> int:
        return len(self._owed)

    def _note(self, key: int, owed: int) -> None:
        self._owed[key] = owed
        if len(self._owed) > MAX_WITHDRAWN:
            del self._owed[next(iter(self._owed))]
