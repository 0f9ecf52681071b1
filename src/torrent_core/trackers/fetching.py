"""Fetches from HTTP trackers that are out: whose they are, and how long they may take."""

from __future__ import annotations

from collections.abc import Callable

from ..actions import CancelFetch, Fetch
from ..deadlines import Deadlines
from ..limits import FETCH_TIMEOUT, MAX_TRACKER_BODY
from ..types import Family
from .http import parse_announce, parse_scrape
from .values import Failure, Found, Job, Outcome

_TOO_LATE = Failure("no answer in time")


class Fetching:
    """``len()`` counts fetches until they are answered, given up or not.

    ``settle`` is told the outcome of each part of a job, once, unless it is cancelled.
    """

    __slots__ = ("_actions", "_jobs", "_new_id", "_overdue", "_settle")

    def __init__(
        self,
        actions: list[Found],
        settle: Callable[[Job, Outcome], None],
        new_id: Callable[[], int],
    ) -> None:
        self._actions = actions
        self._settle = settle
        self._new_id = new_id
        self._jobs: dict[int, Job] = {}
        self._overdue: Deadlines[int] = Deadlines()
        """When each fetch that somebody waits for is given up."""

    def start(self, job: Job, url: str, families: tuple[Family | None, ...], now: float) -> None:
        """Fetch once over each family."""
        job.parts = len(families)
        for family in families:
            fetch_id = self._new_id()
            job.fetches.append(fetch_id)
            self._jobs[fetch_id] = job
            self._overdue.set(fetch_id, now + FETCH_TIMEOUT)
            self._actions.append(Fetch(fetch_id, url, MAX_TRACKER_BODY, family))

    def cancel(self, job: Job) -> None:
        """Nobody waits for this job any longer."""
        for fetch_id in job.fetches:
            self._give_up(fetch_id)

    def fetched(self, fetch_id: int, status: int, body: bytes) -> None:
        """A response came, perhaps too late."""
        job = self._answered(fetch_id)
        if job is not None and job.event is not None:
            self._settle(job, parse_announce(status, body))
        elif job is not None:
            self._settle(job, parse_scrape(status, body, job.info_hash))

    def failed(self, fetch_id: int, detail: str) -> None:
        """No response came."""
        job = self._answered(fetch_id)
        if job is not None:
            self._settle(job, Failure(detail or "no answer"))

    def tick(self, now: float) -> None:
        """Give up what has taken too long."""
        while (first := self._overdue.soonest()) is not None and first[0] <= now:
            self._give_up(first[1])
            self._settle(self._jobs[first[1]], _TOO_LATE)

    def due(self) -> float | None:
        """When the next fetch is given up."""
        return self._overdue.next_at()

    def __contains__(self, fetch_id: int) -> bool:
        return fetch_id in self._jobs

    def __len__(self) -> int:
        return len(self._jobs)

    def _give_up(self, fetch_id: int) -> None:
        if self._overdue.get(fetch_id) is not None:
            self._overdue.clear(fetch_id)
            self._actions.append(CancelFetch(fetch_id))

    def _answered(self, fetch_id: int) -> Job | None:
        """Whose fetch this was; None if it had been given up."""
        job = self._jobs.pop(fetch_id)
        if self._overdue.get(fetch_id) is None:
            return None
        self._overdue.clear(fetch_id)
        return job
