"""A ``world`` around a session of several torrents."""

from __future__ import annotations

from torrent_core.pieces import ActivePieceConfig
from torrent_core.session import SessionConfig
from torrent_core.testing import SessionWorld as Party
from torrent_core.torrent import TorrentConfig
from world import BLOCK

__all__ = ["Party", "small_memory"]


def small_memory(blocks: int) -> SessionConfig:
    active = ActivePieceConfig(max_buffered_bytes=blocks * BLOCK)
    return SessionConfig(torrent=TorrentConfig(active=active))
