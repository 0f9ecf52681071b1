"""The links of one torrent: what is said on each when hands are shaken, and of new pieces.

What the peer says about blocks goes to ``Downloads``, what it asks of us to ``Uploads``; this
part knows only that links exist.
"""

from __future__ import annotations

from collections import deque

import attrs

from ..bitfield import indices
from ..classes import define
from ..limits import ALLOWED_FAST_COUNT
from ..link import Link
from ..peer.events import BlockSink, HandshakeDone
from ..pieces import LinkRequests
from ..types import Address, BlockInfo, Identity, LinkId
from ..wire.fast import allowed_fast_set
from .context import Context
from .handed import HANDED_EXTENSIONS, HandedLink
from .linktable import LinkTable
from .live import LiveLink
from .news import News


@define(eq=False)
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


@define(eq=False)
class TorrentLink(LiveLink):
    """One link with its machine and its request book."""

    requests: LinkRequests
    told: int = 0
    """Set of pieces that we said we have."""
    inherited: bool = False
    """Somebody else shook hands on it, and said that we have nothing."""
    reading: int = 0
    """Bytes being read from storage to be sent on it."""
    reads: deque[Read] = attrs.field(factory=deque)
    """The reads for it that are out, oldest first: it is served in the order it asked."""

    @property
    def listens_at(self) -> Address | None:
        """Where the peer can be dialled, as far as we know."""
        state = self.state
        if not state.incoming:
            return state.address
        return None if state.listen_port is None else Address(state.address.host, state.listen_port)


class Links(LinkTable[TorrentLink]):
    """The table of a torrent, which tells what it has and counts what went to and fro."""

    _context: Context

    def __init__(self, context: Context, sink: BlockSink) -> None:
        super().__init__(context, context.metainfo.geometry, sink)

    def of_peer(self, peer: Identity) -> TorrentLink | None:
        """The live link to this very peer; there is never more than one."""
        link = self._by_peer_id.get(peer.peer_id)
        return link if link is not None and link.identity == peer else None

    # --- Opening -----------------------------------------------------------------------

    def adopt(self, handed: HandedLink) -> TorrentLink:
        """Take over a connection that somebody else has had."""
        link = self.take(handed)
        link.inherited = handed.shaken
        return link

    def _make(self, wire: Link, handed: HandedLink) -> TorrentLink:
        requests = self._context.scheduler.add_link(wire.state, self._context.now)
        return TorrentLink(wire, handed.since, list(handed.candidates), requests)

    def _begin(self, link: TorrentLink, event: HandshakeDone) -> None:
        context, peer = self._context, link.wire.peer
        if link.inherited:
            peer.pieces_were_sent()
            self._offer_extensions(link)
            return
        link.told = context.verified.bitfield
        peer.send_pieces(link.told)
        self._offer_extensions(link)
        if context.dht_port is not None and event.handshake.dht:
            peer.port(context.dht_port)
        self._report_ready(link)

    def _offer_extensions(self, link: TorrentLink) -> None:
        context, meta = self._context, self._context.metainfo
        size = None if meta.private else len(meta.info)
        self._introduce(link, self._extensions(link), size)
        if link.state.fast and context.config.upload_slots:
            host = link.state.address.host
            granted = allowed_fast_set(
                host, context.info_hash, meta.piece_count, ALLOWED_FAST_COUNT
            )
            link.wire.peer.allow_fast([index for index in granted if link.told >> index & 1])

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

    # --- Totals ------------------------------------------------------------------------

    def totals(self) -> tuple[int, int]:
        """Payload bytes down and up, in this run and earlier ones."""
        down, up = self._context.earlier
        states = [link.state for link in (*self._links, *self._closing.values())]
        down += sum(state.down.total for state in states)
        up += sum(state.up.total for state in states)
        return down, up

    def sent_late(self, link: LinkId, count: int) -> None:
        """Bytes queued before a ``Close`` have left after it: they count all the same."""
        self._closing[link].wire.sent(count, self._context.now)

    def _settle(self, link: TorrentLink) -> None:
        """Keep what a link that is gone has brought and taken."""
        down, up = self._context.earlier
        state = link.state
        self._context.earlier = (down + state.down.total, up + state.up.total)
