"""How a payload is cut into pieces and blocks.  Arithmetic only."""

from __future__ import annotations

import attrs

from .classes import frozen
from .limits import BLOCK_SIZE


@frozen
class Geometry:
    """Sizes of one torrent: all lengths in bytes, all indices from zero."""

    total_length: int
    """Bytes of the whole payload; at least 1."""
    piece_length: int
    """Bytes of every piece but the last; at least 1."""
    piece_count: int = attrs.field(init=False)
    blocks_per_piece: int = attrs.field(init=False)
    """Blocks of every piece but the last."""

    def __attrs_post_init__(self) -> None:
        count = -(-self.total_length // self.piece_length)
        object.__setattr__(self, "piece_count", count)
        object.__setattr__(self, "blocks_per_piece", -(-self.piece_length // BLOCK_SIZE))

    def piece_size(self, index: int) -> int:
        """Bytes of piece ``index``; only the last one may be shorter."""
        return min(self.piece_length, self.total_length - index * self.piece_length)

    def block_count(self, index: int) -> int:
        """Blocks of piece ``index``."""
        return -(-self.piece_size(index) // BLOCK_SIZE)

    def blocks_in(self, pieces: int) -> int:
        """Blocks of a set of pieces."""
        last = self.piece_count - 1
        short = self.blocks_per_piece - self.block_count(last) if pieces >> last & 1 else 0
        return pieces.bit_count() * self.blocks_per_piece - short

    def is_block(self, index: int, begin: int, length: int) -> bool:
        """Whether (index, begin, length) is exactly one of our blocks."""
        if not 0 <= index < self.piece_count or begin < 0 or begin % BLOCK_SIZE:
            return False
        return 0 < length == min(BLOCK_SIZE, self.piece_size(index) - begin)

    def contains(self, index: int, begin: int, length: int) -> bool:
        """Whether the range lies inside piece ``index`` (REQUEST may ask for any such)."""
        if not 0 <= index < self.piece_count or begin < 0 or length <= 0:
            return False
        end = begin + length
        return end <= self.piece_length and index * self.piece_length + end <= self.total_length

    @property
    def all_pieces(self) -> int:
        """The bit set with every piece in it."""
        return (1 << self.piece_count) - 1
