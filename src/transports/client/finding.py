"""How a client finds peers by other ways than links: the sockets and files for that."""

from __future__ import annotations

import os
import secrets
import socket
from ipaddress import ip_address

import anyio.to_thread
import attrs
from anyio.abc import SocketAttribute, SocketListener

from torrent_core import DiscoveryConfig, SessionConfig
from torrent_core.lsd import GROUP_IPV4, GROUP_IPV6
from torrent_core.types import Address, Family

from ..discoverer import NetworkDiscoverer
from ..nodes import NodesFile
from ..udp import MulticastSockets, UdpSockets, close_sockets, open_groups, open_sockets
from .discovery import Means, PeerDiscovery

NODES_NAME = "dht.nodes"
"""The file in the folder of state that keeps nodes of the DHT."""

SECRET_BYTES = 20

_FAMILIES: dict[int, Family] = {socket.AF_INET: Family.IPV4, socket.AF_INET6: Family.IPV6}
_GROUPS = {Family.IPV4: GROUP_IPV4, Family.IPV6: GROUP_IPV6}


class OpenMeans(Means):
    """What a client opens to find peers, and gives back at the end."""

    def __init__(self, wanted: PeerDiscovery, host: str | None, state_dir: str | None) -> None:
        super().__init__(wanted)
        self._is_local = host is not None and _is_loopback(host)
        self._host = host
        self._nodes = None if state_dir is None else NodesFile(os.path.join(state_dir, NODES_NAME))
        self._sockets: list[socket.socket] = []
        self._groups: dict[Address, socket.socket] = {}

    async def open(self, listeners: list[SocketListener], config: SessionConfig) -> SessionConfig:
        config = await super().open(listeners, config)
        port = config.torrent.listen_port or 0
        if self._wanted.trackers or self._wanted.dht:
            self._sockets = await self._open_udp(port)
        families = self._families(listeners)
        if self._wanted.lsd:
            self._groups = open_groups(_GROUPS[family] for family in families)
        if self._wanted.dht:
            udp_port: int = self._sockets[0].getsockname()[1]
            torrent = attrs.evolve(config.torrent, dht_port=udp_port)
            config = attrs.evolve(config, torrent=torrent)
        return attrs.evolve(config, discovery=await self._policy(families))

    def _families(self, listeners: list[SocketListener]) -> tuple[Family, ...]:
        """Over what peers can reach us.  Of a listener on all interfaces one socket may serve
        both families, which UDP never does here."""
        if self._host is None and self._sockets:
            found = [each.family for each in self._sockets]
        elif self._host is None:
            return tuple(_FAMILIES.values())
        else:
            found = [each.extra(SocketAttribute.family) for each in listeners]
        return tuple(dict.fromkeys(_FAMILIES[family] for family in found))

    async def _open_udp(self, port: int) -> list[socket.socket]:
        """The port that peers dial, as everybody has it; if somebody has that, any other."""
        try:
            return await open_sockets(self._host, port)
        except OSError:
            return await open_sockets(self._host, 0)

    async def _policy(self, families: tuple[Family, ...]) -> DiscoveryConfig:
        nodes = None
        if self._wanted.dht and self._nodes is not None:
            nodes = await anyio.to_thread.run_sync(self._nodes.load)
        return DiscoveryConfig(
            secret=secrets.token_bytes(SECRET_BYTES),
            trackers=self._wanted.trackers,
            dht=self._wanted.dht,
            local=self._wanted.lsd,
            families=families,
            routers=self._wanted.routers,
            nodes=nodes,
        )

    def discoverer(self) -> NetworkDiscoverer:
        interfaces = _loopback_interfaces() if self._is_local else None
        return NetworkDiscoverer(
            datagrams=UdpSockets(self._sockets) if self._sockets else None,
            multicast=MulticastSockets(self._groups, interfaces) if self._groups else None,
            nodes=self._nodes,
        )

    def close(self) -> None:
        close_sockets(self._sockets)
        close_sockets(self._groups.values())


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _loopback_interfaces() -> list[str]:
    return [name for _, name in socket.if_nameindex() if name.startswith("lo")]
