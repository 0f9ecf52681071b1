"""The composing machine of a torrent whose metadata is not here yet.

It has the face of ``Torrent`` and does what that does about links; of what peers say about
pieces it only keeps account.  When the metadata has come, ``metainfo`` is there, the links
are given away, and the one who holds the machine puts a ``Torrent`` in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

import attrs

from ..accounts import Explanation
from ..actions import Action, MetadataReceived, Warned
from ..bencode import encode as bencode
from ..deadlines import Deadline, soonest
from ..errors import InvalidData, LocalProtocolError, WireError
from ..events import (
    AddPeer,
    BytesReceived,
    DialFailed,
    DropPeer,
    Event,
    LinkClosed,
    LinkOpened,
    PeersFound,
    Sent,
    StartTorrent,
    StopTorrent,
    Tick,
)
from ..limits import BLOCK_SIZE, MAX_REPLY_BACKLOG, SLEPT
from ..metadata import MetadataTransfer
from ..metainfo import MagnetLink, Metainfo, parse_torrent
from ..peer import events as peer
from ..torrent import Budgets, Dialling, HandedLink, PeerStatus, TorrentConfig, TorrentStatus
from ..torrent.finding import Finding
from ..torrent.waking import lateness
from ..types import (
    Address,
    CloseReason,
    InfoHash,
    PeerSource,
    RandomSource,
    TorrentState,
    Totals,
)
from ..wire import metadata as wire
from ..wire import pex
from .context import Context
from .explain import explain
from .links import EarlyLink, Links
from .status import magnet_status, peer_status


class Magnet:
    """One magnet link, stopped until ``StartTorrent``; arguments are those of ``Torrent``.

    Raises LocalProtocolError for a link with a peer that nobody can dial.
    """

    def __init__(
        self,
        magnet: MagnetLink,
        *,
        peer_id: bytes,
        random: RandomSource,
        config: TorrentConfig | None = None,
        budgets: Budgets | None = None,
        new_dial_id: Callable[[], int] | None = None,
        node_seen: Callable[[Address], None] | None = None,
    ) -> None:
        self._node_seen = node_seen
        self.metainfo: Metainfo | None = None
        """What the torrent is, once that is known: then this machine is done for."""
        self.resume: bytes | None = None
        """The resume data of the last ``StartTorrent``, for the torrent."""
        self._context = Context(
            magnet=magnet,
            config=config or TorrentConfig(),
            budgets=budgets or Budgets(),
            peer_id=peer_id,
            random=random,
            transfer=MetadataTransfer(magnet.info_hash),
        )
        self._links = Links(self._context)
        self.dialling = Dialling(self._context, self._links, new_dial_id or count(1).__next__)
        """Whom it dials; goes over to the torrent together with the links."""
        self._finding = Finding(self._context, self.dialling)
        self._offer_extensions()
        for address in magnet.peers:
            self.dialling.add(address)
        self._on_event = self._event_table()
        self._on_peer = self._peer_table()

    def _offer_extensions(self) -> None:
        offers = self._context.extensions
        offers[wire.NAME] = wire.OUR_ID
        if self._context.config.exchange_peers:
            offers[pex.NAME] = pex.OUR_ID

    # --- The face ----------------------------------------------------------------------

    def handle(self, event: Event, now: float) -> list[Action]:
        """Take one event in; returns what is to be done, in order.

        Raises LocalProtocolError, and has then changed nothing, for an event that breaks the
        contract in ``events``.  Nothing that a peer does raises.
        """
        handler = self._on_event.get(type(event))
        if handler is None:
            raise LocalProtocolError(f"a magnet does not take {type(event).__name__}")
        context = self._context
        before = context.now
        if now > before:
            context.now = now
        late = lateness(self.next_deadline(), before, now) if now - before > SLEPT else 0.0
        self.postpone(late)
        try:
            handler(event)
        except LocalProtocolError:
            context.now = before
            self.postpone(-late)
            raise
        self._settle()
        actions = context.actions
        context.actions = []
        return actions

    def next_deadline(self) -> Deadline | None:
        """When ``handle(Tick(), ...)`` is owed at the latest, and why; None if never."""
        if self.metainfo is not None:
            return None
        return soonest(
            self._context.transfer.next_deadline(),
            self._links.next_deadline(),
            self.dialling.next_deadline(),
        )

    def postpone(self, seconds: float) -> None:
        """Hold the last ``seconds`` against no link: nobody was there to listen."""
        if seconds:
            self._links.postpone(seconds)
            self._context.transfer.postpone(seconds)

    def resume_requests(self, now: float) -> list[Action]:
        """Links or dials that are shared with torrents came free."""
        return self.handle(Tick(), now)

    def give_way(self, now: float) -> list[Action]:
        """A torrent was refused memory.  None is held here: no more than time goes by."""
        return self.handle(Tick(), now)

    def seen_at(self, host: str, teller: str) -> None:
        """``Torrent.seen_at``."""
        self._finding.seen_at(host, teller)

    def explain(self, now: float, dues: Iterable[Deadline] = ()) -> Explanation:
        """Why the metadata is not here yet, and what will move it next.

        ``dues`` are what others do next to find peers, as in ``Torrent.explain``."""
        return explain(self._context, self._links, (*self.dialling.scheduled(), *dues), now)

    @property
    def is_short_of_peers(self) -> bool:
        """Whether links are few, and nobody is left to be dialled."""
        return self._context.may_dial and self.dialling.is_short

    def status(self, now: float) -> TorrentStatus:
        """The magnet at a glance."""
        return magnet_status(self._context, self._links, self.dialling.book)

    def peers(self, now: float) -> list[PeerStatus]:
        """One row for each link with hands shaken, oldest first."""
        book = self.dialling.book
        return [peer_status(link, book) for link in self._links.active if link.wire.is_open]

    @property
    def magnet(self) -> MagnetLink:
        """The link that it was made of."""
        return self._context.magnet

    @property
    def info_hash(self) -> InfoHash:
        """The torrent's name."""
        return self._context.info_hash

    @property
    def state(self) -> TorrentState:
        """RESOLVING or STOPPED."""
        return self._context.state

    @property
    def totals(self) -> Totals:
        """For trackers, who take nobody for a leecher that has nothing left: how much is left
        is not known yet, and a block is named in its place (as libtorrent does)."""
        return Totals(0, 0, BLOCK_SIZE)

    @property
    def is_private(self) -> bool:
        """``Context.is_private``."""
        return self._context.is_private

    @property
    def trackers(self) -> tuple[tuple[str, ...], ...]:
        """Those that the link names, each a tier of its own (as libtorrent has it)."""
        return tuple((url,) for url in self._context.magnet.trackers)

    def give_away(self) -> list[HandedLink]:
        """The live links, for the torrent that ``metainfo`` is of."""
        if self.metainfo is None:
            raise LocalProtocolError("the metadata is not here yet")
        return self._links.give_away(self.metainfo.piece_count)

    # --- Routing -----------------------------------------------------------------------

    def _event_table(self) -> dict[type, Callable[[Any], None]]:
        return {
            BytesReceived: self._bytes_received,
            Sent: self._sent,
            LinkOpened: self._link_opened,
            LinkClosed: self._link_closed,
            DialFailed: self._dial_failed,
            Tick: self._tick,
            StartTorrent: self._named(self._start),
            StopTorrent: self._named(self._stop),
            AddPeer: self._named(self._add_peer),
            DropPeer: self._named(self._drop_peer),
            PeersFound: self._named(self._finding.found),
        }

    def _peer_table(self) -> dict[type, Callable[[EarlyLink, Any], None]]:
        return {
            peer.HandshakeDone: self._shaken,
            peer.ExtensionHandshake: self._hello,
            peer.ExtensionMessage: self._extended,
            peer.PortReceived: self._has_node,
            peer.Fault: self._fault,
        }

    def _named(self, command: Callable[[Any], None]) -> Callable[[Any], None]:
        """``command`` for events that name this torrent, and no other."""

        def handle(event: Any) -> None:
            if event.torrent != self.info_hash:
                raise LocalProtocolError("the event is for another torrent")
            command(event)

        return handle

    def _settle(self) -> None:
        """The end of every step: leave liars, ask others, and see whether it is done."""
        transfer = self._context.transfer
        if self.metainfo is not None:
            return  # links and dials are somebody else's now
        for ordinal in transfer.take_guilty():
            self._convict(ordinal)
        if self.dialling.stale:
            self.dialling.tick()
        for ordinal, piece in transfer.take_requests():
            self._ask(ordinal, piece)
        self._links.flush()
        if transfer.metadata is not None and self._context.may_dial:
            self._resolve(transfer.metadata)

    def _ask(self, ordinal: int, piece: int) -> None:
        link = self._links.find(ordinal)
        if link is not None:  # it may have been closed in this very step
            request = wire.encode(wire.MetadataRequest(piece))
            link.wire.peer.send_extended(link.metadata_id, request)
            self._links.touch(link)

    def _convict(self, ordinal: int) -> None:
        """All of a copy came from this peer, and it was wrong."""
        link = self._links.find(ordinal)
        if link is None:
            return
        hosts = self._context.bans.convict(link.identity)
        self.dialling.review(hosts)
        self._close(link, CloseReason.CORRUPT_DATA, "its metadata failed the hash")

    def _resolve(self, info: bytes) -> None:
        context = self._context
        try:
            found = parse_torrent(b"d" + bencode("info") + info + b"e")
        except InvalidData as error:
            text = f"the metadata is here, and of no use: {error}"
            context.actions.append(Warned(context.info_hash, text))
            self._stop(None)
            self._links.flush()
            return
        if found.private:
            self._leave_strangers()
        self.metainfo = attrs.evolve(found, trackers=self.trackers)
        context.actions.append(MetadataReceived(context.info_hash, self.metainfo.encode()))

    def _leave_strangers(self) -> None:
        """Only trackers and the user may have told of peers; who dialled us may know of us
        from the tracker, too."""
        self.dialling.turned_private()
        for link in self._links.active:
            known = any(address in self.dialling.book for address in link.candidates)
            if not (known or link.state.incoming):
                self._close(link, CloseReason.DROPPED, "the torrent is private")

    # --- Links -------------------------------------------------------------------------

    def _bytes_received(self, event: BytesReceived) -> None:
        link = self._links.get(event.link)
        if link is None:
            return
        for happened in link.receive(event.data, self._context.now):
            self._on_peer[type(happened)](link, happened)
            if link.gone:
                return
        self._links.touch(link)

    def _sent(self, event: Sent) -> None:
        link = self._links.get(event.link)
        if link is not None:
            link.wire.sent(event.count, self._context.now)

    def _link_opened(self, event: LinkOpened) -> None:
        if self._links.is_known(event.link):
            raise LocalProtocolError(f"link {event.link!r} is open already")
        address, wanted = event.address, True
        if event.dial_id is not None:
            self._check_dial(event.dial_id)
            address, wanted = self.dialling.opened(event.dial_id)
        else:
            self._context.budgets.links.take(1, self.info_hash, force=True)
        now = self._context.now
        since = now if event.since is None else min(event.since, now)
        dialled = event.dial_id is not None
        link = self._links.open(event.link, address, dialled=dialled, since=since)
        if not wanted:
            self._close(link, CloseReason.DROPPED)
        elif not self._context.may_dial:
            self._close(link, CloseReason.STOPPING)

    def _dial_failed(self, event: DialFailed) -> None:
        self._check_dial(event.dial_id)
        self.dialling.failed(event.dial_id)

    def _check_dial(self, dial_id: int) -> None:
        if not self.dialling.knows(dial_id):
            raise LocalProtocolError(f"no dial {dial_id} is under way")

    def _link_closed(self, event: LinkClosed) -> None:
        link = self._links.closed(event.link)
        if link is not None:
            failed = bool(event.detail)
            reason = CloseReason.CONNECTION_FAILED if failed else CloseReason.REMOTE_CLOSED
            self._links.lost(link, reason, event.detail)
            self._forget(link)

    def _close(self, link: EarlyLink, reason: CloseReason, detail: str = "") -> None:
        self._links.close(link, reason, detail)
        self._forget(link)

    def _forget(self, link: EarlyLink) -> None:
        """What hangs on a link that is gone."""
        context = self._context
        context.transfer.lost(link.state.ordinal, context.now)
        context.budgets.links.give(1)
        self.dialling.link_lost(link)

    # --- What peers say ------------------------------------------------------------------

    def _shaken(self, link: EarlyLink, event: peer.HandshakeDone) -> None:
        if self._context.bans.refuses(link.identity):
            self._close(link, CloseReason.BANNED)
            return
        surplus = self._links.surplus(link)
        if surplus is not None:
            self._close(surplus, CloseReason.DUPLICATE_PEER)
        if surplus is not link:
            self._links.shaken(link, event)

    def _fault(self, link: EarlyLink, event: peer.Fault) -> None:
        if event.reason is CloseReason.SELF_CONNECTION:
            self.dialling.is_ourselves(link)
        self._close(link, event.reason, event.detail)

    def _hello(self, link: EarlyLink, event: peer.ExtensionHandshake) -> None:
        """BEP 9, extension header: the peer speaks ut_metadata, and may have some."""
        context, said = self._context, event.value
        self._finding.introduced(link, said)
        link.metadata_id = said.m.get(wire.NAME, link.metadata_id)
        if not link.metadata_id:
            context.transfer.lost(link.state.ordinal, context.now)
        elif said.metadata_size is not None:
            context.transfer.offer(link.state.ordinal, said.metadata_size, context.now)

    def _has_node(self, link: EarlyLink, event: peer.PortReceived) -> None:
        """BEP 5: the peer has a node of the DHT.  What it says again is not looked at."""
        if self._node_seen is not None and not link.told_node:
            link.told_node = True
            self._node_seen(Address(link.state.address.host, event.port))

    def _extended(self, link: EarlyLink, event: peer.ExtensionMessage) -> None:
        if event.ext_id == pex.OUR_ID and pex.NAME in self._context.extensions:
            self._exchanged(link, event.payload)
        elif event.ext_id == wire.OUR_ID:
            self._told(link, event)

    def _exchanged(self, link: EarlyLink, payload: bytes) -> None:
        """BEP 11: the peer tells whom it is linked to."""
        try:
            contacts = link.exchange.receive(payload, self._context.now)
        except WireError as error:
            self._close(link, CloseReason.PROTOCOL_ERROR, str(error))
            return
        peers = [contact.address for contact in contacts]
        self._finding.learn(PeerSource.EXCHANGE, peers, str(link.state.address))

    def _told(self, link: EarlyLink, event: peer.ExtensionMessage) -> None:
        context, ordinal = self._context, link.state.ordinal
        try:
            said = wire.decode(event.payload)
        except WireError as error:
            self._close(link, CloseReason.PROTOCOL_ERROR, str(error))
            return
        match said:
            case wire.MetadataRequest(piece):
                self._refuse(link, piece)
            case wire.MetadataReject(piece):
                context.transfer.rejected(ordinal, piece, context.now)
            case wire.MetadataData():
                link.gave_metadata = True
                context.transfer.received(ordinal, said, context.now)

    def _refuse(self, link: EarlyLink, piece: int) -> None:
        """We have none of it ourselves."""
        if link.wire.backlog > MAX_REPLY_BACKLOG:
            self._close(link, CloseReason.PROTOCOL_ERROR, "asks for more than it reads")
        elif link.metadata_id:
            reject = wire.encode(wire.MetadataReject(piece))
            link.wire.peer.send_extended(link.metadata_id, reject)

    # --- Commands and time -----------------------------------------------------------------

    def _start(self, event: StartTorrent) -> None:
        if self._context.may_dial:
            raise LocalProtocolError("the torrent is running")
        self.resume = event.resume
        self._context.enter(TorrentState.RESOLVING)
        self.dialling.stale = True

    def _stop(self, _event: object) -> None:
        """Close every link.  No effect while it is stopped."""
        if not self._context.may_dial:
            return
        self._context.enter(TorrentState.STOPPED)
        self.dialling.cancel_all()
        for link in self._links.active:
            self._close(link, CloseReason.STOPPING)

    def _add_peer(self, event: AddPeer) -> None:
        self.dialling.add(event.address)

    def _drop_peer(self, event: DropPeer) -> None:
        self.dialling.drop(event.address)
        for link in self._links.to(event.address):
            self._close(link, CloseReason.DROPPED)

    def _tick(self, _event: Tick) -> None:
        context = self._context
        self.dialling.stale = True
        while (link := self._links.pop_due()) is not None:
            for happened in link.wire.tick(context.now):
                self._on_peer[type(happened)](link, happened)
            if not link.gone:
                self._links.touch(link)
        context.transfer.tick(context.now)
