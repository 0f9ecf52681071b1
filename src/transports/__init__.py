"""Sockets, files, clocks and entropy for ``torrent_core``.

``Client`` is imported when it is first asked for, so that the command line can say what
is missing where anyio is not installed, and answers ``--help`` at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .client import Client, PeerDiscovery, PeerUnreachable, TorrentHandle
    from .errors import (
        CannotListen,
        ClientClosed,
        DuplicateTorrent,
        StorageError,
        TorrentGone,
        TorrentStopped,
        TransportError,
    )

_HOMES = {
    "CannotListen": "errors",
    "Client": "client",
    "ClientClosed": "errors",
    "DuplicateTorrent": "errors",
    "PeerDiscovery": "client",
    "PeerUnreachable": "client",
    "StorageError": "errors",
    "TorrentGone": "errors",
    "TorrentHandle": "client",
    "TorrentStopped": "errors",
    "TransportError": "errors",
}

__all__ = [
    "CannotListen",
    "Client",
    "ClientClosed",
    "DuplicateTorrent",
    "PeerDiscovery",
    "PeerUnreachable",
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
    try:
        module = import_module(f".{home}", __name__)
    except ModuleNotFoundError as error:
        if error.name != "anyio":
            raise
        hint = f"transports.{name} needs anyio: pip install 'torrent-core[anyio]'"
        raise ModuleNotFoundError(hint, name=error.name) from error
    return getattr(module, name)
