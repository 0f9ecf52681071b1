"""Torrent files: reading them, making them, and the safe names of what is inside."""

from __future__ import annotations

from .create import TorrentBuilder, choose_piece_length
from .model import FileEntry, Metainfo
from .parse import parse_torrent

__all__ = ["FileEntry", "Metainfo", "TorrentBuilder", "choose_piece_length", "parse_torrent"]
