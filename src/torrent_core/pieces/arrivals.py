"""Blocks that a link was asked for, as they come.

Everything else that comes is judged by ``unasked``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, TypeAlias

from ..limits import BLOCK_SIZE
from .active import ActivePiece, RequestInfo, Stage
from .asking import Asking
from .expected import Run, is_open_to
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
        self, link: LinkRequests, blocks: Sequence[Block], now: float
    ) -> Iterator[tuple[int, Outcome]]:
        """Take each block in, if this link was asked for exactly it, now or recently.

        Each is (index, begin, length, data); ``data`` None: it was not kept.  Yields the
        length of a block from which something follows, and what, before it looks at the next.
        """
        at, count, fresh = 0, len(blocks), True
        while at < count:
            end = at
            if not (link.snubbed or self._parole.holders):
                end, outcome = self._take_run(link, blocks, at, fresh, now)
            if end > at:
                fresh, at = False, end
            else:
                outcome, used = self._take_any(link, blocks[at], fresh, now)
                fresh = fresh and not used
                at += 1
            if outcome is not USED:
                yield blocks[at - 1][2], outcome

    def _take_any(
        self, link: LinkRequests, block: Block, fresh: bool, now: float
    ) -> tuple[Outcome, bool]:
        """Take in one block of which anything may be true; also returns whether it was asked for
        and of use.  ``fresh``: this input has had none of that kind yet."""
        index, begin, length, data = block
        key = index * self._active.blocks_per_piece + begin // BLOCK_SIZE
        info = link.out.get(key)
        if info is None or data is None or info.info != (index, begin, length):
            return self._unasked.received(link, key, index, begin, data, now), False
        if self._parole.holders and self._parole.is_closed_to(index, link.state.ordinal):
            why = "is reserved for another link"
            return self._unasked.in_vain(link, info, why, now), False
        del link.out[key]
        self._note_progress(link, 1, fresh, now)
        outcome = self._take(info.piece, info.block, data, link, now)
        if info.probe:
            self._active.refresh(info.piece)  # its block was free
        if fresh:
            self._asking.touch(link)
        if info.serial == link.gone_below:
            link.gone_below += 1
        elif (oldest := link.passed_over(info)) and self._lateness.is_lost(link, oldest, now):
            outcome = Outcome(outcome.completed, outcome.duplicates, oldest)
        return outcome, True

    def _note_progress(self, link: LinkRequests, count: int, fresh: bool, now: float) -> None:
        link.arrived += count
        if fresh and (now > link.last_progress or link.snubbed or link.rejections):
            link.arrived -= 1
            self._lateness.progressed(link, now)

    # --- Runs ----------------------------------------------------------------------------

    def runs_received(
        self, link: LinkRequests, runs: Sequence[Run], now: float
    ) -> Iterator[tuple[int, Outcome]]:
        """As ``blocks_received``, of blocks that were expected, and are in their places: nothing
        has changed since.  Here no block costs a step."""
        fresh = True
        for index, first, count, _ in runs:
            key = index * self._active.blocks_per_piece + first
            piece = link.out[key].piece
            blocks = range(first, first + count)
            _drop(link.out, range(key, key + count))
            _drop(piece.requests, blocks)
            piece.senders.update(dict.fromkeys(blocks, link.state.ordinal))
            if piece.claims:
                self._active.unclaim(link)
            link.gone_below += count
            piece.received |= (1 << count) - 1 << first
            piece.last_activity = now
            outcome = self._note_run(link, piece, count, fresh, now)
            fresh = False
            if outcome is not USED:
                yield BLOCK_SIZE, outcome

    def _take_run(
        self, link: LinkRequests, blocks: Sequence[Block], at: int, fresh: bool, now: float
    ) -> tuple[int, Outcome]:
        """Take in the blocks from ``at`` on that are of one whole piece and answer the oldest
        requests of the link in order, with nobody else asked for them: as nearly all do.
        Returns where that ends, and what follows; of none but the last can anything.

        ``_take_any`` does the same for each: here no block costs a call.
        """
        index, begin, _, _ = blocks[at]
        piece = self._active.get(index)
        if piece is None or not is_open_to(piece, link, begin // BLOCK_SIZE):
            return at, USED
        out, requests, senders = link.out, piece.requests, piece.senders
        ordinal, base = link.state.ordinal, index * self._active.blocks_per_piece
        serial, received, in_place = link.gone_below, 0, bool(piece.claims)
        buffer = None
        for number, begin, length, data in islice(blocks, at, None):
            block = begin // BLOCK_SIZE
            info = out.get(base + block) if number == index else None
            if info is None or info.serial != serial or data is None:
                break
            if info.info != (index, begin, length) or len(requests[block]) > 1:
                break
            if in_place:
                in_place = False
                self._active.unclaim(link)
            else:
                if buffer is None:
                    buffer = piece.view(0)
                buffer[begin : begin + length] = data
            del out[base + block], requests[block]
            senders[block] = ordinal
            received |= 1 << block
            serial += 1
        taken = serial - link.gone_below
        if not taken:
            return at, USED
        link.gone_below = serial
        piece.received |= received
        piece.last_activity = now
        return at + taken, self._note_run(link, piece, taken, fresh, now)

    def _note_run(
        self, link: LinkRequests, piece: ActivePiece, taken: int, fresh: bool, now: float
    ) -> Outcome:
        self._note_progress(link, taken, fresh, now)
        if fresh:
            self._asking.touch(link)
        if piece.received | piece.free != piece.all_blocks:
            return USED
        return self._outcome(piece, 0, ())  # which block it was matters to longer pieces only

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
        if piece.standing:  # of most pieces each block was asked for long ago
            active.refresh(piece)
        return Outcome(piece, duplicates)


def _drop(entries: dict[int, Any], keys: range) -> None:
    """Remove these keys, which are there."""
    deque(map(entries.__delitem__, keys), maxlen=0)
