"""From the last block to a piece that is ours: hash, compare, write, announce.

    DOWNLOADING -> HASHING -> WRITING -> verified
    DOWNLOADING -> FLUSHING -> HASHING (from storage) -> verified     if blocks left memory

Whoever hashes may write as well, if he knows what digest is expected: there is no WRITING then.

A digest that differs sends the piece back to DOWNLOADING; ``blaming`` has what follows.
Nothing is announced before it is written.  Writing, and what becomes of failures, is in
``writing`` and ``backlog``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..actions import DataWasted, HashPiece, PieceVerified
from ..events import PieceHashed
from ..pieces import ActivePiece, Stage
from .backlog import Backlog, Task
from .blaming import Blaming
from .context import Context
from .jobs import is_sha1
from .writing import Writing


class Finishing:
    """Pieces on their way from memory to the disk.

    ``on_verified`` is called with each piece that became ours.
    """

    def __init__(
        self,
        context: Context,
        backlog: Backlog,
        writing: Writing,
        blaming: Blaming,
        on_verified: Callable[[int], None],
    ) -> None:
        self._context = context
        self._backlog = backlog
        self._writing = writing
        self._blaming = blaming
        self._on_verified = on_verified

    def complete(self, piece: ActivePiece) -> None:
        """Every block of ``piece`` is here: its one way out of DOWNLOADING."""
        if piece.stage is Stage.HASHING:
            self._hash(piece)
        else:
            self._writing.store(piece, piece.unsaved)

    def stored(self, piece: ActivePiece) -> None:
        """More blocks of ``piece`` lie in the files: if that was all, on it goes."""
        if piece.stage is Stage.FLUSHING and piece.stored == piece.all_blocks:
            piece.stage = Stage.HASHING
            self._hash(piece)
        elif piece.stage is Stage.WRITING:
            self._done(piece)

    # --- Hashing -----------------------------------------------------------------------

    def _hash(self, piece: ActivePiece) -> None:
        context = self._context
        index = piece.index
        data = None if piece.stored else piece.assemble()
        spans = context.files.piece_spans(index)
        blocks = self._blaming.suspected(index)
        expected = b"" if piece.stored else context.verified.expected_hash(index)
        self._backlog.submit(
            Task(
                self._backlog.hashes,
                piece,
                lambda job: HashPiece(context.info_hash, job, index, data, spans, blocks, expected),
                partial(self._hashed, piece, blocks),
                _nothing,
                gone=partial(self._gone, piece) if piece.stored else None,
                fits=partial(is_sha1, blocks=len(blocks), expected=expected),
            )
        )

    def _gone(self, piece: ActivePiece) -> None:
        """What was stored has been deleted or cut off: nobody's fault, but to be fetched anew."""
        self._context.wasted += piece.length
        self._context.scheduler.retry(piece)

    def _hashed(self, piece: ActivePiece, blocks: tuple[int, ...], event: PieceHashed) -> None:
        context = self._context
        if event.digest != context.verified.expected_hash(piece.index):
            self._blaming.failed(piece)
            return
        self._blaming.passed(piece, dict(zip(blocks, event.blocks, strict=True)))
        if piece.stored or event.written:  # in memory alone it was whole: all of it may go
            self._done(piece)
        else:
            self._write(piece)

    def _write(self, piece: ActivePiece) -> None:
        piece.stage = Stage.WRITING
        self._writing.store(piece, piece.all_blocks)

    # --- The end -----------------------------------------------------------------------

    def _done(self, piece: ActivePiece) -> None:
        context = self._context
        index = piece.index
        self._blaming.verified(piece)
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


def _nothing() -> None:
    return None
