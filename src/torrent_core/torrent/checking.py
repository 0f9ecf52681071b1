"""Finding out what is on disk: at start, against resume data; at a re-check, from nothing.

    StatFiles -> plan -> HashPiece, a few at a time, from the files -> CreateFiles -> done

While it runs nothing is wanted, so no piece is opened; what it finds is served at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from ..actions import CreateFiles, HashPiece, StatFiles, StorageTrouble, Warned
from ..bitfield import indices
from ..errors import ResumeError
from ..events import FilesStated, PieceHashed, StorageFailed, Written
from ..limits import MAX_CHECKS_IN_FLIGHT, STORAGE_RETRY
from ..storage import CheckPlan, ResumeData, decode_resume, full_recheck, plan_check
from ..types import StorageFault, TorrentState
from .context import Context
from .jobs import is_sha1

CHECK_RETRY = "checking is tried again"


class Checking:
    """Establishes the verified set; ``on_done`` is called when downloading may begin."""

    def __init__(self, context: Context, on_done: Callable[[], None]) -> None:
        self._context = context
        self._on_done = on_done
        self._resume: ResumeData | None = None
        self._trust_nothing = False
        self._partial: tuple[tuple[int, int], ...] = ()
        self._queue: Iterator[int] = iter(())
        self._queued = 0
        self._in_flight = 0
        self._checked = 0
        self._too_long: tuple[int, ...] = ()

    def begin(self, resume: bytes | None, *, trust_nothing: bool = False) -> None:
        """Check everything anew; the torrent is CHECKING until it is done."""
        context = self._context
        context.enter(TorrentState.CHECKING)
        context.checked = False
        context.verified.replace(0)
        context.picker.set_wanted(0)
        self._trust_nothing = trust_nothing
        self._resume = self._read(resume)
        if self._resume is not None:
            context.earlier = (self._resume.downloaded, self._resume.uploaded)
        self._stat()

    @property
    def progress(self) -> float:
        """Share of the pieces to be hashed that have been."""
        return self._checked / self._queued if self._queued else 0.0

    def tick(self) -> None:
        """A retry is due."""
        self._stat()

    def create_wanted(self) -> None:
        """Make the files of no bytes that new priorities want: no piece will bring them."""
        context = self._context
        empty = context.files.empty_files(context.priorities)
        if empty:
            job = context.jobs.begin(Written, _nothing, lambda event: self._report(event, None))
            context.actions.append(CreateFiles(context.info_hash, job, empty))

    # --- Planning ----------------------------------------------------------------------

    def _read(self, resume: bytes | None) -> ResumeData | None:
        context = self._context
        if resume is None:
            return None
        meta = context.metainfo
        try:
            return decode_resume(resume, meta.info_hash, meta.geometry, len(meta.files))
        except ResumeError as error:
            text = f"resume data ignored, everything is checked: {error}"
            context.actions.append(Warned(context.info_hash, text))
            return None

    def _stat(self) -> None:
        context = self._context
        job = context.jobs.begin(
            FilesStated, self._stated, self._retry_later, fits=context.names_all_files
        )
        context.actions.append(StatFiles(context.info_hash, job))

    def _stated(self, event: FilesStated) -> None:
        context = self._context
        if context.state is not TorrentState.CHECKING:
            return
        if self._trust_nothing:
            plan = full_recheck(event.files, context.files)
        else:
            plan = plan_check(self._resume, event.files, context.files)
        self._too_long = context.files.too_long(event.files, context.priorities)
        self._follow(plan)

    def _follow(self, plan: CheckPlan) -> None:
        context = self._context
        # A piece that was being written when a re-check began may be ours by now.
        context.verified.replace(plan.trusted | context.verified.bitfield)
        self._partial = plan.partial
        self._queue = indices(plan.rehash)
        self._queued, self._checked = plan.rehash.bit_count(), 0
        for _ in range(MAX_CHECKS_IN_FLIGHT):
            self._next()
        if not self._in_flight:
            self._create()

    # --- Hashing -----------------------------------------------------------------------

    def _next(self) -> None:
        context = self._context
        index = next(self._queue, None)
        if index is None or context.state is not TorrentState.CHECKING:
            return
        self._in_flight += 1
        job = context.jobs.begin(
            PieceHashed,
            partial(self._hashed, index),
            partial(self._unreadable, index),
            fits=is_sha1,
        )
        spans = context.files.piece_spans(index)
        context.actions.append(HashPiece(context.info_hash, job, index, None, spans))

    def _hashed(self, index: int, event: PieceHashed) -> None:
        verified = self._context.verified
        if event.digest == verified.expected_hash(index):
            verified.mark_verified(index)
        self._advance()

    def _unreadable(self, index: int, event: StorageFailed) -> None:
        """The piece is fetched anew; a file that is short is no trouble, only absent."""
        if event.fault is not StorageFault.MISSING:
            self._report(event, None)
        self._advance()

    def _advance(self) -> None:
        self._in_flight -= 1
        self._checked += 1
        self._next()
        if not self._in_flight and self._context.state is TorrentState.CHECKING:
            self._create()

    # --- Finishing ---------------------------------------------------------------------

    def _create(self) -> None:
        """Make the files of no bytes; cut those that are too long, if we are to write at all.

        A complete torrent is only served: then nothing of what is on disk is touched.
        """
        context = self._context
        files = context.files.empty_files(context.priorities)
        if context.missing:
            files += self._too_long
        elif self._too_long:
            names = ["/".join(context.metainfo.files[index].path) for index in self._too_long]
            more = f" and {len(names) - 1} more" if names[1:] else ""
            text = "longer than the torrent says, and left so, since nothing is missing: "
            context.actions.append(Warned(context.info_hash, f"{text}{names[0]}{more}"))
        if not files:
            self._done()
            return
        job = context.jobs.begin(Written, lambda _event: self._done(), self._retry_later)
        context.actions.append(CreateFiles(context.info_hash, job, files))

    def _done(self) -> None:
        context = self._context
        if context.state is not TorrentState.CHECKING:
            return
        context.checked = True
        context.picker.set_wanted(context.wanted)
        for index, blocks in self._partial:
            self._restore(index, blocks)
        self._partial = ()
        self._resume = None
        self._on_done()

    def _restore(self, index: int, blocks: int) -> None:
        """Go on with a piece whose blocks an earlier run left in the files."""
        context = self._context
        if context.picker.candidates >> index & 1:
            context.active.restore(index, blocks, context.now)

    # --- Failures ----------------------------------------------------------------------

    def _retry_later(self, event: StorageFailed) -> None:
        context = self._context
        if context.state is TorrentState.CHECKING:
            retry_at = context.now + STORAGE_RETRY
            context.timers.set((CHECK_RETRY, 0), retry_at)
            self._report(event, retry_at)

    def _report(self, event: StorageFailed, retry_at: float | None) -> None:
        context = self._context
        trouble = StorageTrouble(context.info_hash, event.fault, event.detail, retry_at)
        context.actions.append(trouble)


def _nothing(_event: Written) -> None:
    return None
