"""Which blocks to ask of which link, and which links to look at before the step ends.

Work is found for a link in this order:

1. blocks asked for in vain, of a piece that nobody works on (its owner left, or fell
   silent): they have waited longest;
2. the piece it is working on;
3. any other piece begun that nobody works on;
4. while fewer pieces than the soft cap are open, one that must take memory: a piece begun
   whose blocks have no places there any longer, or not yet; else a new one, rarest first;
5. a piece begun by another link: *preference, never ownership*;
6. as 4, beyond the cap: the cap yields before it leaves a link idle;
7. blocks asked of slower links (``endgame``).

A link that finds too little is *hungry*.  It is looked at again as soon as anything changes
that could feed it (blocks released, memory freed), and while others have requests out every
``ENDGAME_PATIENCE``, since links become slow without any event.  The *dirty* links are those
to look at before the step ends; a block that becomes free is therefore asked of somebody
else in the same step.
"""

from __future__ import annotations

from math import inf

from ..bitfield import indices, lowest, without
from ..limits import (
    BLOCK_SIZE,
    ENDGAME_PATIENCE,
    MAX_OPEN_BLOCKS,
    MAX_PIPELINE,
    MIN_PIPELINE,
)
from ..types import BlockInfo
from .active import ActivePiece, RequestInfo
from .endgame import steal
from .manager import ActivePieceManager
from .parole import Parole
from .picker import PiecePicker
from .relief import Relief
from .requests import LinkRequests

LINKS_TO_PIECES = 1.5
"""Open pieces per link before the soft cap bites (lt: 1.5 partial pieces a peer)."""


