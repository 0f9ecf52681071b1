"""The composing machine of one torrent: it routes events, and merges actions and deadlines.

Its steps, and how links begin and end, are in ``machine``.  It holds no policy: whom to ask for
what is ``pieces``; whom to serve ``choking``; whom to dial ``candidates``; what lies where
``storage``; what bytes mean ``peer``.  The files beside this one are its wiring, one concern each.
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
    BlocksHashed,
    BlocksRead,
    BytesPlaced,
    FilesStated,
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
from ..metainfo import Metainfo
from ..peer import events as peer
from ..peer.landing import Landing
from ..pieces import ActivePiece
from ..types import CloseReason, LinkId, RandomSource, Totals
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
from .finishing import Finishing
from .handed import HandedLink
from .links import Links, TorrentLink
from .machine import LinkMachine, NodeSeen
from .running import Running
from .saving import SAVE, Saving
from .status import PeerStatus, TorrentStatus, peer_status, torrent_status, torrent_totals
from .uploads import Uploads
from .writing import Writing

PEER_ID_LENGTH = 20


class Torrent(LinkMachine[TorrentLink]):
    """One torrent, stopped until ``StartTorrent``.

    ``peer_id`` is our own twenty bytes; ``random`` all the randomness there is; ``budgets``
    are shared with other torrents (None: its own, with the memory of ``config``);
    ``new_dial_id`` numbers dials among them.
    ``priorities`` has one entry per file, 0 or 1; None means all 1.  ``dialling`` is that of
    a machine which had the torrent's links before, and gives them away (``adopt``).
    ``node_seen`` is told where peers say that they have a node of the DHT.
    """

    _kind = "torrent"
    _context: Context
    _links: Links

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
        node_seen: NodeSeen | None = None,
    ) -> None:
        if len(peer_id) != PEER_ID_LENGTH:
            raise LocalProtocolError(f"a peer id has {PEER_ID_LENGTH} bytes")
        config = config or TorrentConfig()
        self._downloads: Downloads
        self._placing: tuple[TorrentLink, Landing] | None = None
        context = Context.make(
            metainfo,
            peer_id=peer_id,
            random=random,
            config=config,
            budgets=budgets or Budgets(memory=Budget(config.active.max_buffered_bytes)),
            on_detach=lambda ordinal: self._downloads.detach(ordinal),
        )
        if dialling is not None:
            context.bans = dialling.bans
        self._downloads = Downloads(context)
        links = self._downloads.links = Links(context, self._downloads)
        if dialling is not None:
            dialling.move(context, links)
        dialling = dialling or Dialling(context, links, new_dial_id or count(1).__next__)
        super().__init__(context, links, dialling, node_seen)
        self._blaming = Blaming(context, links, dialling, self._close)
        self._backlog = Backlog(context)
        self._writing = Writing(
            context, self._backlog, self._blaming.witness, self._stored, self._downloads.cancel
        )
        self._saving = Saving(context, self._backlog, self._writing, links.totals)
        self._running = Running(
            context, links, self._downloads, dialling, self._saving, self._close
        )
        self._finishing = self._downloads.finishing = Finishing(
            context, self._backlog, self._writing, self._blaming, self._running.verified
        )
        self._downloads.close = self._close
        self._uploads = Uploads(context, links)
        self._describing = Describing(context, self._close)
        self._exchanging = Exchanging(context, links, dialling, self._finding, self._close)
        self._on_event = self._event_table()
        self._on_peer = self._peer_table()
        self._running.prioritise(priorities)

    # --- The face ----------------------------------------------------------------------

    def adopt(self, handed: HandedLink, now: float) -> list[Action]:
        """Go on with a link that somebody else has had; the peer notices nothing.

        Raises LocalProtocolError, and has then changed nothing, if it is here already.
        """
        if self._links.is_known(handed.link):
            raise LocalProtocolError(f"link {handed.link!r} is open already")
        self._context.now = max(self._context.now, now)
        link = self._links.adopt(handed)
        self._opened(link)
        if self._context.is_running:
            self._take_in(link, link.receive(handed.heard, self._context.now))
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
    def verified(self) -> int:
        """Set of pieces that are verified and written."""
        return self._context.verified.bitfield

    # --- Routing -----------------------------------------------------------------------

    def _event_table(self) -> dict[type, Callable[[Any], None]]:
        running = self._running
        return super()._event_table() | {
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
            BytesPlaced: self._bytes_placed,
        }

    def _peer_table(self) -> dict[type, Callable[[TorrentLink, Any], None]]:
        downloads, uploads = self._downloads, self._uploads
        return super()._peer_table() | {
            peer.BlocksReceived: downloads.blocks_received,
            peer.RunsReceived: downloads.runs_received,
            peer.PiecesGained: self._gained,
            peer.UploadRequested: uploads.requested,
            peer.UploadCancelled: _nothing,
            peer.RequestRejected: downloads.rejected,
            peer.Choked: downloads.choked,
            peer.Unchoked: downloads.supply_changed,
            peer.InterestChanged: uploads.interest_changed,
            peer.FastAllowed: downloads.supply_changed,
            peer.PieceSuggested: downloads.supply_changed,
            peer.ExtensionHandshake: self._introduced,
            peer.ExtensionMessage: self._extended,
        }

    def _settle(self) -> None:
        """The end of every step: ask for what became free, send, and see what is over."""
        self._placing = None
        if self._dialling.stale:
            self._dialling.tick()
        self._downloads.fill()
        while self._writing.settle():
            self._downloads.fill()
        self._links.flush()
        self._saving.end_if_idle()

    # --- Links -------------------------------------------------------------------------

    def receive_into(self, link: LinkId, most: int) -> list[memoryview]:
        """Places for the next ``most`` bytes of a link at most, and no more than
        MAX_PLACED_BLOCKS: to be filled in order, as ``socket.recvmsg_into`` does, and told of by
        ``BytesPlaced`` before anything else.

        Blocks are then where they belong, without a copy.  Empty: what comes next is not known,
        or less than MIN_PLACED_BLOCKS; it is told of by ``BytesReceived``, as may be done at any
        time, from memory of the caller's.  No action or deadline depends on whether this was
        called.  Raises LocalProtocolError for a link that is not here.
        """
        found = self._links.get(link)
        self._placing = None
        if found is None or (landing := found.wire.landing(most)) is None:
            return []
        self._placing = found, landing
        return landing.buffers

    def _bytes_placed(self, event: BytesPlaced) -> None:
        if self._placing is None or self._placing[0].id != event.link:
            raise LocalProtocolError(f"no places were given for link {event.link!r}")
        link, landing = self._placing
        if not 0 < event.count <= landing.room:
            raise LocalProtocolError(f"{event.count} bytes in {landing.room}")
        self._take_in(link, link.wire.peer.landed(landing, event.count, self._context.now))

    def _opened(self, link: TorrentLink) -> None:
        self._uploads.choker.add(link.state)

    def _after_input(self, link: TorrentLink) -> None:
        self._uploads.pump(link)
        self._describing.pump(link)
        super()._after_input(link)

    def _sent(self, event: Sent) -> None:
        link = self._links.get(event.link)
        if link is not None:
            link.wire.sent(event.count, self._context.now)
            self._after_input(link)
        else:
            self._links.sent_late(event.link, event.count)

    def _forget(self, link: TorrentLink) -> None:
        """What hangs on a link that is gone; its requests move to others now."""
        self._blaming.departed(link)
        self._downloads.link_lost(link)
        self._uploads.link_lost(link)
        self._describing.link_lost(link)
        self._exchanging.link_lost(link)
        super()._forget(link)

    # --- What peers say ------------------------------------------------------------------

    def _introduced(self, link: TorrentLink, event: peer.ExtensionHandshake) -> None:
        self._uploads.interest_changed(link, event)
        self._finding.introduced(link, event.value)
        self._describing.introduced(link, event.value)
        self._exchanging.introduced(link, event.value)

    def _extended(self, link: TorrentLink, event: peer.ExtensionMessage) -> None:
        self._describing.received(link, event)
        if not link.gone:
            self._exchanging.received(link, event)

    def _gained(self, link: TorrentLink, event: peer.PiecesGained) -> None:
        self._downloads.gained(link, event)
        self._running.close_if_both_seed(link)

    # --- Pieces ------------------------------------------------------------------------

    def _stored(self, piece: ActivePiece) -> None:
        if self._context.is_running:
            self._saving.progressed()
        self._finishing.stored(piece)

    # --- Storage and time ----------------------------------------------------------------

    def _answered(self, event: StorageEvent) -> None:
        self._check_name(event.torrent)
        self._context.jobs.answer(event)

    def _tick(self, event: Tick) -> None:
        super()._tick(event)
        self._downloads.tick()
        self._uploads.tick()
        while (timer := self._context.timers.pop_due(self._context.now)) is not None:
            self._timer(*timer)

    def _postpone_requests(self, seconds: float) -> None:
        self._context.scheduler.postpone(seconds)

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
