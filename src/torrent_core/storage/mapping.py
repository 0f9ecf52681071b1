"""Which bytes of which files a piece is made of.

The payload of a torrent is its files laid end to end (BEP 3, ``files``).  Files of length
zero hold no byte of it: they are left out of every table here, so that the offsets are
strictly ascending and one bisection finds the file of any byte.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from ..errors import LocalProtocolError
from ..geometry import Geometry
from ..metainfo import FileEntry
from ..types import FileStat, Span


class FileMap:
    """Pieces to files and back, for one torrent.

    ``files`` are the files of a metainfo, whose offsets and lengths cover the payload of
    ``geometry`` without gap or overlap.
    """

    __slots__ = ("_indices", "_starts", "files", "geometry")

    def __init__(self, files: Sequence[FileEntry], geometry: Geometry) -> None:
        self.files = tuple(files)
        self.geometry = geometry
        self._indices = [index for index, file in enumerate(self.files) if file.length]
        self._starts = [self.files[index].offset for index in self._indices]

    def spans(self, piece: int, begin: int, length: int) -> tuple[Span, ...]:
        """The runs that hold this range of a piece, in payload order; pad files included.

        Raises LocalProtocolError for a range that is not inside the piece.
        """
        if not self.geometry.contains(piece, begin, length):
            raise LocalProtocolError(f"no bytes {begin}+{length} in piece {piece}")
        return self._runs(piece * self.geometry.piece_length + begin, length)

    def _runs(self, at: int, length: int) -> tuple[Span, ...]:
        """The same of a range of the whole payload."""
        end = at + length
        row = bisect_right(self._starts, at) - 1
        first = self.files[self._indices[row]]
        if end <= first.offset + first.length:  # as nearly always
            return (Span(self._indices[row], at - first.offset, length),)
        found = []
        while at < end:
            index = self._indices[row]
            file = self.files[index]
            stop = min(end, file.offset + file.length)
            found.append(Span(index, at - file.offset, stop - at))
            at = stop
            row += 1
        return tuple(found)

    def piece_spans(self, piece: int) -> tuple[Span, ...]:
        """``spans`` of a whole piece."""
        geometry = self.geometry
        if not 0 <= piece < geometry.piece_count:
            raise LocalProtocolError(f"no piece {piece}")
        return self._runs(piece * geometry.piece_length, geometry.piece_size(piece))

    def files_of(self, piece: int) -> tuple[int, ...]:
        """Indices of the files that have bytes in a piece, ascending; pad files included."""
        return tuple(span.file for span in self.piece_spans(piece))

    def pieces_of(self, file: int) -> range:
        """The pieces that have bytes of a file; empty for a file of length zero.

        Raises LocalProtocolError for an index that names no file.
        """
        if not 0 <= file < len(self.files):
            raise LocalProtocolError(f"no file {file}")
        return self.pieces_from(file, 0)

    def pieces_from(self, file: int, offset: int) -> range:
        """The pieces that have bytes of a file at or after ``offset`` in that file."""
        entry = self.files[file]
        if offset >= entry.length:
            return range(0)
        size = self.geometry.piece_length
        first = (entry.offset + offset) // size
        return range(first, (entry.offset + entry.length - 1) // size + 1)

    def wanted_pieces(self, priorities: Sequence[int] | None = None) -> int:
        """The set of pieces that touch a file of priority 1 (None: every file is).

        A pad file (BEP 47) wants nothing: its zeros come with the pieces of its
        neighbours.  Raises LocalProtocolError unless there is one priority per file, each
        0 or 1.
        """
        wanted = self._chosen(priorities)
        return self.union(self.pieces_from(file, 0) for file in wanted)

    def empty_files(self, priorities: Sequence[int] | None = None) -> tuple[int, ...]:
        """Files of length zero and priority 1: no piece brings them, they must be made.

        Raises LocalProtocolError as ``wanted_pieces`` does.
        """
        return tuple(file for file in self._chosen(priorities) if not self.files[file].length)

    def too_long(
        self, stats: Sequence[FileStat | None], priorities: Sequence[int] | None = None
    ) -> tuple[int, ...]:
        """The wanted files that are longer on disk than the torrent says.

        Raises LocalProtocolError as ``wanted_pieces`` does.
        """
        return tuple(
            index
            for index in self._chosen(priorities)
            if (stat := stats[index]) is not None and stat.size > self.files[index].length
        )

    def union(self, runs: Iterable[range]) -> int:
        """The set of the pieces in all of ``runs``, in time linear in runs and pieces/8.

        Or-ing a long integer per file would cost their product: minutes for a torrent of
        250,000 files.
        """
        data = bytearray((self.geometry.piece_count + 7) // 8)
        for run in runs:
            if run:
                _fill(data, run.start, run.stop)
        return int.from_bytes(data, "little")

    def _chosen(self, priorities: Sequence[int] | None) -> list[int]:
        """Indices of the files that are wanted and no padding."""
        if priorities is None:
            return [index for index, file in enumerate(self.files) if not file.pad]
        if len(priorities) != len(self.files):
            raise LocalProtocolError(f"{len(priorities)} priorities for {len(self.files)} files")
        for priority in priorities:
            if priority not in (0, 1):
                raise LocalProtocolError(f"a priority is 0 or 1, not {priority!r}")
        return [
            index for index, file in enumerate(self.files) if priorities[index] and not file.pad
        ]


def _fill(data: bytearray, start: int, stop: int) -> None:
    """Set the bits from ``start`` up to ``stop``, which is greater."""
    first, last = start >> 3, (stop - 1) >> 3
    head = 0xFF << (start & 7) & 0xFF
    tail = 0xFF >> (~(stop - 1) & 7)
    if first == last:
        data[first] |= head & tail
        return
    data[first] |= head
    data[first + 1 : last] = b"\xff" * (last - first - 1)
    data[last] |= tail
