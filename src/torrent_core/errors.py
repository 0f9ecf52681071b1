"""What can go wrong, and whose doing it was.

The split is h11's: a *local* error is the caller's slip, is raised, and has changed
nothing; a *remote* one is what the other side did, and never leaves a machine as an
exception — it becomes a ``Close`` action with its reason.  Parsers that are used alone
raise ``InvalidData`` or one of its children, and nothing else.
"""

from __future__ import annotations


class TorrentCoreError(Exception):
    """Base of everything this package raises on purpose."""


class LocalProtocolError(TorrentCoreError):
    """The caller broke the contract; the machine is as it was before the call."""


class InvalidData(TorrentCoreError, ValueError):
    """Bytes from outside do not mean what they should.

    ``what`` says what is wrong, ``where`` at which place: a byte offset, or the path of
    a key such as ``info.files[3].path``.
    """

    def __init__(self, what: str, where: str = "") -> None:
        super().__init__(f"{what} (at {where})" if where else what)
        self.what = what
        self.where = where


class BencodeError(InvalidData):
    """Not bencode, or not canonical where that is asked for; ``where`` is an offset."""


class MetainfoError(InvalidData):
    """A torrent file that is bencode but not a usable torrent; ``where`` is a key path."""


class InvalidMagnet(InvalidData):
    """A magnet link that names no torrent we could fetch; ``where`` is the parameter."""


class ResumeError(InvalidData):
    """Resume data that is damaged, foreign or of a version we do not read."""


class WireError(InvalidData):
    """A message or handshake that breaks the peer wire protocol."""


class LocalDiscoveryError(InvalidData):
    """A datagram that is no announcement of local peer discovery (BEP 14)."""


class TraceError(InvalidData):
    """A trace that is damaged, foreign or of a version we do not read; ``where`` is an offset."""
