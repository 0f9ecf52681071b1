"""Plain TCP on anyio."""

from .network import TcpNetwork

__all__ = ["TcpNetwork"]
