"""Where the others see us: our id must fit that address (BEP 42).

One node may lie, so several places must agree, and be more than half of those that spoke last.
"""

from __future__ import annotations

from collections import Counter

from ..limits import DHT_VOTES, DHT_VOTES_NEEDED
from ..types import Address
from .hosts import family_of, look_at, place_of


class OutsideAddress:
    """The latest word of each place, and what follows from them."""

    __slots__ = ("_votes", "host")

    def __init__(self) -> None:
        self.host: str | None = None
        """Our address as the others see it, once enough agree."""
        self._votes: dict[bytes, str] = {}

    def vote(self, voter: Address, seen: Address) -> bool:
        """A node says that it sees us at ``seen``.  Whether ``host`` is another now."""
        said = look_at(seen.host)
        if said is None or said.family is not family_of(voter):
            return False
        place = place_of(voter)
        self._votes.pop(place, None)
        self._votes[place] = said.text
        if len(self._votes) > DHT_VOTES:
            del self._votes[next(iter(self._votes))]
        return self._count()

    def _count(self) -> bool:
        host, votes = Counter(self._votes.values()).most_common(1)[0]
        enough = votes >= DHT_VOTES_NEEDED and 2 * votes > len(self._votes)
        if not enough or host == self.host:
            return False
        self.host = host
        return True
