"""Who else has this torrent: trackers, DHT and the local network, for all torrents at once."""

from .config import DiscoveryConfig
from .machine import Discovery
from .parts import DhtPart, Found, LocalPart, TrackerPart

__all__ = ["DhtPart", "Discovery", "DiscoveryConfig", "Found", "LocalPart", "TrackerPart"]
