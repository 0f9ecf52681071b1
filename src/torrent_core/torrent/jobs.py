"""Storage work that is out: which job waits for what, and who goes on when it answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import attrs

from ..errors import LocalProtocolError
from ..events import (
    BlocksRead,
    FilesStated,
    PieceHashed,
    StorageEvent,
    StorageFailed,
    Written,
)

A = TypeVar("A", PieceHashed, Written, BlocksRead, FilesStated)


@attrs.frozen
class _Job:
    expects: type[object]
    done: Callable[[Any], None]  # of what ``expects`` says: ``begin`` sees to it
    failed: Callable[[StorageFailed], None]


class Jobs:
    """Numbers storage actions, and hands each answer to whoever asked, exactly once."""

    __slots__ = ("_last", "_out")

    def __init__(self) -> None:
        self._last = 0
        self._out: dict[int, _Job] = {}

    def begin(
        self,
        expects: type[A],
        done: Callable[[A], None],
        failed: Callable[[StorageFailed], None],
    ) -> int:
        """The number for a new action, answered by ``expects`` or ``StorageFailed``."""
        self._last += 1
        self._out[self._last] = _Job(expects, done, failed)
        return self._last

    def answer(self, event: StorageEvent) -> None:
        """Go on where the action was asked for.

        Raises LocalProtocolError for an answer nobody waits for, or of the wrong kind.
        """
        job = self._out.get(event.job)
        if job is None:
            raise LocalProtocolError(f"storage job {event.job} is not out")
        if isinstance(event, StorageFailed):
            del self._out[event.job]
            job.failed(event)
        elif type(event) is job.expects:
            del self._out[event.job]
            job.done(event)
        else:
            wanted, got = job.expects.__name__, type(event).__name__
            raise LocalProtocolError(f"storage job {event.job} wants {wanted}, not {got}")

    def __len__(self) -> int:
        """Actions that are not answered yet."""
        return len(self._out)
