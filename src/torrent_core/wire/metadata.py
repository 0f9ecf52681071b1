"""Messages of the extension that hands on metadata (BEP 9, ``ut_metadata``).

A bencoded dictionary, and behind it, in a ``data`` message, a piece of the info dictionary.
"""

from __future__ import annotations

from typing import TypeAlias

from ..bencode import decode_prefix
from ..bencode import encode as bencode
from ..classes import frozen
from ..errors import BencodeError, WireError
from ..limits import MAX_METADATA_SIZE, METADATA_PIECE
from ..types import Buffer

NAME = b"ut_metadata"
"""What the extension is called in the extension handshake (BEP 10, ``m``)."""

OUR_ID = 2
"""The number that we give it there (libtorrent's)."""

_REQUEST, _DATA, _REJECT = range(3)
_MOST_TOKENS = 100
_MOST_LEVELS = 4


@frozen
class MetadataRequest:
    """BEP 9, request: send this piece."""

    piece: int


@frozen
class MetadataData:
    """BEP 9, data: this is the piece; ``total_size`` is that of the whole metadata in bytes,
    None where the sender does not say."""

    piece: int
    total_size: int | None
    data: bytes


@frozen
class MetadataReject:
    """BEP 9, reject: the sender does not have that piece, or does not give it."""

    piece: int


MetadataMessage: TypeAlias = MetadataRequest | MetadataData | MetadataReject


def encode(message: MetadataMessage) -> bytes:
    """The payload of the extended message."""
    if isinstance(message, MetadataData):
        fields = {"msg_type": _DATA, "piece": message.piece}
        if message.total_size is not None:
            fields["total_size"] = message.total_size
        return bencode(fields) + message.data
    kind = _REQUEST if isinstance(message, MetadataRequest) else _REJECT
    return bencode({"msg_type": kind, "piece": message.piece})


def decode(payload: Buffer) -> MetadataMessage | None:
    """What the sender said; None for a kind of message that BEP 9 does not know, which it
    wants ignored.

    Raises WireError for what is no such message.  A piece may be any number from 0 on: which
    there are is for the reader to know.
    """
    raw = bytes(payload)
    try:
        fields, end = decode_prefix(
            raw, strict=False, max_depth=_MOST_LEVELS, max_tokens=_MOST_TOKENS
        )
    except BencodeError as error:
        raise WireError(f"metadata message: {error.what}", error.where) from error
    if not isinstance(fields, dict):
        raise WireError("metadata message is not a dictionary", "ut_metadata")
    kind, piece, size = (fields.get(key) for key in (b"msg_type", b"piece", b"total_size"))
    if not isinstance(kind, int) or not isinstance(piece, int) or piece < 0:
        raise WireError("metadata message of no kind, or of no piece", "ut_metadata")
    if kind == _REQUEST:
        return MetadataRequest(piece)
    if kind == _REJECT:
        return MetadataReject(piece)
    if kind != _DATA:
        return None
    if len(raw) - end > METADATA_PIECE:
        raise WireError(f"{len(raw) - end} bytes of metadata at once", "ut_metadata")
    known = isinstance(size, int) and 0 < size <= MAX_METADATA_SIZE
    return MetadataData(piece, size if isinstance(size, int) and known else None, raw[end:])


def piece_count(size: int) -> int:
    """Pieces of metadata of ``size`` bytes."""
    return -(-size // METADATA_PIECE)


def piece_size(size: int, piece: int) -> int:
    """Bytes of one of them; only the last may be shorter."""
    return min(METADATA_PIECE, size - piece * METADATA_PIECE)
