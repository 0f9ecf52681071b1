"""The digest of each block of a piece that comes in parts, cut anywhere."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from torrent_core.limits import BLOCK_SIZE


class BlockHasher:
    """Takes a piece in, and has the SHA-1 of its blocks."""

    def __init__(self) -> None:
        self._hashers = [hashlib.sha1()]
        self._filled = 0  # bytes of the last one

    def update(self, view: memoryview) -> None:
        """The next bytes of the piece."""
        while view:
            if self._filled == BLOCK_SIZE:
                self._hashers.append(hashlib.sha1())
                self._filled = 0
            part = view[: BLOCK_SIZE - self._filled]
            self._hashers[-1].update(part)
            self._filled += len(part)
            view = view[len(part) :]

    def digests(self, blocks: Iterable[int]) -> tuple[bytes, ...]:
        """Of these blocks, by number, in their order."""
        return tuple(self._hashers[block].digest() for block in blocks)
