"""The peers that we know: whom to dial, and when again.

Some were *named* by the caller and are dialled for as long as the torrent runs.  The others
are *strangers*: trackers, the DHT, other peers told of them, or they dialled us.  Those are
given up after a few failures, and the book has room for so many.

A candidate is due, being dialled, connected, or waiting for its redial: never two of these.
One that is dropped stays in the book until its dial or link has ended, so that it never has
two, even if it is named again at once.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable

from ..deadlines import Deadline, Deadlines, soonest
from ..errors import LocalProtocolError
from ..limits import (
    DIAL_TIMEOUT,
    GIVEN_UP_FOR,
    MAX_CANDIDATES,
    MAX_HALF_OPEN,
    STABLE_LINK,
)
from ..types import Address, PeerSource, RandomSource
from .candidate import Candidate
from .priority import peer_priority
from .roster import Roster
from .waiting import Rank, WaitingLine

REDIAL_JITTER = 0.1
"""Each pause is cut by up to this share, so that the peers of a host that restarts are not
all dialled in one instant.  Cut, not stretched: REDIAL_MAX stays the longest pause."""

MANY = 1 << 30
"""Strangers who may be dialled where nothing but ``room`` bounds them."""


class DialBook:
    """Candidates of one torrent, and the dials that are under way.

    ``is_barred`` says of a host whether nobody there is to be dialled; ``review`` must be
    called where its answer may have changed.  ``limit`` bounds the candidates; named ones
    are entered all the same.  Raises LocalProtocolError for a ``max_half_open`` below 1.
    """

    __slots__ = (
        "_dials",
        "_forgetting",
        "_is_barred",
        "_is_complete",
        "_last_id",
        "_max_half_open",
        "_overdue",
        "_random",
        "_redials",
        "_roster",
        "_strangers",
    )

    def __init__(
        self,
        random: RandomSource,
        max_half_open: int = MAX_HALF_OPEN,
        is_barred: Callable[[str], bool] = lambda host: False,
        limit: int = MAX_CANDIDATES,
    ) -> None:
        if max_half_open < 1:
            raise LocalProtocolError(f"{max_half_open} dials at once")
        self._random = random
        self._max_half_open = max_half_open
        self._is_barred = is_barred
        self._roster = Roster(limit, self._unschedule, self._waits)
        self._dials: dict[int, Candidate] = {}
        self._last_id = 0
        # When to dial each idle candidate, and when to give each dial up.
        self._redials: Deadlines[Address] = Deadlines()
        self._strangers = WaitingLine(self._rank)
        self._overdue: Deadlines[int] = Deadlines()
        self._forgetting: Deadlines[Address] = Deadlines()  # those who were given up
        self._is_complete = False

    # --- The caller ------------------------------------------------------------------------

    def add(self, address: Address, now: float) -> None:
        """Name a peer: it is due at once.  No effect if it is named already, or is ourselves.

        Raises LocalProtocolError for an address that nobody can listen on.
        """
        if not address.host or not 0 < address.port < 65536:
            raise LocalProtocolError(f"no peer can listen on {address}")
        if self._roster.is_ours(address):
            return
        self._roster.pardon(address)
        candidate = self._roster.get(address)
        if candidate is not None and candidate.wanted and candidate.is_named:
            return
        if candidate is None:
            candidate = self._roster.enter(address)
        self._strangers.put(address, None)
        self._forgetting.clear(address)
        candidate.wanted = True
        candidate.failures = 0
        candidate.heard_from(PeerSource.NAMED)
        if candidate.is_idle:
            self._dial_at(candidate, now)

    def drop(self, address: Address) -> int | None:
        """Do not dial a peer again, whoever tells of it, until it is named.

        Returns the dial under way, which the caller should cancel, or None.  Links are the
        caller's to close; they, and that dial, are still to be reported here as they end.
        """
        self._roster.shun(address)
        return self._disown(address)

    def keep_only(self, sources: Container[PeerSource]) -> list[int]:
        """Forget all of whom none of ``sources`` told, until one does after their end.

        Returns their dials under way, as ``drop`` does."""
        dials = [self._disown(address) for address in self._roster.told_by_none(sources)]
        return [dial_id for dial_id in dials if dial_id is not None]

    def turned_out_ours(self, address: Address) -> None:
        """Who answered there is ourselves: it is never dialled again."""
        self._roster.shun_as_ours(address)
        self._disown(address)

    def review(self, host: str, now: float) -> None:
        """The host is barred now, or not any longer: its idle candidates follow."""
        for candidate in self._roster.at_host(host):
            if candidate.is_idle:
                self._reschedule(candidate, now)

    def set_complete(self, is_complete: bool, now: float) -> None:
        """Whether we have all pieces: then strangers that are seeds are not dialled."""
        if is_complete is self._is_complete:
            return
        self._is_complete = is_complete
        for candidate in self._roster:
            if candidate.is_seed and candidate.is_idle:
                self._reschedule(candidate, now)

    def set_external(self, addresses: Iterable[Address]) -> None:
        """Where others see us listen, an address of each family: nobody there is dialled, and
        the order of dials is BEP 40's."""
        self._roster.external = tuple(addresses)
        self._strangers.rerank()

    # --- Strangers -------------------------------------------------------------------------

    def found(self, source: PeerSource, addresses: Iterable[Address], now: float) -> int:
        """``source`` tells of peers; returns how many of them are new.

        Left out are addresses that cannot be dialled, our own, those dropped, more of one
        host than may be linked, and all for whom a full book has no place.  A peer that was
        given up gets one more try, unless it is only gossip that brings it up again.
        """
        self._forget(now)
        new = 0
        for address in addresses:
            candidate = self._roster.get(address)
            if candidate is not None:
                self._heard_again(candidate, source, now)
            elif self._roster.accepts(address):
                if not self._roster.make_room(source):
                    break
                candidate = self._roster.enter(address)
                candidate.heard_from(source)
                self._dial_at(candidate, now)
                new += 1
        return new

    def met(self, address: Address, now: float, *, enter: bool = True) -> bool:
        """A peer that dialled us listens there, as it says.

        Whether its link is from now on that of the candidate, so that its end is to be
        reported by ``closed``.  ``enter`` False: only if somebody else told of it.
        """
        if enter:
            self.found(PeerSource.INCOMING, (address,), now)
        candidate = self._roster.get(address)
        if candidate is None or not candidate.is_idle:
            return False
        candidate.connected = True
        self._unschedule(address)
        return True

    def note_seed(self, address: Address, now: float) -> None:
        """The peer has everything, as it or somebody else says."""
        candidate = self._roster.get(address)
        if candidate is not None and not candidate.is_seed:
            candidate.is_seed = True
            if candidate.is_idle:
                self._reschedule(candidate, now)

    # --- Dials -----------------------------------------------------------------------------

    def next_dials(self, now: float, room: int, strangers: int = MANY) -> list[tuple[int, Address]]:
        """Begin the dials that are due: (dial id, address) of each.  Named peers come first,
        longest due first; then strangers by rank.

        At most ``room`` (links that may still be opened), of which ``strangers`` are, and no
        more than the half-open limit allows.  Ids ascend and are never used twice.
        """
        begun: list[tuple[int, Address]] = []
        while len(begun) < room and len(self._dials) < self._max_half_open:
            address = self._redials.pop_due(now)
            if address is None and strangers > 0:
                strangers -= 1
                address = self._strangers.pop_due(now)
            if address is None:
                break
            self._last_id += 1
            candidate = self._roster.at(address)
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
        self._forget(now)
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
        candidate = self._roster.get(address)
        if candidate is None or not candidate.connected:
            return
        candidate.connected = False
        if useful or lived >= STABLE_LINK:
            candidate.failures = 0
            self._rest(candidate, now)
        else:
            self._fall_back(candidate, now)

    # --- Queries ---------------------------------------------------------------------------

    def next_deadline(self, room: int, strangers: int = MANY) -> Deadline | None:
        """When ``expired`` or, with the arguments of ``next_dials``, that has something to say.

        A redial that the limits hold back is no deadline: it is due when a dial or link
        ends, and naming it would wake the caller for nothing, again and again.
        """
        first = self._overdue.soonest()
        late = Deadline(first[0], "a dial times out") if first else None
        if room <= 0 or len(self._dials) >= self._max_half_open:
            return late
        return soonest(late, self.next_redial(strangers))

    @property
    def is_idle(self) -> bool:
        """Whether nothing is due here, now or later: nobody is to be dialled, no dial given up."""
        return not (self._overdue or self._redials or self._strangers)

    def next_redial(self, strangers: int = MANY) -> Deadline | None:
        """The first dial that is due or will be, whatever other limits say; None if none is."""
        first = self._redials.soonest()
        other = self._strangers.soonest() if strangers > 0 else None
        return soonest(*(Deadline(due[0], f"dial {due[1]}") for due in (first, other) if due))

    def has_due(self, now: float) -> bool:
        """Whether there is somebody to be dialled, were it not for other limits."""
        firsts = (self._redials.soonest(), self._strangers.soonest())
        return any(first is not None and first[0] <= now for first in firsts)

    def dialing(self) -> list[int]:
        """Dials under way, oldest first."""
        return list(self._dials)

    def is_dialing(self, address: Address) -> bool:
        """Whether a dial to this peer is under way."""
        candidate = self._roster.get(address)
        return candidate is not None and candidate.dial_id is not None

    def is_connected(self, address: Address) -> bool:
        """Whether a link is that of this candidate, and has not been reported closed."""
        candidate = self._roster.get(address)
        return candidate is not None and candidate.connected

    def sources(self, address: Address) -> tuple[PeerSource, ...]:
        """Who told of this peer; nobody, if it is not in the book."""
        candidate = self._roster.get(address)
        return () if candidate is None else candidate.sources

    def known(self) -> dict[PeerSource, int]:
        """How many peers of the book each source told of.  Costs a pass over the book."""
        counts = dict.fromkeys(PeerSource, 0)
        for candidate in self._roster:
            for source in candidate.sources:
                counts[source] += 1
        return counts

    def __contains__(self, address: Address) -> bool:
        """Whether this peer is known and has not been dropped."""
        candidate = self._roster.get(address)
        return candidate is not None and candidate.wanted

    def __len__(self) -> int:
        return len(self._roster)

    # --- Inside ----------------------------------------------------------------------------

    def _disown(self, address: Address) -> int | None:
        candidate = self._roster.get(address)
        if candidate is None:
            return None
        candidate.wanted = False
        if candidate.is_idle:
            self._roster.remove(address)
        return candidate.dial_id

    def _waits(self, address: Address) -> bool:
        return address in self._strangers

    def _forget(self, now: float) -> None:
        while (address := self._forgetting.pop_due(now)) is not None:
            self._roster.remove(address)

    def _heard_again(self, candidate: Candidate, source: PeerSource, now: float) -> None:
        candidate.heard_from(source)
        if candidate.is_given_up and source is not PeerSource.EXCHANGE and candidate.is_idle:
            candidate.failures -= 1
            self._rest(candidate, now)

    # --- Waiting ---------------------------------------------------------------------------

    def _rank(self, address: Address) -> Rank:
        """Who failed least, then whom BEP 40 would have us connect."""
        candidate = self._roster.at(address)
        priorities = (peer_priority(ours, address) for ours in self._roster.external)
        best = next((number for number in priorities if number is not None), 0)
        return candidate.failures, -best

    def _answered(self, dial_id: int) -> Candidate:
        candidate = self._dials.pop(dial_id, None)
        if candidate is None:
            raise LocalProtocolError(f"no dial {dial_id} is under way")
        candidate.dial_id = None
        self._overdue.clear(dial_id)
        return candidate

    def _fall_back(self, candidate: Candidate, now: float) -> None:
        """A failure: the pause doubles from the second one on."""
        candidate.failed()
        self._rest(candidate, now)

    def _rest(self, candidate: Candidate, now: float) -> None:
        """Neither dial nor link any more: wait for the redial, or leave the book."""
        if not candidate.wanted:
            self._roster.remove(candidate.address)
            return
        self._forgetting.put(
            candidate.address, now + GIVEN_UP_FOR if candidate.is_given_up else None
        )
        pause = candidate.pause * (1.0 - REDIAL_JITTER * self._random.random())
        self._dial_at(candidate, now + pause)

    def _reschedule(self, candidate: Candidate, now: float) -> None:
        """Whether an idle one is to be dialled may have changed; when, stays."""
        address = candidate.address
        when = self._redials.get(address) or self._strangers.when(address)
        self._dial_at(candidate, when or now)

    def _dial_at(self, candidate: Candidate, when: float) -> None:
        address = candidate.address
        if candidate.is_named:
            barred = self._is_barred(address.host)
            self._redials.put(address, None if barred else when)
        else:
            self._strangers.put(address, when if self._is_worth_a_dial(candidate) else None)

    def _is_worth_a_dial(self, stranger: Candidate) -> bool:
        if stranger.is_given_up or (stranger.is_seed and self._is_complete):
            return False
        return not self._is_barred(stranger.address.host)

    def _unschedule(self, address: Address) -> None:
        self._redials.clear(address)
        self._strangers.put(address, None)
        self._forgetting.clear(address)
