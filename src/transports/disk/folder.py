"""One torrent's files for a loop that may block: storage actions in, their answers out."""

from __future__ import annotations

import itertools
import os

from torrent_core.actions import Action, SaveResume
from torrent_core.events import StorageEvent
from torrent_core.metainfo import Metainfo

from .files import TorrentFiles
from .handles import HandleCache
from .jobs import Job, perform
from .resumefile import RESUME_FOLDER, ResumeFile


class Folder:
    """The download folder of one torrent.  Blocking, and for one thread."""

    def __init__(self, folder: str | os.PathLike[str], metainfo: Metainfo) -> None:
        path = os.path.join(folder, RESUME_FOLDER, f"{metainfo.info_hash.hex()}.resume")
        self._files = TorrentFiles(metainfo, os.fspath(folder), HandleCache())
        self._resume = ResumeFile(path, self._files)
        self._saves = itertools.count(1)

    def perform(self, action: Action) -> StorageEvent | None:
        """Carry out a storage action; returns its answer, or None if none is owed.

        Any other action is not touched.  Raises OSError if resume data cannot be saved.
        """
        if isinstance(action, SaveResume):
            self._resume.save(action.data, next(self._saves))
        elif isinstance(action, Job):
            return perform(self._files, action)
        return None

    def resume(self) -> bytes | None:
        """What an earlier run saved.  Raises OSError."""
        return self._resume.load()

    def close(self) -> None:
        """Close the files that are open."""
        self._files.close()
