"""What a link sends next, if it answers its requests in order: known before it comes.

Only the ordinary is foreseen, which is nearly all there is.  Whatever else a link is in the midst
of, its input is taken in as it comes (``arrivals``), and judged then.
"""

from __future__ import annotations

from itertools import count, islice
from operator import attrgetter, ne
from typing import TypeAlias

from ..limits import BLOCK_SIZE, MIN_PLACED_BLOCKS
from .active import ActivePiece, RequestInfo
from .manager import ActivePieceManager
from .parole import Parole
from .requests import LinkRequests

Run: TypeAlias = tuple[int, int, int, memoryview]
"""Blocks of one piece, as the connection has them (``peer.events``): index, first block, how
many, their place."""


class Expected:
    """Foresees runs of blocks, and finds their places."""

    __slots__ = ("_active", "_parole")

    def __init__(self, active: ActivePieceManager, parole: Parole) -> None:
        self._active = active
        self._parole = parole

    def runs(self, link: LinkRequests, most: int) -> list[Run] | None:
        """The next blocks of ``link``, ``most`` of them at most, each run of another piece than
        the one before it.  None if they are few, or anything is out of the ordinary."""
        if most < MIN_PLACED_BLOCKS or link.snubbed or self._parole.holders:
            return None
        runs: list[Run] = []
        blocks = 0
        info = next(iter(link.out.values()), None)
        while info is not None and blocks < most:
            piece, first = info.piece, info.block
            length = self._length(link, info, link.gone_below + blocks, most - blocks)
            if not length:
                break
            place = piece.view(0)[first * BLOCK_SIZE : (first + length) * BLOCK_SIZE]
            runs.append((piece.index, first, length, place))
            blocks += length
            info = next(islice(link.out.values(), blocks, None), None)
            if info is not None and info.piece is piece:
                break  # an input would have these in one run with the others
        return runs if blocks >= MIN_PLACED_BLOCKS else None

    def _length(self, link: LinkRequests, info: RequestInfo, serial: int, most: int) -> int:
        """How many blocks of the piece, from that of ``info`` on, come one after the other if
        its request is the oldest, of that ``serial``."""
        piece, first = info.piece, info.block
        if piece.index == self._active.last_piece or not is_open_to(piece, link, first):
            return 0
        whole = piece.length // BLOCK_SIZE
        key = self._active.key_of(info)
        asked = list(map(link.out.get, range(key, key + min(most, whole - first))))
        if None in asked:
            del asked[asked.index(None) :]
        in_turn = not any(map(ne, map(_serial_of, asked), count(serial)))
        holders = map(piece.requests.__getitem__, range(first, first + len(asked)))
        return len(asked) if in_turn and not any(map(_are_several, map(len, holders))) else 0


def is_open_to(piece: ActivePiece, link: LinkRequests, block: int) -> bool:
    """Whether the piece is whole, and nobody is writing into it but ``link`` its ``block``."""
    if not piece.is_whole:
        return False
    claims = piece.claims
    return not claims or (len(claims) == 1 and link.claim == (piece, block))


_are_several = (1).__lt__
_serial_of = attrgetter("serial")
