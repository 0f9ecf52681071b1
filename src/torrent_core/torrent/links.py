"""The links of one torrent: opening, shaking hands, announcing, closing.

What the peer says about blocks goes to ``Downloads``, what it asks of us to ``Uploads``; this
part knows only that links exist.
"""

from __future__ import annotations

from collections import deque

import attrs

from ..actions import Close, LinkLost, LinkReady, Send
from ..addresses import packed
from ..bitfield import indices
from ..deadlines import Deadline, Deadlines
from ..errors import LocalProtocolError
from ..limits import ALLOWED_FAST_COUNT, MAX_UPLOAD_QUEUE
from ..link import DEFAULT_RESERVED, RESERVED_WITH_DHT, Link
from ..linkstate import LinkState
from ..peer.events import BlockSink, HandshakeDone
from ..pieces import LinkRequests
from ..rates import Rate
from ..registry import Registry
from ..types import Address, BlockInfo, CloseReason, Identity, LinkId
from ..wire import extended
from ..wire.fast import allowed_fast_set
from .context import Context
from .dialled import one_too_many
from .handed import HANDED_EXTENSIONS, HandedLink
from .news import News


@attrs.define(eq=False)
class Read:
    """Requests that one read of the storage serves."""

    run: list[BlockInfo]
    data: bytes | None = None
    """What was read, if an older read is not answered yet."""
    failed: bool = False

    @property
    def length(self) -> int:
        """Bytes to be read."""
        return sum(request.length for request in self.run)


@attrs.define(eq=False)
class TorrentLink:
    """One link with its machine and its request book."""

    wire: Link
    requests: LinkRequests
    opened_at: float
    candidates: list[Address]
    """Peers of the dial book whose link this is, to be told when it ends: whom we dialled, and
    where a peer that dialled us listens."""
    told: int = 0
    """Set of pieces that we said we have."""
    inherited: bool = False
    """Somebody else shook hands on it, and said that we have nothing."""
    gone: bool = False
    """Closed, or lost: nothing more is done with it."""
    told_node: bool = False
    """The peer has said where its node of the DHT is."""
    reading: int = 0
    """Bytes being read from storage to be sent on it."""
    reads: deque[Read] = attrs.field(factory=deque)
    """The reads for it that are out, oldest first: it is served in the order it asked."""

    @property
    def state(self) -> LinkState:
        """What both sides said."""
        return self.wire.state

    @property
    def id(self) -> LinkId:
        """The adapter's name for it."""
        return self.wire.state.link

    @property
    def identity(self) -> Identity:
        """Who is at the other end, once hands are shaken."""
        return Identity(self.state.address.host, self.state.peer_id)

    @property
    def listens_at(self) -> Address | None:
        """Where the peer can be dialled, as far as we know."""
        state = self.state
        if not state.incoming:
            return state.address
        return None if state.listen_port is None else Address(state.address.host, state.listen_port)

    @property
    def was_useful(self) -> bool:
        """Whether it brought us anything."""
        return self.state.down.total > 0

    @property
    def is_open(self) -> bool:
        """Whether hands are shaken, so that verbs may be used."""
        return self.wire.is_open


