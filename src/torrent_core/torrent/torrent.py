"""The composing machine of one torrent: it routes events, and merges actions and deadlines.

It holds no policy.  Whom to ask for what is ``pieces``; whom to serve ``choking``; whom to
dial ``candidates``; what lies where ``storage``; what bytes mean ``peer``.  The files beside
this one are its wiring, one concern each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

from ..accounts import Explanation
from ..actions import Action
from ..budget import Budget
from ..deadlines import Deadline, soonest
from ..errors import LocalProtocolError
from ..events import (
    AddPeer,
    BlocksHashed,
    BlocksRead,
    BytesReceived,
    DialFailed,
    DropPeer,
    Event,
    FilesStated,
    LinkClosed,
    LinkOpened,
    PeersFound,
    PieceHashed,
    Recheck,
    Sent,
    SetPriorities,
    StartTorrent,
    StopTorrent,
    StorageEvent,
    StorageFailed,
    Tick,
    Written,
)
from ..limits import SLEPT
from ..metainfo import Metainfo
from ..peer import events as peer
from ..pieces import (
    ActivePiece,
    ActivePieceManager,
    PieceManager,
    PiecePicker,
    RequestScheduler,
)
from ..storage import FileMap
from ..types import Address, Buffer, CloseReason, InfoHash, RandomSource, TorrentState, Totals
from .announcing import HAVES
from .backlog import Backlog
from .blaming import Blaming
from .checking import CHECK_RETRY
from .config import Budgets, TorrentConfig
from .context import Context
from .describing import Describing
from .dialling import Dialling
from .downloads import Downloads
from .exchanging import EXCHANGE, Exchanging
from .explain import explain
from .finding import Finding
from .finishing import Finishing
from .handed import HandedLink
from .links import Links, TorrentLink
from .running import Running
from .saving import SAVE, Saving
from .status import PeerStatus, TorrentStatus, peer_status, torrent_status, torrent_totals
from .uploads import Uploads
from .waking import lateness
from .writing import Writing

PEER_ID_LENGTH = 20


class Torrent:
    """One torrent, stopped until ``StartTorrent``.

    ``peer_id`` is our own twenty bytes; ``random`` all the randomness there is; ``budgets``
    are shared with other torrents (None: its own, with the memory of ``config``);
    ``new_dial_id`` numbers dials among them.
    ``priorities`` has one entry per file, 0 or 1; None means all 1.  ``dialling`` is that of
    a machine which had the torrent's links before, and gives them away (``adopt``).
    ``node_seen`` is told where peers say that they have a node of the DHT.
    """

    def __init__(
        self,
        metainfo: Metainfo,
        *,
        peer_id: bytes,
        random: RandomSource,
        config: TorrentConfig | None = None,
        budgets: Budgets | None = None,
        new_dial_id: Callable[[], int] | None = None,
        priorities: tuple[int, ...] | None = None,
        dialling: Dialling | None = None,
        node_seen: Callable[[Address], None] | None = None,
    ) -> None:
        if len(peer_id) != PEER_ID_LENGTH:
            raise LocalProtocolError(f"a peer id has {PEER_ID_LENGTH} bytes")
        config = config or TorrentConfig()
        self._downloads: Downloads
        alone = Budgets(memory=Budget(config.active.max_buffered_bytes))
        self._context = context = self._make_context(
            metainfo, peer_id, random, config, budgets or alone
        )
        if dialling is not None:
            context.bans = dialling.bans
        self._downloads = Downloads(context)
        self._links = self._downloads.links = Links(context, self._downloads)
        if dialling is not None:
            dialling.move(context, self._links)
        self._dialling = dialling or Dialling(
            context, self._links, new_dial_id or count(1).__next__
        )
        self._finding = Finding(context, self._dialling)
        self._blaming = Blaming(context, self._links, self._dialling, self._close)
        self._backlog = Backlog(context)
        self._writing = Writing(
            context, self._backlog, self._blaming.witness, self._stored, self._downloads.cancel
        )
        self._saving = Saving(context, self._backlog, self._writing, self._links.totals)
        self._running = Running(
            context, self._links, self._downloads, self._dialling, self._saving, self._close
        )
        self._finishing = self._downloads.finishing = Finishing(
            context, self._backlog, self._writing, self._blaming, self._running.verified
        )
        self._downloads.close = self._close
        self._uploads = Uploads(context, self._links)
        self._describing = Describing(context, self._close)
        self._exchanging = Exchanging(
            context, self._links, self._dialling, self._finding, self._close
        )
        self._node_seen = node_seen
        self._on_event = self._event_table()
        self._on_peer = self._peer_table()
        self._running.prioritise(priorities)

    def _make_context(
        self,
        metainfo: Metainfo,
        peer_id: bytes,
        random: RandomSource,
        config: TorrentConfig,
        budgets: Budgets,
    ) -> Context:
        verified = PieceManager(metainfo.geometry, metainfo.piece_hashes)
        picker = PiecePicker(verified, random)
        active = ActivePieceManager(
            metainfo.geometry,
            config.active,
            budget=budgets.memory,
            owner=metainfo.info_hash,
            on_activated=picker.activated,
            on_deactivated=picker.deactivated,
            on_detach=lambda ordinal: self._downloads.detach(ordinal),
        )
        return Context(
            metainfo=metainfo,
            config=config,
            budgets=budgets,
            peer_id=peer_id,
            random=random,
            files=FileMap(metainfo.files, metainfo.geometry),
            verified=verified,
            picker=picker,
            active=active,
            scheduler=RequestScheduler(picker, active),
        )

    # --- The face ----------------------------------------------------------------------

    def handle(self, event: Event, now: float) -> list[Action]:
        """Take one event in; returns what is to be done, in order.

        Raises LocalProtocolError, and has then changed nothing, for an event that breaks the
        contract in ``events``.  Nothing that a peer or a disk does raises.
        """
        handler = self._on_event.get(type(event))
        if handler is None:
            raise LocalProtocolError(f"a torrent does not take {type(event).__name__}")
        context = self._context
        before = context.now
        if now > before:
            context.now = now
        late = 0.0
        if now - before > SLEPT:  # else nothing can be that late
            late = lateness(self.next_deadline(), before, now)
            self.postpone(late)
        try:
            handler(event)
        except LocalProtocolError:
            context.now = before
            self.postpone(-late)
            raise
        return self._end_step()

    def adopt(self, handed: HandedLink, now: float) -> list[Action]:
        """Go on with a link that somebody else has had; the peer notices nothing.

        Raises LocalProtocolError, and has then changed nothing, if it is here already.
        """
        if self._links.is_known(handed.link):
            raise LocalProtocolError(f"link {handed.link!r} is open already")
        self._context.now = max(self._context.now, now)
        link = self._links.adopt(handed)
        self._uploads.choker.add(link.state)
        if self._context.is_running:
            self._hear(link, handed.heard)
        else:
            self._close(link, CloseReason.STOPPING)
        return self._end_step()

    def next_deadline(self) -> Deadline | None:
        """When ``handle(Tick(), ...)`` is owed at the latest, and why; None if never."""
        context = self._context
        scheduled = context.scheduler.next_deadline()
        timer = context.timers.soonest()
        return soonest(
            self._links.next_deadline(),
            None if scheduled is None else Deadline(*scheduled),
            self._uploads.choker.next_deadline(),
            self._dialling.next_deadline(),
            None if timer is None else Deadline(timer[0], timer[1][0]),
        )

    def postpone(self, seconds: float) -> None:
        """Hold the last ``seconds`` against no link: nobody was there to listen."""
        if seconds:
            self._links.postpone(seconds)
            self._context.scheduler.postpone(seconds)

    def resume_requests(self, now: float) -> list[Action]:
        """Something shared with other torrents (memory, links) came free."""
        self._context.scheduler.touch_hungry()
        return self.handle(Tick(), now)

    def give_way(self, now: float) -> list[Action]:
        """Another torrent was refused memory: give up some that nobody here works on.

        It comes free at once, or when what is in it has been written.
        """
        if not self._writing.is_giving_way:
            self._writing.give_way()
        return self.handle(Tick(), now)

    def seen_at(self, host: str, teller: str) -> None:
        """``teller`` (a tracker's URL, BEP 24; an address) sees us at ``host``, an address.

        Once several agree, nobody is dialled there, and dials are in the order of BEP 40."""
        self._finding.seen_at(host, teller)

    def explain(self, now: float, dues: Iterable[Deadline] = ()) -> Explanation:
        """Why each missing block is not here yet, and what will move it next.

        ``dues`` are what others do next to find peers of this torrent: "announce to URL"."""
        scheduled = (*self._dialling.scheduled(), self._exchanging.next_due(), *dues)
        return explain(self._context, scheduled, self._backlog, now)

    @property
    def is_short_of_peers(self) -> bool:
        """Whether something is missing, links are few, and nobody is left to be dialled."""
        context = self._context
        return context.may_dial and self._dialling.is_short and bool(context.missing)

    @property
    def is_private(self) -> bool:
        """Whether its trackers alone may tell of its peers (BEP 27)."""
        return self._context.metainfo.private

    @property
    def trackers(self) -> tuple[tuple[str, ...], ...]:
        """Their URLs, by tiers (BEP 12)."""
        return self._context.metainfo.trackers

    @property
    def totals(self) -> Totals:
        """What a tracker is told: all runs together, and what is not verified yet."""
        return torrent_totals(self._context, self._links)

    def status(self, now: float) -> TorrentStatus:
        """The whole torrent at a glance."""
        book, checking = self._dialling.book, self._running.checking.progress
        return torrent_status(self._context, self._links, book, checking, now)

    def peers(self, now: float) -> list[PeerStatus]:
        """One row for each link with hands shaken, oldest first."""
        book, whole = self._dialling.book, self.metainfo.geometry.all_pieces
        return [peer_status(link, book, whole, now) for link in self._links.active if link.is_open]

    @property
    def metainfo(self) -> Metainfo:
        """What this torrent is."""
        return self._context.metainfo

    @property
    def info_hash(self) -> InfoHash:
        """Its name."""
        return self._context.info_hash

    @property
    def state(self) -> TorrentState:
        """What it is doing."""
        return self._context.state

    @property
    def verified(self) -> int:
        """Set of pieces that are verified and written."""
        return self._context.verified.bitfield

    # --- Routing -----------------------------------------------------------------------

    def _event_table(self) -> dict[type, Callable[[Any], None]]:
        running = self._running
        return {
            BytesReceived: self._bytes_received,
            Sent: self._sent,
            LinkOpened: self._link_opened,
            LinkClosed: self._link_closed,
            DialFailed: self._dial_failed,
            Tick: self._tick,
            PieceHashed: self._answered,
            BlocksHashed: self._answered,
            Written: self._answered,
            BlocksRead: self._answered,
            FilesStated: self._answered,
            StorageFailed: self._answered,
            StartTorrent: self._named(running.start),
            StopTorrent: self._named(running.stop),
            Recheck: self._named(running.recheck),
            SetPriorities: self._named(running.set_priorities),
            PeersFound: self._named(self._finding.found),
            AddPeer: self._named(self._add_peer),
            DropPeer: self._named(self._drop_peer),
        }

    def _peer_table(self) -> dict[type, Callable[[TorrentLink, Any], None]]:
        downloads, uploads = self._downloads, self._uploads
        return {
            peer.BlocksReceived: downloads.blocks_received,
            peer.PiecesGained: self._gained,
            peer.UploadRequested: uploads.requested,
            peer.UploadCancelled: _nothing,
            peer.RequestRejected: downloads.rejected,
            peer.Choked: downloads.choked,
            peer.Unchoked: downloads.supply_changed,
            peer.InterestChanged: uploads.interest_changed,
            peer.FastAllowed: downloads.supply_changed,
            peer.PieceSuggested: downloads.supply_changed,
            peer.HandshakeDone: self._shaken,
            peer.ExtensionHandshake: self._introduced,
            peer.ExtensionMessage: self._extended,
            peer.PortReceived: self._has_node,
            peer.Fault: self._fault,
        }

    def _end_step(self) -> list[Action]:
        self._settle()
        actions = self._context.actions
        self._context.actions = []
        return actions

    def _settle(self) -> None:
        """The end of every step: ask for what became free, send, and see what is over."""
        if self._dialling.stale:
            self._dialling.tick()
        self._downloads.fill()
        while self._writing.settle():
            self._downloads.fill()
        self._links.flush()
        self._saving.end_if_idle()

    # --- Links -------------------------------------------------------------------------

    def _bytes_received(self, event: BytesReceived) -> None:
        link = self._links.get(event.link)
        if link is not None:
            self._hear(link, event.data)

    def _hear(self, link: TorrentLink, data: Buffer) -> None:
        for happened in link.wire.receive(data, self._context.now):
            self._on_peer[type(happened)](link, happened)
            if link.gone:
                return
        self._after_input(link)

    def _after_input(self, link: TorrentLink) -> None:
        self._uploads.pump(link)
        self._describing.pump(link)
        self._links.touch(link)

    def _sent(self, event: Sent) -> None:
        link = self._links.get(event.link)
        if link is not None:
            link.wire.sent(event.count, self._context.now)
            self._after_input(link)
        else:
            self._links.sent_late(event.link, event.count)

    def _link_opened(self, event: LinkOpened) -> None:
        if self._links.is_known(event.link):
            raise LocalProtocolError(f"link {event.link!r} is open already")
        dialled = event.dial_id is not None
        address, wanted = event.address, True
        if event.dial_id is not None:
            if not self._dialling.knows(event.dial_id):
                raise LocalProtocolError(f"no dial {event.dial_id} is under way")
            address, wanted = self._dialling.opened(event.dial_id)
        else:
            self._context.budgets.links.take(1, self.info_hash, force=True)
        now = self._context.now
        since = now if event.since is None else min(event.since, now)
        link = self._links.open(event.link, address, dialled=dialled, since=since)
        self._uploads.choker.add(link.state)
        if not wanted:
            self._close(link, CloseReason.DROPPED)
        elif not self._context.is_running:
            self._close(link, CloseReason.STOPPING)

    def _dial_failed(self, event: DialFailed) -> None:
        if not self._dialling.knows(event.dial_id):
            raise LocalProtocolError(f"no dial {event.dial_id} is under way")
        self._dialling.failed(event.dial_id)

    def _link_closed(self, event: LinkClosed) -> None:
        link = self._links.closed(event.link)
        if link is not None:
            failed = bool(event.detail)
            reason = CloseReason.CONNECTION_FAILED if failed else CloseReason.REMOTE_CLOSED
            self._links.lost(link, reason, event.detail)
            self._forget(link)

    def _close(self, link: TorrentLink, reason: CloseReason, detail: str = "") -> None:
        self._links.close(link, reason, detail)
        self._forget(link)

    def _forget(self, link: TorrentLink) -> None:
        """What hangs on a link that is gone; its requests move to others now."""
        self._blaming.departed(link)
        self._downloads.link_lost(link)
        self._uploads.link_lost(link)
        self._describing.link_lost(link)
        self._context.budgets.links.give(1)
        self._dialling.link_lost(link)
        self._exchanging.link_lost(link)

    # --- What peers say ------------------------------------------------------------------

    def _shaken(self, link: TorrentLink, event: peer.HandshakeDone) -> None:
        if self._context.bans.refuses(link.identity):
            self._close(link, CloseReason.BANNED)
            return
        surplus = self._links.surplus(link)
        if surplus is not None:
            self._close(surplus, CloseReason.DUPLICATE_PEER)
        if surplus is not link:
            self._links.shaken(link, event)

    def _introduced(self, link: TorrentLink, event: peer.ExtensionHandshake) -> None:
        self._uploads.interest_changed(link, event)
        self._finding.introduced(link, event.value)
        self._describing.introduced(link, event.value)
        self._exchanging.introduced(link, event.value)

    def _extended(self, link: TorrentLink, event: peer.ExtensionMessage) -> None:
        self._describing.received(link, event)
        if not link.gone:
            self._exchanging.received(link, event)

    def _has_node(self, link: TorrentLink, event: peer.PortReceived) -> None:
        """BEP 5: the peer has a node of the DHT.  What it says again is not looked at."""
        if self._node_seen is not None and not link.told_node:
            link.told_node = True
            self._node_seen(Address(link.state.address.host, event.port))

    def _gained(self, link: TorrentLink, event: peer.PiecesGained) -> None:
        self._downloads.gained(link, event)
        self._running.close_if_both_seed(link)

    def _fault(self, link: TorrentLink, event: peer.Fault) -> None:
        if event.reason is CloseReason.SELF_CONNECTION:
            self._dialling.is_ourselves(link)
        self._close(link, event.reason, event.detail)

    # --- Pieces ------------------------------------------------------------------------

    def _stored(self, piece: ActivePiece) -> None:
        if self._context.is_running:
            self._saving.progressed()
        self._finishing.stored(piece)

    # --- Commands ------------------------------------------------------------------------

    def _named(self, command: Callable[[Any], None]) -> Callable[[Any], None]:
        """``command`` for events that name this torrent, and no other."""

        def handle(event: Any) -> None:
            self._check_name(event.torrent)
            command(event)

        return handle

    def _add_peer(self, event: AddPeer) -> None:
        self._dialling.add(event.address)

    def _drop_peer(self, event: DropPeer) -> None:
        self._dialling.drop(event.address)
        for link in self._links.to(event.address):
            self._close(link, CloseReason.DROPPED)

    def _check_name(self, info_hash: InfoHash) -> None:
        if info_hash != self.info_hash:
            raise LocalProtocolError("the event is for another torrent")

    # --- Storage and time ----------------------------------------------------------------

    def _answered(self, event: StorageEvent) -> None:
        self._check_name(event.torrent)
        self._context.jobs.answer(event)

    def _tick(self, _event: Tick) -> None:
        self._dialling.stale = True
        while (link := self._links.pop_due()) is not None:
            for happened in link.wire.tick(self._context.now):
                self._on_peer[type(happened)](link, happened)
            if not link.gone:
                self._links.touch(link)
        self._downloads.tick()
        self._uploads.tick()
        while (timer := self._context.timers.pop_due(self._context.now)) is not None:
            self._timer(*timer)

    def _timer(self, why: str, index: int) -> None:
        if why == HAVES:
            self._running.tell()
        elif why == SAVE:
            self._saving.tick()
        elif why == CHECK_RETRY:
            self._running.checking.tick()
        elif why == EXCHANGE:
            self._exchanging.tick(index)
        else:
            self._backlog.tick(index)


def _nothing(_link: TorrentLink, _event: object) -> None:
    return None
