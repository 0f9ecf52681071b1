"""What the TCP adapter needs of sockets: listening, naming the other end, naming errors."""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
from typing import cast

import anyio
from anyio.abc import SocketAttribute, SocketListener, SocketStream

from torrent_core.types import Address

ACCEPT_BACKLOG = 128
"""Connections the kernel may hold for us until they are accepted (listen(2), SOMAXCONN)."""


async def open_listeners(host: str | None, port: int) -> list[SocketListener]:
    """Listen on ``host``, or on all interfaces, IPv4 and IPv6, when it is None.

    Port 0 takes a free one, the same for all.  Raises OSError.
    """
    multi = await anyio.create_tcp_listener(
        local_host=host, local_port=port, backlog=ACCEPT_BACKLOG
    )
    return [cast(SocketListener, listener) for listener in multi.listeners]


async def close_listeners(listeners: list[SocketListener]) -> None:
    """Close them all, whatever is being cancelled."""
    with anyio.CancelScope(shield=True):
        for listener in listeners:
            await listener.aclose()


def local_port(listeners: list[SocketListener]) -> int:
    """The port the listeners share."""
    return listeners[0].extra(SocketAttribute.local_port)


def prepare(stream: SocketStream) -> Address | None:
    """Turn Nagle's delay off and name the other end; None if it has gone already."""
    try:
        return prepare_socket(stream.extra(SocketAttribute.raw_socket))
    except (OSError, anyio.TypedAttributeLookupError):
        return None


def prepare_socket(raw: socket.socket) -> Address | None:
    """The same for a socket."""
    try:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        name = raw.getpeername()
    except OSError:
        return None
    return Address(unmapped(str(name[0])), int(name[1]))


def unmapped(host: str) -> str:
    """IPv4 in its own form, where a dual-stack socket shows it as ``::ffff:a.b.c.d``."""
    if host.startswith("::ffff:"):
        mapped = ipaddress.IPv6Address(host).ipv4_mapped
        return host if mapped is None else str(mapped)
    return host


def describe(error: BaseException) -> str:
    """One line for a person: the words of the innermost cause of ``error`` that has any, the
    system's own where it has a number."""
    text = ""
    cause: BaseException | None = error
    while cause is not None:
        error = cause
        text = _words(error) or text
        cause = _cause(error)
    return text or type(error).__name__


def _cause(error: BaseException) -> BaseException | None:
    if isinstance(error, BaseExceptionGroup):
        return error.exceptions[0]
    # httpcore raises from None, and carries the cause as its argument.
    carried = error.args[0] if error.args else None
    return error.__cause__ or (carried if isinstance(carried, BaseException) else None)


def _words(error: BaseException) -> str:
    # Those of name resolution and of TLS have numbers of their own.
    foreign = isinstance(error, socket.gaierror | ssl.SSLError)
    if isinstance(error, OSError) and error.errno and not foreign:
        return os.strerror(error.errno)
    return str(error)
