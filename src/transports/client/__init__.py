"""The face for programs that want a client rather than a core."""

from .client import Client
from .dials import PeerUnreachable
from .discovery import PeerDiscovery
from .handle import TorrentHandle
from .subscription import EventStream

__all__ = ["Client", "EventStream", "PeerDiscovery", "PeerUnreachable", "TorrentHandle"]
