"""From the bytes of a torrent file to ``Metainfo`` (BEP 3, 12, 27, 47)."""

from __future__ import annotations

import hashlib
from typing import TypeVar

from ..bencode import Value, decode_with_span
from ..errors import MetainfoError
from ..geometry import Geometry
from ..limits import (
    MAX_FILES,
    MAX_PATH_DEPTH,
    MAX_PIECE_LENGTH,
    MAX_PIECES,
    MAX_TORRENT_BYTES,
)
from ..types import Buffer
from .model import HASH_LENGTH, FileEntry, Metainfo
from .paths import decode_text, distinct_paths, safe_element, safe_name

_Dict = dict[bytes, Value]
_T = TypeVar("_T", bytes, int, list[Value], _Dict)

_LAST_DATE = 253_402_300_799
"""The last second of the year 9999; a later date is no date to most libraries."""

_BITCOMET_PAD = "_____padding_file_"
"""How BitComet marked its pad files before BEP 47 (libtorrent knows the name too)."""


def parse_torrent(data: Buffer) -> Metainfo:
    """What a torrent file says.

    The info-hash is taken of the info dictionary as it stands, canonical or not.  Unknown
    keys are ignored, and so are optional ones of the wrong type.  A hybrid torrent (BEP 52)
    is read as the version 1 torrent that it also is.  Raises BencodeError for what is not
    bencode, MetainfoError, with the path of the key, for a torrent that cannot be used.
    """
    if len(data) > MAX_TORRENT_BYTES:
        raise MetainfoError(f"more than {MAX_TORRENT_BYTES} bytes")
    raw = bytes(data)
    outer, span = decode_with_span(raw, b"info", strict=False)
    info = outer.get(b"info")
    if span is None or not isinstance(info, dict):
        raise MetainfoError("no dictionary here", "info")
    raw_info = raw[span[0] : span[1]]
    info_hash = hashlib.sha1(raw_info, usedforsecurity=False).digest()
    piece_length, hashes = _pieces(info)
    name = safe_name(_name(info), info_hash)
    multi_file = b"files" in info
    files = _file_list(info, name) if multi_file else (_only_file(info, name),)
    date, private = outer.get(b"creation date"), info.get(b"private")
    return Metainfo(
        info_hash=info_hash,
        name=name,
        geometry=_geometry(files, piece_length, len(hashes) // HASH_LENGTH),
        piece_hashes=hashes,
        files=files,
        multi_file=multi_file,
        info=raw_info,
        private=isinstance(private, int) and private != 0,
        trackers=_trackers(outer),
        comment=_text(outer, b"comment.utf-8") or _text(outer, b"comment"),
        created_by=_text(outer, b"created by"),
        creation_date=date if isinstance(date, int) and 0 <= date <= _LAST_DATE else None,
        source=_text(info, b"source"),
    )


def _require(table: _Dict, key: bytes, kind: type[_T], where: str) -> _T:
    """The value of ``key``, which must be there and of this type."""
    value = table.get(key)
    if not isinstance(value, kind):
        raise MetainfoError(
            "is missing" if value is None else f"is not {_KINDS[kind]}", f"{where}.{key.decode()}"
        )
    return value


_KINDS: dict[type, str] = {bytes: "a string", int: "an integer", list: "a list"}


def _text(table: _Dict, key: bytes) -> str:
    """Optional text for people; empty if there is none."""
    value = table.get(key)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


# --- Pieces --------------------------------------------------------------------------------


def _pieces(info: _Dict) -> tuple[int, bytes]:
    """Piece length and joined hashes."""
    if b"pieces" not in info and info.get(b"meta version") == 2:
        raise MetainfoError("only for version 2 (BEP 52); version 1 is needed", "info.pieces")
    length = _require(info, b"piece length", int, "info")
    if not 1 <= length <= MAX_PIECE_LENGTH:
        raise MetainfoError(f"is not within 1 to {MAX_PIECE_LENGTH}", "info.piece length")
    hashes = _require(info, b"pieces", bytes, "info")
    if len(hashes) % HASH_LENGTH:
        raise MetainfoError(f"is not a multiple of {HASH_LENGTH} bytes", "info.pieces")
    if len(hashes) > HASH_LENGTH * MAX_PIECES:
        raise MetainfoError(f"has more than {MAX_PIECES} hashes", "info.pieces")
    return length, hashes


def _geometry(files: tuple[FileEntry, ...], piece_length: int, hashes: int) -> Geometry:
    total = files[-1].offset + files[-1].length
    if total == 0:
        raise MetainfoError("has no bytes to fetch", "info")
    geometry = Geometry(total, piece_length)
    if geometry.piece_count != hashes:
        raise MetainfoError(f"has {hashes} hashes for {geometry.piece_count} pieces", "info.pieces")
    return geometry


# --- Names and files -----------------------------------------------------------------------


def _name(info: _Dict) -> bytes:
    utf8 = info.get(b"name.utf-8")
    return utf8 if isinstance(utf8, bytes) else _require(info, b"name", bytes, "info")


def _only_file(info: _Dict, name: str) -> FileEntry:
    return FileEntry((name,), _length(info, "info"), 0)


def _length(table: _Dict, where: str) -> int:
    length = _require(table, b"length", int, where)
    if length < 0:
        raise MetainfoError("is negative", f"{where}.length")
    return length


def _file_list(info: _Dict, name: str) -> tuple[FileEntry, ...]:
    listed = _require(info, b"files", list, "info")
    if not listed:
        raise MetainfoError("names no file", "info.files")
    if len(listed) > MAX_FILES:
        raise MetainfoError(f"names more than {MAX_FILES} files", "info.files")
    entries: list[FileEntry] = []
    safe: dict[bytes, str] = {}
    offset = 0
    for index, item in enumerate(listed):
        entry = _file(item, name, offset, safe, f"info.files[{index}]")
        entries.append(entry)
        offset += entry.length
    return _without_collisions(entries)


def _file(item: Value, name: str, offset: int, safe: dict[bytes, str], where: str) -> FileEntry:
    """One entry of the list; ``safe`` remembers elements that were made safe before."""
    if not isinstance(item, dict):
        raise MetainfoError("is not a dictionary", where)
    attributes = item.get(b"attr")
    flags = attributes if isinstance(attributes, bytes) else b""
    # A symbolic link takes no room in the payload, whatever its length says (BEP 47, and
    # libtorrent).  Links are not made: it becomes an empty file, which leads nowhere.
    length = 0 if b"l" in flags else _length(item, where)
    elements = _path(item, where)
    if not elements and b"p" not in flags:
        raise MetainfoError("is missing or empty", f"{where}.path")
    path = [name]
    for element in elements or [b".pad", b"%d" % length]:
        if element not in safe:
            safe[element] = safe_element(decode_text(element))
        path.append(safe[element])
    return FileEntry(tuple(path), length, offset, b"p" in flags or _BITCOMET_PAD in path[-1])


def _path(item: _Dict, where: str) -> list[bytes]:
    """The elements of a file's path as they stand; empty if there is none."""
    key = b"path.utf-8" if isinstance(item.get(b"path.utf-8"), list) else b"path"
    listed = item.get(key)
    if not isinstance(listed, list):
        return []
    where = f"{where}.{key.decode()}"
    if len(listed) > MAX_PATH_DEPTH:
        raise MetainfoError(f"has more than {MAX_PATH_DEPTH} elements", where)
    elements = [element for element in listed if isinstance(element, bytes)]
    if len(elements) != len(listed):
        raise MetainfoError("holds something other than strings", where)
    return elements


def _without_collisions(entries: list[FileEntry]) -> tuple[FileEntry, ...]:
    """The files under names that no file system takes for one another.

    Pad files are never stored, so theirs may be anything; real torrents repeat them.
    """
    paths = iter(distinct_paths([entry.path for entry in entries if not entry.pad]))
    return tuple(
        entry if entry.pad else FileEntry(next(paths), entry.length, entry.offset)
        for entry in entries
    )


# --- Trackers ------------------------------------------------------------------------------


def _trackers(outer: _Dict) -> tuple[tuple[str, ...], ...]:
    """The tiers of ``announce-list``, or ``announce`` where that yields none (BEP 12)."""
    listed = outer.get(b"announce-list")
    tiers = [_tier(tier) for tier in listed] if isinstance(listed, list) else []
    tiers = [tier for tier in tiers if tier] or [_tier([outer.get(b"announce", b"")])]
    return tuple(tier for tier in tiers if tier)


def _tier(urls: Value) -> tuple[str, ...]:
    """The URLs of one tier that say something."""
    if not isinstance(urls, list):
        return ()
    texts = (url.decode("utf-8", "replace").strip() for url in urls if isinstance(url, bytes))
    return tuple(text for text in texts if text)
