"""The UDP port that all of a client's datagrams leave from: a socket for each family."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterable
from ipaddress import ip_address

import anyio

from torrent_core.actions import SendDatagram
from torrent_core.events import DatagramReceived
from torrent_core.types import Address

from ..faces import Feed
from .reading import read_datagrams

ANYWHERE = ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::"))

PORT_TRIES = 8
"""Free ports that are tried until one is free in both families."""

NO_SUCH_FAMILY = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)
"""What a machine without IPv6, or without IPv4, answers."""


class UdpSockets:
    """Sends and receives datagrams; at most one socket a family.

    A datagram that cannot be sent is lost: the core counts on none to arrive.
    """

    def __init__(self, sockets: list[socket.socket]) -> None:
        self._sockets: dict[int | None, socket.socket] = {sock.family: sock for sock in sockets}
        self._feed: Feed

    def attach(self, feed: Feed) -> None:
        """Tell what comes by ``feed``."""
        self._feed = feed

    async def run(self) -> None:
        """Receive until cancelled, then close the sockets."""
        try:
            async with anyio.create_task_group() as tasks:
                for sock in self._sockets.values():
                    tasks.start_soon(read_datagrams, sock, self._hear)
        finally:
            close_sockets(self._sockets.values())

    def send(self, action: SendDatagram) -> None:
        """Send now or never."""
        sock = self._sockets.get(family_of(action.address.host))
        if sock is not None:
            # A port beyond 16 bits is an OverflowError; what is full or unreachable an OSError.
            with contextlib.suppress(OSError, OverflowError):
                sock.sendto(action.data, action.address)

    def _hear(self, address: Address, data: bytes) -> None:
        self._feed(DatagramReceived(address, data))


def family_of(host: str) -> socket.AddressFamily | None:
    """The family of a literal address; None for anything else, a host name above all:
    ``sendto`` would look that up, and block."""
    try:
        version = ip_address(host).version
    except ValueError:
        return None
    return socket.AF_INET if version == 4 else socket.AF_INET6


async def open_sockets(host: str | None, port: int) -> list[socket.socket]:
    """A socket bound to ``host``, or one a family on all interfaces when it is None.

    Port 0 takes a free one, the same for all.  Raises OSError.
    """
    where = list(ANYWHERE) if host is None else await _addresses(host)
    for _ in range(PORT_TRIES - 1 if port == 0 else 0):
        try:
            return _bind_all(where, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    return _bind_all(where, port)


def close_sockets(sockets: Iterable[socket.socket]) -> None:
    """Close them all."""
    for sock in sockets:
        sock.close()


async def _addresses(host: str) -> list[tuple[socket.AddressFamily, str]]:
    found = await anyio.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    first: dict[socket.AddressFamily, str] = {}
    for family, _, _, _, name in found:
        first.setdefault(family, name[0])
    return list(first.items())


def _bind_all(where: list[tuple[socket.AddressFamily, str]], port: int) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    lacking: OSError | None = None
    for family, host in where:
        try:
            sock = _bind(family, host, port)
        except OSError as error:
            if error.errno not in NO_SUCH_FAMILY:
                close_sockets(sockets)
                raise
            lacking = error
        else:
            sockets.append(sock)
            port = sock.getsockname()[1]
    if lacking is not None and not sockets:
        raise lacking
    return sockets


def _bind(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if family == socket.AF_INET6:
            # IPv4 has a socket of its own, with addresses in their own form.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    return sock
