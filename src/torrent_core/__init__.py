"""A sans-I/O BitTorrent core: events in, actions out, time as an argument.

Start with ``Session`` (several torrents) or ``Torrent`` (one); ``torrent_core.events`` is
what they take, ``torrent_core.actions`` what they want done.

A name, or a module of this package, is imported when it is first asked for: who only reads a
torrent file does not wait for the machines.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .accounts import Account, Entry, Explanation, Explanations
    from .actions import Action
    from .deadlines import Deadline
    from .discovery import DiscoveryConfig
    from .errors import (
        BencodeError,
        InvalidData,
        InvalidMagnet,
        LocalDiscoveryError,
        LocalProtocolError,
        MetainfoError,
        ResumeError,
        TorrentCoreError,
        TraceError,
        WireError,
    )
    from .events import Event
    from .magnet import Magnet
    from .metainfo import FileEntry, MagnetLink, Metainfo, parse_magnet, parse_torrent
    from .pieces import ActivePieceConfig
    from .session import Session, SessionConfig
    from .torrent import PeerStatus, Torrent, TorrentConfig, TorrentStatus
    from .types import Address, RandomSource, TorrentState

__version__ = "0.1.0"

_HOMES = {
    "accounts": ("Account", "Entry", "Explanation", "Explanations"),
    "actions": ("Action",),
    "deadlines": ("Deadline",),
    "discovery": ("DiscoveryConfig",),
    "errors": (
        "BencodeError",
        "InvalidData",
        "InvalidMagnet",
        "LocalDiscoveryError",
        "LocalProtocolError",
        "MetainfoError",
        "ResumeError",
        "TorrentCoreError",
        "TraceError",
        "WireError",
    ),
    "events": ("Event",),
    "limits": (),
    "magnet": ("Magnet",),
    "metainfo": ("FileEntry", "MagnetLink", "Metainfo", "parse_magnet", "parse_torrent"),
    "pieces": ("ActivePieceConfig",),
    "session": ("Session", "SessionConfig"),
    "torrent": ("PeerStatus", "Torrent", "TorrentConfig", "TorrentStatus"),
    "types": ("Address", "RandomSource", "TorrentState"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Account",
    "Action",
    "ActivePieceConfig",
    "Address",
    "BencodeError",
    "Deadline",
    "DiscoveryConfig",
    "Entry",
    "Event",
    "Explanation",
    "Explanations",
    "FileEntry",
    "InvalidData",
    "InvalidMagnet",
    "LocalDiscoveryError",
    "LocalProtocolError",
    "Magnet",
    "MagnetLink",
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
    "parse_magnet",
    "parse_torrent",
]


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is not None:
        value = globals()[name] = getattr(import_module(f".{home}", __name__), name)
        return value
    if name in _HOMES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_HOMES})
