"""Resume data: when it is due, and the clean end of a torrent.

A save is two steps, since what it says about the files must be asked of them first:
StatFiles, then SaveResume.  At a stop, blocks that are only in memory are written to their
place in the files before, so that the next run need not fetch them again.
"""

from __future__ import annotations

from collections.abc import Callable

from ..actions import SaveResume, StatFiles
from ..events import FilesStated, StorageFailed
from ..pieces import Stage
from ..storage import ResumeData
from ..types import FileStat, TorrentState
from .backlog import Backlog
from .context import Context
from .writing import Writing

SAVE = "resume data is due"


class Saving:
    """Saves resume data, ten seconds after progress and at the end."""

    def __init__(
        self,
        context: Context,
        backlog: Backlog,
        writing: Writing,
        totals: Callable[[], tuple[int, int]],
    ) -> None:
        """``totals`` answers with the payload bytes down and up, all runs together."""
        self._context = context
        self._backlog = backlog
        self._writing = writing
        self._totals = totals
        self._is_last = False

    def progressed(self) -> None:
        """Something lies in the files that no resume data knows yet."""
        timers = self._context.timers
        if timers.get((SAVE, 0)) is None:
            timers.set((SAVE, 0), self._context.now + self._context.config.resume_interval)

    def tick(self) -> None:
        """The save is due."""
        self._stat()

    def begin_stop(self) -> None:
        """Store what is in memory; ``end_if_idle`` does the rest."""
        context = self._context
        context.timers.clear((SAVE, 0))
        self._backlog.retry_now()
        for piece in context.active.active_pieces:
            if piece.stage is Stage.DOWNLOADING:
                self._writing.store(piece, piece.unsaved)
                context.active.refresh(piece)

    def end_if_idle(self) -> None:
        """Once a stopping torrent waits for no storage: save, then it is stopped."""
        context = self._context
        if context.state is TorrentState.STOPPING and not context.jobs and not self._is_last:
            self._is_last = True
            self._stat()

    def _stat(self) -> None:
        context = self._context
        job = context.jobs.begin(
            FilesStated, self._stated, self._stat_failed, fits=context.names_all_files
        )
        context.actions.append(StatFiles(context.info_hash, job))

    def _stated(self, event: FilesStated) -> None:
        # In mid-check, pieces that are not hashed yet would be saved as if they were not there.
        if self._context.checked:
            data = self._data(event.files)
            self._context.actions.append(SaveResume(self._context.info_hash, data))
        self._end()

    def _stat_failed(self, event: StorageFailed) -> None:
        # The next start checks everything: slower, but right.
        self._end()

    def _end(self) -> None:
        context = self._context
        if not self._is_last:
            return
        self._is_last = False
        for index in context.active.active_indices:
            context.scheduler.abandon(index)
        context.enter(TorrentState.STOPPED)

    def _data(self, files: tuple[FileStat | None, ...]) -> bytes:
        context = self._context
        downloaded, uploaded = self._totals()
        # One that lies there whole, and waits for its hash, is hashed by the next start.
        stored = [
            (piece.index, piece.stored) for piece in context.active.active_pieces if piece.stored
        ]
        return ResumeData(
            info_hash=context.info_hash,
            piece_count=context.metainfo.piece_count,
            verified=context.verified.bitfield,
            partial=tuple(sorted(stored)),
            files=files,
            downloaded=downloaded,
            uploaded=uploaded,
        ).encode()
