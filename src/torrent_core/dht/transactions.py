"""Queries that are out, and whose answers alone are believed.

An answer counts if it comes from the very address that was asked and repeats the 32 random
bits of the query.  A query that is silent for a second is *slow*: whoever asked may ask
another node meanwhile.  One that stays silent is lost.
"""

from __future__ import annotations

from ..classes import define
from ..deadlines import Deadlines
from ..limits import DHT_SHORT_TIMEOUT, DHT_TIMEOUT
from ..types import Address, RandomSource
from ..wire.contacts import NodeInfo
from .lookup import Lookup

_BYTES = 4


@define(eq=False)
class Pending:
    """One query: of whom, and for which lookup, if it is one's."""

    transaction: bytes
    address: Address
    node_id: bytes
    """Empty where nobody knows it yet."""
    lookup: Lookup | None
    lost_at: float
    slow: bool = False

    @property
    def info(self) -> NodeInfo:
        """Whom we asked."""
        return NodeInfo(self.node_id, self.address)


class Transactions:
    """The queries that are out, by transaction."""

    __slots__ = ("_deadlines", "_pending", "_random")

    def __init__(self, random: RandomSource) -> None:
        self._random = random
        self._pending: dict[bytes, Pending] = {}
        self._deadlines: Deadlines[bytes] = Deadlines()

    def __len__(self) -> int:
        return len(self._pending)

    def begin(self, address: Address, node_id: bytes, lookup: Lookup | None, now: float) -> bytes:
        """A query leaves; returns the transaction that it bears."""
        transaction = self._random.getrandbits(8 * _BYTES).to_bytes(_BYTES, "big")
        while transaction in self._pending:
            transaction = self._random.getrandbits(8 * _BYTES).to_bytes(_BYTES, "big")
        pending = Pending(transaction, address, node_id, lookup, now + DHT_TIMEOUT)
        self._pending[transaction] = pending
        self._deadlines.set(transaction, now + DHT_SHORT_TIMEOUT)
        return transaction

    def take(self, transaction: bytes, address: Address) -> Pending | None:
        """An answer came: the query that it answers, which is over; None if there is none."""
        pending = self._pending.get(transaction)
        if pending is None or pending.address != address:
            return None
        self._end(pending)
        return pending

    def next_at(self) -> float | None:
        """When the next query becomes slow or is lost."""
        return self._deadlines.next_at()

    def pop_due(self, now: float) -> tuple[Pending, bool] | None:
        """The next query that became slow, or is lost (True) and over; None if there is none."""
        transaction = self._deadlines.pop_due(now)
        if transaction is None:
            return None
        pending = self._pending[transaction]
        lost = pending.lost_at <= now
        if lost:
            self._end(pending)
        else:
            pending.slow = True
            self._deadlines.set(transaction, pending.lost_at)
        return pending, lost

    def _end(self, pending: Pending) -> None:
        del self._pending[pending.transaction]
        self._deadlines.clear(pending.transaction)
