"""Storage on worker threads: the core's jobs go in, their answers come back as events.

What is done sooner than handed over is done where it is (``atonce``).

A queue, a few daemon threads and one pipe that wakes the event loop.  Answers that come
together wake it once, so a job costs 10 to 80 microseconds of overhead, where one call of
``anyio.to_thread`` was measured at 80 to 220.  A disk that hangs cannot keep the program
from ending.
"""

from __future__ import annotations

import os
import threading
from collections import Counter, deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeAlias

import anyio
import anyio.to_thread

from torrent_core.actions import HashPiece, Report, SaveResume, StorageAction, Warned
from torrent_core.events import StorageEvent
from torrent_core.metainfo import Metainfo
from torrent_core.types import InfoHash

from ..faces import Feed
from ..watching import call_when_readable
from .atonce import AtOnce
from .files import TorrentFiles
from .handles import HandleCache
from .jobs import perform
from .resumefile import ResumeFile

DISK_WORKERS = 4
"""Threads for storage jobs (libtorrent: aio_threads 10, hashing_threads 1)."""

CLOSE_TIMEOUT = 1.0
"""Seconds that workers get to finish the job at hand when the disk closes."""


class TorrentStorage:
    """What the disk knows of one torrent."""

    def __init__(self, files: TorrentFiles, resume: ResumeFile) -> None:
        self.files = files
        self.resume = resume
        self.held: list[StorageAction] | None = None
        """Actions put off until ``Disk.release``; None if nothing is."""


Task: TypeAlias = tuple[TorrentStorage, StorageAction, int]
Answer: TypeAlias = tuple[InfoHash, StorageEvent | Warned | Exception | None]


class Disk:
    """Carries out storage actions of the torrents registered with it."""

    def __init__(self, *, preallocate: bool = False, workers: int = DISK_WORKERS) -> None:
        self.handles = HandleCache()
        self._preallocate = preallocate
        self._torrents: dict[InfoHash, TorrentStorage] = {}
        self._pending: Counter[InfoHash] = Counter()
        self._serial = 0
        self._settled = anyio.Event()
        self._pool = WorkerPool(workers)
        self._at_once = AtOnce()
        self._feed: Feed
        self._report: Callable[[Report], None]

    def attach(self, feed: Feed, report: Callable[[Report], None]) -> None:
        """Answer by ``feed``, and warn by ``report``."""
        self._feed = feed
        self._report = report

    def register(
        self, metainfo: Metainfo, folder: str, resume_path: str, *, hold: bool = False
    ) -> TorrentStorage:
        """Know a torrent, whose files lie under ``folder``; with ``hold``, put off all that it
        wants until ``release``."""
        files = TorrentFiles(metainfo, folder, self.handles, preallocate=self._preallocate)
        storage = TorrentStorage(files, ResumeFile(resume_path, files))
        if hold:
            storage.held = []
        self._torrents[metainfo.info_hash] = storage
        return storage

    def release(self, storage: TorrentStorage) -> None:
        """Carry out what was put off, and from now on all.  No effect if nothing is held."""
        held, storage.held = storage.held, None
        for action in held or ():
            self.submit(action)

    def unregister(self, torrent: InfoHash) -> None:
        """Forget a torrent, whose jobs are all answered."""
        storage = self._torrents.pop(torrent)
        storage.files.close()

    def submit(self, action: StorageAction) -> None:
        """Carry an action out, on a worker thread or at once."""
        storage = self._torrents[action.torrent]
        if storage.held is not None:
            storage.held.append(action)
            return
        if isinstance(action, HashPiece):
            answer = self._at_once.perform(storage.files, action)
            if answer is not None:
                self._feed(answer)
                return
        self._serial += 1
        self._pending[action.torrent] += 1
        self._pool.put((storage, action, self._serial))

    async def settle(self, torrent: InfoHash) -> None:
        """Wait until every job of the torrent, saving included, is done."""
        while self._pending[torrent]:
            self._settled = anyio.Event()
            await self._settled.wait()

    async def run(self) -> None:
        """Hand answers to the feed, for ever.  Raises what a worker could not expect."""
        await call_when_readable(self._pool.descriptor, self._collect)

    async def aclose(self) -> None:
        """End the threads, at most ``CLOSE_TIMEOUT`` later, and close the files."""
        await self._pool.aclose()
        self.handles.drop()

    def _collect(self) -> None:
        for torrent, answer in self._pool.answers():
            self._pending[torrent] -= 1
            self._deliver(answer)
        self._settled.set()

    def _deliver(self, answer: StorageEvent | Warned | Exception | None) -> None:
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Warned):
            self._report(answer)
        elif answer is not None:
            self._feed(answer)


class WorkerPool:
    """Daemon threads that turn tasks into answers, and a pipe that says there are some."""

    def __init__(self, workers: int) -> None:
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._answers: deque[Answer] = deque()
        self._lock = threading.Lock()
        self._woken = False
        self._closed = False
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._threads = [
            threading.Thread(target=self._work, name=f"torrent-disk-{number}", daemon=True)
            for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, task: Task) -> None:
        """Queue a task; each is answered exactly once while the pool is open."""
        self._tasks.put(task)

    @property
    def descriptor(self) -> int:
        """Can be read when there are answers."""
        return self._reader

    def answers(self) -> list[Answer]:
        """The answers that came, oldest first."""
        with self._lock:
            if self._woken:
                os.read(self._reader, 1)
                self._woken = False
            answers, self._answers = list(self._answers), deque()
        return answers

    async def aclose(self) -> None:
        """Drop what is queued and end the threads; one that hangs is left behind."""
        with self._lock:
            self._closed = True
            os.close(self._writer)
            os.close(self._reader)
        for _ in self._threads:
            self._tasks.put(None)
        with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
            await anyio.to_thread.run_sync(self._join, abandon_on_cancel=True)

    def _join(self) -> None:
        for thread in self._threads:
            thread.join(CLOSE_TIMEOUT)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None and not self._closed:
            self._answer(task[1].torrent, carry_out(*task))

    def _answer(self, torrent: InfoHash, answer: StorageEvent | Warned | Exception | None) -> None:
        with self._lock:
            if self._closed:
                return
            self._answers.append((torrent, answer))
            if not self._woken:
                self._woken = True
                os.write(self._writer, b"\0")


def carry_out(
    storage: TorrentStorage, action: StorageAction, serial: int
) -> StorageEvent | Warned | Exception | None:
    """One task, to its answer; None if none is owed.  A bug is handed back, not lost."""
    try:
        if not isinstance(action, SaveResume):
            return perform(storage.files, action)
        storage.resume.save(action.data, serial)
    except OSError as error:
        path = error.filename or storage.resume.path
        text = f"resume data not saved: {path}: {error.strerror or error}"
        return Warned(action.torrent, text)
    except Exception as bug:
        return bug
    return None
