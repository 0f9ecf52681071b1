"""Blocks that a link was asked for, as they come.

Everything else that comes is judged by ``unasked``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from ..limits import BLOCK_SIZE
from .active import ActivePiece, RequestInfo, Stage
from .asking import Asking
from .lateness import Lateness
from .manager import ActivePieceManager
from .outcome import USED, Outcome
from .parole import Parole
from .requests import LinkRequests
from .unasked import Unasked

Block: TypeAlias = tuple[int, int, int, memoryview | None]
"""Index, begin, length, data: as the connection hands it up (``peer.events``)."""


class Arrivals:
    """Takes blocks into their pieces, and says what follows from each."""

    __slots__ = ("_active", "_asking", "_lateness", "_parole", "_unasked")

    def __init__(
        self, active: ActivePieceManager, parole: Parole, asking: Asking, lateness: Lateness
    ) -> None:
        self._active = active
        self._parole = parole
        self._asking = asking
        self._lateness = lateness
        self._unasked = Unasked(active, parole, asking, lateness, self._take)

    def block_received(
        self, link: LinkRequests, index: int, begin: int, data: memoryview | None, now: float
    ) -> Outcome:
        """Take one block in; what is to be done now."""
        block = (index, begin, 0 if data is None else len(data), data)
        for _, outcome in self.blocks_received(link, (block,), now):
            return outcome
        return USED

    def blocks_received(
        self, link: LinkRequests, blocks: Iterable[Block], now: float
    ) -> Iterator[tuple[int, Outcome]]:
        """Take each block in, if this link was asked for exactly it, now or recently.

        Each is (index, begin, length, data); ``data`` None: it was not kept.  Yields the
        length of a block from which something follows, and what, before it looks at the next.
        """
        out, parole, per_piece = link.out, self._parole.holders, self._active.blocks_per_piece
        ordinal = link.state.ordinal
        is_first = True
        for index, begin, length, data in blocks:
            key = index * per_piece + begin // BLOCK_SIZE
            info = out.get(key)
            if info is None or data is None or info.info != (index, begin, length):
                yield length, self._unasked.received(link, key, index, begin, data, now)
                continue
            if parole and self._parole.is_closed_to(index, ordinal):
                why = "is reserved for another link"
                yield length, self._unasked.in_vain(link, info, why, now)
                continue
            del out[key]
            if is_first and (now > link.last_progress or link.snubbed or link.rejections):
                self._lateness.progressed(link, now)
            else:
                link.arrived += 1
            piece = info.piece
            if piece.claims:
                self._settle_claim(link, piece, info.block)
            others = piece.add_block(info.block, data, ordinal, now)
            # Nothing follows from nearly all blocks, and nearly all come in order.
            outcome = USED
            if others or not piece.is_whole or piece.received | piece.free == piece.all_blocks:
                outcome = self._outcome(piece, info.block, others or ())
            if info.probe:
                self._active.refresh(piece)  # its block was free
            if is_first:
                is_first = False
                self._asking.touch(link)
            if info.serial == link.gone_below:
                link.gone_below += 1
            elif (oldest := link.passed_over(info)) and self._lateness.is_lost(link, oldest, now):
                outcome = Outcome(outcome.completed, outcome.duplicates, oldest)
            if outcome is not USED:
                yield length, outcome

    def open_block(
        self, link: LinkRequests, index: int, begin: int, length: int
    ) -> memoryview | None:
        """Where the payload of a block that arrives in parts may go; None: nowhere."""
        key = self._active.key(index, begin)
        info = link.out.get(key)
        if info is not None and info.info == (index, begin, length):
            return self._active.claim(link, info.piece, info.block)
        piece = self._unasked.expected(link, key, index, begin, length)
        return None if piece is None else self._active.claim(link, piece, begin // BLOCK_SIZE)

    def _take(
        self, piece: ActivePiece, block: int, data: memoryview, link: LinkRequests, now: float
    ) -> Outcome:
        self._settle_claim(link, piece, block)
        others = piece.add_block(block, data, link.state.ordinal, now)
        return self._outcome(piece, block, others or ())

    def _settle_claim(self, link: LinkRequests, piece: ActivePiece, block: int) -> None:
        """The block is there: who else was writing it stops, and the link itself has done."""
        if piece.claims.get(block, link.state.ordinal) != link.state.ordinal:
            self._active.break_claims(piece, block)
        link.claim = None

    def _outcome(
        self, piece: ActivePiece, block: int, duplicates: tuple[RequestInfo, ...]
    ) -> Outcome:
        """What follows from a block that its piece has taken in."""
        active = self._active
        for other in duplicates:
            holder = active.links[other.link]
            holder.withdraw(active.key_of(other))
            self._asking.touch(holder)
        if piece.received != piece.all_blocks:
            if active.note_block(piece, block):
                active.refresh(piece)
                if not active.memory.has_room:
                    self._asking.touch_hungry()  # there is some to be given up
            return Outcome(duplicates=duplicates) if duplicates else USED
        in_memory = piece.is_whole and not piece.stored | piece.writing
        piece.stage = Stage.HASHING if in_memory else Stage.FLUSHING
        active.disown(piece)
        active.refresh(piece)
        return Outcome(piece, duplicates)
