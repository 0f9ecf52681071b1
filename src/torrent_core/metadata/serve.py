"""Handing the info dictionary on to peers that ask for it (BEP 9)."""

from __future__ import annotations

from collections import deque

from ..limits import MAX_METADATA_QUEUE, METADATA_PIECE, METADATA_SEND_BUFFER
from ..wire.metadata import MetadataData, MetadataReject, encode, piece_count, piece_size


class MetadataServer:
    """The metadata of one torrent, cut into pieces."""

    __slots__ = ("_info",)

    def __init__(self, info: bytes) -> None:
        """``info`` is the bencoded info dictionary, byte for byte."""
        self._info = info

    @property
    def size(self) -> int:
        """Bytes in all (BEP 9, ``metadata_size``)."""
        return len(self._info)

    def has(self, piece: int) -> bool:
        """Whether there is such a piece."""
        return 0 <= piece < piece_count(self.size)

    def answer(self, piece: int) -> bytes:
        """The payload of the data message with a piece that there is."""
        start = piece * METADATA_PIECE
        end = start + piece_size(self.size, piece)
        return encode(MetadataData(piece, self.size, self._info[start:end]))


class ServeQueue:
    """What one peer asked for and has not got: bounded, as libtorrent bounds it.

    A peer that does not read what it asked for waits, and is turned away once too much waits.
    """

    __slots__ = ("_server", "_waiting")

    def __init__(self, server: MetadataServer | None) -> None:
        """``server`` None has nothing, and refuses everything."""
        self._server = server
        self._waiting: deque[int] = deque()

    def __len__(self) -> int:
        """Requests that wait."""
        return len(self._waiting)

    def requested(self, piece: int) -> bytes | None:
        """The peer asks for a piece: the payload of the refusal, or None and it waits."""
        server = self._server
        if server is None or not server.has(piece) or len(self._waiting) >= MAX_METADATA_QUEUE:
            return encode(MetadataReject(piece))
        self._waiting.append(piece)
        return None

    def next_answer(self, unsent: int) -> bytes | None:
        """The payload that is to be sent next; None if there is none, or if so many bytes are
        ``unsent`` that it must wait."""
        if self._server is None or not self._waiting or unsent >= METADATA_SEND_BUFFER:
            return None
        return self._server.answer(self._waiting.popleft())
