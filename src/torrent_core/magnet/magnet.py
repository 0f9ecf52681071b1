"""The composing machine of a torrent whose metadata is not here yet.

It has the face of ``Torrent``, and of links it does what that does (``torrent.machine``); of what
peers say about pieces it only keeps account.  When the metadata has come, ``metainfo`` is there,
the links are given away, and the one who holds the machine puts a ``Torrent`` in its place.
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
from ..events import Sent, StartTorrent, StopTorrent, Tick
from ..limits import BLOCK_SIZE, MAX_REPLY_BACKLOG
from ..metadata.transfer import MetadataTransfer
from ..metainfo import MagnetLink, Metainfo, parse_torrent
from ..peer import events as peer
from ..torrent import Budgets, Dialling, HandedLink, PeerStatus, TorrentConfig, TorrentStatus
from ..torrent.machine import LinkMachine, NodeSeen
from ..types import CloseReason, PeerSource, RandomSource, TorrentState, Totals
from ..wire import metadata as wire
from ..wire import pex
from .context import Context
from .explain import explain
from .links import EarlyLink, Links
from .status import magnet_status, peer_status


class Magnet(LinkMachine[EarlyLink]):
    """One magnet link, stopped until ``StartTorrent``; arguments are those of ``Torrent``.

    Raises LocalProtocolError for a link with a peer that nobody can dial.
    """

    _kind = "magnet"
    _context: Context
    _links: Links

    def __init__(
        self,
        magnet: MagnetLink,
        *,
        peer_id: bytes,
        random: RandomSource,
        config: TorrentConfig | None = None,
        budgets: Budgets | None = None,
        new_dial_id: Callable[[], int] | None = None,
        node_seen: NodeSeen | None = None,
    ) -> None:
        context = Context(
            magnet=magnet,
            config=config or TorrentConfig(),
            budgets=budgets or Budgets(),
            peer_id=peer_id,
            random=random,
            transfer=MetadataTransfer(magnet.info_hash),
        )
        links = Links(context)
        dialling = Dialling(context, links, new_dial_id or count(1).__next__)
        super().__init__(context, links, dialling, node_seen)
        self.metainfo: Metainfo | None = None
        """What the torrent is, once that is known: then this machine is done for."""
        self.resume: bytes | None = None
        """The resume data of the last ``StartTorrent``, for the torrent."""
        self._offer_extensions()
        for address in magnet.peers:
            self._dialling.add(address)
        self._on_event = self._event_table()
        self._on_peer = self._peer_table()

    def _offer_extensions(self) -> None:
        offers = self._context.extensions
        offers[wire.NAME] = wire.OUR_ID
        if self._context.config.exchange_peers:
            offers[pex.NAME] = pex.OUR_ID

    # --- The face ----------------------------------------------------------------------

    def next_deadline(self) -> Deadline | None:
        """When ``handle(Tick(), ...)`` is owed at the latest, and why; None if never."""
        if self.metainfo is not None:
            return None
        return soonest(
            self._context.transfer.next_deadline(),
            self._links.next_deadline(),
            self._dialling.next_deadline(),
        )

    def resume_requests(self, now: float) -> list[Action]:
        """Links or dials that are shared with torrents came free."""
        return self.handle(Tick(), now)

    def give_way(self, now: float) -> list[Action]:
        """A torrent was refused memory.  None is held here: no more than time goes by."""
        return self.handle(Tick(), now)

    def explain(self, now: float, dues: Iterable[Deadline] = ()) -> Explanation:
        """Why the metadata is not here yet, and what will move it next.

        ``dues`` are what others do next to find peers, as in ``Torrent.explain``."""
        return explain(self._context, self._links, (*self._dialling.scheduled(), *dues), now)

    @property
    def is_short_of_peers(self) -> bool:
        """Whether links are few, and nobody is left to be dialled."""
        return self._context.may_dial and self._dialling.is_short

    def status(self, now: float) -> TorrentStatus:
        """The magnet at a glance."""
        return magnet_status(self._context, self._links, self._dialling.book)

    def peers(self, now: float) -> list[PeerStatus]:
        """One row for each link with hands shaken, oldest first."""
        book = self._dialling.book
        return [peer_status(link, book) for link in self._links.active if link.wire.is_open]

    @property
    def dialling(self) -> Dialling:
        """Whom it dials; goes over to the torrent together with the links."""
        return self._dialling

    @property
    def magnet(self) -> MagnetLink:
        """The link that it was made of."""
        return self._context.magnet

    @property
    def totals(self) -> Totals:
        """For trackers, who take nobody for a leecher that has nothing left: how much is left
        is not known yet, and a block is named in its place (as libtorrent does)."""
        return Totals(0, 0, BLOCK_SIZE)

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
        return super()._event_table() | {
            StartTorrent: self._named(self._start),
            StopTorrent: self._named(self._stop),
        }

    def _peer_table(self) -> dict[type, Callable[[EarlyLink, Any], None]]:
        return super()._peer_table() | {
            peer.ExtensionHandshake: self._hello,
            peer.ExtensionMessage: self._extended,
        }

    def _settle(self) -> None:
        """The end of every step: leave liars, ask others, and see whether it is done."""
        transfer = self._context.transfer
        if self.metainfo is not None:
            return  # links and dials are somebody else's now
        for ordinal in transfer.take_guilty():
            self._convict(ordinal)
        if self._dialling.stale:
            self._dialling.tick()
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
        self._dialling.review(hosts)
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
        self._dialling.turned_private()
        for link in self._links.active:
            known = any(address in self._dialling.book for address in link.candidates)
            if not (known or link.state.incoming):
                self._close(link, CloseReason.DROPPED, "the torrent is private")

    # --- Links -------------------------------------------------------------------------

    def _sent(self, event: Sent) -> None:
        link = self._links.get(event.link)
        if link is not None:
            link.wire.sent(event.count, self._context.now)

    def _forget(self, link: EarlyLink) -> None:
        self._context.transfer.lost(link.state.ordinal, self._context.now)
        super()._forget(link)

    # --- What peers say ------------------------------------------------------------------

    def _hello(self, link: EarlyLink, event: peer.ExtensionHandshake) -> None:
        """BEP 9, extension header: the peer speaks ut_metadata, and may have some."""
        context, said = self._context, event.value
        self._finding.introduced(link, said)
        link.metadata_id = said.m.get(wire.NAME, link.metadata_id)
        if not link.metadata_id:
            context.transfer.lost(link.state.ordinal, context.now)
        elif said.metadata_size is not None:
            context.transfer.offer(link.state.ordinal, said.metadata_size, context.now)

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
        self._dialling.stale = True

    def _stop(self, _event: object) -> None:
        """Close every link.  No effect while it is stopped."""
        if not self._context.may_dial:
            return
        self._context.enter(TorrentState.STOPPED)
        self._dialling.cancel_all()
        for link in self._links.active:
            self._close(link, CloseReason.STOPPING)

    def _tick(self, event: Tick) -> None:
        super()._tick(event)
        self._context.transfer.tick(self._context.now)

    def _postpone_requests(self, seconds: float) -> None:
        self._context.transfer.postpone(seconds)
