"""One torrent: the machine that composes all others."""

from .config import Budgets, TorrentConfig
from .status import PeerStatus, TorrentStatus
from .torrent import Torrent

__all__ = ["Budgets", "PeerStatus", "Torrent", "TorrentConfig", "TorrentStatus"]
