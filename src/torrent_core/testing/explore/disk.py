"""The storage: it holds each job until it is told to answer or to fail it."""

from __future__ import annotations

from typing import Any

from ...actions import HashBlocks, HashPiece, StatFiles, WriteBlocks
from ...events import BlocksHashed, FilesStated, PieceHashed, StorageEvent, StorageFailed, Written
from ...limits import BLOCK_SIZE
from ...types import Buffer, FileStat, Span, StorageFault
from .errors import Violation
from .setting import GOOD, WRONG_DIGEST, Setting, block_digest, right_digest


class Disk:
    """One file, of which only the first byte of each block is kept: it tells good from not."""

    __slots__ = ("_name", "exists", "marks", "pending")

    def __init__(self, setting: Setting) -> None:
        self._name = setting.metainfo.info_hash
        self.marks = bytearray(setting.pieces * setting.blocks)
        """By block of the file; zero is corrupt or never written."""
        self.exists = False
        """Whether anything was ever written."""
        self.pending: list[Any] = []
        """Storage actions that are not answered, oldest first; each has a ``job``."""

    def fail(self, number: int) -> StorageEvent:
        """The job of that number in ``pending`` fails, and has no effect."""
        job = self.pending.pop(number)
        return StorageFailed(self._name, job.job, StorageFault.OTHER)

    def answer(self, number: int) -> StorageEvent:
        """The job of that number in ``pending`` is carried out.

        Raises TypeError for a kind of job that is not played here yet.
        """
        job = self.pending.pop(number)
        if isinstance(job, HashPiece):
            return self._hash(job)
        if isinstance(job, HashBlocks):
            return BlocksHashed(self._name, job.job, tuple(map(block_digest, payload(job))))
        if isinstance(job, StatFiles):
            return FilesStated(self._name, job.job, (self._stat(),))
        if not isinstance(job, WriteBlocks):
            raise TypeError(f"the explorer has no answer to {job}")
        self.exists = True
        for span, data in job.chunks:
            self.marks[_blocks(span)] = _marks(data)
        return Written(self._name, job.job)

    def _stat(self) -> FileStat | None:
        """The file appears with the first block that is written."""
        return FileStat(len(self.marks) * BLOCK_SIZE, 1) if self.exists else None

    def _hash(self, job: HashPiece) -> PieceHashed:
        marks = payload(job) or b"".join(self.marks[_blocks(span)] for span in job.spans)
        good = marks.count(GOOD) == len(marks)
        digest = right_digest(job.piece) if good else WRONG_DIGEST
        blocks = tuple(block_digest(marks[block]) for block in job.blocks)
        return PieceHashed(self._name, job.job, digest, blocks)

    def check(self, verified: int, blocks: int) -> None:
        """Raise Violation if a piece that counts as ours is not here, whole and good."""
        for piece in range(len(self.marks) // blocks):
            marks = self.marks[piece * blocks : (piece + 1) * blocks]
            if verified >> piece & 1 and marks.count(GOOD) != blocks:
                raise Violation(f"piece {piece} counts as ours, and is not on the disk")


def _blocks(span: Span) -> slice:
    return slice(span.offset // BLOCK_SIZE, (span.offset + span.length) // BLOCK_SIZE)


def payload(job: Any) -> bytes:
    """The marks of the blocks that come along with a job, in its order."""
    if isinstance(job, HashPiece) and job.data is not None:
        return _marks(job.data)
    return b"".join(_marks(data) for _, data in getattr(job, "chunks", ()))


def _marks(data: Buffer) -> bytes:
    return bytes(data[::BLOCK_SIZE])