class Asking:
    """Finds work for links, and notes what each is asked for."""

    __slots__ = (
        "_active",
        "_dirty",
        "_hungry",
        "_parole",
        "_picker",
        "_relief",
        "_silent",
        "reassigned",
        "review_at",
    )

    def __init__(
        self, picker: PiecePicker, active: ActivePieceManager, parole: Parole, relief: Relief
    ) -> None:
        self._relief = relief
        self._picker = picker
        self._active = active
        self._parole = parole
        self._dirty: dict[int, bool] = {}  # with True: even above the low-water mark
        # The same of links that are snubbed: whoever answers comes first, since a piece that
        # is kept for one link at a time would go round among silent ones for ever.
        self._silent: dict[int, bool] = {}
        self._hungry: dict[int, float] = {}  # when it last looked at slower links in vain
        self.reassigned: list[RequestInfo] = []
        """Requests for blocks released before, since the caller last emptied this."""
        self.review_at: float | None = None
        """When hungry links are to look at slower ones again."""

    # --- Whom to look at ---------------------------------------------------------------

    def touch(self, link: LinkRequests) -> None:
        """Look at this link before the step ends."""
        self._queue(link).setdefault(link.state.ordinal, False)

    def touch_hungry(self) -> None:
        """Look at every hungry link before the step ends."""
        for ordinal in self._hungry:
            self.touch(self._active.links[ordinal])

    def touch_all(self) -> None:
        """Blocks came free: whoever has any room at all is to take them, in this step."""
        for ordinal, link in self._active.links.items():
            if len(link.out) < link.depth:
                self._queue(link)[ordinal] = True

    def _queue(self, link: LinkRequests) -> dict[int, bool]:
        return self._silent if link.snubbed else self._dirty

    def review(self, now: float) -> None:
        """Let hungry links look at slower ones again if that is due."""
        if self.review_at is not None and now >= self.review_at:
            self.review_at = None
            self.touch_hungry()

    def forget(self, ordinal: int) -> None:
        """The link is gone."""
        self._dirty.pop(ordinal, None)
        self._silent.pop(ordinal, None)
        self._hungry.pop(ordinal, None)
        if len(self._active.links) < 2:
            self.review_at = None  # nobody is left to be helped

    def next_dirty(self) -> LinkRequests | None:
        """The next link to ``fill`` before the step ends, or None."""
        queue = self._dirty or self._silent
        return self._active.links[next(iter(queue))] if queue else None

    # --- Asking ------------------------------------------------------------------------

    def fill(self, link: LinkRequests, now: float) -> list[BlockInfo]:
        """Blocks to ask of ``link`` now, noted as asked; it is not dirty any longer."""
        ordinal = link.state.ordinal
        # In both, if it fell silent or delivered again since it was touched.
        eager = self._dirty.pop(ordinal, False) | self._silent.pop(ordinal, False)
        if not eager:  # else the room that there was when blocks came free still counts
            link.pace(now, self._share())
        room = link.room(eager=eager)
        if room > 0:
            asked = self._fill(link, room, now)
        else:
            asked = []
        self._active.rearm(link)
        return asked

    def _share(self) -> int:
        """Requests that one link may have out: while memory is short, its share of that.

        A few fast links would else hold places for all that they deliver in seconds, and the
        others, for which there are none, would have nothing to do.  Another link is reckoned
        with, so that there is room for one that comes.
        """
        memory = self._active.memory
        if not memory.is_short:
            return MAX_PIPELINE
        return max(MIN_PIPELINE, memory.budget.limit // BLOCK_SIZE // (self._active.busy + 1))

    def _fill(self, link: LinkRequests, room: int, now: float) -> list[BlockInfo]:
        usable = without(link.usable(now), self._parole.closed_to(link))
        asked: list[BlockInfo] = []
        while usable and room > len(asked):
            piece = self._choose(link, usable, now)
            if piece is None:
                if usable & (self._active.dry | self._picker.candidates):
                    self._relief.refused(link)
                asked += self._steal(link, usable, room - len(asked), now)
                break
            asked += self._ask(link, piece, room - len(asked), now)
        if len(asked) == room:
            self._hungry.pop(link.state.ordinal, None)
        else:
            self._hungry.setdefault(link.state.ordinal, -inf)
            if usable and self.review_at is None:
                self._arm_review(now)
        return asked

    def _arm_review(self, now: float) -> None:
        active = self._active
        if len(active.links) > 1 and active.next_timeout() is not None:
            self.review_at = now + ENDGAME_PATIENCE

    def _choose(self, link: LinkRequests, usable: int, now: float) -> ActivePiece | None:
        active = self._active
        current = link.current
        begun = active.open & usable
        alone = without(begun, active.owned)
        orphaned = alone & active.orphaned
        if not orphaned and current is not None and begun >> current.index & 1:
            return current
        piece = None
        if alone:
            piece = active.get(lowest(orphaned or alone))
        elif active.open.bit_count() < self._soft_cap():
            piece = self._open(link, usable, now)
        if piece is None and begun:
            piece = active.get(lowest(begun))
        if piece is None:
            piece = self._open(link, usable, now)
        if piece is not None:
            active.own(piece, link)
            self._parole.take(piece.index, link.state.ordinal)
        return piece

    def _open(self, link: LinkRequests, usable: int, now: float) -> ActivePiece | None:
        """A piece that must take memory first: one begun and dry, else a new one."""
        active = self._active
        dry = active.dry & usable
        if not dry:
            index = self._picker.pick(usable, link.state.suggested)
            return None if index is None else active.get_or_create(index, now)
        piece = link.current
        if piece is None or not dry >> piece.index & 1:
            piece = active.get(lowest(dry & ~active.owned or dry))
        return piece if piece is not None and active.provide(piece, now) else None

    def _soft_cap(self) -> int:
        config = self._active.config
        by_links = max(config.max_active_pieces, int(LINKS_TO_PIECES * len(self._active.links)))
        return max(1, min(by_links, MAX_OPEN_BLOCKS // self._active.blocks_per_piece))

    def _ask(
        self, link: LinkRequests, piece: ActivePiece, room: int, now: float
    ) -> list[BlockInfo]:
        before = piece.released
        asked = self._active.request(link, piece, piece.free_blocks(room), now)
        if before:
            self._note_reassigned(piece, before)
        return asked

    def _note_reassigned(self, piece: ActivePiece, before: int) -> None:
        for block in indices(before & ~piece.released):
            self.reassigned.append(piece.requests[block][-1])

    # --- End-game ----------------------------------------------------------------------

    def _steal(self, link: LinkRequests, usable: int, room: int, now: float) -> list[BlockInfo]:
        """A look costs a glance at every link, so one in vain is not repeated at once."""
        ordinal = link.state.ordinal
        if link.out and now < self._hungry.get(ordinal, -inf) + ENDGAME_PATIENCE:
            return []
        usable &= ~self._parole.everything
        asked: list[BlockInfo] = []
        for info in steal(link, self._active.links, usable, room, now):
            asked += self._active.request(link, info.piece, [info.block], now)
        self._hungry[ordinal] = -inf if asked else now
        return asked
