"""The DHT (BEP 5): peers for torrents from nodes that nobody runs for the purpose."""

from __future__ import annotations

from ..wellknown import ROUTERS
from .config import DhtConfig
from .dht import Dht, DhtEvent
from .searches import SwarmSize

__all__ = ["ROUTERS", "Dht", "DhtConfig", "DhtEvent", "SwarmSize"]
