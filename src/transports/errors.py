"""What a client raises on purpose, beside the core's own errors."""

from __future__ import annotations

from torrent_core.types import StorageFault


class TransportError(Exception):
    """Base of what the transports raise on purpose."""


class ClientClosed(TransportError):
    """The client is not open: not entered yet, left already, or ended by a failure."""


class DuplicateTorrent(TransportError):
    """The torrent is in this client already."""


class TorrentGone(TransportError):
    """The torrent was removed, so there is nothing to ask it."""


class TorrentStopped(TransportError):
    """The torrent stopped before what was waited for came to pass."""


class FetchRefused(TransportError):
    """What a URL leads to is not taken: too long, too many redirections, not HTTP."""


class CannotListen(TransportError, OSError):
    """The port is taken, or not ours to listen on; ``errno`` tells which."""

    def __init__(self, port: int, number: int | None, detail: str) -> None:
        OSError.__init__(self, number, detail)
        self.port = port

    def __str__(self) -> str:
        return f"cannot listen on port {self.port}: {self.strerror}"


class StorageError(TransportError):
    """The disk is full, not ours to write, or cannot take it; what is verified is kept.

    ``fault`` tells which, ``detail`` names the path.
    """

    def __init__(self, fault: StorageFault, detail: str) -> None:
        super().__init__(f"{fault.value}: {detail}" if detail else fault.value)
        self.fault = fault
        self.detail = detail
