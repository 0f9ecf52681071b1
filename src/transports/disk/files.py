"""The files of one torrent: where they lie, and how they are opened.

Blocking calls, safe to make from several threads.  A torrent decides names and lengths,
so nothing here follows a symbolic link out of the download folder.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager

from torrent_core.metainfo import Metainfo
from torrent_core.types import Span

from .handles import HandleCache
from .mounts import is_buffered

# O_NONBLOCK means nothing for plain files, and keeps a pipe in their place from blocking.
_SAFE = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class TorrentFiles:
    """The files of one torrent under ``folder``, by index."""

    def __init__(
        self, metainfo: Metainfo, folder: str, handles: HandleCache, *, preallocate: bool = False
    ) -> None:
        self.metainfo = metainfo
        self.folder = os.path.abspath(folder)
        self._handles = handles
        self._owner = handles.new_owner()
        self._preallocate = preallocate
        self._lock = threading.Lock()
        self._unsynced: dict[str, None] = {}
        self._written: dict[int, None] = {}  # files to be synced as well
        self._buffered: dict[int, bool] = {}

    def path(self, index: int) -> str:
        """Where file ``index`` lies."""
        return os.path.join(self.folder, *self.metainfo.files[index].path)

    def is_pad(self, index: int) -> bool:
        """Whether file ``index`` is padding (BEP 47) that never touches the disk."""
        return self.metainfo.files[index].pad

    def reading(self, index: int) -> AbstractContextManager[int]:
        """A descriptor to read file ``index``; raises OSError."""
        key = (self._owner, index, False)
        return self._handles.use(key, lambda: self._open(self.path(index), os.O_RDONLY))

    def writing(self, index: int) -> AbstractContextManager[int]:
        """A descriptor to write file ``index``, made with its folders if need be; OSError."""
        return self._handles.use((self._owner, index, True), lambda: self._create(index))

    def is_quick(self, span: Span) -> bool:
        """Whether a write there only fills memory: the file is open, on such a file system."""
        index = span.file
        if self.is_pad(index):
            return True
        return self._buffered.get(index, False) and (self._owner, index, True) in self._handles

    def close(self) -> None:
        """Close what is open; files are opened again, and so seen afresh, when needed."""
        self._handles.drop(self._owner)

    def touched(self, index: int) -> None:
        """File ``index`` was written: it waits for ``sync``."""
        if index not in self._written:  # a sync that takes it just now still flushes it
            with self._lock:
                self._written[index] = None

    def sync(self) -> None:
        """Make all that was written before this call safe from power loss; OSError."""
        with self._lock:
            pending, self._unsynced = self._unsynced, {}
            written, self._written = self._written, {}
        pending.update(dict.fromkeys(map(self.path, written)))
        try:
            for path in pending:
                fsync_path(path)
        except OSError:
            for path in pending:
                self._mark(path)
            raise

    def statuses(self) -> Iterator[os.stat_result | None]:
        """What the disk says of each file; None if missing, no plain file, or padding."""
        inside: dict[str, bool] = {}
        for index in range(len(self.metainfo.files)):
            path = self.path(index)
            parent = os.path.dirname(path)
            if parent not in inside:
                inside[parent] = self._is_inside(parent)
            yield None if self.is_pad(index) or not inside[parent] else plain_status(path)

    def _create(self, index: int) -> int:
        path = self.path(index)
        try:
            fd = self._open(path, os.O_RDWR | os.O_CREAT)
        except FileNotFoundError:
            self._make_folders(os.path.dirname(path))
            fd = self._open(path, os.O_RDWR | os.O_CREAT)
        try:
            self._mark(os.path.dirname(path))
            self._buffered[index] = is_buffered(os.fstat(fd).st_dev)
            if self._preallocate:
                allocate(fd, self.metainfo.files[index].length)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _open(self, path: str, flags: int) -> int:
        if not self._is_inside(os.path.dirname(path)):
            raise _symlink(path)
        try:
            return os.open(path, flags | _SAFE, 0o666)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise _symlink(path) from None
            raise

    def _is_inside(self, parent: str) -> bool:
        """Whether no symbolic link leads from the folder to a ``parent`` outside."""
        root = os.path.realpath(self.folder)
        return os.path.commonpath((root, os.path.realpath(parent))) == root

    def _make_folders(self, parent: str) -> None:
        missing = []
        while not os.path.isdir(parent):
            missing.append(parent)
            parent = os.path.dirname(parent)
        for folder in reversed(missing):
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder)
            self._mark(os.path.dirname(folder))

    def _mark(self, path: str) -> None:
        with self._lock:
            self._unsynced[path] = None


def plain_status(path: str) -> os.stat_result | None:
    """The status of a plain file, or None if there is none at ``path``."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def allocate(fd: int, length: int) -> None:
    """Reserve the disk space of a file; left sparse where the system cannot."""
    reserve = getattr(os, "posix_fallocate", None)
    if reserve is None or os.fstat(fd).st_size >= length:
        return
    try:
        reserve(fd, 0, length)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            raise


def fsync_path(path: str) -> None:
    """Flush a file or folder to the device; what is gone needs none.  Raises OSError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _symlink(path: str) -> PermissionError:
    return PermissionError(errno.EACCES, "a symbolic link leads elsewhere", path)
