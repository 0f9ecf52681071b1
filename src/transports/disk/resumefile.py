"""The resume file of one torrent: replaced atomically, read with a bound."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading

from torrent_core.limits import MAX_TORRENT_BYTES
from torrent_core.metainfo.paths import OWN_FOLDER

from .files import TorrentFiles, fsync_path

RESUME_FOLDER = OWN_FOLDER
"""Folder inside the download folder, unless the client was given another place."""

MAX_RESUME_BYTES = MAX_TORRENT_BYTES
"""Most bytes read of a resume file: it holds less than the torrent it belongs to."""

_serials = itertools.count(1)


class ResumeFile:
    """Where one torrent's resume data lies.  Blocking; safe to call from several threads."""

    def __init__(self, path: str, files: TorrentFiles) -> None:
        self.path = os.path.abspath(path)
        self._files = files
        self._lock = threading.Lock()
        self._newest = 0

    def save(self, data: bytes, serial: int) -> None:
        """Sync what was written, then replace the file; an older serial than saved is void.

        Raises OSError, and leaves the file as it was.
        """
        with self._lock:
            if serial > self._newest:
                self._files.sync()
                replace_file(self.path, data)
                self._newest = serial

    def load(self) -> bytes | None:
        """What was saved, or None if nothing was.  Raises OSError."""
        return load_resume(self.path)

    def delete(self) -> None:
        """Forget what was saved.  Raises OSError."""
        with self._lock:
            delete_resume(self.path)


def load_resume(path: str) -> bytes | None:
    """What lies there of an earlier run, or None for nothing.  Raises OSError."""
    try:
        with open(path, "rb") as file:
            return file.read(MAX_RESUME_BYTES)
    except FileNotFoundError:
        return None


def delete_resume(path: str) -> None:
    """Forget what lies there, if anything does.  Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def replace_file(path: str, data: bytes) -> None:
    """Put ``data`` in place of the file, so that either the old or the new is there.

    Temporary file beside it, fsync, rename, fsync of the folder.  Raises OSError.
    """
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    # Several clients may save into one folder, so the name is nobody else's.
    temporary = f"{path}.{os.getpid()}-{next(_serials)}.tmp"
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    fsync_path(folder)
