"""Pieces that failed their hash with several contributors: one link alone per retry.

Until such a piece is fetched whole from one link, nobody can tell who spoiled it.  A link
that takes a paroled piece becomes its holder; blocks of others are not accepted for it.  If
the holder leaves, is choked or falls silent, what it sent is dropped and the next link
starts over: mixing would leave blame unsettled again.

A holder that merely is slow must not keep the others waiting.  A link that has nothing else
to do and would need at most half the time for the whole piece takes it over.  Each link may
do so once for each failure, so that two cannot take a piece from each other for ever.
"""

from __future__ import annotations

from ..limits import BLOCK_SIZE
from .active import ActivePiece, Stage
from .endgame import WORTHWHILE
from .manager import ActivePieceManager
from .requests import LinkRequests


class Parole:
    """Which pieces are reserved for one link, and for whom."""

    __slots__ = ("_had", "holders")

    def __init__(self) -> None:
        self.holders: dict[int, int | None] = {}
        """Ordinal of the link for which each such piece is reserved, or None: for the next."""
        self._had: dict[int, dict[int, None]] = {}  # links that have been holders of each

    def sentence(self, index: int) -> None:
        """From now on piece ``index`` is fetched from one link at a time."""
        self.holders[index] = None
        self._had[index] = {}

    def release(self, index: int) -> None:
        """Piece ``index`` passed, or is not wanted any longer."""
        self.holders.pop(index, None)
        self._had.pop(index, None)

    def closed_to(self, link: LinkRequests) -> int:
        """Set of pieces reserved for links other than ``link``."""
        closed = 0
        for index, holder in self.holders.items():
            if holder is not None and holder != link.state.ordinal:
                closed |= 1 << index
        return closed

    @property
    def everything(self) -> int:
        """Set of all paroled pieces: end-game must not share them."""
        return sum(1 << index for index in self.holders)

    def is_closed_to(self, index: int, ordinal: int) -> bool:
        """Whether blocks of piece ``index`` from this link are refused."""
        return index in self.holders and self.holders[index] != ordinal

    def take(self, index: int, ordinal: int) -> None:
        """The link is asked for piece ``index``: it holds the parole, if there is one."""
        if index in self.holders:
            self.holders[index] = ordinal
            self._had[index][ordinal] = None

    def held_by(self, ordinal: int) -> list[int]:
        """The pieces reserved for this link."""
        return [index for index, holder in self.holders.items() if holder == ordinal]

    @property
    def reserved(self) -> int:
        """Set of the pieces that have a holder."""
        return sum(1 << index for index, holder in self.holders.items() if holder is not None)

    def had_by(self, ordinal: int) -> int:
        """Set of paroled pieces for which this link is or was the holder."""
        return sum(1 << index for index, had in self._had.items() if ordinal in had)

    def vacate(self, index: int) -> None:
        """The next link may take piece ``index``."""
        if index in self.holders:
            self.holders[index] = None

    def __len__(self) -> int:
        return len(self.holders)


def outpaced(
    taker: LinkRequests, parole: Parole, active: ActivePieceManager, now: float
) -> tuple[ActivePiece, LinkRequests] | None:
    """A piece that ``taker``, which has nothing else to do, should take, and its holder."""
    usable = 0 if taker.snubbed else taker.usable & ~parole.had_by(taker.state.ordinal)
    for index, ordinal in parole.holders.items():
        piece = active.get(index) if usable >> index & 1 else None
        if ordinal is None or piece is None or piece.stage is not Stage.DOWNLOADING:
            continue  # whoever holds a piece that is being hashed may be gone
        holder, left = active.links[ordinal], piece.blocks_needed - piece.blocks_received
        if _time(taker, piece.blocks_needed, now) < WORTHWHILE * _time(holder, left, now):
            return piece, holder
    return None


def _time(link: LinkRequests, blocks: int, now: float) -> float:
    rate = link.state.down.value(now)
    return blocks * BLOCK_SIZE / rate if rate else float("inf")
