"""Torrent files and magnet links: reading and making them, and safe names of what is inside."""

from __future__ import annotations

from .create import TorrentBuilder, choose_piece_length
from .magnet import MagnetLink, parse_magnet
from .model import FileEntry, Metainfo
from .parse import parse_torrent

__all__ = [
    "FileEntry",
    "MagnetLink",
    "Metainfo",
    "TorrentBuilder",
    "choose_piece_length",
    "parse_magnet",
    "parse_torrent",
]
