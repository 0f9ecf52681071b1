"""The peers that the caller named: whom to dial, and when again.

A candidate is due, being dialled, connected, or waiting for its redial: never two of these.
One that is dropped stays in the book until its dial or link has ended, so that it never has
two, even if it is named again at once.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from ..deadlines import Deadline, Deadlines, soonest
from ..errors import LocalProtocolError
from ..limits import DIAL_TIMEOUT, MAX_HALF_OPEN, REDIAL_BASE, REDIAL_MAX, STABLE_LINK
from ..registry import Registry
from ..types import Address, RandomSource

REDIAL_JITTER = 0.1
"""Each pause is cut by up to this share, so that the peers of a host that restarts are not
all dialled in one instant.  Cut, not stretched: REDIAL_MAX stays the longest pause."""


@attrs.define(eq=False)
class Candidate:
    """One peer that was named."""

    address: Address
    wanted: bool = True
    """False once dropped; it then only waits for its dial or link to end."""
    dial_id: int | None = None
    """The dial under way, if any; cancelled ones are, until they are answered."""
    connected: bool = False
    pause: float = REDIAL_BASE
    """Seconds from the next failure to the dial after it."""


class DialBook:
    """Candidates of one torrent, and the dials that are under way.

    ``is_barred`` says of a host whether nobody there is to be dialled; ``review`` must be
    called where its answer may have changed.  Raises LocalProtocolError for a
    ``max_half_open`` below 1.
    """

    __slots__ = (
        "_candidates",
        "_dials",
        "_is_barred",
        "_last_id",
        "_max_half_open",
        "_overdue",
        "_random",
        "_redials",
    )

    def __init__(
        self,
        random: RandomSource,
        max_half_open: int = MAX_HALF_OPEN,
        is_barred: Callable[[str], bool] = lambda host: False,
    ) -> None:
        if max_half_open < 1:
            raise LocalProtocolError(f"{max_half_open} dials at once")
        self._random = random
        self._max_half_open = max_half_open
        self._is_barred = is_barred
        self._candidates: Registry[Address, Candidate] = Registry(Candidate)
        self._dials: dict[int, Candidate] = {}
        self._last_id = 0
        # When to dial each idle candidate, and when to give each dial up.
        self._redials: Deadlines[Address] = Deadlines()
        self._overdue: Deadlines[int] = Deadlines()

    # --- The caller ------------------------------------------------------------------------

    def add(self, address: Address, now: float) -> None:
        """Name a peer: it is due at once.  No effect if it is named already.

        Raises LocalProtocolError for an address that nobody can listen on.
        """
        if not address.host or not 0 < address.port < 65536:
            raise LocalProtocolError(f"no peer can listen on {address}")
        candidate = self._candidates.get(address)
        if candidate is None:
            self._dial_at(self._candidates.get_or_create(address), now)
        elif not candidate.wanted:
            candidate.wanted = True
            candidate.pause = REDIAL_BASE

    def drop(self, address: Address) -> int | None:
        """Do not dial a peer again.  No effect if it is not named.

        Returns the dial under way, which the caller should cancel, or None.  Links are the
        caller's to close; they, and that dial, are still to be reported here as they end.
        """
        candidate = self._candidates.get(address)
        if candidate is None:
            return None
        candidate.wanted = False
        if candidate.dial_id is None and not candidate.connected:
            self._redials.clear(address)
            self._candidates.remove(address)
        return candidate.dial_id

    def review(self, host: str, now: float) -> None:
        """The host is barred now, or not any longer: its idle candidates follow."""
        for candidate in self._candidates:
            idle = candidate.dial_id is None and not candidate.connected
            if idle and candidate.address.host == host:
                self._dial_at(candidate, self._redials.get(candidate.address) or now)

    # --- Dials -----------------------------------------------------------------------------

    def next_dials(self, now: float, room: int) -> list[tuple[int, Address]]:
        """Begin the dials that are due, longest due first: (dial id, address) of each.

        At most ``room`` (links that may still be opened), and no more than the half-open
        limit allows.  Ids ascend and are never used twice.
        """
        begun: list[tuple[int, Address]] = []
        while len(begun) < room and len(self._dials) < self._max_half_open:
            address = self._redials.pop_due(now)
            if address is None:
                break
            self._last_id += 1
            candidate = self._candidates.get_or_create(address)
            candidate.dial_id = self._last_id
            self._dials[self._last_id] = candidate
            self._overdue.set(self._last_id, now + DIAL_TIMEOUT)
            begun.append((self._last_id, address))
        return begun

    def opened(self, dial_id: int) -> Address | None:
        """A dial has become a link: whose, or None if the peer was dropped meanwhile.

        Either way its end is to be reported by ``closed``.  Raises LocalProtocolError if no
        such dial is under way.
        """
        candidate = self._answered(dial_id)
        candidate.connected = True
        return candidate.address if candidate.wanted else None

    def failed(self, dial_id: int, now: float) -> None:
        """A dial came to nothing.  Raises LocalProtocolError if it is not under way."""
        self._fall_back(self._answered(dial_id), now)

    def expired(self, now: float) -> list[int]:
        """Dials that took too long and should be cancelled; each is reported once.

        They are under way, and count, until ``opened`` or ``failed`` answers them.
        """
        late: list[int] = []
        while (dial_id := self._overdue.pop_due(now)) is not None:
            late.append(dial_id)
        return late

    def closed(self, address: Address, now: float, lived: float, useful: bool) -> None:
        """The link to a candidate ended after ``lived`` seconds.

        ``useful``: it brought us something.  Such a link, and one that lived STABLE_LINK,
        clears the backoff; another one counts as a failed dial.  No effect for an address
        that has no link here.
        """
        candidate = self._candidates.get(address)
        if candidate is None or not candidate.connected:
            return
        candidate.connected = False
        if useful or lived >= STABLE_LINK:
            candidate.pause = REDIAL_BASE
            self._rest(candidate, now)
        else:
            self._fall_back(candidate, now)

    # --- Queries ---------------------------------------------------------------------------

    def next_deadline(self, room: int) -> Deadline | None:
        """When ``expired`` or, with ``room`` as in ``next_dials``, that has something to say.

        A redial that the limits hold back is no deadline: it is due when a dial or link
        ends, and naming it would wake the caller for nothing, again and again.
        """
        first = self._overdue.soonest()
        late = Deadline(first[0], "a dial times out") if first else None
        if room <= 0 or len(self._dials) >= self._max_half_open:
            return late
        return soonest(late, self.next_redial())

    def next_redial(self) -> Deadline | None:
        """The first dial that is due or will be, whatever the limits say; None if none is."""
        first = self._redials.soonest()
        return Deadline(first[0], f"dial {first[1]}") if first else None

    def dialing(self) -> list[int]:
        """Dials under way, oldest first."""
        return list(self._dials)

    def is_dialing(self, address: Address) -> bool:
        """Whether a dial to this peer is under way."""
        candidate = self._candidates.get(address)
        return candidate is not None and candidate.dial_id is not None

    def is_connected(self, address: Address) -> bool:
        """Whether a link to this peer came of a dial, and has not been reported closed."""
        candidate = self._candidates.get(address)
        return candidate is not None and candidate.connected

    def __contains__(self, address: Address) -> bool:
        """Whether this peer is named and has not been dropped."""
        candidate = self._candidates.get(address)
        return candidate is not None and candidate.wanted

    # --- Inside ----------------------------------------------------------------------------

    def _answered(self, dial_id: int) -> Candidate:
        candidate = self._dials.pop(dial_id, None)
        if candidate is None:
            raise LocalProtocolError(f"no dial {dial_id} is under way")
        candidate.dial_id = None
        self._overdue.clear(dial_id)
        return candidate

    def _fall_back(self, candidate: Candidate, now: float) -> None:
        """A failure: the pause that is due now, and twice that the next time."""
        self._rest(candidate, now)
        candidate.pause = min(2 * candidate.pause, REDIAL_MAX)

    def _rest(self, candidate: Candidate, now: float) -> None:
        """Neither dial nor link any more: wait for the redial, or leave the book."""
        if not candidate.wanted:
            self._candidates.remove(candidate.address)
            return
        pause = candidate.pause * (1.0 - REDIAL_JITTER * self._random.random())
        self._dial_at(candidate, now + pause)

    def _dial_at(self, candidate: Candidate, when: float) -> None:
        barred = self._is_barred(candidate.address.host)
        self._redials.put(candidate.address, None if barred else when)
