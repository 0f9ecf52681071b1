"""Storage work that is out: which job waits for what, and who goes on when it answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ..classes import frozen
from ..errors import LocalProtocolError
from ..events import (
    BlocksHashed,
    BlocksRead,
    FilesStated,
    PieceHashed,
    StorageEvent,
    StorageFailed,
    Written,
)
from ..metainfo.model import HASH_LENGTH

A = TypeVar("A", PieceHashed, BlocksHashed, Written, BlocksRead, FilesStated)


def any_size(_event: object) -> bool:
    """Whether the answer can be one, where there is nothing but its kind to judge by."""
    return True


@frozen
class _Job:
    expects: type[object]
    fits: Callable[[Any], bool]  # of what ``expects`` says, as all that follow
    done: Callable[[Any], None]
    failed: Callable[[StorageFailed], None]


def is_sha1(event: PieceHashed, blocks: int = 0, expected: bytes = b"") -> bool:
    """Whether the digest, and those of so many blocks, are as long as SHA-1 makes them, and
    nothing was written but what has the ``expected`` digest."""
    if len(event.digest) != HASH_LENGTH or (event.written and event.digest != expected):
        return False
    return _are_sha1(event.blocks, blocks)


def are_sha1(count: int, event: BlocksHashed) -> bool:
    """Whether there are ``count`` digests, each as long as SHA-1 makes it."""
    return _are_sha1(event.digests, count)


def _are_sha1(digests: tuple[bytes, ...], count: int) -> bool:
    return [len(digest) for digest in digests] == [HASH_LENGTH] * count


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
        *,
        fits: Callable[[A], bool] = any_size,
    ) -> int:
        """The number for a new action, answered by ``expects`` or ``StorageFailed``.

        ``fits`` says of an answer whether it can be one to what was asked for.
        """
        self._last += 1
        self._out[self._last] = _Job(expects, fits, done, failed)
        return self._last

    def answer(self, event: StorageEvent) -> None:
        """Go on where the action was asked for.

        Raises LocalProtocolError for an answer nobody waits for, or that cannot be one.
        """
        job = self._out.get(event.job)
        if job is None:
            raise LocalProtocolError(f"storage job {event.job} is not out")
        if isinstance(event, StorageFailed):
            del self._out[event.job]
            job.failed(event)
        elif type(event) is not job.expects:
            wanted, got = job.expects.__name__, type(event).__name__
            raise LocalProtocolError(f"storage job {event.job} wants {wanted}, not {got}")
        elif not job.fits(event):
            wrong = "has a wrong size, or claims a write that cannot be"
            raise LocalProtocolError(f"the answer to storage job {event.job} {wrong}")
        else:
            del self._out[event.job]
            job.done(event)

    def __len__(self) -> int:
        """Actions that are not answered yet."""
        return len(self._out)
