"""From the last block to a piece that is ours: hash, compare, write, announce.

    DOWNLOADING -> HASHING -> WRITING -> verified
    DOWNLOADING -> FLUSHING -> HASHING (from storage) -> verified     if blocks lie in files

A digest that differs sends the piece back to DOWNLOADING, with blame where it is proven.
A storage failure repeats the step that failed, later; nothing received is lost, and nothing
is announced before it is written.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..actions import (
    DataWasted,
    HashPiece,
    PieceFailed,
    PieceVerified,
    StorageTrouble,
    WriteBlocks,
)
from ..bitfield import indices
from ..events import PieceHashed, StorageFailed, Written
from ..limits import BLOCK_SIZE, MAX_STORAGE_RETRY, STORAGE_RETRY
from ..pieces import ActivePiece, Stage
from ..types import Span
from .context import Context
from .jobs import is_sha1

RETRY = "storage is tried again"


class Finishing:
    """Pieces on their way from memory to the disk.

    ``on_verified`` is called with each piece that became ours; ``on_corrupt`` with the
    ordinal of a link that alone sent a piece which failed.
    """

    def __init__(
        self,
        context: Context,
        on_verified: Callable[[int], None],
        on_corrupt: Callable[[int], None],
    ) -> None:
        self._context = context
        self._on_verified = on_verified
        self._on_corrupt = on_corrupt
        self._delays: dict[int, float] = {}
        self._retries: dict[int, Callable[[], None]] = {}

    def complete(self, piece: ActivePiece) -> None:
        """Every block of ``piece`` is here: its one way out of DOWNLOADING."""
        if piece.stage is Stage.FLUSHING:
            self.store(piece, partial(self._flushed, piece))
        else:
            self._hash(piece)

    def store(self, piece: ActivePiece, then: Callable[[], None]) -> None:
        """Write the blocks that are only in memory, mark them stored, and go on."""
        blocks = piece.in_memory
        if not blocks:
            then()
            return

        def stored(_event: Written) -> None:
            piece.mark_stored(blocks)
            then()

        self._write(piece, blocks, stored, lambda: self.store(piece, then))

    def tick(self, index: int) -> None:
        """The retry of piece ``index`` is due."""
        self._retries.pop(index)()

    def retry_now(self) -> None:
        """The torrent stops: what waits for its retry has its last chance."""
        for index in list(self._retries):
            self._context.timers.clear((RETRY, index))
            self.tick(index)

    # --- Hashing -----------------------------------------------------------------------

    def _flushed(self, piece: ActivePiece) -> None:
        piece.stage = Stage.HASHING
        self._hash(piece)

    def _hash(self, piece: ActivePiece) -> None:
        context = self._context
        job = context.jobs.begin(
            PieceHashed,
            partial(self._hashed, piece),
            partial(self._failed, piece, lambda: self._hash(piece)),
            fits=is_sha1,
        )
        data = None if piece.stored else piece.assemble()
        spans = context.files.piece_spans(piece.index)
        context.actions.append(HashPiece(context.info_hash, job, piece.index, data, spans))

    def _hashed(self, piece: ActivePiece, event: PieceHashed) -> None:
        context = self._context
        self._delays.pop(piece.index, None)
        if event.digest != context.verified.expected_hash(piece.index):
            self._mismatch(piece)
        elif piece.stored:
            self._done(piece)
        else:
            piece.stage = Stage.WRITING
            self._write_whole(piece)

    def _mismatch(self, piece: ActivePiece) -> None:
        """Blame only whom it must be: a sole contributor, of data that never left memory."""
        context = self._context
        contributors = piece.get_contributing_peers()
        links = context.active.links
        names = tuple(links[peer].state.link for peer in contributors if peer in links)
        context.actions.append(PieceFailed(context.info_hash, piece.index, names))
        context.wasted += piece.length
        proven = len(contributors) == 1 and not piece.stored
        if not proven:
            context.scheduler.parole.sentence(piece.index)
        if context.picker.wanted >> piece.index & 1:
            context.scheduler.retry(piece)
        else:
            context.scheduler.abandon(piece.index)
            context.scheduler.touch_hungry()  # memory came free
        if proven:
            self._on_corrupt(contributors[0])

    # --- Writing -----------------------------------------------------------------------

    def _write_whole(self, piece: ActivePiece) -> None:
        self._write(
            piece,
            piece.all_blocks,
            lambda _event: self._done(piece),
            lambda: self._write_whole(piece),
        )

    def _write(
        self,
        piece: ActivePiece,
        blocks: int,
        done: Callable[[Written], None],
        again: Callable[[], None],
    ) -> None:
        context = self._context
        job = context.jobs.begin(Written, done, partial(self._failed, piece, again))
        chunks = tuple(self._chunks(piece, blocks))
        context.actions.append(WriteBlocks(context.info_hash, job, piece.index, chunks))

    def _chunks(self, piece: ActivePiece, blocks: int) -> list[tuple[Span, memoryview]]:
        chunks = []
        for begin, length in _runs(piece, blocks):
            for span in self._context.files.spans(piece.index, begin, length):
                chunks.append((span, piece.buffer[begin : begin + span.length]))
                begin += span.length
        return chunks

    def _failed(self, piece: ActivePiece, again: Callable[[], None], event: StorageFailed) -> None:
        context = self._context
        if not context.is_running:  # the torrent stops: what could not be stored is lost
            trouble = StorageTrouble(context.info_hash, event.fault, event.detail, None)
            context.actions.append(trouble)
            return
        delay = self._delays.get(piece.index, STORAGE_RETRY)
        self._delays[piece.index] = min(2 * delay, MAX_STORAGE_RETRY)
        self._retries[piece.index] = again
        retry_at = context.now + delay
        context.timers.set((RETRY, piece.index), retry_at)
        trouble = StorageTrouble(context.info_hash, event.fault, event.detail, retry_at)
        context.actions.append(trouble)

    def _done(self, piece: ActivePiece) -> None:
        context = self._context
        index = piece.index
        self._delays.pop(index, None)
        context.scheduler.parole.release(index)
        context.verified.mark_verified(index)
        context.active.remove(index)
        context.actions.append(PieceVerified(context.info_hash, index))
        context.scheduler.touch_hungry()  # memory came free
        self._on_verified(index)


def waste(context: Context, link: object, why: str, count: int) -> None:
    """Count and report payload that was of no use."""
    context.wasted += count
    context.actions.append(DataWasted(context.info_hash, link, why, count))


def _runs(piece: ActivePiece, blocks: int) -> list[tuple[int, int]]:
    """The set of blocks as runs of bytes: (begin, length), neighbours joined."""
    if blocks == piece.all_blocks:
        return [(0, piece.length)]
    runs: list[tuple[int, int]] = []
    for block in indices(blocks):
        begin, length = block * BLOCK_SIZE, piece.block_length(block)
        if runs and sum(runs[-1]) == begin:
            runs[-1] = (runs[-1][0], runs[-1][1] + length)
        else:
            runs.append((begin, length))
    return runs
