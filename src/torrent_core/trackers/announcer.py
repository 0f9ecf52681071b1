"""One torrent at one tracker: what it was told, and when it is to be told again."""

from __future__ import annotations

from math import inf

from ..classes import define
from ..limits import (
    ANNOUNCE_JITTER,
    ANNOUNCE_RETRY,
    DEFAULT_ANNOUNCE_INTERVAL,
    DEFAULT_MIN_INTERVAL,
    MAX_ANNOUNCE_INTERVAL,
    MAX_ANNOUNCE_RETRY,
    MIN_ANNOUNCE_INTERVAL,
)
from ..types import RandomSource
from ..wire.udp_tracker import AnnounceEvent
from .values import AnnounceReply, Failure, Job, TrackerUrl


@define(eq=False)
class Announcer:
    """Made ready to announce at once."""

    url: TrackerUrl
    random: RandomSource
    next_at: float
    """The announce that is due by itself: periodic, or the retry of a failed one."""
    earliest: float = -inf
    """None before this, but for events: ``min interval`` or the end of a pause."""
    job: Job | None = None
    """The announce under way, or the last one."""
    tracker_id: bytes = b""
    is_started: bool = False
    """The tracker has taken note of ``started``."""
    owes_completed: bool = False
    """The torrent became complete after the tracker was told of it."""
    failures: int = 0
    """In a row."""
    heard: Job | None = None
    """The announce that was answered last."""
    is_barred: bool = False
    """The tracker never wants to hear of this torrent again (BEP 31)."""

    @property
    def is_busy(self) -> bool:
        """Whether an announce is under way, or in line."""
        return self.job is not None and self.job.is_waiting

    @property
    def may_know_us(self) -> bool:
        """Whether the tracker may count us in, so that it is owed a ``stopped``."""
        began = self.job is not None and self.job.began and self.job.is_waiting
        return (self.is_started or began) and not self.is_barred

    @property
    def event(self) -> AnnounceEvent:
        """What the next announce has to say: each event until it has been heard."""
        if not self.is_started:
            return AnnounceEvent.STARTED
        return AnnounceEvent.COMPLETED if self.owes_completed else AnnounceEvent.NONE

    def is_ready(self, now: float) -> bool:
        """Whether it may announce now."""
        return not (self.is_barred or self.is_busy) and self.earliest <= now

    def due(self, in_need: bool) -> float | None:
        """When to announce by itself; ``in_need`` of peers, as soon as it may."""
        if self.is_barred:
            return None
        return self.earliest if in_need else self.next_at

    def replied(self, job: Job, reply: AnnounceReply, now: float) -> None:
        """The tracker answered.  Both families may: then the longer wait counts."""
        self.is_started = True
        self.failures = 0
        if job.event is AnnounceEvent.COMPLETED:
            self.owes_completed = False
        if reply.tracker_id:
            self.tracker_id = reply.tracker_id
        least, wait = _waits(reply)
        wait = min(wait * self._stretch(), MAX_ANNOUNCE_INTERVAL)
        again, self.heard = self.heard is job, job
        self.earliest = max(self.earliest, now + least)
        self.next_at = max(now + wait, self.earliest, self.next_at if again else -inf)

    def failed(self, failure: Failure, now: float) -> float | None:
        """The announce came to nothing.  Returns when it is tried again, None for never.

        Who answered is there, and left in peace for longer than who may have been missed.
        """
        self.failures += 1
        if failure.never:
            self.is_barred = True
            return None
        pause = min(ANNOUNCE_RETRY * 2.0 ** min(self.failures - 1, 16), MAX_ANNOUNCE_RETRY)
        floor = failure.retry_in or (MIN_ANNOUNCE_INTERVAL if failure.answered else 0.0)
        pause = min(max(pause, floor) * self._stretch(), MAX_ANNOUNCE_INTERVAL)
        self.earliest = self.next_at = now + pause
        return self.next_at

    def _stretch(self) -> float:
        return 1.0 + ANNOUNCE_JITTER * self.random.random()


def _waits(reply: AnnounceReply) -> tuple[float, float]:
    """(shortest, usual) wait until the next announce, within our own bounds."""
    interval = _bounded(reply.interval or DEFAULT_ANNOUNCE_INTERVAL)
    if reply.min_interval:
        least = _bounded(reply.min_interval)
    else:
        least = min(interval, DEFAULT_MIN_INTERVAL)
    return least, max(interval, least)


def _bounded(seconds: float) -> float:
    return min(max(seconds, MIN_ANNOUNCE_INTERVAL), MAX_ANNOUNCE_INTERVAL)
