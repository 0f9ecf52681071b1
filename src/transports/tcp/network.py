"""Plain TCP by anyio streams: on any event loop that anyio knows."""

from __future__ import annotations

import anyio
from anyio.abc import SocketListener, SocketStream

from torrent_core.types import Address

from .base import BaseNetwork, LiveLink
from .link import TcpLink
from .sockets import prepare


class TcpNetwork(BaseNetwork[SocketStream]):
    """Every TCP connection of one driver."""

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
