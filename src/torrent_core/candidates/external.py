"""Where we are, as others see it: nobody behind a NAT knows his own address.

Peers say it in their extension handshake (BEP 10, ``yourip``), trackers in their answer
(BEP 24, ``external ip``).  Any of them may lie, so several must say the same.
"""

from __future__ import annotations

from ..addresses import can_be_dialled, packed
from ..limits import EXTERNAL_ADDRESS_VOTES, MAX_EXTERNAL_VOTERS
from ..types import Address


class ExternalAddress:
    """Votes on our own addresses, one of each teller and family; those who voted longest ago
    are forgotten first."""

    __slots__ = ("_votes",)

    def __init__(self) -> None:
        self._votes: dict[tuple[str, int], str] = {}

    def vote(self, host: str, teller: str) -> bool:
        """``teller`` (an address or a URL) sees us at ``host``; whether that changes anything.

        What cannot be our address is ignored.
        """
        data = packed(host)
        if data is None or not can_be_dialled(Address(host, 1)):
            return False
        before = self.hosts
        key = teller, len(data)
        self._votes.pop(key, None)
        self._votes[key] = host
        if len(self._votes) > MAX_EXTERNAL_VOTERS:
            del self._votes[next(iter(self._votes))]
        return self.hosts != before

    @property
    def hosts(self) -> tuple[str, ...]:
        """Our address of each family that enough tellers agree on; IPv4 first."""
        return tuple(filter(None, (self._winner(length) for length in (4, 16))))

    def _winner(self, length: int) -> str | None:
        counts: dict[str, int] = {}
        for (_, family), host in self._votes.items():
            if family == length:
                counts[host] = counts.get(host, 0) + 1
        best = max(counts, key=lambda host: counts[host], default=None)
        return best if best is not None and counts[best] >= EXTERNAL_ADDRESS_VOTES else None
