"""Pieces hashed and written at once, by the event loop itself, where that is quicker.

To hash 256 KiB and to hand it to the system's cache takes 0.25 ms.  To have a thread do it takes
longer, not only for the thread: each side gives up Python's lock some ten times meanwhile, and
the loop waits for it after every call to the system.  A download of 1 GiB took 20 % more processor
time so, and pieces of 16 KiB ten times as long.

A loop must not wait for a device, though.  So this is done for short pieces alone, in files that
are open, on file systems of the machine's own whose writes go to memory; and if one had to wait
nevertheless, as it may while more is written than the device can take, threads do it for a while.
What only took long, because other programs had the processor, would take longer so.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from torrent_core.actions import HashPiece
from torrent_core.events import StorageEvent

from .files import TorrentFiles
from .jobs import perform

LONGEST_AT_ONCE = 1024 * 1024
"""Bytes of a piece that keeps a loop for no longer than one of its reads does."""

TOO_LONG = 0.02
"""Seconds after which the device is waited for: twenty times what it takes to fill a cache."""

REST = 10.0
"""Seconds for which threads do it then (Linux writes a full cache back within 5 s and less)."""

if sys.platform == "linux":
    from resource import RUSAGE_THREAD, getrusage

    def waits() -> int:
        """How often this thread has given the processor away, because it had to wait."""
        return getrusage(RUSAGE_THREAD).ru_nvcsw

else:  # nothing is done at once there (``mounts``)

    def waits() -> int:
        """Nobody counts."""
        return 0


class AtOnce:
    """Answers what can be answered at once; for one thread."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, waits: Callable[[], int] = waits
    ) -> None:
        self._clock = clock
        self._waits = waits
        self._not_before = clock()

    def perform(self, files: TorrentFiles, job: HashPiece) -> StorageEvent | None:
        """The answer; None if it is for a thread to find."""
        if job.data is None or len(job.data) > LONGEST_AT_ONCE:
            return None
        begun = self._clock()
        if begun < self._not_before or not all(map(files.is_quick, job.spans)):
            return None
        before = self._waits()
        answer = perform(files, job)
        ended = self._clock()
        if ended - begun > TOO_LONG and self._waits() > before:
            self._not_before = ended + REST
        return answer
