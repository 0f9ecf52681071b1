"""Who else has this torrent: trackers, DHT and the local network, for all torrents at once."""

from .machine import Discovery
from .parts import DhtPart, Found, LocalPart, TrackerPart

__all__ = ["DhtPart", "Discovery", "Found", "LocalPart", "TrackerPart"]
