"""Plain TCP: on an asyncio loop without detours, on any other loop by anyio."""

from __future__ import annotations

from anyio.abc import SocketListener

from ..watching import has_watching_loop
from .loop import LoopNetwork
from .network import TcpNetwork

__all__ = ["LoopNetwork", "TcpNetwork", "make_network"]


def make_network(listeners: list[SocketListener]) -> LoopNetwork | TcpNetwork:
    """The faster network of those that the running event loop can have."""
    return LoopNetwork(listeners) if has_watching_loop() else TcpNetwork(listeners)
