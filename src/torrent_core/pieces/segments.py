"""Where the blocks of one piece lie in memory.

Memory comes in *segments* of ``span`` blocks; a piece of one segment is *whole*.  A segment
that was granted has places for its blocks.  Its storage is lent when the first block comes, or
must be about to, not before: with many pieces asked for, the one given back last, which the
processor still has at hand, then serves the one that is next to come.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..bitfield import indices, lowest, without
from ..limits import BLOCK_SIZE


class Segments:
    """The places of a piece of ``length`` bytes.

    ``lend`` answers with storage at least as long as any segment.  ``span`` None: the piece is
    whole, and granted at once; else nothing is, and a span shorter than the piece is a power
    of two.
    """

    __slots__ = (
        "_buffer",
        "_firsts",
        "_lend",
        "_views",
        "all_blocks",
        "blocks_needed",
        "is_whole",
        "length",
        "places",
        "span",
    )

    def __init__(self, length: int, lend: Callable[[], bytearray] | None, span: int | None) -> None:
        self.length = length
        self.blocks_needed = -(-length // BLOCK_SIZE)
        self.all_blocks = (1 << self.blocks_needed) - 1
        """Set of all blocks."""
        self.span = span or self.blocks_needed
        """Blocks of every segment but the last."""
        self.is_whole = self.span >= self.blocks_needed
        """Whether the piece is one segment; if not, it is written through."""
        self.places = 0
        """Set of blocks whose segment is granted."""
        self._firsts = 0  # set of the first blocks of those segments
        self._lend = lend or partial(bytearray, length)
        self._views: dict[int, memoryview] = {}  # of the storage lent to segments
        self._buffer: memoryview | None = None  # the same of a whole piece
        if span is None:
            self.grant(0)

    def block_length(self, block: int) -> int:
        """Bytes of the block; only the last one may be shorter."""
        return BLOCK_SIZE if block + 1 < self.blocks_needed else self.length - block * BLOCK_SIZE

    def segment_blocks(self, segment: int) -> int:
        """Set of the blocks of a segment."""
        if self.is_whole:
            return self.all_blocks
        return (((1 << self.span) - 1) << segment * self.span) & self.all_blocks

    def segment_length(self, segment: int) -> int:
        """Bytes of a segment; only the last one may be shorter."""
        if self.is_whole:
            return self.length
        begin = segment * self.span * BLOCK_SIZE
        return min(self.span * BLOCK_SIZE, self.length - begin)

    @property
    def segments(self) -> list[int]:
        """The segments that are granted, ascending."""
        if self.is_whole:
            return [0] if self._firsts else []
        return [first // self.span for first in indices(self._firsts)]

    def segments_of(self, blocks: int) -> list[int]:
        """The segments that have any of these blocks, ascending."""
        if self.is_whole:
            return [0] if blocks else []
        found: list[int] = []
        while blocks:
            found.append(lowest(blocks) // self.span)
            blocks = without(blocks, self.segment_blocks(found[-1]))
        return found

    def grant(self, segment: int) -> None:
        """Its blocks have places from now on."""
        self.places |= self.segment_blocks(segment)
        self._firsts |= 1 << segment * self.span

    def revoke(self, segment: int) -> bytearray | None:
        """Its blocks have no places any longer; returns what was lent to it, if anything."""
        self.places &= ~self.segment_blocks(segment)
        self._firsts &= ~(1 << segment * self.span)
        self._buffer = None
        view = self._views.pop(segment, None)
        return None if view is None else view.obj  # type: ignore[return-value]

    def view(self, segment: int) -> memoryview:
        """The place of a segment that is granted."""
        view = self._views.get(segment)
        if view is None:
            view = memoryview(self._lend())[: self.segment_length(segment)]
            self._views[segment] = view
            if self.is_whole:
                self._buffer = view
        return view

    def block_view(self, block: int) -> memoryview:
        """The block's place in memory, writable."""
        segment, at = divmod(block, self.span)
        return self.view(segment)[at * BLOCK_SIZE : (at + 1) * BLOCK_SIZE]
