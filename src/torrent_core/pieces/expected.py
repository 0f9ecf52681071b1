"""What a link sends next, if it answers its requests in order: known before it comes.

Only the ordinary is foreseen, which is nearly all there is.  Whatever else a link is in the midst
of, its input is taken in as it comes (``arrivals``), and judged then.
"""

from __future__ import annotations

from itertools import count, groupby, islice
from operator import and_, attrgetter, eq
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
        for piece, asked in groupby(islice(link.out.values(), most), _piece_of):
            infos = list(asked)
            first, length = infos[0].block, self._together(link, piece, infos, blocks)
            if length:
                place = piece.view(0)[first * BLOCK_SIZE : (first + length) * BLOCK_SIZE]
                runs.append((piece.index, first, length, place))
                blocks += length
            if length < len(infos):
                break  # an input would have the rest in one run with these
        return runs if blocks >= MIN_PLACED_BLOCKS else None

    def _together(
        self, link: LinkRequests, piece: ActivePiece, infos: list[RequestInfo], before: int
    ) -> int:
        """How many of these requests for blocks of ``piece`` are for one after the other, with
        ``before`` requests ahead of them and none that was passed over."""
        first = infos[0].block
        if piece.index == self._active.last_piece or not is_open_to(piece, link, first):
            return 0
        blocks = range(first, min(first + len(infos), piece.length // BLOCK_SIZE))
        serials = count(link.gone_below + before)
        in_order = map(
            and_, map(eq, map(_block_of, infos), blocks), map(eq, map(_serial_of, infos), serials)
        )
        length = [*in_order, False].index(False)
        holders = map(piece.requests.__getitem__, blocks[:length])
        return 0 if any(map(_are_several, map(len, holders))) else length


def is_open_to(piece: ActivePiece, link: LinkRequests, block: int) -> bool:
    """Whether the piece is whole, and nobody is writing into it but ``link`` its ``block``."""
    if not piece.is_whole:
        return False
    claims = piece.claims
    return not claims or (len(claims) == 1 and link.claim == (piece, block))


_are_several = (1).__lt__
_block_of = attrgetter("block")
_piece_of = attrgetter("piece")
_serial_of = attrgetter("serial")
