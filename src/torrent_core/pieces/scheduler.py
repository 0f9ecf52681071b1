"""The download side of one torrent: its policies, put together.

Each has a file of its own: ``asking`` (what to ask of whom), ``endgame`` (what to ask
twice), ``arrivals`` (blocks that were asked for) and ``unasked`` (all others), ``lateness``,
``refusals``, ``parole``, and ``releases`` (what follows when requests become void).  Here is
what links do besides sending blocks: they come, gain pieces, choke, reject, and leave.
"""

from __future__ import annotations

from ..linkstate import LinkState
from ..types import ReleaseCause
from .active import ActivePiece, RequestInfo
from .arrivals import Arrivals
from .asking import Asking
from .expected import Expected
from .lateness import Lateness
from .manager import ActivePieceManager
from .outcome import Released
from .parole import Parole, outpaced
from .picker import PiecePicker
from .refusals import Refusals
from .releases import Releases
from .relief import Relief
from .requests import LinkRequests


class RequestScheduler:
    """Composes picker, active pieces and request books; decides, and notes what it decided."""

    __slots__ = (
        "_asking",
        "_lateness",
        "_refusals",
        "_releases",
        "active",
        "block_received",
        "blocks_received",
        "expected",
        "fill",
        "next_dirty",
        "open_block",
        "parole",
        "picker",
        "reassigned",
        "relief",
        "runs_received",
        "touch",
        "touch_hungry",
    )

    def __init__(self, picker: PiecePicker, active: ActivePieceManager) -> None:
        self.picker = picker
        self.active = active
        self.parole = Parole()
        self._refusals = Refusals()
        self.relief = Relief(active)
        self._asking = asking = Asking(picker, active, self.parole, self.relief)
        self._releases = Releases(active, self.parole, asking)
        self._lateness = Lateness(active, self.parole, self._refusals, self._releases)
        arrivals = Arrivals(active, self.parole, asking, self._lateness)
        # Verbs of the parts, once a block or a step: no call of ours in between.
        self.block_received = arrivals.block_received
        self.blocks_received = arrivals.blocks_received
        self.runs_received = arrivals.runs_received
        self.open_block = arrivals.open_block
        self.expected = Expected(active, self.parole).runs
        self.fill = asking.fill
        self.next_dirty = asking.next_dirty
        self.touch = asking.touch
        self.touch_hungry = asking.touch_hungry
        self.reassigned = asking.reassigned

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
        self._asking.forget(state.ordinal)
        return self._releases.released(link, ReleaseCause.DISCONNECTED, void, cancel=False)

    def gained(self, link: LinkRequests, pieces: int) -> None:
        """The peer has these pieces in addition (already in its ``LinkState``)."""
        self.picker.availability.gain(link.state.ordinal, pieces, link.state.pieces)
        if link.answers & pieces:  # of one that chokes us it is nothing to ask for
            self.touch(link)

    def choked(self, link: LinkRequests) -> Released:
        """The peer chokes us.  Without BEP 6 it drops all requests, though blocks may be on
        their way; with it, each is still answered by PIECE or REJECT."""
        void = [] if link.state.fast else self.active.clear_requests_for_peer(link.state.ordinal)
        for info in void:
            link.withdrawn.void(self.active.key_of(info))
        return self._releases.released(link, ReleaseCause.CHOKED, void, cancel=False)

    def rejected(self, link: LinkRequests, index: int, begin: int, now: float) -> Released:
        """The peer will not answer a request (BEP 6): settles exactly that one."""
        key = self.active.key(index, begin)
        info = link.out.get(key)
        if info is None or link.withdrawn.owed(key):
            # Given up and asked for again, a block is owed two answers, the older one first.
            link.withdrawn.answered(key)
            return self._releases.released(link, ReleaseCause.REJECTED, [], cancel=False)
        self.active.forget(info)
        # A REJECT that only follows from a choke says nothing about the piece.
        if not link.state.peer_choking or link.state.allowed_fast >> index & 1:
            self._refusals.rejected(link, index, now)
        return self._releases.released(link, ReleaseCause.REJECTED, [info], cancel=False)

    # --- Time --------------------------------------------------------------------------

    def tick(self, now: float) -> list[Released]:
        """Everything that is late at ``now`` is free for others; each is owed a CANCEL."""
        self._asking.review(now)
        for eased in self._refusals.pop_due(self.active.links, now):
            self.touch(eased)
        released = []
        for link in self.active.check_timeouts(now):
            released.append(self._lateness.late(link, now))
            self.active.rearm(link)
        return released

    def postpone(self, seconds: float) -> None:
        """Hold the last ``seconds`` against no link: nobody was there to listen."""
        for link in self.active.links.values():
            link.postpone(seconds)
            self.active.rearm(link)

    def next_deadline(self) -> tuple[float, str] | None:
        """What comes first: something is late, or may be asked again, or asked of another."""
        moments = (
            (self.active.next_timeout(), "a request is late"),
            (self._refusals.soonest(), "a refusal ends"),
            (self._asking.review_at, "idle links look at slow ones"),
        )
        first: tuple[float, str] | None = None
        for when, why in moments:
            if when is not None and (first is None or when < first[0]):
                first = when, why
        return first

    # --- Pieces ------------------------------------------------------------------------

    def abandon(self, index: int) -> list[RequestInfo]:
        """Drop an active piece that is not wanted any longer; the requests are owed CANCELs."""
        self.parole.release(index)
        return self.active.remove(index)

    def retry(self, piece: ActivePiece) -> None:
        """A piece failed its hash: all of it is to be fetched again, if it is still wanted."""
        if self.picker.wanted >> piece.index & 1:
            self._releases.start_over(piece)
        else:
            self.abandon(piece.index)
        self.touch_hungry()

    def challenge(self, taker: LinkRequests, now: float) -> Released | None:
        """Let a link that found nothing to do take over a piece whose holder on parole is
        much slower; returns what that one was asked for, or None if there is no such piece.

        The piece starts over: blame must not be shared.
        """
        found = None if taker.out else outpaced(taker, self.parole, self.active, now)
        if found is None:
            return None
        piece, holder = found
        void = [info for info in holder.out.values() if info.piece is piece]
        for info in void:
            self.active.withdraw(info)
        self._releases.start_over(piece)
        self.active.disown(piece)
        self.parole.take(piece.index, taker.state.ordinal)
        self._asking.touch(taker)
        return self._releases.released(holder, ReleaseCause.OUTPACED, void, cancel=True)

    def spare(self, ordinal: int, index: int, now: float) -> None:
        """Ask this link, if it is still there, for other pieces for a while."""
        link = self.active.links.get(ordinal)
        if link is not None:
            self._refusals.refuse(link, index, now)
