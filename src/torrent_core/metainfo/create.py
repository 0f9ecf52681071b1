"""Making a torrent (BEP 3) of files whose bytes the caller reads."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from ..bencode import Encodable, encode
from ..errors import LocalProtocolError
from ..geometry import Geometry
from ..limits import (
    BLOCK_SIZE,
    MAX_FILES,
    MAX_PATH_DEPTH,
    MAX_PIECE_LENGTH,
    MAX_PIECES,
    MAX_TORRENT_BYTES,
)
from ..types import Buffer
from .model import HASH_LENGTH, Metainfo
from .parse import parse_torrent

_LONGEST_CHOSEN = 16 * 1024 * 1024
_PIECES_WANTED = 2048


def choose_piece_length(total: int) -> int:
    """A piece length, in bytes, for a payload of ``total`` bytes.

    The power of two from 16 KiB to 16 MiB that leaves at most 2,048 pieces, so about a
    thousand to two thousand wherever that range allows: what Transmission and qBittorrent
    come to for common sizes, and small enough for a torrent file of some 40 KB.  Payloads
    too large for 16 MiB under the limit of pieces get longer ones.  Raises ValueError if
    ``total`` is below 1 or no piece length would do.
    """
    if total < 1:
        raise ValueError("a torrent needs at least one byte of payload")
    length = BLOCK_SIZE
    while length < _LONGEST_CHOSEN and length * _PIECES_WANTED < total:
        length *= 2
    while length * MAX_PIECES < total:
        length *= 2
    if length > MAX_PIECE_LENGTH:
        raise ValueError(f"{total} bytes are too many for one torrent")
    return length


class TorrentBuilder:
    """Turns names, lengths and payload into a torrent; deterministic, to the byte.

    ``files`` are (path, length) in the order of the payload, the path below the torrent's
    folder and without ``name``.  With ``single_file`` there is one file and its path is
    ``(name,)``.  Names may hold what ``os.fsdecode`` makes of bytes that are not UTF-8.
    ``trackers`` are tiers of URLs.  ``piece_length`` None means ``choose_piece_length``.

    Either give the payload to ``update`` and call ``finish``, or hash the pieces elsewhere
    (in parallel, say; ``geometry`` has their sizes) and call ``build``.  The constructor
    raises ValueError for what could not become a torrent.
    """

    __slots__ = ("_fields", "_filled", "_hashed", "_hashes", "_info", "_sha1", "geometry")

    def __init__(
        self,
        name: str,
        files: Sequence[tuple[tuple[str, ...], int]],
        *,
        single_file: bool,
        piece_length: int | None = None,
        private: bool = False,
        trackers: Sequence[Sequence[str]] = (),
        comment: str = "",
        source: str = "",
        created_by: str = "",
        creation_date: int | None = None,
    ) -> None:
        _check_element(name)
        _check_files(files)
        if single_file and (len(files) != 1 or files[0][0] != (name,)):
            raise ValueError("a single-file torrent has one file, whose path is its name")
        total = sum(length for _, length in files)
        chosen = choose_piece_length(total) if piece_length is None else piece_length
        self.geometry = _geometry(total, chosen)
        self._info: dict[str, Encodable] = {"name": _raw(name), "piece length": chosen}
        self._info |= {"length": total} if single_file else {"files": _file_list(files)}
        self._info |= {"private": 1} if private else {}
        self._info |= {"source": source} if source else {}
        self._fields: dict[str, Encodable] = {
            **_tracker_fields(trackers),
            **({"comment": comment} if comment else {}),
            **({"created by": created_by} if created_by else {}),
            **({} if creation_date is None else {"creation date": creation_date}),
        }
        self._hashes: list[bytes] = []
        self._sha1 = _new_sha1()
        self._filled = 0
        self._hashed = 0

    def update(self, data: Buffer) -> None:
        """Hash the next bytes of the payload, however many, across files as they come.

        Raises LocalProtocolError if they are more than the files' lengths; nothing is then
        taken in.
        """
        view = memoryview(data).cast("B")
        if len(view) > self.geometry.total_length - self._hashed:
            raise LocalProtocolError("more payload than the files' lengths add up to")
        while view:
            size = self.geometry.piece_size(len(self._hashes))
            part = view[: size - self._filled]
            self._sha1.update(part)
            self._filled += len(part)
            self._hashed += len(part)
            view = view[len(part) :]
            if self._filled == size:
                self._hashes.append(self._sha1.digest())
                self._sha1 = _new_sha1()
                self._filled = 0

    def finish(self) -> Metainfo:
        """The torrent, once all of the payload has been hashed; else LocalProtocolError."""
        if self._hashed != self.geometry.total_length:
            missing = self.geometry.total_length - self._hashed
            raise LocalProtocolError(f"{missing} bytes of payload have not been hashed")
        return self.build(b"".join(self._hashes))

    def build(self, piece_hashes: bytes) -> Metainfo:
        """The torrent of pieces hashed elsewhere: their SHA-1 digests, joined in order.

        ``Metainfo.encode()`` makes the file of it.  Raises LocalProtocolError for a wrong
        number of digests, ValueError if the torrent file would be larger than we read.
        """
        if len(piece_hashes) != HASH_LENGTH * self.geometry.piece_count:
            raise LocalProtocolError(f"{self.geometry.piece_count} digests are needed")
        info = {**self._info, "pieces": piece_hashes}
        data = encode({**self._fields, "info": info})
        if len(data) > MAX_TORRENT_BYTES:
            raise ValueError(f"the torrent file would have more than {MAX_TORRENT_BYTES} bytes")
        return parse_torrent(data)


def _new_sha1() -> hashlib._Hash:
    return hashlib.sha1(usedforsecurity=False)


def _raw(element: str) -> bytes:
    return element.encode("utf-8", "surrogateescape")


def _geometry(total: int, piece_length: int) -> Geometry:
    if not 1 <= piece_length <= MAX_PIECE_LENGTH:
        raise ValueError(f"a piece has 1 to {MAX_PIECE_LENGTH} bytes, not {piece_length}")
    if total < 1:
        raise ValueError("a torrent needs at least one byte of payload")
    geometry = Geometry(total, piece_length)
    if geometry.piece_count > MAX_PIECES:
        raise ValueError(f"{geometry.piece_count} pieces are more than {MAX_PIECES}")
    return geometry


def _check_element(element: str) -> None:
    if element in ("", ".", "..") or "/" in element or "\0" in element:
        raise ValueError(f"{element!r} cannot be the name of a file")


def _check_files(files: Sequence[tuple[tuple[str, ...], int]]) -> None:
    if len(files) > MAX_FILES:
        raise ValueError(f"{len(files)} files are more than {MAX_FILES}")
    for path, length in files:
        if not 1 <= len(path) <= MAX_PATH_DEPTH:
            raise ValueError(f"a path has 1 to {MAX_PATH_DEPTH} elements, not {len(path)}")
        if length < 0:
            raise ValueError(f"{path[-1]!r} has a negative length")
        for element in path:
            _check_element(element)
    if len({path for path, _ in files}) != len(files):
        raise ValueError("two files have the same path")


def _file_list(files: Sequence[tuple[tuple[str, ...], int]]) -> list[Encodable]:
    return [
        {"length": length, "path": [_raw(element) for element in path]} for path, length in files
    ]


def _tracker_fields(trackers: Sequence[Sequence[str]]) -> Mapping[str, Encodable]:
    if any(isinstance(tier, str) for tier in trackers):
        raise ValueError("trackers are tiers: a sequence of sequences of URLs")
    urls = [url for tier in trackers for url in tier]
    if not all(url.strip() for url in urls):
        raise ValueError("a tracker's URL is empty")
    fields: dict[str, Encodable] = {"announce": urls[0]} if urls else {}
    if len(urls) > 1:
        fields["announce-list"] = [list(tier) for tier in trackers if tier]
    return fields
