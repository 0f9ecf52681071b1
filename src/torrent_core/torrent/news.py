"""Pieces that became ours, as HAVEs for many links.

A thousand links are told of the same pieces: each message is encoded once, and what is done
for each link and piece is left to C.
"""

from __future__ import annotations

from functools import reduce
from itertools import compress
from operator import and_, or_

from ..bitfield import wire_length, without
from ..wire.messages import encode_haves


class News:
    """The HAVEs of some pieces, given by index."""

    __slots__ = ("_bytes", "_haves", "_joined", "_masks", "_size", "pieces")

    def __init__(self, indices: list[int]) -> None:
        self.pieces = reduce(or_, (1 << index for index in indices), 0)
        """The same as a set."""
        self._haves = [encode_haves((index,)) for index in indices]
        self._joined = b"".join(self._haves)
        self._size = wire_length(self.pieces.bit_length())
        self._bytes = [index >> 3 for index in indices]
        self._masks = [1 << (index & 7) for index in indices]

    def haves_for(self, theirs: int) -> bytes:
        """The messages for a peer that has the set ``theirs``: none for what is in it."""
        lacking = without(self.pieces, theirs)
        if lacking == self.pieces:
            return self._joined
        if not lacking:
            return b""
        # Turned into bytes once: steps on the set itself cost its length for every piece.
        data = lacking.to_bytes(self._size, "little")
        return b"".join(
            compress(self._haves, map(and_, map(data.__getitem__, self._bytes), self._masks))
        )
