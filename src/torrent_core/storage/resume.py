"""What is known of the files of a torrent, kept over restarts.

One bencoded dictionary.  Bit sets stand as on the wire (``bitfield``), so that a resume
file can be read with the tools people have.  The states of files are packed, sixteen bytes
each: as bencoded lists those of 250,000 files would take longer to write than the ten
seconds between two saves leave room for.

A checksum covers everything else: what it claims to be verified is believed unseen, so that
one flipped bit would pass off as done what never came.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

from .. import bencode, bitfield
from ..classes import frozen
from ..errors import BencodeError, ResumeError, WireError
from ..geometry import Geometry
from ..types import FileStat, InfoHash

FORMAT = b"torrent-core resume"
VERSION = 1
CHECKSUM = b"checksum"

_STAT = struct.Struct(">qq")
_MISSING = _STAT.pack(-1, 0)
_INT64 = range(-(2**63), 2**63)


@frozen
class ResumeData:
    """What was true when it was saved; ``plan_check`` says how much of it still is."""

    info_hash: InfoHash
    piece_count: int
    verified: int
    """Set of pieces that are verified and written."""
    partial: tuple[tuple[int, int], ...]
    """(piece, set of its blocks): blocks that lie in the files at their place although
    their piece is not verified.  Ascending; no set is empty; no piece is in ``verified``."""
    files: tuple[FileStat | None, ...]
    """One per file of the torrent, as stated after the last write; None: not there."""
    downloaded: int = 0
    """Payload bytes received, ever; not negative."""
    uploaded: int = 0
    """Payload bytes sent, ever; not negative."""

    def encode(self) -> bytes:
        """The bytes to save; equal data gives equal bytes."""
        return seal(
            {
                b"format": FORMAT,
                b"version": VERSION,
                b"info-hash": self.info_hash,
                b"pieces": self.piece_count,
                b"verified": bitfield.to_wire(self.verified, self.piece_count),
                b"partial": [
                    [piece, bitfield.to_wire(blocks, blocks.bit_length())]
                    for piece, blocks in self.partial
                ],
                b"files": b"".join([_pack_stat(stat) for stat in self.files]),
                b"downloaded": self.downloaded,
                b"uploaded": self.uploaded,
            }
        )


def seal(fields: Mapping[bytes, bencode.Encodable]) -> bytes:
    """The dictionary with the CRC-32 of its other entries under ``checksum``."""
    return bencode.encode({**fields, CHECKSUM: zlib.crc32(bencode.encode(fields))})


def decode_resume(
    data: bytes, info_hash: InfoHash, geometry: Geometry, file_count: int
) -> ResumeData:
    """Read what ``ResumeData.encode`` wrote for this very torrent.

    Raises ResumeError, ``where`` being the key, for anything damaged, cut short, of another
    torrent or version, or inconsistent in itself.  Unknown keys are ignored.
    """
    root = _root(data)
    fields = _Fields(root)
    if fields.text("format") != FORMAT:
        raise ResumeError("not resume data", "format")
    version = fields.number("version")
    if version != VERSION:
        raise ResumeError(f"version {version} is not known", "version")
    if seal({key: value for key, value in root.items() if key != CHECKSUM}) != data:
        raise ResumeError("does not match the data", "checksum")
    if fields.text("info-hash") != info_hash:
        raise ResumeError("belongs to another torrent", "info-hash")
    if fields.number("pieces") != geometry.piece_count:
        raise ResumeError(f"not the {geometry.piece_count} pieces of the torrent", "pieces")
    verified = _read_bits(fields.text("verified"), geometry.piece_count, "verified")
    return ResumeData(
        info_hash=info_hash,
        piece_count=geometry.piece_count,
        verified=verified,
        partial=_read_partial(fields.get("partial"), verified, geometry),
        files=_read_files(fields.text("files"), file_count),
        downloaded=fields.number("downloaded"),
        uploaded=fields.number("uploaded"),
    )


class _Fields:
    """Typed access to the values of a dictionary, blaming the key."""

    __slots__ = ("_values",)

    def __init__(self, values: dict[bytes, bencode.Value]) -> None:
        self._values = values

    def get(self, key: str) -> object:
        value = self._values.get(key.encode())
        if value is None:
            raise ResumeError("missing", key)
        return value

    def text(self, key: str) -> bytes:
        value = self.get(key)
        if not isinstance(value, bytes):
            raise ResumeError("not a string", key)
        return value

    def number(self, key: str) -> int:
        value = self.get(key)
        if not isinstance(value, int) or value < 0:
            raise ResumeError("not a number from 0", key)
        return value


def _root(data: bytes) -> dict[bytes, bencode.Value]:
    try:
        root = bencode.decode(data)
    except BencodeError as error:
        raise ResumeError(error.what, error.where) from error
    if not isinstance(root, dict):
        raise ResumeError("not a dictionary")
    return root


def _read_bits(data: bytes, count: int, where: str) -> int:
    try:
        return bitfield.from_wire(data, count)
    except WireError as error:
        raise ResumeError(error.what, where) from error


def _read_partial(value: object, verified: int, geometry: Geometry) -> tuple[tuple[int, int], ...]:
    if not isinstance(value, list):
        raise ResumeError("not a list", "partial")
    claimed = verified.to_bytes(bitfield.wire_length(geometry.piece_count), "little")
    found: list[tuple[int, int]] = []
    last = -1
    for at, item in enumerate(value):
        where = f"partial[{at}]"
        if not isinstance(item, list) or len(item) != 2:
            raise ResumeError("not a piece with its blocks", where)
        piece = item[0]
        if not isinstance(piece, int) or not last < piece < geometry.piece_count:
            raise ResumeError("not a piece of the torrent in ascending order", where)
        if claimed[piece >> 3] >> (piece & 7) & 1:
            raise ResumeError("piece is both verified and partial", where)
        found.append((piece, _read_blocks(item[1], geometry.block_count(piece), where)))
        last = piece
    return tuple(found)


def _read_blocks(value: object, count: int, where: str) -> int:
    """A set of blocks in as few bytes as it needs: spare bytes would be a second form."""
    if not isinstance(value, bytes) or not value or not value[-1]:
        raise ResumeError("not a set of blocks", where)
    blocks = _read_bits(value, 8 * len(value), where)
    if blocks >> count:
        raise ResumeError(f"more than the {count} blocks of the piece", where)
    return blocks


def _pack_stat(stat: FileStat | None) -> bytes:
    # Some file systems keep times past 2262, which nanoseconds in 64 bits cannot: such a
    # file is saved as unknown, and so checked at the next start.
    if stat is None or stat.size not in _INT64 or stat.mtime_ns not in _INT64:
        return _MISSING
    return _STAT.pack(*stat)


def _read_files(data: bytes, count: int) -> tuple[FileStat | None, ...]:
    if len(data) != count * _STAT.size:
        raise ResumeError(f"not the {count} files of the torrent", "files")
    found: list[FileStat | None] = []
    for at, (size, mtime_ns) in enumerate(_STAT.iter_unpack(data)):
        if size >= 0:
            found.append(FileStat(size, mtime_ns))
        elif (size, mtime_ns) == (-1, 0):
            found.append(None)
        else:
            raise ResumeError("negative size", f"files[{at}]")
    return tuple(found)
