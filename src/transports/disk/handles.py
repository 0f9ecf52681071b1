"""A bounded number of open files, shared by every torrent and thread."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeAlias

MAX_OPEN_FILES = 64
"""Idle file handles kept (libtorrent: file_pool_size 40; shells allow 256 and more)."""

Key: TypeAlias = tuple[int, int, bool]
"""Owner, index of the file, whether it is open for writing."""


class Handle:
    """An open file, in use until the end of its ``with``; closed when it is neither cached nor
    in use."""

    __slots__ = ("cached", "fd", "release", "users")

    def __init__(self, fd: int, release: Callable[[Handle], None]) -> None:
        self.fd = fd
        self.release = release
        self.users = 1
        self.cached = True

    def __enter__(self) -> int:
        return self.fd

    def __exit__(self, *_raised: object) -> None:
        self.release(self)


class HandleCache:
    """Open files by owner, index and mode; the least recently used one is closed first."""

    def __init__(self, limit: int = MAX_OPEN_FILES) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._handles: OrderedDict[Key, Handle] = OrderedDict()
        self._owners = 0

    def __len__(self) -> int:
        return len(self._handles)

    def __contains__(self, key: Key) -> bool:
        """Whether it is open, as far as one can tell who does not hold it."""
        return key in self._handles

    def new_owner(self) -> int:
        """A number nobody else has, to key one torrent's files by."""
        with self._lock:
            self._owners += 1
            return self._owners

    def use(self, key: Key, opener: Callable[[], int]) -> AbstractContextManager[int]:
        """The descriptor for ``key``, made by ``opener`` if there is none; to be entered at once,
        and not to be kept."""
        return self._acquire(key) or self._adopt(key, opener())

    def drop(self, owner: int | None = None) -> None:
        """Close the owner's files, or all, each as soon as nobody uses it."""
        with self._lock:
            for key in [key for key in self._handles if owner in (None, key[0])]:
                self._evict(key)

    def _acquire(self, key: Key) -> Handle | None:
        with self._lock:
            handle = self._handles.get(key)
            if handle is not None:
                self._handles.move_to_end(key)
                handle.users += 1
            return handle

    def _adopt(self, key: Key, fd: int) -> Handle:
        with self._lock:
            if key in self._handles:  # another thread was quicker
                self._evict(key)
            handle = self._handles[key] = Handle(fd, self._release)
            if len(self._handles) > self._limit:
                self._evict(next(iter(self._handles)))
            return handle

    def _release(self, handle: Handle) -> None:
        with self._lock:
            handle.users -= 1
            self._close_if_done(handle)

    def _evict(self, key: Key) -> None:
        handle = self._handles.pop(key)
        handle.cached = False
        self._close_if_done(handle)

    @staticmethod
    def _close_if_done(handle: Handle) -> None:
        if not handle.users and not handle.cached:
            os.close(handle.fd)
