"""Which blocks to ask of which link, now.

Work is found for a link in this order:

1. blocks asked for in vain, of a piece that nobody works on (its owner left, or fell
   silent): they have waited longest;
2. the piece it is working on;
3. any other piece begun that nobody works on;
4. a new piece, rarest first, while fewer than the soft cap are open;
5. a piece begun by another link: *preference, never ownership*;
6. a new piece beyond the cap: the cap yields before it leaves a link idle;
7. in end-game, blocks asked of slower links (``endgame``).

A link that finds nothing is *hungry* and is looked at again as soon as anything changes
that could feed it: blocks released, memory freed, end-game begun.  ``dirty`` holds the
links to look at before the step ends; a block that becomes free is therefore asked of
somebody else in the same step.
"""

from __future__ import annotations

from ..bitfield import indices, lowest
from ..limits import BLOCK_SIZE, LATENESS_FLOOR, MAX_OPEN_BLOCKS, OVERTAKEN_LIMIT
from ..linkstate import LinkState
from ..types import BlockInfo, ReleaseCause
from .active import ActivePiece, RequestInfo, Stage
from .endgame import steal
from .manager import ActivePieceManager
from .outcome import USED, Outcome, Released
from .parole import Parole
from .picker import PiecePicker
from .refusals import Refusals
from .requests import LinkRequests

LINKS_TO_PIECES = 1.5
"""Open pieces per link before the soft cap bites (lt: 1.5 partial pieces a peer)."""

_SILENCED = (ReleaseCause.DISCONNECTED, ReleaseCause.CHOKED, ReleaseCause.SNUBBED)
"""Causes after which a link is not going on with anything."""


