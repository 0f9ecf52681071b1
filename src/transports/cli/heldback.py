"""Signals that wait for a place where they do no harm."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from types import FrameType
from typing import TypeVar

from .failures import INTERRUPTED
from .signals import SIGNALS, handlers_kept

T = TypeVar("T")


def interruptible(items: Generator[T, None, None]) -> Iterator[T]:
    """What ``items`` gives, which works with threads, interrupted between one and the next.

    KeyboardInterrupt wherever a signal finds us would sometimes be raised within the code of a
    thread pool, which is Python: a lock stays taken then, and whoever waits for the threads waits
    for ever.  A second signal ends the process on the spot.
    """
    with _held_back() as look, closing(items):
        for item in items:
            look()
            yield item


@contextmanager
def _held_back() -> Iterator[Callable[[], None]]:
    """Keep SIGINT and SIGTERM; yields what raises KeyboardInterrupt if one has come."""
    came: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        if came:
            os._exit(INTERRUPTED)
        came.append(number)

    def look() -> None:
        if came:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # the host owns the signals
        yield look
        return
    with handlers_kept():
        for number in SIGNALS:
            signal.signal(number, note)
        yield look
    look()
