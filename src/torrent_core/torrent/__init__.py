"""One torrent: the machine that composes all others."""

from .config import Budgets, TorrentConfig
from .dialling import Dialling
from .handed import HandedLink
from .status import PeerStatus, TorrentStatus
from .torrent import Torrent

__all__ = [
    "Budgets",
    "Dialling",
    "HandedLink",
    "PeerStatus",
    "Torrent",
    "TorrentConfig",
    "TorrentStatus",
]