class RequestScheduler:
    """Composes picker, active pieces and request books; decides, and notes what it decided."""

    __slots__ = (
        "_dirty",
        "_hungry",
        "_refusals",
        "active",
        "parole",
        "picker",
        "reassigned",
    )

    def __init__(self, picker: PiecePicker, active: ActivePieceManager) -> None:
        self.picker = picker
        self.active = active
        self.parole = Parole()
        self.reassigned: list[RequestInfo] = []
        """Requests for blocks released before, since the caller last emptied this."""
        self._refusals = Refusals()
        self._dirty: dict[int, bool] = {}  # with True: even above the low-water mark
        self._hungry: dict[int, None] = {}

    # --- Links -------------------------------------------------------------------------

    def add_link(self, state: LinkState, now: float) -> LinkRequests:
        """A link is open; it has said nothing yet."""
        return self.active.add_link(state, now)

    def remove_link(self, link: LinkRequests) -> Released:
        """A link is gone: everything asked of it is free for others, now."""
        state = link.state
        void = self.active.remove_link(state.ordinal)
        self.picker.availability.lose(state.ordinal, state.pieces)
        self._refusals.removed(link)
        self._dirty.pop(state.ordinal, None)
        self._hungry.pop(state.ordinal, None)
        self.touch_hungry()  # what it alone had keeps nobody from end-game any longer
        return self._released(link, ReleaseCause.DISCONNECTED, void, cancel=False)

    def gained(self, link: LinkRequests, pieces: int) -> None:
        """The peer has these pieces in addition (already in its ``LinkState``)."""
        self.picker.availability.gain(link.state.ordinal, pieces, link.state.pieces)
        self.touch(link)

    def choked(self, link: LinkRequests) -> Released:
        """The peer chokes us.  Without BEP 6 it drops all requests; with it, each is
        still answered by PIECE or REJECT."""
        void = [] if link.state.fast else self._forget_all(link)
        return self._released(link, ReleaseCause.CHOKED, void, cancel=False)

    def rejected(self, link: LinkRequests, index: int, begin: int, now: float) -> Released:
        """The peer will not answer a request (BEP 6): settles exactly that one."""
        key = self.active.key(index, begin)
        info = link.out.get(key)
        if info is None or key in link.withdrawn:
            # Given up and asked for again, a block is owed two answers, the older one first.
            link.answered_late(key)
            return self._released(link, ReleaseCause.REJECTED, [], cancel=False)
        self.active.forget(info)
        # A REJECT that only follows from a choke says nothing about the piece.
        if not link.state.peer_choking or link.state.allowed_fast >> index & 1:
            self._refusals.rejected(link, index, now)
        return self._released(link, ReleaseCause.REJECTED, [info], cancel=False)

    def touch(self, link: LinkRequests) -> None:
        """Look at this link before the step ends."""
        self._dirty.setdefault(link.state.ordinal, False)

    def touch_hungry(self) -> None:
        """Look at every hungry link before the step ends."""
        for ordinal in self._hungry:
            self._dirty.setdefault(ordinal, False)

    def _touch_all(self) -> None:
        """Blocks came free: whoever has any room at all is to take them, in this step."""
        for ordinal, link in self.active.links.items():
            if len(link.out) < link.depth:
                self._dirty[ordinal] = True

    # --- Blocks ------------------------------------------------------------------------

    def block_received(
        self, link: LinkRequests, index: int, begin: int, data: memoryview | None, now: float
    ) -> Outcome:
        """Take a block in if this link was asked for exactly it, now or recently."""
        key = self.active.key(index, begin)
        info = link.out.get(key)
        if info is None or data is None or not _matches(info, begin, len(data)):
            return self._not_asked(link, key, index, begin, data, now)
        if self.parole.holders and self.parole.is_closed_to(index, link.state.ordinal):
            return self._in_vain(link, info, "is reserved for another link", now)
        del link.out[key]
        if now > link.last_progress or link.snubbed or link.rejections:
            self._progressed(link, now)
        else:  # not the first of this input
            link.arrived += 1
        outcome = self._take(info.piece, info.block, data, link, now)
        if info.probe:
            self._was_free(info.piece)
        self._dirty.setdefault(link.state.ordinal, False)
        oldest = next(iter(link.out.values()), info)
        if oldest.serial < info.serial and self._is_lost(link, oldest, now):
            return Outcome(outcome.completed, outcome.duplicates, oldest)
        return outcome

    def open_block(
        self, link: LinkRequests, index: int, begin: int, length: int
    ) -> memoryview | None:
        """Where the payload of a block that arrives in parts may go; None: nowhere."""
        key = self.active.key(index, begin)
        info = link.out.get(key)
        if info is not None and _matches(info, begin, length):
            return self.active.claim(link, info.piece, info.block)
        piece = self._expected_late(link, key, index, begin, length)
        return None if piece is None else self.active.claim(link, piece, _block(begin))

    def _take(
        self, piece: ActivePiece, block: int, data: memoryview, link: LinkRequests, now: float
    ) -> Outcome:
        if piece.claims and piece.claims.get(block, link.state.ordinal) != link.state.ordinal:
            self.active.break_claims(piece, block)
        link.claim = None
        duplicates = piece.add_block(block, data, link.state.ordinal, now) or ()
        for other in duplicates:
            holder = self.active.links[other.link]
            holder.withdraw(self.active.key_of(other))
            self.touch(holder)
        if piece.received != piece.all_blocks:
            return Outcome(duplicates=duplicates) if duplicates else USED
        piece.stage = Stage.FLUSHING if piece.stored else Stage.HASHING
        self.active.disown(piece)
        self.active.refresh(piece)
        return Outcome(piece, duplicates)

    def _not_asked(
        self,
        link: LinkRequests,
        key: int,
        index: int,
        begin: int,
        data: memoryview | None,
        now: float,
    ) -> Outcome:
        detached, link.detached = link.detached, None
        info = link.out.get(key)
        # Of two answers owed, to a request given up and to one sent since, the older is first.
        if info is not None and data is None and key == detached and key not in link.withdrawn:
            return self._in_vain(link, info, "came while its piece was started over", now)
        self.active.unclaim(link)
        late = key in link.withdrawn and self._is_block(index, begin, data)
        piece = None
        if data is not None:
            piece = self._expected_late(link, key, index, begin, len(data))
        if late:
            link.answered_late(key)
            self._progressed(link, now)
            self.touch(link)
        else:
            link.unsolicited += 1
        if piece is None or data is None:
            return Outcome(waste="came too late" if late else "was not asked for")
        outcome = self._take(piece, _block(begin), data, link, now)
        self._was_free(piece)
        return outcome

    def _was_free(self, piece: ActivePiece) -> None:
        """A block came that may have been free: it may have been the last before end-game."""
        self.active.refresh(piece)
        self.touch_hungry()

    def _in_vain(self, link: LinkRequests, info: RequestInfo, why: str, now: float) -> Outcome:
        """The peer has answered, but its block cannot be used: others may be asked for it."""
        self.active.unclaim(link)
        self.active.forget(info)
        self._progressed(link, now)
        self._touch_all()
        self.touch(link)
        return Outcome(waste=why)

    def _is_block(self, index: int, begin: int, data: memoryview | None) -> bool:
        """Whether this may be a block; of one that was not kept, the length is unknown."""
        if data is None:
            return begin % BLOCK_SIZE == 0
        return self.active.is_block(index, begin, len(data))

    def _expected_late(
        self, link: LinkRequests, key: int, index: int, begin: int, length: int
    ) -> ActivePiece | None:
        """The piece that a withdrawn request's answer would still serve, or None."""
        piece = self.active.get(index) if key in link.withdrawn else None
        if piece is None or piece.stage is not Stage.DOWNLOADING or begin % BLOCK_SIZE:
            return None
        block = _block(begin)
        if piece.has_block(block) or piece.block_length(block) != length:
            return None
        return None if self.parole.is_closed_to(index, link.state.ordinal) else piece

    def _progressed(self, link: LinkRequests, now: float) -> None:
        link.delivered(now)
        if link.snubbed:
            link.snubbed = False
            for info in link.out.values():  # its probe is a request like others again
                info.probe = False
                info.piece.add_holder(info)
                self.active.refresh(info.piece)

    def _is_lost(self, link: LinkRequests, oldest: RequestInfo, now: float) -> bool:
        """A later request than the link's oldest was answered: is the oldest lost?

        It is when several were, and that not just now.  Order alone is no sign: engines that
        read the disk in threads answer out of order all the time.
        """
        if not oldest.overtaken:
            oldest.overtaken_since = now
        oldest.overtaken += 1
        passed_over = now - oldest.overtaken_since >= LATENESS_FLOOR
        if oldest.overtaken < OVERTAKEN_LIMIT or not passed_over:
            return False
        self.active.withdraw(oldest)
        self._refusals.refuse(link, oldest.piece.index, now)
        self._released(link, ReleaseCause.OVERTAKEN, [oldest], cancel=True)
        return True

    # --- Asking ------------------------------------------------------------------------

    def next_dirty(self) -> LinkRequests | None:
        """The next link to ``fill`` before the step ends, or None."""
        if not self._dirty:
            return None
        return self.active.links[next(iter(self._dirty))]

    def fill(self, link: LinkRequests, now: float) -> list[BlockInfo]:
        """Blocks to ask of ``link`` now, noted as asked; it is not dirty any longer."""
        eager = self._dirty.pop(link.state.ordinal, False)
        if not eager:  # else the room that there was when blocks came free still counts
            link.pace(now)
        room = link.room(eager=eager)
        if room > 0:
            asked = self._fill(link, room, now)
        else:
            asked = []
        self.active.rearm(link)
        return asked

    def _fill(self, link: LinkRequests, room: int, now: float) -> list[BlockInfo]:
        usable = link.usable(now) & ~self.parole.closed_to(link)
        asked: list[BlockInfo] = []
        fresh = False
        while usable and room > len(asked):
            piece = self._choose(link, usable, now)
            if piece is None:
                asked += self._steal(link, usable, room - len(asked), now)
                break
            asked += self._ask(link, piece, room - len(asked), now)
            fresh = True
        if len(asked) < room:
            self._hungry[link.state.ordinal] = None
        else:
            self._hungry.pop(link.state.ordinal, None)
        if fresh and self._hungry and self.in_endgame:
            self.touch_hungry()
        return asked

    def _choose(self, link: LinkRequests, usable: int, now: float) -> ActivePiece | None:
        active = self.active
        current = link.current
        begun = active.open & usable
        alone = begun & ~active.owned
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
            self.parole.take(piece.index, link.state.ordinal)
        return piece

    def _open(self, link: LinkRequests, usable: int, now: float) -> ActivePiece | None:
        index = self.picker.pick(usable, link.state.suggested)
        return None if index is None else self.active.get_or_create(index, now)

    def _soft_cap(self) -> int:
        config = self.active.config
        by_links = max(config.max_active_pieces, int(LINKS_TO_PIECES * len(self.active.links)))
        return max(1, min(by_links, MAX_OPEN_BLOCKS // self.active.blocks_per_piece))

    def _ask(
        self, link: LinkRequests, piece: ActivePiece, room: int, now: float
    ) -> list[BlockInfo]:
        blocks = [block for block, _ in zip(indices(piece.free), range(room), strict=False)]
        before = piece.released
        asked = self.active.request(link, piece, blocks, now)
        if before:
            self._note_reassigned(link, piece, before)
        return asked

    def _note_reassigned(self, link: LinkRequests, piece: ActivePiece, before: int) -> None:
        for block in indices(before & ~piece.released):
            self.reassigned.append(piece.requests[block][-1])

    def _steal(self, link: LinkRequests, usable: int, room: int, now: float) -> list[BlockInfo]:
        if not self.in_endgame:
            return []
        usable &= ~self.parole.everything
        asked: list[BlockInfo] = []
        for info in steal(link, self.active.links.values(), usable, room, now):
            asked += self.active.request(link, info.piece, [info.block], now)
        return asked

    @property
    def in_endgame(self) -> bool:
        """Whether every wanted block that some link has is asked for or received."""
        available = self.picker.availability.available
        return not (self.active.open | self.picker.candidates) & available

    # --- Time --------------------------------------------------------------------------

    def tick(self, now: float) -> list[Released]:
        """Everything that is late at ``now`` is free for others; each is owed a CANCEL."""
        for eased in self._refusals.pop_due(self.active.links, now):
            self.touch(eased)
        released = []
        for link in self.active.check_timeouts(now):
            released.append(self._late(link, now))
            self.active.rearm(link)
        return released

    def _late(self, link: LinkRequests, now: float) -> Released:
        """A silent link loses everything and is snubbed; one that still delivers loses
        what is overdue."""
        patience = link.gaps.patience(self.active.config.request_timeout)
        void = [info for info in link.out.values() if info.deadline <= now]
        cause = ReleaseCause.TIMED_OUT
        if now >= link.last_progress + patience:
            link.snub(now)
            void = list(link.out.values())
            cause = ReleaseCause.SNUBBED
            # Its probe must not reserve the same pieces for it for another round.
            for index in self.parole.held_by(link.state.ordinal):
                self._refusals.refuse(link, index, now)
        for info in void:
            self.active.withdraw(info)
            if cause is ReleaseCause.TIMED_OUT:
                self._refusals.refuse(link, info.piece.index, now)
        return self._released(link, cause, void, cancel=True)

    def next_deadline(self) -> tuple[float, str] | None:
        """When something is late, or may be asked again, and which of the two."""
        late = self.active.next_timeout()
        eased = self._refusals.soonest()
        if late is None or (eased is not None and eased < late):
            return None if eased is None else (eased, "a refusal ends")
        return late, "a request is late"

    # --- Releasing ---------------------------------------------------------------------

    def abandon(self, index: int) -> list[RequestInfo]:
        """Drop an active piece that is not wanted any longer; the requests are owed CANCELs."""
        self.parole.release(index)
        return self.active.remove(index)

    def retry(self, piece: ActivePiece) -> None:
        """A piece failed its hash: all of it is to be fetched again, if it is still wanted."""
        if self.picker.wanted >> piece.index & 1:
            self._start_over(piece)
        else:
            self.abandon(piece.index)
        self.touch_hungry()

    def _forget_all(self, link: LinkRequests) -> list[RequestInfo]:
        return self.active.clear_requests_for_peer(link.state.ordinal)

    def _released(
        self, link: LinkRequests, cause: ReleaseCause, void: list[RequestInfo], *, cancel: bool
    ) -> Released:
        ordinal = link.state.ordinal
        lost = {info.piece.index for info in void}
        alone = cause in _SILENCED
        if alone and link.current is not None:
            self.active.disown(link.current)
        started_over = False
        for index in self.parole.held_by(ordinal):
            piece = self.active.get(index)
            if (alone or index in lost) and piece and piece.stage is Stage.DOWNLOADING:
                self._start_over(piece)
                started_over = True
        if void or started_over:
            self._touch_all()
        if ordinal in self.active.links:
            self.touch(link)
        return Released(link.state, cause, tuple(void), cancel)

    def _start_over(self, piece: ActivePiece) -> None:
        self.parole.vacate(piece.index)
        self.active.break_claims(piece)
        piece.reset()
        self.active.refresh(piece)


def _matches(info: RequestInfo, begin: int, length: int) -> bool:
    if begin % BLOCK_SIZE:
        return False
    piece = info.piece
    if info.block + 1 < piece.blocks_needed:
        return length == BLOCK_SIZE
    return length == piece.block_length(info.block)


def _block(begin: int) -> int:
    return begin // BLOCK_SIZE
