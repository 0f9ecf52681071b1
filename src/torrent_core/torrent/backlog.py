"""Hashes and writes of pieces: so many out at once, the rest in line, failures tried again.

Storage that is slow or stuck must not be handed ever more work: it would lie in queues that
no account knows.  So each kind has a lane with a bound; what is beyond it waits here, in
order.  A task that fails leaves its lane, waits for its moment, and goes to the end of the
line.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import attrs

from ..actions import Action, StorageTrouble
from ..classes import define
from ..events import PieceHashed, StorageFailed, Written
from ..limits import MAX_HASHES_OUT, MAX_STORAGE_RETRY, MAX_WRITES_OUT, STORAGE_RETRY
from ..pieces import ActivePiece
from ..types import StorageFault
from .context import Context
from .jobs import any_size

RETRY = "storage is tried again"


@define(eq=False)
class Lane:
    """One kind of storage work."""

    name: str
    """What its tasks are called."""
    expects: type[Any]
    """The event that answers it."""
    limit: int
    """Tasks out at once."""
    out: int = 0
    line: deque[Task] = attrs.field(factory=deque)
    """Tasks that wait for one of those out to be answered."""


@define(eq=False)
class Task:
    """Something the storage is to do for a piece, tried until it is done."""

    lane: Lane
    piece: ActivePiece
    action: Callable[[int], Action]
    """The action, given its job number; made when it is the task's turn."""
    done: Callable[[Any], None]
    lost: Callable[[], None]
    """The torrent stops, and the last try failed."""
    gone: Callable[[], None] | None = None
    """The files do not hold what it is about, so that to try again would be in vain."""
    fits: Callable[[Any], bool] = any_size
    """Whether the answer can be one to this."""
    delay: float = STORAGE_RETRY
    """How long it waits after the next failure."""
    retry_at: float = 0.0
    """When it is tried again, after a failure."""


class Backlog:
    """The hashes and writes of one torrent."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.hashes = Lane("hashes", PieceHashed, MAX_HASHES_OUT)
        self.writes = Lane("writes", Written, MAX_WRITES_OUT)
        self._failed: dict[int, Task] = {}
        self._serial = 0

    def submit(self, task: Task) -> None:
        """Have it done when its turn comes, which may be now."""
        lane = task.lane
        if lane.out < lane.limit:
            self._begin(task)
        else:
            lane.line.append(task)

    def tick(self, serial: int) -> None:
        """The moment has come to try a failed task again."""
        self.submit(self._failed.pop(serial))

    def retry_now(self) -> None:
        """The torrent stops: what waits for its moment has its last chance."""
        for serial in list(self._failed):
            self._context.timers.clear((RETRY, serial))
            self.tick(serial)

    def failures(self) -> dict[int, float]:
        """Pieces with a failed task, and when the first of each is tried again."""
        found: dict[int, float] = {}
        for task in self._failed.values():
            index = task.piece.index
            found[index] = min(task.retry_at, found.get(index, task.retry_at))
        return found

    def in_line(self) -> dict[int, Lane]:
        """Pieces with a task that waits for its turn, and where."""
        return {task.piece.index: lane for lane in (self.hashes, self.writes) for task in lane.line}

    # --- One task ----------------------------------------------------------------------

    def _begin(self, task: Task) -> None:
        lane = task.lane
        lane.out += 1
        job = self._context.jobs.begin(
            lane.expects,
            partial(self._done, task),
            partial(self._fail, task),
            fits=task.fits,
        )
        self._context.actions.append(task.action(job))

    def _done(self, task: Task, event: PieceHashed | Written) -> None:
        self._leave(task.lane)
        task.done(event)

    def _leave(self, lane: Lane) -> None:
        lane.out -= 1
        if lane.line:
            self._begin(lane.line.popleft())

    def _fail(self, task: Task, event: StorageFailed) -> None:
        self._leave(task.lane)
        context = self._context
        retry_at = None
        if not context.is_running:
            task.lost()
        elif task.gone is not None and event.fault is StorageFault.MISSING:
            retry_at = context.now
            task.gone()
        else:
            retry_at = task.retry_at = context.now + task.delay
            task.delay = min(2 * task.delay, MAX_STORAGE_RETRY)
            self._serial += 1
            self._failed[self._serial] = task
            context.timers.set((RETRY, self._serial), retry_at)
        trouble = StorageTrouble(context.info_hash, event.fault, event.detail, retry_at)
        context.actions.append(trouble)
