"""The desk over which all requests to trackers go: so many out at once, the rest in line.

It knows nothing of intervals and tiers.  What came of a job is in ``results``, in the order
in which it came; what is wanted of the driver in ``actions``.  Both are emptied by the caller.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from ..classes import frozen
from ..deadlines import Deadlines
from ..events import DatagramReceived, Fetched, FetchFailed, Resolved
from ..limits import TRACKER_PATIENCE
from ..types import Family, InfoHash, RandomSource, Totals
from ..wire.compact import family_of
from ..wire.udp_tracker import AnnounceEvent, AnnounceRequest, ScrapeRequest
from .config import TrackerConfig
from .fetching import Fetching
from .http import announce_url, scrape_url
from .udp import Question, Wires
from .udphosts import UdpHosts
from .values import Announce, Failure, Found, Job, Outcome

_MAX_TOTAL = 2**63 - 1
_URGENT = (AnnounceEvent.COMPLETED, AnnounceEvent.STOPPED)
_CANNOT_SCRAPE = Failure("a tracker of such a URL cannot be scraped")


@frozen
class Began:
    """The job has left the line."""

    job: Job


@frozen
class Settled:
    """A good answer came, or the last that could have been one did not."""

    job: Job
    outcome: Outcome


Result: TypeAlias = Began | Settled


@frozen
class Ourselves:
    """What trackers are told of us, all of them alike."""

    peer_id: bytes
    key: int
    totals: Callable[[InfoHash], Totals]


class Desk:
    """Requests of all torrents to all trackers.

    A job holds a place for each of its fetches until that is answered, given up or not; at a
    UDP tracker one place, until there is an outcome or TRACKER_PATIENCE is over: from then on
    it costs a datagram in half a minute, and many that are silent must not hold up the rest.
    """

    __slots__ = (
        "_config",
        "_fetching",
        "_hosts",
        "_line",
        "_ourselves",
        "_serial",
        "_udp_places",
        "_urgent",
        "actions",
        "results",
    )

    def __init__(
        self,
        ourselves: Ourselves,
        random: RandomSource,
        config: TrackerConfig,
        new_id: Callable[[], int],
    ) -> None:
        self.actions: list[Found] = []
        self.results: list[Result] = []
        self._ourselves = ourselves
        self._config = config
        self._serial = 0
        self._urgent: deque[Job] = deque()
        self._line: deque[Job] = deque()
        self._fetching = Fetching(self.actions, self._settle, new_id)
        wires = Wires(random, self.actions, self._settle)
        self._hosts = UdpHosts(config.families, wires, new_id)
        self._udp_places: Deadlines[int] = Deadlines()
        """Jobs at UDP trackers that hold a place, by serial, and until when."""

    # --- Jobs ------------------------------------------------------------------------------

    def submit(self, job: Job) -> None:
        """Put a job in line; what is said once, and counted, goes before all others."""
        self._serial += 1
        job.serial = self._serial
        line = self._urgent if job.event in _URGENT else self._line
        line.append(job)

    def cancel(self, job: Job, now: float) -> None:
        """Nobody wants to know any longer: no result follows.  No effect once it is over."""
        if job.is_over:
            return
        job.is_over = True
        self._udp_places.clear(job.serial)
        if job.began and job.url.is_udp:
            self._hosts.cancel(job, now)
        elif job.began:
            self._fetching.cancel(job)

    def fill(self, now: float) -> None:
        """Start what there is room for."""
        while (line := self._urgent or self._line) and self._fits(line[0]):
            job = line.popleft()
            if not job.is_over:
                self._start(job, now)

    def totals(self, info_hash: InfoHash) -> Totals:
        """What we have moved of a torrent, as of now."""
        return self._ourselves.totals(info_hash)

    @property
    def out(self) -> int:
        """Places that are taken."""
        return len(self._fetching) + len(self._udp_places)

    def owns(self, number: int) -> bool:
        """Whether a fetch or resolve of this number is ours, and not answered."""
        return number in self._fetching or number in self._hosts

    def takes(self, event: DatagramReceived) -> bool:
        """Whether this datagram is an answer that is waited for."""
        return self._hosts.takes(event.address, event.data)

    # --- Events ----------------------------------------------------------------------------

    def handle(
        self, event: Fetched | FetchFailed | Resolved | DatagramReceived, now: float
    ) -> None:
        """The world answers.  Of fetches and resolves only those that we own."""
        if isinstance(event, Fetched):
            self._fetching.fetched(event.fetch_id, event.status, event.body)
        elif isinstance(event, FetchFailed):
            self._fetching.failed(event.fetch_id, event.detail)
        elif isinstance(event, Resolved):
            self._hosts.resolved(event.resolve_id, event.hosts, now)
        else:
            self._hosts.datagram(event.address, event.data, now)

    def tick(self, now: float) -> None:
        """Do what is due."""
        while self._udp_places.pop_due(now) is not None:
            pass
        self._fetching.tick(now)
        self._hosts.tick(now)

    def due(self) -> float | None:
        """When ``tick`` has something to do.  That a place comes free matters to those in line."""
        place = self._udp_places.next_at() if self._urgent or self._line else None
        moments = (self._fetching.due(), self._hosts.due(), place)
        return min((when for when in moments if when is not None), default=None)

    # --- Inside ----------------------------------------------------------------------------

    def _fits(self, job: Job) -> bool:
        if job.is_over:
            return True
        cost = 1 if job.url.is_udp else len(self._families(job))
        return self.out + cost <= self._config.max_out

    def _families(self, job: Job) -> tuple[Family | None, ...]:
        """Over which families it is fetched: a literal has but one, a scrape needs but one."""
        if job.event is None:
            return (None,)
        family = family_of(job.url.host)
        return self._config.families if family is None else (family,)

    def _start(self, job: Job, now: float) -> None:
        job.began = True
        self.results.append(Began(job))
        if job.url.is_udp:
            self._udp_places.set(job.serial, now + TRACKER_PATIENCE)
            self._hosts.start(job, self._question(job), now)
        elif (url := self._fetch_url(job)) is not None:
            self._fetching.start(job, url, self._families(job), now)
        else:
            self._settle(job, _CANNOT_SCRAPE)

    def _fetch_url(self, job: Job) -> str | None:
        if job.event is None:
            return scrape_url(job.url.text, job.info_hash)
        announce = self._announce(job, job.event)
        return announce_url(job.url.text, announce, self._config.supports_encryption)

    def _question(self, job: Job) -> Question:
        if job.event is None:
            return ScrapeRequest(0, 0, (job.info_hash,))
        announce = self._announce(job, job.event)
        return AnnounceRequest(
            connection_id=0,
            transaction_id=0,
            info_hash=announce.info_hash,
            peer_id=announce.peer_id,
            totals=announce.totals,
            event=announce.event,
            key=announce.key,
            num_want=announce.num_want,
            port=announce.port,
            url_data=job.url.url_data,
        )

    def _announce(self, job: Job, event: AnnounceEvent) -> Announce:
        """Numbers as they are now, within what BEP 15 can say."""
        totals = job.totals or self.totals(job.info_hash)
        return Announce(
            info_hash=job.info_hash,
            peer_id=self._ourselves.peer_id,
            port=self._config.port,
            totals=Totals(*(min(max(total, 0), _MAX_TOTAL) for total in totals)),
            event=event,
            key=self._ourselves.key,
            num_want=0 if event is AnnounceEvent.STOPPED else self._config.num_want,
            tracker_id=job.tracker_id,
        )

    def _settle(self, job: Job, outcome: Outcome) -> None:
        """A part of a job has its outcome.  Of failures the most telling is kept."""
        job.parts -= 1
        if not isinstance(outcome, Failure):
            job.answered = True
            self._udp_places.clear(job.serial)
            self.results.append(Settled(job, outcome))
        elif job.failure is None or outcome.answered:
            job.failure = outcome
        if job.parts <= 0:
            job.is_over = True
            self._udp_places.clear(job.serial)
            if job.failure is not None and not job.answered:
                self.results.append(Settled(job, job.failure))
