"""A magnet as the values that a torrent's status has, as far as they are known."""

from __future__ import annotations

from ..candidates import DialBook
from ..torrent import PeerStatus, TorrentStatus
from ..torrent.status import sources_of
from .context import Context
from .links import EarlyLink, Links


def magnet_status(context: Context, links: Links, book: DialBook) -> TorrentStatus:
    """The whole magnet."""
    return TorrentStatus(
        info_hash=context.info_hash,
        name=context.magnet.name or context.info_hash.hex(),
        state=context.state,
        progress=0.0,
        checking=0.0,
        down_rate=0.0,
        up_rate=0.0,
        downloaded=0,
        uploaded=0,
        wasted=0,
        peers=sum(link.wire.is_open for link in links.active),
        pieces_have=0,
        pieces_total=0,
        wanted_left=0,
        eta=None,
        known=book.known(),
    )


def peer_status(link: EarlyLink, book: DialBook) -> PeerStatus:
    """One link."""
    state = link.state
    return PeerStatus(
        link=state.link,
        address=state.address,
        client=state.client,
        down_rate=0.0,
        up_rate=0.0,
        downloaded=0,
        uploaded=0,
        progress=0.0,
        am_choking=state.am_choking,
        am_interested=state.am_interested,
        peer_choking=state.peer_choking,
        peer_interested=state.peer_interested,
        outstanding=0,
        depth=0,
        snubbed=False,
        sources=sources_of(link, book),
    )
