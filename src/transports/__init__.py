"""Sockets, files, clocks and entropy for ``torrent_core``.

``Client`` is imported when it is first asked for, so that the command line can say what
is missing where anyio is not installed, and answers ``--help`` at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .client import Client, TorrentHandle
    from .errors import (
        ClientClosed,
        DuplicateTorrent,
        StorageError,
        TorrentGone,
        TorrentStopped,
        TransportError,
    )

_HOMES = {
    "Client": "client",
    "ClientClosed": "errors",
    "DuplicateTorrent": "errors",
    "StorageError": "errors",
    "TorrentGone": "errors",
    "TorrentHandle": "client",
    "TorrentStopped": "errors",
    "TransportError": "errors",
}

__all__ = [
    "Client",
    "ClientClosed",
    "DuplicateTorrent",
    "StorageError",
    "TorrentGone",
    "TorrentHandle",
    "TorrentStopped",
    "TransportError",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{home}", __name__), name)
