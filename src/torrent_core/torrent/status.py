"""What a torrent is doing, as values for people and programs to look at."""

from __future__ import annotations

from ..candidates import DialBook
from ..classes import frozen
from ..types import Address, InfoHash, LinkId, PeerSource, TorrentState, Totals
from .context import Context
from .links import Links, TorrentLink
from .live import LiveLink


@frozen
class TorrentStatus:
    """One torrent at one moment.  Rates in bytes a second, sizes in bytes of payload."""

    info_hash: InfoHash
    name: str
    state: TorrentState
    progress: float
    """Verified share of what is wanted, 0 to 1."""
    checking: float
    """Share of the check that is done, while ``state`` is CHECKING."""
    down_rate: float
    up_rate: float
    downloaded: int
    """All runs together, waste included."""
    uploaded: int
    wasted: int
    """Received in this run and of no use."""
    peers: int
    """Links with hands shaken."""
    pieces_have: int
    pieces_total: int
    wanted_left: int
    """Bytes of wanted pieces that are not verified."""
    eta: float | None
    """Seconds until done at the present rate, or None if it would never be."""
    known: dict[PeerSource, int]
    """How many peers of the peer book each source told of; one may have several."""


@frozen
class PeerStatus:
    """One link at one moment."""

    link: LinkId
    address: Address
    client: str
    down_rate: float
    up_rate: float
    downloaded: int
    uploaded: int
    progress: float
    """Share of the torrent's pieces that the peer has."""
    am_choking: bool
    am_interested: bool
    peer_choking: bool
    peer_interested: bool
    outstanding: int
    """Requests out."""
    depth: int
    """Requests to keep out at its present rate."""
    snubbed: bool
    """It fell silent with requests out, and is being probed."""
    sources: tuple[PeerSource, ...]
    """Who told us of it."""


def torrent_status(
    context: Context, links: Links, book: DialBook, checking: float, now: float
) -> TorrentStatus:
    """The whole torrent at ``now``."""
    shaken = [link for link in links.active if link.is_open]
    down_rate = sum(link.state.down.value(now) for link in shaken)
    downloaded, uploaded = links.totals()
    wanted = size_of(context, context.wanted)
    left = size_of(context, context.missing)
    return TorrentStatus(
        info_hash=context.info_hash,
        name=context.metainfo.name,
        state=context.state,
        progress=1.0 - left / wanted if wanted else 1.0,
        checking=checking,
        down_rate=down_rate,
        up_rate=sum(link.state.up.value(now) for link in shaken),
        downloaded=downloaded,
        uploaded=uploaded,
        wasted=context.wasted,
        peers=len(shaken),
        pieces_have=context.verified.bitfield.bit_count(),
        pieces_total=context.metainfo.piece_count,
        wanted_left=left,
        eta=_eta(left, down_rate),
        known=book.known(),
    )


def torrent_totals(context: Context, links: Links) -> Totals:
    """What a tracker is told (BEP 3)."""
    downloaded, uploaded = links.totals()
    missing = context.metainfo.geometry.all_pieces & ~context.verified.bitfield
    return Totals(uploaded, downloaded, size_of(context, missing))


def peer_status(link: TorrentLink, book: DialBook, all_pieces: int, now: float) -> PeerStatus:
    """One link at ``now``."""
    state = link.state
    return PeerStatus(
        link=state.link,
        address=state.address,
        client=state.client,
        down_rate=state.down.value(now),
        up_rate=state.up.value(now),
        downloaded=state.down.total,
        uploaded=state.up.total,
        progress=state.pieces.bit_count() / all_pieces.bit_count(),
        am_choking=state.am_choking,
        am_interested=state.am_interested,
        peer_choking=state.peer_choking,
        peer_interested=state.peer_interested,
        outstanding=len(link.requests.out),
        depth=link.requests.depth,
        snubbed=link.requests.snubbed,
        sources=sources_of(link, book),
    )


def sources_of(link: LiveLink, book: DialBook) -> tuple[PeerSource, ...]:
    """Who told of the peer at the other end."""
    told = {source for address in link.candidates for source in book.sources(address)}
    if link.state.incoming:
        told.add(PeerSource.INCOMING)
    return tuple(source for source in PeerSource if source in told)


def size_of(context: Context, pieces: int) -> int:
    """Bytes of a set of pieces; only the last piece of a torrent may be shorter."""
    geometry = context.metainfo.geometry
    last = geometry.piece_count - 1
    short = geometry.piece_length - geometry.piece_size(last) if pieces >> last & 1 else 0
    return pieces.bit_count() * geometry.piece_length - short


def _eta(left: int, rate: float) -> float | None:
    if not left:
        return 0.0
    return left / rate if rate >= 1 else None
