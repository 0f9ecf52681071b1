"""Who is in the book: entered and removed in one place, within its bounds."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator

from ..addresses import can_be_dialled, is_local
from ..limits import (
    MAX_LINKS_PER_ADDRESS,
    MAX_LINKS_PER_LOCAL_ADDRESS,
    MAX_SHUNNED_ADDRESSES,
)
from ..registry import Registry
from ..types import Address, PeerSource
from .candidate import Candidate
from .eviction import least_worth

EVICTED_SHARE = 20
"""A full book makes room for this part of it at once, as libtorrent does: who is to go is
then looked for once in so many newcomers."""


class Roster:
    """The candidates, how many there are of each host, and whom nobody's word brings in.

    ``limit`` bounds them; named ones are entered all the same.  ``on_leaving`` is told of
    each address that leaves; ``waits`` says of an idle candidate whether it will be dialled.
    """

    __slots__ = ("_candidates", "_dropped", "_hosts", "_limit", "_ourselves", "_waits", "external")

    def __init__(
        self,
        limit: int,
        on_leaving: Callable[[Address], None],
        waits: Callable[[Address], bool],
    ) -> None:
        def left(candidate: Candidate) -> None:
            self._leave(candidate.address.host)
            on_leaving(candidate.address)

        self._candidates: Registry[Address, Candidate] = Registry(Candidate, left)
        self._hosts: dict[str, int] = {}
        self._limit = limit
        self._waits = waits
        self._ourselves: dict[Address, None] = {}
        self._dropped: dict[Address, None] = {}
        self.external: tuple[Address, ...] = ()
        """Where others see us listen."""

    # --- Entering and leaving --------------------------------------------------------------

    def get(self, address: Address) -> Candidate | None:
        """Who is at that address, if it is known."""
        return self._candidates.get(address)

    def at(self, address: Address) -> Candidate:
        """The same, of one that is known to be in the book."""
        return self._candidates.get_or_create(address)

    def enter(self, address: Address) -> Candidate:
        """Take in a candidate that is not in the book."""
        self._hosts[address.host] = self._hosts.get(address.host, 0) + 1
        return self._candidates.get_or_create(address)

    def remove(self, address: Address) -> None:
        """Forget one that is idle.  No effect if it is not in the book."""
        self._candidates.remove(address)

    def _leave(self, host: str) -> None:
        self._hosts[host] -= 1
        if not self._hosts[host]:
            del self._hosts[host]

    # --- Bounds ----------------------------------------------------------------------------

    def accepts(self, address: Address) -> bool:
        """Whether a stranger at that address, not in the book, may be entered as far as the
        address goes."""
        if self.is_ours(address) or address in self._dropped or address in self.external:
            return False
        host = address.host
        most = MAX_LINKS_PER_LOCAL_ADDRESS if is_local(host) else MAX_LINKS_PER_ADDRESS
        return self._hosts.get(host, 0) < most and can_be_dialled(address)

    def make_room(self, newcomer: PeerSource) -> bool:
        """See that one more stranger can be entered, of whom ``newcomer`` told; False if none
        of those in the book may go for it."""
        if len(self._candidates) < self._limit:
            return True
        count = len(self._candidates) - self._limit + max(1, self._limit // EVICTED_SHARE)
        for candidate in least_worth(self._candidates, self._waits, newcomer, count):
            self.remove(candidate.address)
        return len(self._candidates) < self._limit

    # --- Shunned ---------------------------------------------------------------------------

    def is_ours(self, address: Address) -> bool:
        """Whether we once answered there ourselves."""
        return address in self._ourselves

    def shun_as_ours(self, address: Address) -> None:
        """We answered there ourselves."""
        _remember(self._ourselves, address)

    def shun(self, address: Address) -> None:
        """The caller dropped it: nobody but the caller brings it back."""
        _remember(self._dropped, address)

    def pardon(self, address: Address) -> None:
        """The caller names it again."""
        self._dropped.pop(address, None)

    # --- Queries ---------------------------------------------------------------------------

    def at_host(self, host: str) -> list[Candidate]:
        """The candidates there; costs a pass over the book if there are any."""
        if host not in self._hosts:
            return []
        return [candidate for candidate in self._candidates if candidate.address.host == host]

    def told_by_none(self, sources: Container[PeerSource]) -> list[Address]:
        """Of whom none of these told; costs a pass over the book."""
        return [
            candidate.address
            for candidate in self._candidates
            if not any(source in sources for source in candidate.sources)
        ]

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self._candidates)

    def __len__(self) -> int:
        return len(self._candidates)


def _remember(known: dict[Address, None], address: Address) -> None:
    """As the last one; the first is forgotten where there are too many."""
    known.pop(address, None)
    known[address] = None
    if len(known) > MAX_SHUNNED_ADDRESSES:
        del known[next(iter(known))]