class Links:
    """Live links by the adapter's id, and those that wait for their ``LinkClosed``."""

    def __init__(self, context: Context, sink: BlockSink) -> None:
        self._context = context
        self._sink = sink
        self._links: Registry[LinkId, TorrentLink] = Registry()
        self._by_ordinal: dict[int, TorrentLink] = {}
        self._by_peer_id: dict[bytes, TorrentLink] = {}
        self._closing: dict[LinkId, TorrentLink] = {}
        self._touched: dict[int, TorrentLink] = {}
        self._deadlines: Deadlines[int] = Deadlines()
        self._last_ordinal = 0

    # --- Finding -----------------------------------------------------------------------

    def get(self, link: LinkId) -> TorrentLink | None:
        """The live link of that id; None between its ``Close`` and its ``LinkClosed``.

        Raises LocalProtocolError for an id that is neither.
        """
        found = self._links.get(link)
        if found is None and link not in self._closing:
            raise LocalProtocolError(f"no link {link!r}")
        return found

    def is_known(self, link: LinkId) -> bool:
        """Whether the id is in use, or waits for its ``LinkClosed``."""
        return link in self._links or link in self._closing

    def by_ordinal(self, ordinal: int) -> TorrentLink | None:
        """The live link of that ordinal."""
        return self._by_ordinal.get(ordinal)

    def live(self, ordinal: int) -> TorrentLink:
        """The same, of a link that is known to live: it has requests out, or a slot."""
        return self._by_ordinal[ordinal]

    def of_peer(self, peer: Identity) -> TorrentLink | None:
        """The live link to this very peer; there is never more than one."""
        link = self._by_peer_id.get(peer.peer_id)
        return link if link is not None and link.identity == peer else None

    @property
    def active(self) -> list[TorrentLink]:
        """The live links, oldest first."""
        return self._links.active

    def to(self, address: Address) -> list[TorrentLink]:
        """The live links with that other end, or to the peer that listens there."""
        return [
            link
            for link in self._links
            if link.state.address == address or address in link.candidates
        ]

    def __len__(self) -> int:
        return len(self._links)

    def totals(self) -> tuple[int, int]:
        """Payload bytes down and up, in this run and earlier ones."""
        down, up = self._context.earlier
        states = [link.state for link in (*self._links, *self._closing.values())]
        down += sum(state.down.total for state in states)
        up += sum(state.up.total for state in states)
        return down, up

    # --- Opening -----------------------------------------------------------------------

    def open(self, link: LinkId, address: Address, *, dialled: bool, since: float) -> TorrentLink:
        """Take a connection in; our handshake goes out at once if we dialled."""
        candidates = (address,) if dialled else ()
        return self._take(HandedLink(link, address, dialled, since, candidates))

    def adopt(self, handed: HandedLink) -> TorrentLink:
        """Take over a connection that somebody else has had."""
        link = self._take(handed)
        link.inherited = handed.shaken
        return link

    def _take(self, handed: HandedLink) -> TorrentLink:
        context = self._context
        now = context.now
        self._last_ordinal += 1
        state = LinkState(
            ordinal=self._last_ordinal,
            link=handed.link,
            address=handed.address,
            incoming=not handed.dialled,
            down=Rate(now),
            up=Rate(now),
        )
        wire = Link(
            state,
            info_hash=context.info_hash,
            peer_id=context.peer_id,
            geometry=context.metainfo.geometry,
            sink=self._sink,
            now=now,
            since=handed.since,
            greeted=handed.greeted,
            unsent=handed.unsent,
            reserved=DEFAULT_RESERVED if context.dht_port is None else RESERVED_WITH_DHT,
        )
        requests = context.scheduler.add_link(state, now)
        candidates = list(handed.candidates)
        made = TorrentLink(wire, requests, handed.since, candidates)
        self._links.add(handed.link, made)
        self._by_ordinal[state.ordinal] = made
        self.touch(made)
        return made

    def is_banned(self, peer_id: bytes, link: TorrentLink) -> bool:
        """Whether a link whose peer has just named itself is not kept for what it did."""
        return self._context.bans.refuses(Identity(link.state.address.host, peer_id))

    def surplus(self, peer_id: bytes, link: TorrentLink) -> TorrentLink | None:
        """A peer has just named itself: which link to it is one too many, if any."""
        first = self._by_peer_id.get(peer_id)
        if first is None:
            return None
        return one_too_many(first, link, we_are_greater=self._context.peer_id > peer_id)

    def shaken(self, link: TorrentLink, event: HandshakeDone) -> None:
        """Hands are shaken: say what we have."""
        context = self._context
        peer_id = event.handshake.peer_id
        self._by_peer_id[peer_id] = link
        if link.inherited:
            link.wire.peer.pieces_were_sent()
            self._offer_extensions(link)
            return
        link.told = context.verified.bitfield
        link.wire.peer.send_pieces(link.told)
        self._offer_extensions(link)
        if context.dht_port is not None and event.handshake.dht:
            link.wire.peer.port(context.dht_port)
        ready = LinkReady(context.info_hash, link.id, link.state.address, peer_id)
        context.actions.append(ready)

    def _offer_extensions(self, link: TorrentLink) -> None:
        context, peer = self._context, link.wire.peer
        if link.state.extended:
            meta = context.metainfo
            hello = extended.ExtendedHandshake(
                m=self._extensions(link),
                metadata_size=None if meta.private else len(meta.info),
                v=context.config.client_name,
                p=context.config.listen_port,
                reqq=MAX_UPLOAD_QUEUE,
                yourip=packed(link.state.address.host),
            )
            peer.send_extended(0, extended.encode(hello))
        if link.state.fast and context.config.upload_slots:
            count = context.metainfo.piece_count
            host = link.state.address.host
            granted = allowed_fast_set(host, context.info_hash, count, ALLOWED_FAST_COUNT)
            peer.allow_fast([index for index in granted if link.told >> index & 1])

    def _extensions(self, link: TorrentLink) -> dict[bytes, int]:
        context = self._context
        if not link.inherited:
            return context.extensions
        # What was offered before it was known that the torrent is private ends here: 0.
        return {**dict.fromkeys(HANDED_EXTENSIONS, 0), **context.extensions}

    # --- Announcing --------------------------------------------------------------------

    def announce(self, pieces: list[int]) -> None:
        """Say HAVE to every link that does not have the piece itself."""
        news = News(pieces)
        for link in self._links:
            if link.is_open:
                link.told |= news.pieces
                haves = news.haves_for(link.state.pieces)
                if haves:
                    link.wire.peer.have_encoded(haves)
                    self.touch(link)

    def announce_checked(self) -> None:
        """A check has found pieces since some hands were shaken."""
        for link in self._links:
            if link.is_open:
                news = self._context.verified.bitfield & ~link.told
                link.told |= news
                link.wire.peer.have(indices(news & ~link.state.pieces))
                self.touch(link)

    # --- Closing -----------------------------------------------------------------------

    def close(self, link: TorrentLink, reason: CloseReason, detail: str = "") -> None:
        """Say what is owed, close, and wait for the adapter's ``LinkClosed``."""
        self.flush_one(link)
        self._context.actions.append(Close(link.id, reason, detail))
        self._closing[link.id] = link
        self._forget(link, reason, detail)

    def closed(self, link: LinkId) -> TorrentLink | None:
        """The adapter says that the connection is gone; returns it if that is news."""
        closing = self._closing.pop(link, None)
        if closing is not None:
            self._settle(closing)
        return self._links.get(link)

    def sent_late(self, link: LinkId, count: int) -> None:
        """Bytes queued before a ``Close`` have left after it: they count all the same."""
        self._closing[link].wire.sent(count, self._context.now)

    def lost(self, link: TorrentLink, reason: CloseReason, detail: str) -> None:
        """Forget a link and all that hangs on it but its requests, which ``Downloads`` frees."""
        self._forget(link, reason, detail)
        self._settle(link)

    def _settle(self, link: TorrentLink) -> None:
        """Keep what a link that is gone has brought and taken."""
        down, up = self._context.earlier
        state = link.state
        self._context.earlier = (down + state.down.total, up + state.up.total)

    def _forget(self, link: TorrentLink, reason: CloseReason, detail: str) -> None:
        state = link.state
        link.gone = True
        link.wire.close()
        self._links.remove(link.id)
        del self._by_ordinal[state.ordinal]
        self._touched.pop(state.ordinal, None)
        self._deadlines.clear(state.ordinal)
        if self._by_peer_id.get(state.peer_id) is link:
            del self._by_peer_id[state.peer_id]
        gone = LinkLost(self._context.info_hash, link.id, state.address, reason, detail)
        self._context.actions.append(gone)

    # --- The end of a step ---------------------------------------------------------------

    def touch(self, link: TorrentLink) -> None:
        """The link may have something to send, or another deadline, when the step ends."""
        self._touched[link.state.ordinal] = link

    def flush(self) -> None:
        """One ``Send`` for each link that has something to say."""
        for link in self._touched.values():
            self.flush_one(link)
            self._rearm(link)
        self._touched.clear()

    def _rearm(self, link: TorrentLink) -> None:
        due = link.wire.next_deadline()
        self._deadlines.put(link.state.ordinal, None if due is None else due.when)

    def flush_one(self, link: TorrentLink) -> None:
        """Send what one link has queued."""
        data = link.wire.drain(self._context.now)
        if data:
            self._context.actions.append(Send(link.id, data))

    def pop_due(self) -> TorrentLink | None:
        """The next link whose own deadline has come."""
        ordinal = self._deadlines.pop_due(self._context.now)
        return None if ordinal is None else self._by_ordinal[ordinal]

    def postpone(self, seconds: float) -> None:
        """Hold the last ``seconds`` against no peer; what is due of ours stays due."""
        for link in self._links:
            link.wire.postpone(seconds)
            self._rearm(link)

    def next_deadline(self) -> Deadline | None:
        """The first deadline of any link."""
        first = self._deadlines.soonest()
        if first is None:
            return None
        return self._by_ordinal[first[1]].wire.next_deadline()
