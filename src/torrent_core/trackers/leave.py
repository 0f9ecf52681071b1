"""Taking leave of the trackers of one torrent: ``completed`` if it is still owed, ``stopped``.

A tracker that hears ``stopped`` first has forgotten us when ``completed`` comes, and never
counts the download.  So the one waits for the answer to the other, but not for long: that we
are gone matters more to those who are left.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..actions import TrackerFailed
from ..limits import COMPLETED_PATIENCE, STOP_ANNOUNCE_TIMEOUT
from ..types import InfoHash
from ..wire.udp_tracker import AnnounceEvent
from .announcer import Announcer
from .desk import Desk
from .values import AnnounceReply, Failure, Job


class Leave:
    """Begun when it is made, over after STOP_ANNOUNCE_TIMEOUT; what is out before is cancelled.

    The desk is asked for our totals here, for the last time.
    """

    __slots__ = ("_by", "_desk", "_goodbyes", "_info_hash", "_owing", "_patience", "_totals")

    def __init__(
        self, info_hash: InfoHash, announcers: Iterable[Announcer], desk: Desk, now: float
    ) -> None:
        self._info_hash = info_hash
        self._desk = desk
        self._totals = desk.totals(info_hash)
        self._by = now + STOP_ANNOUNCE_TIMEOUT
        self._patience = now + COMPLETED_PATIENCE
        """When those that have not heard of the completion are left all the same."""
        self._owing: dict[str, Announcer] = {}
        """Those, by URL."""
        self._goodbyes: dict[Job, Announcer] = {}
        """Every ``stopped`` that is out or in line."""
        for announcer in announcers:
            if announcer.owes_completed and announcer.may_know_us:
                self._finish(announcer)
            else:
                self._say_goodbye(announcer, now)

    @property
    def is_over(self) -> bool:
        """Whether nobody is owed a word any longer."""
        return not (self._owing or self._goodbyes)

    def is_concerned(self, job: Job) -> bool:
        """Whether this is part of it."""
        owing = self._owing.get(job.url.text)
        return job in self._goodbyes or (owing is not None and owing.job is job)

    def tick(self, now: float) -> None:
        """Go on without those who do not answer."""
        if self._patience <= now:
            owing, self._owing = self._owing, {}
            for announcer in owing.values():
                self._say_goodbye(announcer, now)
        if self._by <= now:
            for job in self._goodbyes:
                self._report(job, "no answer in time when we left")
            self.abandon(now)

    def due(self) -> float | None:
        """When ``tick`` has something to do; None once it is over."""
        if self._owing:
            return self._patience
        return self._by if self._goodbyes else None

    def abandon(self, now: float) -> None:
        """Leave no longer: nobody needs to take note of it."""
        for job in self._goodbyes:
            self._desk.cancel(job, now)
        for announcer in self._owing.values():
            self._withdraw(announcer, now)
        self._goodbyes.clear()
        self._owing.clear()

    def replied(self, job: Job, reply: AnnounceReply, now: float) -> None:
        """The tracker answered.  Of ``stopped`` the first answer is enough."""
        if self._goodbyes.pop(job, None) is not None:
            return
        announcer = self._owing.pop(job.url.text)
        announcer.replied(job, reply, now)
        if announcer.owes_completed:  # the answer was to what went out before
            self._finish(announcer)
        else:
            announcer.job = None  # over the other family it may still be heard
            self._say_goodbye(announcer, now)

    def failed(self, job: Job, failure: Failure, now: float) -> None:
        """The announce came to nothing."""
        self._report(job, failure.detail)
        if self._goodbyes.pop(job, None) is not None:
            return
        announcer = self._owing.pop(job.url.text)
        announcer.failed(failure, now)
        self._say_goodbye(announcer, now)

    # --- Inside ----------------------------------------------------------------------------

    def _finish(self, announcer: Announcer) -> None:
        """``completed`` next; what is under way already has to be answered first."""
        self._owing[announcer.url.text] = announcer
        if announcer.job is None or not announcer.job.is_waiting:
            announcer.job = self._job(announcer, announcer.event)
            self._desk.submit(announcer.job)
        announcer.job.totals = self._totals

    def _say_goodbye(self, announcer: Announcer, now: float) -> None:
        """``stopped``, if the tracker may know us; whatever else it was asked is void."""
        is_known = announcer.may_know_us
        self._withdraw(announcer, now)
        if is_known:
            job = self._job(announcer, AnnounceEvent.STOPPED)
            self._goodbyes[job] = announcer
            self._desk.submit(job)

    def _withdraw(self, announcer: Announcer, now: float) -> None:
        if announcer.job is not None:
            self._desk.cancel(announcer.job, now)
            announcer.job = None

    def _job(self, announcer: Announcer, event: AnnounceEvent) -> Job:
        return Job(
            self._info_hash,
            announcer.url,
            event,
            tracker_id=announcer.tracker_id,
            totals=self._totals,
        )

    def _report(self, job: Job, detail: str) -> None:
        self._desk.actions.append(TrackerFailed(self._info_hash, job.url.text, detail, None))
