"""Who asks too much is not answered: a bucket of credit for each place, and one for all.

An answer may be longer than its query, and go to whom the query claims to be from; so the
bounds protect others as well as us.
"""

from __future__ import annotations

from ..classes import define
from ..limits import (
    DHT_ASKERS,
    DHT_BURST,
    DHT_QUERY_RATE,
    DHT_TOTAL_BURST,
    DHT_TOTAL_RATE,
)
from ..types import Address
from .hosts import place_of


@define(eq=False)
class _Credit:
    """Queries that may still be answered; it grows with time."""

    left: float
    since: float

    def refill(self, now: float, rate: float, most: float) -> None:
        self.left = min(most, self.left + rate * (now - self.since))
        self.since = now


class FloodGate:
    """Counts queries by where they come from.  Bounded: the longest silent is forgotten."""

    __slots__ = ("_all", "_places")

    def __init__(self, now: float) -> None:
        self._places: dict[bytes, _Credit] = {}
        self._all = _Credit(DHT_TOTAL_BURST, now)

    def admits(self, address: Address, now: float) -> bool:
        """Whether to answer a query from this address now, which is counted if so."""
        place = place_of(address)
        # Taken out and put back, the order of the dict is that of the last queries.
        credit = self._places.pop(place, None) or _Credit(DHT_BURST, now)
        self._places[place] = credit
        if len(self._places) > DHT_ASKERS:
            del self._places[next(iter(self._places))]
        credit.refill(now, DHT_QUERY_RATE, DHT_BURST)
        self._all.refill(now, DHT_TOTAL_RATE, DHT_TOTAL_BURST)
        if credit.left < 1 or self._all.left < 1:
            return False
        credit.left -= 1
        self._all.left -= 1
        return True
