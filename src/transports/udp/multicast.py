"""Multicast groups, joined on every interface (BEP 14)."""

from __future__ import annotations

import contextlib
import itertools
import socket
import struct
import sys
from collections.abc import Iterable, Sequence

import anyio

from torrent_core.actions import SendMulticast
from torrent_core.events import MulticastReceived
from torrent_core.types import Address

from ..faces import Feed
from .reading import read_datagrams
from .sockets import close_sockets, family_of

MAX_INTERFACES = 32
"""Interfaces that announcements are sent on; a host of containers may have hundreds."""

HOPS = 32
"""Routers that an announcement may pass (lt: hops(32)); BEP 14 wants more than one."""


class MulticastSockets:
    """A socket for each group.  What cannot be sent is lost, as other datagrams are."""

    def __init__(
        self, sockets: dict[Address, socket.socket], interfaces: Sequence[str] | None = None
    ) -> None:
        """``sockets`` as of ``open_groups``; ``interfaces`` by name, None for all but
        loopback."""
        self._sockets = sockets
        self._interfaces = interfaces
        self._feed: Feed

    def attach(self, feed: Feed) -> None:
        """Tell what comes by ``feed``."""
        self._feed = feed

    async def run(self) -> None:
        """Receive until cancelled, then close the sockets."""
        try:
            async with anyio.create_task_group() as tasks:
                for sock in self._sockets.values():
                    self._join(sock)
                    tasks.start_soon(read_datagrams, sock, self._hear)
        finally:
            close_sockets(self._sockets.values())

    def send(self, action: SendMulticast) -> None:
        """Send on each interface, also on those that came up since the last time."""
        sock = self._sockets.get(action.group)
        if sock is None:
            return
        for index in self._join(sock):
            with contextlib.suppress(OSError):
                _send_from(sock, index)
                sock.sendto(action.data, action.group)

    def _join(self, sock: socket.socket) -> list[int]:
        """Be a member on each interface; returns their indexes."""
        indexes = interface_indexes(self._interfaces)
        for index in indexes:
            with contextlib.suppress(OSError):  # a member already, or it has no multicast
                _become_member(sock, index)
        return indexes

    def _hear(self, address: Address, data: bytes) -> None:
        self._feed(MulticastReceived(address, data))


def open_groups(groups: Iterable[Address]) -> dict[Address, socket.socket]:
    """A socket for each group that this machine can listen to."""
    opened: dict[Address, socket.socket] = {}
    for group in groups:
        with contextlib.suppress(OSError):
            opened[group] = _open(group)
    return opened


def interface_indexes(names: Sequence[str] | None = None) -> list[int]:
    """The interfaces of these names, or all; loopback only by name, or if there is no other."""
    present = socket.if_nameindex()
    if names is None:
        names = [name for _, name in present if not name.startswith("lo")]
        names = names or [name for _, name in present]
    wanted = (index for index, name in present if name in names)
    return list(itertools.islice(wanted, MAX_INTERFACES))


def _open(group: Address) -> socket.socket:
    family = family_of(group.host)
    if family is None:
        raise OSError(f"{group.host} is no address")
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        # Every client of this machine listens to the group at the same port.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sys.platform != "linux":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, HOPS)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, HOPS)
        # Bound to the group, it hears nothing that was sent to this machine alone, which
        # might come from anywhere.
        sock.bind(group)
    except BaseException:
        sock.close()
        raise
    return sock


def _become_member(sock: socket.socket, index: int) -> None:
    host = sock.getsockname()[0]
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, _mreqn(host, index))
    else:
        packed = socket.inet_pton(socket.AF_INET6, host) + struct.pack("@I", index)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, packed)


def _send_from(sock: socket.socket, index: int) -> None:
    if sock.family == socket.AF_INET:
        # Left to choose, the system sends from an address of another interface on loopback,
        # and clients ignore what does not come from the network they hear it on.
        here = "127.0.0.1" if socket.if_indextoname(index).startswith("lo") else "0.0.0.0"
        chosen = _mreqn("0.0.0.0", index, here)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, chosen)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)


def _mreqn(group: str, index: int, address: str = "0.0.0.0") -> bytes:
    """A ``struct ip_mreqn``: group, address of the interface or any, its index."""
    return struct.pack("@4s4si", socket.inet_aton(group), socket.inet_aton(address), index)
