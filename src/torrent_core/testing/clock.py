"""Time that moves only when somebody says so, from one thing that is due to the next.

An hour in which nothing happens costs nothing, and two runs are the same run.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Protocol

from ..deadlines import Deadlines
from .promises import PromiseBroken
from .timeline import Step, timeline

RECENT_STEPS = 200
"""Steps kept for the timeline of a failure."""

MAX_STEPS = 200_000
"""Steps of one ``run`` unless told otherwise: more are taken for a loop without an end."""


class Dweller(Protocol):
    """Whoever has deadlines of its own."""

    def due(self) -> float | None:
        """When ``tick`` is owed."""

    def tick(self) -> object: ...


class Clock:
    """The one clock of a simulation, and what is to happen on it."""

    def __init__(self, start: float = 0.0) -> None:
        self.now = start
        """Seconds."""
        self.ids = count(1)
        """Numbers for whoever needs a name of his own."""
        self.recent: deque[tuple[str, Step]] = deque(maxlen=RECENT_STEPS)
        """The last steps of all machines, with the machine's name."""
        self._queue: list[tuple[float, int, Callable[[], object]]] = []
        self._serial = 0
        self._dwellers: list[Dweller] = []
        self._deadlines: Deadlines[int] = Deadlines()

    def add(self, dweller: Dweller) -> int:
        """Keep the deadlines of ``dweller``; returns the number by which to ``stir`` it."""
        self._dwellers.append(dweller)
        return len(self._dwellers) - 1

    def stir(self, number: int) -> None:
        """A dweller may have another deadline now."""
        self._deadlines.put(number, self._dwellers[number].due())

    def at(self, when: float, what: Callable[[], object]) -> None:
        """Do ``what`` when the clock gets there; in order of calls where times are equal."""
        self._serial += 1
        heapq.heappush(self._queue, (max(when, self.now), self._serial, what))

    def run(
        self,
        until: Callable[[], bool] = lambda: False,
        *,
        seconds: float = math.inf,
        steps: int = MAX_STEPS,
    ) -> bool:
        """Go on until ``until()``, for ``seconds`` at most; whether ``until()`` was met.

        Ends early when nothing is left that could happen.  Raises PromiseBroken when
        ``steps`` were not enough; that, and all else that is raised on the way, bears the
        timeline as a note.
        """
        end = self.now + seconds
        try:
            for _ in range(steps):
                if until():
                    return True
                if not self._advance(end):
                    if end < math.inf:
                        self.now = end
                    return until()
            raise PromiseBroken(f"no end after {steps} steps, at {self.now:.3f} s")
        except Exception as error:
            self.tell(error)
            raise

    def settle(self) -> None:
        """All that is to happen at this very moment."""
        self.run(seconds=0.0)

    def timeline(self, last: int = 40) -> str:
        """The last steps of all machines, one a line."""
        return timeline(list(self.recent)[-last:])

    def tell(self, error: BaseException) -> None:
        """Add the timeline to ``error``, once."""
        if not getattr(error, "__notes__", None):
            error.add_note(f"The last steps:\n{self.timeline()}")

    def _advance(self, end: float) -> bool:
        queued = self._queue[0][0] if self._queue else math.inf
        first = self._deadlines.soonest()
        due = math.inf if first is None else first[0]
        if min(due, queued) > end or min(due, queued) == math.inf:
            return False
        if first is not None and due < queued:
            self.now = max(self.now, due)
            self._dwellers[first[1]].tick()
        else:
            when, _, what = heapq.heappop(self._queue)
            self.now = max(self.now, when)  # somebody may have put the clock forward
            what()
        return True
