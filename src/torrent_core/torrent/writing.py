"""Blocks on their way to the files: whole pieces, pieces too long for memory, and the rest.

1. A whole piece that passed its hash is written in one go.
2. A segment of a longer piece is written as soon as its last block has come.
3. Where memory was refused, what nobody works on is written as far as it is there.
4. At a stop, so is everything.

Memory is given back when the write has been answered, and not before.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import islice

from ..actions import WriteBlocks
from ..bitfield import indices
from ..events import Written
from ..limits import BLOCK_SIZE
from ..pieces import ActivePiece, LinkRequests, RequestInfo, Stage
from ..types import Span
from .backlog import Backlog, Task
from .blaming import Next
from .context import Context


class Writing:
    """Writes blocks, and gives their memory back.

    ``witness`` is called with blocks that are about to leave memory, and goes on with what it
    is given; ``on_stored`` with each piece some of whose blocks lie in the files from now on;
    ``cancel`` with each request that is owed a CANCEL.
    """

    def __init__(
        self,
        context: Context,
        backlog: Backlog,
        witness: Callable[[ActivePiece, int, Next], None],
        on_stored: Callable[[ActivePiece], None],
        cancel: Callable[[RequestInfo], None],
    ) -> None:
        self._context = context
        self._backlog = backlog
        self._witness = witness
        self._on_stored = on_stored
        self._cancel = cancel
        self._giving_way = 0  # writes that are out so that memory comes free

    def store(self, piece: ActivePiece, blocks: int) -> None:
        """Write these blocks of ``piece``, none of which is being written."""
        if blocks:
            piece.begin_writing(blocks)
            self._write(piece, blocks, lambda: None)

    def settle(self) -> bool:
        """The end of a step: write what is complete, and make room for links that were
        refused memory.  Whether links must be filled again."""
        context = self._context
        if context.active.full:
            self._store_full()
        return context.scheduler.relief.is_due and self._make_room()

    def _store_full(self) -> None:
        active = self._context.active
        for piece, blocks in active.full:
            if piece.stage is Stage.DOWNLOADING:
                self.store(piece, blocks & piece.unsaved)
                active.refresh(piece)
        active.full.clear()

    def _make_room(self) -> bool:
        gave = False
        refused = self._context.scheduler.relief.take_refused()
        for link in islice(refused, self._giving_way, None):
            if not self.give_way(link):
                break  # nor for the next: the silent ones come last
            gave = True
        return gave

    def give_way(self, link: LinkRequests | None = None) -> bool:
        """Give up memory that nobody works on, for ``link`` or for another torrent.

        Whether there was any; it is free now, or once it is written.
        """
        context = self._context
        vacated = context.scheduler.relief.make_room(context.now, link)
        if vacated is None:
            return False
        piece, blocks = vacated.piece, vacated.blocks
        freed = context.active.free_spent(piece, blocks)
        unsaved = blocks & piece.unsaved
        if unsaved:
            piece.begin_writing(unsaved)
            context.active.refresh(piece)
            self._giving_way += 1
            self._write(piece, unsaved, self._gave_way)
        if freed:
            context.scheduler.touch_hungry()
        for info in vacated.probes:  # after the hungry: a silent link is asked last
            self._cancel(info)
        return True

    @property
    def is_giving_way(self) -> bool:
        """Whether memory will come free once a write is answered."""
        return bool(self._giving_way)

    def _gave_way(self) -> None:
        self._giving_way -= 1

    # --- Writing -----------------------------------------------------------------------

    def _write(self, piece: ActivePiece, blocks: int, over: Next) -> None:
        self._witness(piece, blocks, partial(self._submit, piece, blocks, over))

    def _submit(self, piece: ActivePiece, blocks: int, over: Next) -> None:
        context = self._context
        chunks = tuple(self._chunks(piece, blocks))

        def done(_event: Written) -> None:
            over()
            self._done(piece, blocks)

        def lost() -> None:
            over()
            self._settle(piece, blocks)

        self._backlog.submit(
            Task(
                self._backlog.writes,
                piece,
                lambda job: WriteBlocks(context.info_hash, job, piece.index, chunks),
                done,
                lost,
            )
        )

    def _done(self, piece: ActivePiece, blocks: int) -> None:
        piece.mark_stored(blocks)
        self._settle(piece, blocks)
        self._on_stored(piece)

    def _settle(self, piece: ActivePiece, blocks: int) -> None:
        context = self._context
        wanted = bool(context.picker.missing >> piece.index & 1)
        context.active.settle_write(piece, blocks, wanted=wanted)
        context.scheduler.touch_hungry()  # memory came free, or blocks did

    def _chunks(self, piece: ActivePiece, blocks: int) -> list[tuple[Span, memoryview]]:
        chunks = []
        for segment in piece.segments_of(blocks):
            first = segment * piece.span * BLOCK_SIZE
            for begin, length in _runs(piece, blocks & piece.segment_blocks(segment)):
                for span in self._context.files.spans(piece.index, begin, length):
                    at = begin - first
                    chunks.append((span, piece.view(segment)[at : at + span.length]))
                    begin += span.length
        return chunks


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
