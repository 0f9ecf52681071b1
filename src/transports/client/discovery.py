"""By which means a client finds peers: what its user wants, and what that takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from anyio.abc import SocketListener

from torrent_core import SessionConfig
from torrent_core.classes import frozen
from torrent_core.types import Address
from torrent_core.wellknown import ROUTERS

if TYPE_CHECKING:
    from ..discoverer import NetworkDiscoverer


@frozen
class PeerDiscovery:
    """The means by which a client finds peers; private torrents use their trackers alone."""

    trackers: bool = True
    """Announce to the trackers that a torrent names."""
    dht: bool = True
    """Take part in the DHT."""
    lsd: bool = True
    """Announce on the local network."""
    pex: bool = True
    """Exchange peers with peers."""
    routers: tuple[Address, ...] = ROUTERS
    """Where to enter the DHT the first time: names or literals."""


NOWHERE = PeerDiscovery(trackers=False, dht=False, lsd=False, pex=False)
"""Only peers that are named, or dial us."""


class Means:
    """What a client opens to find peers, and gives back at the end: nothing, where it sends
    and hears nothing but over links."""

    def __init__(self, wanted: PeerDiscovery) -> None:
        self._wanted = wanted

    async def open(self, listeners: list[SocketListener], config: SessionConfig) -> SessionConfig:
        """Open what is needed; returns ``config`` with what the session must know of it.

        Raises OSError if there is no UDP port to be had."""
        exchange = config.torrent.exchange_peers and self._wanted.pex
        torrent = attrs.evolve(config.torrent, exchange_peers=exchange)
        return attrs.evolve(config, torrent=torrent)

    def discoverer(self) -> NetworkDiscoverer | None:
        """What carries it out, over all that is open; None if nothing is needed."""
        return None

    def close(self) -> None:
        """Give back what is open."""
