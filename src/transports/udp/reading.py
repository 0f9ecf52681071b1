"""Reading datagrams from a socket that does not block."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TypeAlias

import anyio

from torrent_core.types import Address

MAX_DATAGRAM = 65_535
"""Bytes of the longest datagram there is."""

MAX_BURST = 64
"""Datagrams read before others have their turn."""

RECEIVE_PAUSE = 0.1
"""Seconds to wait when the system cannot read a socket, as when its interface is down (as long
as the TCP adapter waits when a connection cannot be accepted)."""

Hear: TypeAlias = Callable[[Address, bytes], None]


async def read_datagrams(sock: socket.socket, hear: Hear) -> None:
    """Hand every datagram to ``hear``, for ever."""
    while True:
        await anyio.wait_readable(sock)
        try:
            _read_burst(sock, hear)
        except BlockingIOError:
            pass
        except OSError:
            await anyio.sleep(RECEIVE_PAUSE)


def _read_burst(sock: socket.socket, hear: Hear) -> None:
    for _ in range(MAX_BURST):
        data, name = sock.recvfrom(MAX_DATAGRAM)
        hear(Address(name[0], name[1]), data)
