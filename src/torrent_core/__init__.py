"""A sans-I/O BitTorrent core: events in, actions out, time as an argument.

Start with ``Session`` (several torrents) or ``Torrent`` (one); ``torrent_core.events`` is
what they take, ``torrent_core.actions`` what they want done.
"""

from .accounts import Account, Entry, Explanation, Explanations
from .actions import Action
from .deadlines import Deadline
from .errors import (
    BencodeError,
    InvalidData,
    LocalDiscoveryError,
    LocalProtocolError,
    MetainfoError,
    ResumeError,
    TorrentCoreError,
    TraceError,
    WireError,
)
from .events import Event
from .metainfo import FileEntry, Metainfo, parse_torrent
from .pieces import ActivePieceConfig
from .session import Session, SessionConfig
from .torrent import PeerStatus, Torrent, TorrentConfig, TorrentStatus
from .types import Address, RandomSource, TorrentState

__version__ = "0.1.0"

__all__ = [
    "Account",
    "Action",
    "ActivePieceConfig",
    "Address",
    "BencodeError",
    "Deadline",
    "Entry",
    "Event",
    "Explanation",
    "Explanations",
    "FileEntry",
    "InvalidData",
    "LocalDiscoveryError",
    "LocalProtocolError",
    "Metainfo",
    "MetainfoError",
    "PeerStatus",
    "RandomSource",
    "ResumeError",
    "Session",
    "SessionConfig",
    "Torrent",
    "TorrentConfig",
    "TorrentCoreError",
    "TorrentState",
    "TorrentStatus",
    "TraceError",
    "WireError",
    "parse_torrent",
]
