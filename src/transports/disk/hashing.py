"""SHA-1 of whole pieces, read from files, on as many threads as there are processors.

For making and checking torrents outside a session.  ``hashlib`` lets other threads run
while it digests, so threads are enough.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import sha1
from itertools import accumulate
from pathlib import Path

from torrent_core.classes import frozen

READ_SIZE = 1024 * 1024
"""Bytes read at once: a piece may be half a gigabyte, and memory is not."""

MAX_THREADS = 8
"""More threads only make a spinning disk seek."""


@frozen
class SourceFile:
    """One file of a payload: where it is, and the bytes it must have."""

    path: Path | None
    """None for padding, which is zeros and on no disk."""
    length: int


@frozen
class Digest:
    """One piece read: its SHA-1, or None where some of it is not there."""

    piece: int
    length: int
    sha1: bytes | None


class PieceReader:
    """Reads pieces out of a list of files laid end to end."""

    def __init__(self, files: Sequence[SourceFile], piece_length: int) -> None:
        self.files = files
        self.piece_length = piece_length
        self.ends = list(accumulate(file.length for file in files))
        self.total = self.ends[-1] if self.ends else 0

    @property
    def piece_count(self) -> int:
        """Pieces of the whole payload."""
        return -(-self.total // self.piece_length)

    def files_of(self, piece: int) -> list[int]:
        """Indices of the files that have bytes in ``piece``."""
        return [index for index, _, _ in self._parts(piece)]

    def digest(self, piece: int) -> Digest:
        """Hash one piece.  Raises OSError for what is more than an absent or short file."""
        parts = self._parts(piece)
        digest = sha1(usedforsecurity=False)
        length = sum(count for _, _, count in parts)
        for index, offset, count in parts:
            for data in self._read(self.files[index].path, offset, count):
                if data is None:
                    return Digest(piece, length, None)
                digest.update(data)
        return Digest(piece, length, digest.digest())

    def _parts(self, piece: int) -> list[tuple[int, int, int]]:
        """(file, offset, length) of every stretch of a piece, empty files left out."""
        at = piece * self.piece_length
        end = min(at + self.piece_length, self.total)
        index = bisect_right(self.ends, at)
        parts = []
        while at < end:
            start = self.ends[index] - self.files[index].length
            count = min(self.ends[index], end) - at
            if count:
                parts.append((index, at - start, count))
            at += count
            index += 1
        return parts

    @staticmethod
    def _read(path: Path | None, offset: int, count: int) -> Iterator[bytes | None]:
        if path is None:
            yield from _zeros(count)
            return
        if not path.is_file():  # opening a pipe that lies there instead would wait for ever
            yield None
            return
        with path.open("rb", buffering=0) as file:
            file.seek(offset)
            while count:
                data = file.read(min(count, READ_SIZE))
                yield data or None
                count -= len(data)


def _zeros(count: int) -> Iterator[bytes]:
    while count:
        chunk = min(count, READ_SIZE)
        yield bytes(chunk)
        count -= chunk


def digests(reader: PieceReader, threads: int | None = None) -> Generator[Digest, None, None]:
    """Every piece's digest, in order; never more pieces in hand than threads can use.

    Raises OSError as ``PieceReader.digest`` does.
    """
    workers = threads or min(os.cpu_count() or 1, MAX_THREADS)
    waiting: deque[Future[Digest]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="hash") as pool:
        try:
            for piece in range(reader.piece_count):
                waiting.append(pool.submit(reader.digest, piece))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
