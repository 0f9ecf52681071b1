"""What a torrent file says, as a value (BEP 3, 12, 27, 47)."""

from __future__ import annotations

import attrs

from ..bencode import encode
from ..classes import frozen
from ..geometry import Geometry

HASH_LENGTH = 20
"""Bytes of a SHA-1 digest."""


@frozen
class FileEntry:
    """One file of the payload."""

    path: tuple[str, ...]
    """Safe elements below the download folder; the torrent's name comes first."""
    length: int
    """Bytes of the file; may be 0."""
    offset: int
    """Where the file begins in the payload, in bytes."""
    pad: bool = False
    """Only zeros that fill a piece, never stored (BEP 47, attribute ``p``)."""


@frozen
class Metainfo:
    """A torrent: what to fetch, how to verify it, and where to ask for it."""

    info_hash: bytes
    """Twenty bytes: SHA-1 of ``info`` as it stands."""
    name: str
    """Safe as a file name; the file's, or the folder's if ``multi_file``."""
    geometry: Geometry
    piece_hashes: bytes = attrs.field(repr=False)
    """SHA-1 of every piece, joined: twenty bytes each."""
    files: tuple[FileEntry, ...] = attrs.field(repr=False)
    """In the order of the payload, with no gaps; pad files included."""
    multi_file: bool
    """Whether the files lie in a folder called ``name``."""
    info: bytes = attrs.field(repr=False)
    """The bencoded info dictionary, byte for byte as it was found."""
    private: bool = False
    """Peers may only come from the trackers (BEP 27)."""
    trackers: tuple[tuple[str, ...], ...] = ()
    """Tiers of announce URLs, best first (BEP 12); one tier if there is no list."""
    comment: str = ""
    created_by: str = ""
    creation_date: int | None = None
    """Seconds since 1970, as the torrent says."""
    source: str = ""
    """Free text inside the info dictionary, which makes the info-hash differ."""

    def piece_hash(self, index: int) -> bytes:
        """The SHA-1 of piece ``index``, which must be one of the torrent's."""
        return self.piece_hashes[index * HASH_LENGTH : (index + 1) * HASH_LENGTH]

    @property
    def total_length(self) -> int:
        """Bytes of the whole payload, pad files included."""
        return self.geometry.total_length

    @property
    def piece_length(self) -> int:
        """Bytes of every piece but the last."""
        return self.geometry.piece_length

    @property
    def piece_count(self) -> int:
        """How many pieces there are; at least one."""
        return self.geometry.piece_count

    def encode(self) -> bytes:
        """A torrent file of all this; the info dictionary stays as it was found.

        Outside ``info`` only what is a field here is written.
        """
        outer: dict[bytes, bytes] = {b"info": self.info}
        urls = [url for tier in self.trackers for url in tier]
        if urls:
            outer[b"announce"] = encode(urls[0])
        if len(urls) > 1:
            outer[b"announce-list"] = encode(self.trackers)
        if self.comment:
            outer[b"comment"] = encode(self.comment)
        if self.created_by:
            outer[b"created by"] = encode(self.created_by)
        if self.creation_date is not None:
            outer[b"creation date"] = encode(self.creation_date)
        pairs = (encode(key) + outer[key] for key in sorted(outer))
        return b"d" + b"".join(pairs) + b"e"
