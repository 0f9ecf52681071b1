"""What peers send us and what we ask of them: routes between the links and the scheduler."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..actions import BlocksReassigned, BlocksReleased
from ..bitfield import without
from ..limits import MAX_UNSOLICITED_BLOCKS
from ..linkstate import LinkState
from ..peer.events import BlocksReceived, PiecesGained, RequestRejected, Run, RunsReceived
from ..pieces import Outcome, Released, RequestInfo
from ..types import BlockInfo, CloseReason, ReleaseCause
from .context import Context
from .finishing import Finishing, waste
from .links import Links, TorrentLink


class Downloads:
    """The downloading half of a torrent.  Also the ``BlockSink`` of its links."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.links: Links
        self.finishing: Finishing
        self.close: Callable[[TorrentLink, CloseReason], None]

    # --- Blocks ------------------------------------------------------------------------

    def open_block(
        self, state: LinkState, index: int, begin: int, length: int
    ) -> memoryview | None:
        """Where the payload of a block that arrives in parts may go (``BlockSink``)."""
        scheduler = self._context.scheduler
        requests = scheduler.active.links[state.ordinal]
        return scheduler.open_block(requests, index, begin, length)

    def expected(self, state: LinkState, most: int) -> list[Run] | None:
        """What the link sends next, with places for that (``BlockSink``)."""
        scheduler = self._context.scheduler
        return scheduler.expected(scheduler.active.links[state.ordinal], most)

    def detach(self, ordinal: int) -> None:
        """Another link was first with the block that this one is writing."""
        self.links.live(ordinal).wire.detach_block()

    def blocks_received(self, link: TorrentLink, event: BlocksReceived) -> None:
        """BEP 3, piece."""
        context, taken = self._context, self._context.scheduler.blocks_received
        self._act(link, taken(link.requests, event.blocks, context.now))

    def runs_received(self, link: TorrentLink, event: RunsReceived) -> None:
        """The same of blocks that are in their places."""
        context = self._context
        self._act(link, context.scheduler.runs_received(link.requests, event.runs, context.now))

    def _act(self, link: TorrentLink, outcomes: Iterator[tuple[int, Outcome]]) -> None:
        for length, outcome in outcomes:
            self._act_on(link, length, outcome)
            if link.gone:
                return

    def _act_on(self, link: TorrentLink, length: int, outcome: Outcome) -> None:
        for other in outcome.duplicates:
            self._cancel(other.link, [other.info])
        if outcome.lost is not None:
            lost = (outcome.lost,)
            self._report(Released(link.state, ReleaseCause.OVERTAKEN, lost, True))
        if outcome.waste:
            waste(self._context, link.id, outcome.waste, length)
            if link.requests.unsolicited > MAX_UNSOLICITED_BLOCKS:
                self.close(link, CloseReason.UNSOLICITED_DATA)
        if outcome.completed is not None:
            self.finishing.complete(outcome.completed)

    # --- Choke, reject, have -------------------------------------------------------------

    def choked(self, link: TorrentLink, _event: object) -> None:
        """BEP 3, choke."""
        self._report(self._context.scheduler.choked(link.requests))

    def supply_changed(self, link: TorrentLink, _event: object) -> None:
        """The peer unchoked us, allowed a piece fast, or suggested one."""
        self._context.scheduler.touch(link.requests)

    def rejected(self, link: TorrentLink, event: RequestRejected) -> None:
        """BEP 6, reject request."""
        context = self._context
        released = context.scheduler.rejected(link.requests, event.index, event.begin, context.now)
        self._report(released)

    def gained(self, link: TorrentLink, event: PiecesGained) -> None:
        """The peer has more pieces than it said before."""
        context = self._context
        context.scheduler.gained(link.requests, event.pieces)
        if link.state.am_interested:
            return
        if without(event.pieces & context.wanted, context.verified.bitfield):
            link.wire.peer.set_interested(True)

    def link_lost(self, link: TorrentLink) -> None:
        """A link is gone: everything asked of it is asked of others in this very step."""
        self._report(self._context.scheduler.remove_link(link.requests))

    # --- Wanting -----------------------------------------------------------------------

    def review_interest(self) -> None:
        """What we miss has changed: say so to each link whose pieces that touches."""
        missing = self._context.missing
        for link in self.links.active:
            if link.is_open:
                interested = bool(link.state.pieces & missing)
                if interested is not link.state.am_interested:
                    link.wire.peer.set_interested(interested)
                    self.links.touch(link)

    def review_work(self) -> None:
        """Other pieces are wanted: every link may have something to do."""
        for link in self.links.active:
            if link.is_open:
                self._context.scheduler.touch(link.requests)

    def abandon(self, index: int) -> None:
        """Piece ``index`` is not wanted any longer."""
        for info in self._context.scheduler.abandon(index):
            self._cancel(info.link, [info.info])

    # --- Time --------------------------------------------------------------------------

    def tick(self) -> None:
        """What is late is asked of others."""
        for released in self._context.scheduler.tick(self._context.now):
            self._report(released)

    def fill(self) -> None:
        """Ask every link that needs it for more, until no link does."""
        context = self._context
        scheduler = context.scheduler
        while (requests := scheduler.next_dirty()) is not None:
            blocks = scheduler.fill(requests, context.now)
            if blocks:
                link = self.links.live(requests.state.ordinal)
                link.wire.peer.request(blocks)
                self.links.touch(link)
            elif scheduler.parole.holders:
                released = scheduler.challenge(requests, context.now)
                if released is not None:
                    self._report(released)
        if scheduler.reassigned:
            self._report_reassigned()

    # --- Reporting ---------------------------------------------------------------------

    def _report(self, released: Released) -> None:
        if not released.requests:
            return
        context, state = self._context, released.state
        blocks = [info.info for info in released.requests]
        if released.cancel:
            self._cancel(state.ordinal, blocks)
        report = BlocksReleased(context.info_hash, state.link, released.cause, tuple(blocks))
        context.actions.append(report)

    def cancel(self, info: RequestInfo) -> None:
        """A request was withdrawn, of a link that lives: it is owed a CANCEL, and work."""
        self._context.scheduler.touch(self._context.active.links[info.link])
        self._cancel(info.link, [info.info])

    def _cancel(self, ordinal: int, blocks: list[BlockInfo]) -> None:
        link = self.links.live(ordinal)
        link.wire.peer.cancel(blocks)
        self.links.touch(link)

    def _report_reassigned(self) -> None:
        scheduler = self._context.scheduler
        by_link: dict[int, list[RequestInfo]] = {}
        for info in scheduler.reassigned:
            by_link.setdefault(info.link, []).append(info)
        scheduler.reassigned.clear()
        for ordinal, infos in by_link.items():
            blocks = tuple(info.info for info in infos)
            link = self._context.active.links[ordinal].state.link
            self._context.actions.append(BlocksReassigned(self._context.info_hash, link, blocks))
