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

A link that finds too little is *hungry*.  It is looked at again as soon as anything comes free
that it could take (blocks released, memory freed), and while others have requests out every
``ENDGAME_PATIENCE``, since links become slow without any event.  The *dirty* links are those
to look at before the step ends; a block that becomes free is therefore asked of somebody
else in the same step.

What came free is offered to one hungry link after another, each found by the pieces it could
be asked for (``waiting``), until nothing is left of it or nobody could take it: an event costs
what it frees, however many links wait.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice
from math import inf

from ..bitfield import indices, lowest, without
from ..limits import (
    BLOCK_SIZE,
    ENDGAME_PATIENCE,
    MAX_LINKS_REVIEWED,
    MAX_OPEN_BLOCKS,
    MAX_PIPELINE,
    MAX_SLOW_LINKS_SEEN,
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
from .waiting import Waiting

LINKS_TO_PIECES = 1.5
"""Open pieces per link before the soft cap bites (lt: 1.5 partial pieces a peer)."""


class Asking:
    """Finds work for links, and notes what each is asked for."""

    __slots__ = (
        "_active",
        "_awake",
        "_blocks_free",
        "_busy",
        "_dirty",
        "_hungry",
        "_memory_free",
        "_parole",
        "_picker",
        "_relief",
        "_roomy",
        "_silent",
        "_unheard",
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
        # When it last looked at slower links in vain; first whose turn to look is next.
        self._hungry: OrderedDict[int, float] = OrderedDict()
        # The hungry ones that could be asked for anything, and for what; those that are
        # snubbed apart.
        self._awake = Waiting()
        self._unheard = Waiting()
        # Links with requests out, and some that had: first who is looked at next.
        self._busy: OrderedDict[int, LinkRequests] = OrderedDict()
        self._roomy: dict[int, None] = {}  # above the low-water mark, and could take some more
        self._blocks_free = False  # something came free that nobody has been offered
        self._memory_free = False
        self.reassigned: list[RequestInfo] = []
        """Requests for blocks released before, since the caller last emptied this."""
        self.review_at: float | None = None
        """When hungry links are to look at slower ones again."""

    # --- Whom to look at ---------------------------------------------------------------

    def touch(self, link: LinkRequests) -> None:
        """Look at this link before the step ends."""
        self._queue(link).setdefault(link.state.ordinal, False)

    def touch_hungry(self) -> None:
        """Blocks or memory came free: whoever can is to take them in this step."""
        self._blocks_free = self._memory_free = True
        if self._parole.holders:  # a hungry link may take over what is reserved for a slow one
            self._look_around()

    def _queue(self, link: LinkRequests) -> dict[int, bool]:
        return self._silent if link.snubbed else self._dirty

    def review(self, now: float) -> None:
        """Let hungry links look at slower ones again if that is due: all, or of many the
        next few."""
        if self.review_at is not None and now >= self.review_at:
            self.review_at = None
            self._look_around()
            if len(self._hungry) > MAX_LINKS_REVIEWED:
                self._arm_review(now)

    def _look_around(self) -> None:
        for ordinal in list(islice(self._hungry, MAX_LINKS_REVIEWED)):
            self._hungry.move_to_end(ordinal)
            self.touch(self._active.links[ordinal])

    def forget(self, ordinal: int) -> None:
        """The link is gone."""
        self._dirty.pop(ordinal, None)
        self._silent.pop(ordinal, None)
        self._roomy.pop(ordinal, None)
        self._busy.pop(ordinal, None)
        self._sated(ordinal)
        if len(self._active.links) < 2:
            self.review_at = None  # nobody is left to be helped

    def next_dirty(self) -> LinkRequests | None:
        """The next link to ``fill`` before the step ends, or None."""
        if self._dirty:
            return self._active.links[next(iter(self._dirty))]
        ordinal = None
        if (self._blocks_free or self._memory_free) and self._may_take():
            ordinal = self._taker(self._awake)
            if ordinal is None:
                # Before those that have just lost something, or they would take it back.
                ordinal = self._taker(self._unheard)
            if ordinal is None:
                self._blocks_free = self._memory_free = False
        if ordinal is None:
            ordinal = next(iter(self._silent), None)
        return None if ordinal is None else self._active.links[ordinal]

    # --- What came free ----------------------------------------------------------------

    def _taker(self, waiting: Waiting) -> int | None:
        """The next of these links that can take of what came free."""
        active = self._active
        ordinal = None
        if self._blocks_free and active.open:
            ordinal = self._able(waiting, active.open)
            if ordinal is None and waiting is self._awake:
                ordinal = self._topped_up(active.orphaned)
        if ordinal is None and self._memory_free:
            ordinal = self._able(waiting, active.dry | self._picker.candidates)
        return ordinal

    def _may_take(self) -> bool:
        """Whether any link is there that could take of what came free; else it is forgotten."""
        if not self._hungry and not (self._roomy and self._active.orphaned):
            self._blocks_free = self._memory_free = False
        return self._blocks_free or self._memory_free

    def _able(self, waiting: Waiting, pieces: int) -> int | None:
        """A link among those waiting that may be asked for any of these pieces."""
        for index, holder in self._parole.holders.items():
            if holder is not None and pieces >> index & 1:
                if waiting.has(holder, 1 << index):
                    return holder
                pieces ^= 1 << index
        return waiting.find(pieces)

    def _topped_up(self, pieces: int) -> int | None:
        """A link that is busy enough, and is to take these nevertheless.

        To find none is no harm: whoever comes to its low-water mark first takes them.  So it
        is enough to look at a few.
        """
        for ordinal in list(islice(self._roomy, MAX_LINKS_REVIEWED if pieces else 0)):
            del self._roomy[ordinal]
            link = self._active.links[ordinal]
            if len(link.out) < link.depth and link.answers & pieces:
                self._queue(link)[ordinal] = True
                return ordinal
        return None

    def _sated(self, ordinal: int) -> None:
        """The link is not hungry, or is no more."""
        self._relief.forget(ordinal)
        if self._hungry.pop(ordinal, None) is not None:
            self._awake.drop(ordinal)
            self._unheard.drop(ordinal)

    def _starved(self, link: LinkRequests, usable: int, now: float) -> None:
        """The link has found too little among these pieces."""
        ordinal = link.state.ordinal
        self._hungry.setdefault(ordinal, -inf)
        waiting, other = self._awake, self._unheard
        if link.snubbed:
            waiting, other = other, waiting
        other.drop(ordinal)
        waiting.put(ordinal, usable)
        self._relief.forget(ordinal)
        if usable and self.review_at is None:
            self._arm_review(now)

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
            self._roomy.pop(ordinal, None)
            asked = self._fill(link, room, now)
        else:
            asked = []
            self._sated(ordinal)
            if len(link.out) < link.depth:
                self._roomy[ordinal] = None
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
        may = link.usable
        usable = without(may, self._parole.closed_to(link))
        asked: list[BlockInfo] = []
        refused = False
        while usable and room > len(asked):
            piece = self._choose(link, usable, now)
            if piece is None:
                refused = bool(usable & (self._active.dry | self._picker.candidates))
                asked += self._steal(link, usable, room - len(asked), now)
                break
            asked += self._ask(link, piece, room - len(asked), now)
        if asked:
            self._busy[link.state.ordinal] = link
        if refused:
            self._memory_free = False
        if len(asked) == room:
            self._sated(link.state.ordinal)
            return asked
        self._starved(link, may, now)
        if refused:  # by name: who is sated has no use for memory that others give up
            self._relief.refused(link)
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
            if active.refuses(usable & self._picker.candidates):
                return None  # with many links that is the rule, and a pick is dear
            index = self._picker.pick(usable, link.state.suggested)
            return None if index is None else active.begin(index, now)
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
        """A look costs a glance at many links, so one in vain is not repeated at once."""
        ordinal = link.state.ordinal
        if link.out and now < self._hungry.get(ordinal, -inf) + ENDGAME_PATIENCE:
            return []
        usable &= ~self._parole.everything
        asked: list[BlockInfo] = []
        for info in steal(link, self._active.links, self._seen(), usable, room, now):
            asked += self._active.request(link, info.piece, [info.block], now)
        self._hungry[ordinal] = -inf if asked else now
        return asked

    def _seen(self) -> list[LinkRequests]:
        """The next links to be looked at, of those with requests out."""
        busy = self._busy
        seen = list(islice(busy.items(), MAX_SLOW_LINKS_SEEN))
        for ordinal, link in seen:
            if link.out:
                busy.move_to_end(ordinal)
            else:
                del busy[ordinal]
        return [link for _, link in seen]
