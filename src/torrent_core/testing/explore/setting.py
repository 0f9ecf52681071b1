"""What is explored: how small the torrent is, how many peers there are, what may go wrong."""

from __future__ import annotations

from functools import cached_property

import attrs

from ...limits import BLOCK_SIZE
from ...metainfo import Metainfo
from ...metainfo.create import TorrentBuilder
from ...types import BlockInfo
from ...wire import messages as wire

GOOD, CORRUPT = b"\1", b"\0"
"""First byte of a block that is as the torrent says, and of one that is not."""

_DIGEST = 20
_MOST = 99
_BOUNDS = {
    "links": (1, 8),
    "pieces": (1, _MOST),
    "blocks": (1, _MOST),
    "reconnects": (0, _MOST),
    "corruptions": (0, _MOST),
    "failures": (0, _MOST),
    "waits_in_all": (0, _MOST),
    "memory": (1, _MOST),
}


@attrs.frozen(kw_only=True, slots=False)  # what is derived is kept in the instance
class Setting:
    """The bounds of one exploration.  Raises ValueError, naming the field, for absurd ones.

    Faults are counted over a whole run, so that the walk ends: what is interesting is where
    among the other events they fall, not that a disk can fail for ever.
    """

    links: int = 2
    """Peers, each with at most one link at a time."""
    pieces: int = 2
    blocks: int = 2
    """Blocks of each piece."""
    fast: tuple[bool, ...] = (True, False)
    """Which peers speak BEP 6; repeated if there are more peers."""
    reconnects: int = 1
    """How often each peer may come back."""
    piecemeal: bool = True
    """Whether a peer may also come with nothing, and gain its pieces one by one."""
    corruptions: int = 1
    """Corrupt blocks that may be sent."""
    failures: int = 1
    """Storage jobs that may fail."""
    waits: tuple[float, ...] = (45.0,)
    """Seconds that may pass without the call that was owed meanwhile: a machine that slept."""
    waits_in_all: int = 1
    """How often that may happen."""
    memory: int = _MOST
    """Pieces that the memory budget holds."""

    def __attrs_post_init__(self) -> None:
        for name, (least, most) in _BOUNDS.items():
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name!r} is {least} to {most}, not {getattr(self, name)}")
        if not self.fast:
            raise ValueError("'fast' says of one peer at least whether it speaks BEP 6")
        if any(seconds <= 0 for seconds in self.waits):
            raise ValueError("'waits' are positive: time neither stands still nor goes back")

    @cached_property
    def metainfo(self) -> Metainfo:
        """The torrent."""
        piece_length = self.blocks * BLOCK_SIZE
        files = [(("tiny",), self.pieces * piece_length)]
        builder = TorrentBuilder("tiny", files, single_file=True, piece_length=piece_length)
        return builder.build(b"".join(map(right_digest, range(self.pieces))))

    @cached_property
    def messages(self) -> dict[tuple[BlockInfo, bytes], bytes]:
        """The PIECE message of each block, good and corrupt: made once, for all runs."""
        rest = bytes(BLOCK_SIZE - 1)
        return {
            (BlockInfo(piece, begin, BLOCK_SIZE), mark): wire.encode(
                wire.Piece(piece, begin, mark + rest)
            )
            for piece in range(self.pieces)
            for begin in range(0, self.blocks * BLOCK_SIZE, BLOCK_SIZE)
            for mark in (GOOD, CORRUPT)
        }

    @property
    def all_pieces(self) -> int:
        """The set of all pieces."""
        return (1 << self.pieces) - 1

    def speaks_fast(self, peer: int) -> bool:
        """Whether that peer speaks BEP 6."""
        return self.fast[peer % len(self.fast)]


def right_digest(piece: int) -> bytes:
    """What a piece without a corrupt block hashes to here: no payload is worth a SHA-1."""
    return bytes([piece]) * _DIGEST


WRONG_DIGEST = b"\xff" * _DIGEST
"""What a piece with a corrupt block hashes to."""


def block_digest(mark: int) -> bytes:
    """What one block hashes to here: two that are equally good are the same bytes."""
    return bytes([mark]) * _DIGEST
