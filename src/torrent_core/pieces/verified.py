"""What is ours: verified *and* written.  Nothing about the download in progress."""

from __future__ import annotations

from ..bitfield import has
from ..geometry import Geometry


class PieceManager:
    """The verified pieces of one torrent, with their expected digests and lengths."""

    __slots__ = ("_hashes", "bitfield", "geometry")

    def __init__(self, geometry: Geometry, hashes: bytes) -> None:
        self.geometry = geometry
        self.bitfield = 0
        """Set of pieces that are verified and written."""
        self._hashes = hashes

    def expected_hash(self, index: int) -> bytes:
        """The SHA-1 that piece ``index`` must have (BEP 3, pieces)."""
        return self._hashes[20 * index : 20 * index + 20]

    def piece_length(self, index: int) -> int:
        """Bytes of piece ``index``."""
        return self.geometry.piece_size(index)

    def is_verified(self, index: int) -> bool:
        """Whether piece ``index`` is ours."""
        return has(self.bitfield, index)

    def mark_verified(self, index: int) -> None:
        """Piece ``index`` is ours from now on."""
        self.bitfield |= 1 << index

    def replace(self, bits: int) -> None:
        """Set the whole set at once, as a check found it."""
        self.bitfield = bits

    @property
    def is_complete(self) -> bool:
        """Whether every piece of the torrent is ours."""
        return self.bitfield == self.geometry.all_pieces
