"""A disk that remembers what is right by a mark, and keeps only what is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..actions import Action
from ..events import StorageEvent
from ..limits import BLOCK_SIZE
from ..metainfo import Metainfo
from ..types import Buffer, Span
from .disk import Disk
from .payload import Content


class _Part(NamedTuple):
    """Bytes within one cell: where the cell begins, and which bytes of it."""

    cell: int
    begin: int
    end: int


class SparseDisk(Disk):
    """A disk of files that may be far larger than memory, as long as most of it is right.

    It knows the payload.  The torrent's bytes are cut into cells of 16 KiB; a cell that
    holds what it should is a mark, and any other its bytes.  A piece that is right is not
    hashed, but compared, which is several times as fast.
    """

    def __init__(self, metainfo: Metainfo, payload: Content) -> None:
        super().__init__(metainfo)
        self.payload = payload
        self._sizes: list[int | None] = [None] * len(metainfo.files)
        self._cells: dict[int, bytes | None] = {}
        """By where they begin; None is what it should be, and one that is not there zeros."""

    def fill(self, payload: Content) -> None:
        """Put the whole payload in place, as another program would."""
        for index, file in enumerate(self.metainfo.files):
            self._sizes[index] = file.length
            self.mtimes[index] += 1
        self._cells = dict.fromkeys(range(0, len(payload), BLOCK_SIZE))

    def digest(self, piece: int, data: Buffer) -> bytes:
        """SHA-1 of ``data``, which is or should be ``piece``."""
        start = piece * self.metainfo.piece_length
        if self.payload[start : start + self.metainfo.geometry.piece_size(piece)] == bytes(data):
            return self.metainfo.piece_hash(piece)
        return super().digest(piece, data)

    def perform(self, action: Action) -> StorageEvent:
        """Carry an action out; returns its one answer.  ``done`` is not kept."""
        answer = super().perform(action)
        self.done.clear()
        return answer

    def _size(self, file: int) -> int | None:
        return self._sizes[file]

    def _read(self, span: Span) -> bytes:
        size = min(span.length, max(0, (self._sizes[span.file] or 0) - span.offset))
        start = self.metainfo.files[span.file].offset + span.offset
        return b"".join(self._cell(at)[begin:end] for at, begin, end in _parts(start, size))

    def _write(self, file: int, offset: int, data: Buffer) -> None:
        self._sizes[file] = max(self._sizes[file] or 0, offset + len(data))
        done = 0
        start = self.metainfo.files[file].offset + offset
        for at, begin, end in _parts(start, len(data)):
            right = self.payload[at : at + BLOCK_SIZE]
            new: Buffer = data[done : done + end - begin]
            if end - begin < len(right):
                old = self._cell(at)
                new = b"".join((old[:begin], new, old[end:]))
            self._cells[at] = None if bytes(new) == right else bytes(new)
            done += end - begin

    def _cell(self, at: int) -> bytes:
        right = self.payload[at : at + BLOCK_SIZE]
        held = self._cells.get(at, b"")
        if held is None:
            return right
        return held or bytes(len(right))


def _parts(start: int, size: int) -> Iterator[_Part]:
    """The bytes from ``start`` on, cell by cell."""
    stop = start + size
    while start < stop:
        at = start - start % BLOCK_SIZE
        end = min(at + BLOCK_SIZE, stop)
        yield _Part(at, start - at, end - at)
        start = end
