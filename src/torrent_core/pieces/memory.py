"""Memory for blocks: taken from the budget a segment at a time, and given back so.

A piece of up to a quarter of the budget is one segment: it takes its memory when it is
begun, and is hashed from there.  A longer one has short segments: each takes memory when
its first block is asked for, and is written as soon as its last has come.  Either way no
block is asked for that has no place, so that what arrives never exceeds the budget,
however many links there are and however slow the disk is.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..budget import Budget
from ..geometry import Geometry
from ..limits import (
    BLOCK_SIZE,
    MAX_SEGMENT_BLOCKS,
    MIN_SEGMENTS,
    SEGMENTS_IN_BUDGET,
    WRITE_THROUGH_SHARE,
)
from ..types import InfoHash
from .active import ActivePiece


class PieceMemory:
    """The segments of one torrent's pieces."""

    __slots__ = ("_idle", "_owner", "_pool", "budget", "held", "segment_size", "segments", "span")

    def __init__(self, geometry: Geometry, budget: Budget, owner: InfoHash) -> None:
        whole = min(geometry.piece_length, geometry.total_length)
        self.budget = budget
        self.span = _span(whole, budget.limit)
        """Blocks of a segment."""
        self.segment_size = min(self.span * BLOCK_SIZE, whole)
        """Bytes of the longest segment."""
        self.segments = 0
        """How many are in memory."""
        self.held = 0
        """Their bytes."""
        self._idle: dict[int, ActivePiece] = {}  # longest idle first
        self._owner = owner
        self._pool: list[bytearray] = []

    @property
    def has_room(self) -> bool:
        """Whether one more segment of the usual length would be let in."""
        return self.has_room_for(self.segment_size)

    def has_room_for(self, length: int) -> bool:
        """The same of a piece of ``length`` bytes."""
        return self.segments < MIN_SEGMENTS or min(length, self.segment_size) <= self.budget.room

    def wait(self) -> None:
        """The owner is to be told when there is room."""
        self.budget.wait(self._owner)

    @property
    def is_short(self) -> bool:
        """Whether less than a quarter of the budget is left."""
        return WRITE_THROUGH_SHARE * self.budget.room < self.budget.limit

    def take(self, piece: ActivePiece, segment: int) -> bool:
        """Give ``segment`` memory; False if there is none left, and then the owner will be
        told when there is."""
        length = piece.segment_length(segment)
        force = self.segments < MIN_SEGMENTS
        if not self.budget.take(length, self._owner, force=force):
            return False
        self.segments += 1
        self.held += length
        piece.grant(segment)
        return True

    def lend(self) -> bytearray:
        """Storage for a segment: what was given back last, if anything was."""
        return self._pool.pop() if self._pool else bytearray(self.segment_size)

    def give(self, piece: ActivePiece, segment: int) -> None:
        """Take the memory of ``segment`` back; whatever is in it is saved or not wanted."""
        length = piece.segment_length(segment)
        storage = piece.revoke(segment)
        self.segments -= 1
        self.held -= length
        self.budget.give(length)
        # No more to spare than in use: the pool must not outgrow the budget.
        if storage is not None and len(self._pool) < max(self.segments, MIN_SEGMENTS):
            self._pool.append(storage)

    # --- Giving way --------------------------------------------------------------------

    def note_idle(self, piece: ActivePiece, *, idle: bool) -> None:
        """Whether nobody works on some of the piece's memory has changed: now it is so."""
        if idle:
            self._idle[piece.index] = piece
            self.budget.offer(self._owner)
        else:
            del self._idle[piece.index]
            if not self._idle:
                self.budget.retract(self._owner)

    def idle_pieces(self) -> Iterable[ActivePiece]:
        """The pieces with memory that nobody works on, the one that was left first first."""
        return self._idle.values()


def _span(longest: int, limit: int) -> int:
    """Blocks of a segment, for pieces of up to ``longest`` bytes under a budget of ``limit``:
    all of such a piece, or a power of two."""
    if WRITE_THROUGH_SHARE * longest <= limit:
        return -(-longest // BLOCK_SIZE)
    span = MAX_SEGMENT_BLOCKS
    while span > 1 and span * BLOCK_SIZE * SEGMENTS_IN_BUDGET > limit:
        span //= 2
    return span
