"""Plain TCP by anyio streams: on any event loop that anyio knows."""

from __future__ import annotations

import anyio
from anyio.abc import SocketListener, SocketStream

from torrent_core.types import Address

from .base import BaseNetwork, LiveLink
from .link import TcpLink
from .sockets import prepare

FREED_ONCE = 8 * 1024 * 1024
"""Bytes that glibc is shown once to come and go.  It gives what is free at the end of its heap
back to the system beyond twice the largest block that it has seen freed (mallopt(3),
M_MMAP_THRESHOLD).  uvloop reads 256,000 bytes up to 32 times before any are taken: so much would
be given back, and be new memory again, with each such lot: 85,000 pages and more were touched for
the first time in a download of 1 GiB, which are 10,000 after this."""


class TcpNetwork(BaseNetwork[SocketStream]):
    """Every TCP connection of one driver."""

    def __init__(self, listeners: list[SocketListener]) -> None:
        super().__init__(listeners)
        bytes(FREED_ONCE)  # never touched, it takes no memory

    async def _connect(self, host: str, port: int) -> SocketStream:
        return await anyio.connect_tcp(host, port)

    async def _take(self, listener: SocketListener) -> SocketStream:
        return await listener.accept()

    def _prepare(self, connection: SocketStream) -> Address | None:
        return prepare(connection)

    def _link(self, serial: int, connection: SocketStream) -> LiveLink:
        return TcpLink(serial, connection, self._feed)

    async def _hang_up(self, connection: SocketStream) -> None:
        await connection.aclose()
