"""One torrent and its trackers: whom to announce to next, and what is said of it (BEP 12).

A *pass* tries the trackers in order until one answers.  One that fails makes way for the next
at once; one that is silent is asked on, but after TRACKER_PATIENCE the next one as well,
unless the torrent is private: then it is one tracker at a time (BEP 27).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from ..actions import TrackerFailed, TrackerReplied
from ..deadlines import Deadline
from ..events import PeersFound
from ..limits import TRACKER_PATIENCE
from ..registry import Registry
from ..types import InfoHash, PeerSource, RandomSource
from ..wire.udp_tracker import AnnounceEvent
from .announcer import Announcer
from .desk import Desk
from .leave import Leave
from .tiers import Tiers
from .values import AnnounceReply, Failure, Job, TrackerUrl


class Campaign:
    """The first pass is due at once.  Jobs and reports go to the desk."""

    __slots__ = (
        "_announcers",
        "_current",
        "_desk",
        "_is_complete",
        "_is_in_need",
        "_is_private",
        "_patience",
        "_remaining",
        "_tiers",
        "_trying",
        "info_hash",
        "leave",
    )

    def __init__(
        self,
        info_hash: InfoHash,
        tiers: Sequence[Sequence[TrackerUrl]],
        desk: Desk,
        random: RandomSource,
        is_private: bool,
        now: float,
    ) -> None:
        self.info_hash = info_hash
        self._desk = desk
        self._is_private = is_private
        self._tiers = Tiers([[url.text for url in tier] for tier in tiers], random)
        self._announcers: Registry[str, Announcer] = Registry()
        for url in {url.text: url for tier in tiers for url in tier}.values():
            self._announcers.add(url.text, Announcer(url, random, now))
        self._remaining: deque[Announcer] = deque()
        """Of the pass under way, those that have not been tried."""
        self._trying: Announcer | None = None
        """Whom the pass under way tried last; None without one."""
        self._patience: float | None = None
        """When the pass goes on although that one has not failed."""
        self._current: Announcer | None = None
        """Who answered last; None once a pass found nobody."""
        self._is_in_need = False
        self._is_complete = False
        self.leave: Leave | None = None
        """What is left to be said, once stopping."""

    # --- The caller ------------------------------------------------------------------------

    def want_peers(self) -> None:
        """The next pass is due as soon as the tracker in use allows."""
        self._is_in_need = True

    def completed(self, now: float) -> None:
        """Tell the trackers that know us, once; others never saw us incomplete (BEP 3)."""
        if self._is_complete or self.is_stopping:
            return
        self._is_complete = True
        for announcer in self._announcers:
            announcer.owes_completed = announcer.may_know_us
            if announcer.is_started and not (announcer.is_busy or announcer.failures):
                self._announce(announcer, now)

    def stop(self, now: float) -> None:
        """Take leave of the trackers that may know us.  No effect the second time."""
        if self.leave is None:
            self._end_pass(None)
            self.leave = Leave(self.info_hash, self._announcers, self._desk, now)

    @property
    def is_stopping(self) -> bool:
        """Whether ``stop`` was called."""
        return self.leave is not None

    @property
    def is_over(self) -> bool:
        """Whether it has stopped, and owes nobody a word."""
        return self.leave is not None and self.leave.is_over

    # --- Time ------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Do what is due."""
        if self.leave is not None:
            self.leave.tick(now)
        elif self._patience is not None and self._patience <= now:
            self._go_on(now)
        elif (when := self._pass_due()) is not None and when <= now:
            self._remaining = deque(self._announcers.get_or_create(u) for u in self._tiers.order())
            self._go_on(now)

    def due(self) -> float | None:
        """When ``tick`` has something to do.  What is out is the desk's to watch."""
        if self.leave is not None:
            return self.leave.due()
        return self._patience if self._patience is not None else self._pass_due()

    def explain(self, desk_due: float | None) -> Deadline | None:
        """What is due next, and when: for people.  ``desk_due`` is when the desk is."""
        moments = [self.due()]
        if self.is_stopping or any(announcer.is_busy for announcer in self._announcers):
            moments.append(desk_due)
        when = min((when for when in moments if when is not None), default=None)
        return None if when is None else Deadline(when, self._why())

    # --- What came of a job ----------------------------------------------------------------

    def is_concerned(self, job: Job) -> bool:
        """Whether this is what was said last to its tracker, not something from before we left."""
        if self.leave is not None:
            return self.leave.is_concerned(job)
        announcer = self._announcers.get(job.url.text)
        return announcer is not None and announcer.job is job

    def began(self, job: Job, now: float) -> None:
        """It has left the line: patience with its tracker begins."""
        if self._trying is not None and self._trying.job is job and not self._is_private:
            self._patience = now + TRACKER_PATIENCE if self._remaining else None

    def replied(self, job: Job, reply: AnnounceReply, now: float) -> None:
        """The tracker answered."""
        if self.leave is not None:
            self.leave.replied(job, reply, now)
            return
        announcer = self._announcers.get_or_create(job.url.text)
        announcer.replied(job, reply, now)
        self._tiers.promote(job.url.text)
        self._end_pass(announcer)
        self._is_in_need = False
        self._report(announcer, reply)
        if announcer.event is not AnnounceEvent.NONE:
            self._announce(announcer, now)

    def failed(self, job: Job, failure: Failure, now: float) -> None:
        """The announce came to nothing."""
        if self.leave is not None:
            self.leave.failed(job, failure, now)
            return
        announcer = self._announcers.get_or_create(job.url.text)
        retry_at = announcer.failed(failure, now)
        url = job.url.text
        self._desk.actions.append(TrackerFailed(self.info_hash, url, failure.detail, retry_at))
        if self._trying is None:
            if announcer is self._current:
                self._current = None
        elif announcer is self._trying or not self._remaining:
            self._go_on(now)

    # --- Passes ----------------------------------------------------------------------------

    def _pass_due(self) -> float | None:
        if self._trying is not None:
            return None
        if self._current is not None:
            return None if self._current.is_busy else self._current.due(self._is_in_need)
        moments = (one.due(False) for one in self._announcers if not one.is_busy)
        return min((when for when in moments if when is not None), default=None)

    def _go_on(self, now: float) -> None:
        """Try the next tracker that may be tried; without one, the pass found nobody."""
        self._patience = None
        while self._remaining:
            announcer = self._remaining.popleft()
            if announcer.is_ready(now):
                self._trying = announcer
                self._announce(announcer, now)
                return
        if not any(announcer.is_busy for announcer in self._announcers):
            self._end_pass(None)

    def _end_pass(self, current: Announcer | None) -> None:
        self._current = current
        self._trying = self._patience = None
        self._remaining.clear()

    def _announce(self, announcer: Announcer, now: float) -> None:
        """Whatever is left of the announce before is of no interest any more."""
        if announcer.job is not None:
            self._desk.cancel(announcer.job, now)
        announcer.job = Job(
            self.info_hash, announcer.url, announcer.event, tracker_id=announcer.tracker_id
        )
        self._desk.submit(announcer.job)

    # --- Words -----------------------------------------------------------------------------

    def _report(self, announcer: Announcer, reply: AnnounceReply) -> None:
        url, actions = announcer.url.text, self._desk.actions
        if reply.peers:
            actions.append(PeersFound(self.info_hash, PeerSource.TRACKER, reply.peers, url))
        actions.append(
            TrackerReplied(
                self.info_hash,
                url,
                seeds=reply.seeds,
                leechers=reply.leechers,
                peers=len(reply.peers),
                next_at=announcer.next_at,
                warning=reply.warning,
                external_ip=reply.external_ip,
            )
        )

    def _why(self) -> str:
        if self.is_stopping:
            return "take leave of the trackers"
        target = self._trying or self._current
        if target is None:
            waiting = [one for one in self._announcers if not one.is_barred]
            target = min(waiting, key=lambda one: one.next_at)
        return f"announce to {target.url.text}"
