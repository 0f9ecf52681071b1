"""UDP on plain sockets: one for trackers and DHT together, and multicast."""

from .multicast import MulticastSockets, open_groups
from .sockets import UdpSockets, close_sockets, open_sockets

__all__ = ["MulticastSockets", "UdpSockets", "close_sockets", "open_groups", "open_sockets"]
