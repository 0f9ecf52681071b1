"""The messages of the peer wire, as bytes and as values.

BEP 3 (peer messages), BEP 5 (port), BEP 6 (suggest to allowed fast) and BEP 10 (extended).
All integers are big-endian.  A *body* is a message without its four-byte length prefix: the
id, then the fields.  The empty body is the keep-alive.  The value classes live in ``values``
and are meant to be imported from here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from functools import partial
from itertools import starmap

from ..bitfield import wire_length
from ..errors import WireError
from ..limits import MAX_EXTENDED_MESSAGE, MAX_REQUEST_LENGTH
from ..types import BlockInfo, Buffer
from .values import (
    AllowedFast,
    Bitfield,
    Cancel,
    Choke,
    Extended,
    Have,
    HaveAll,
    HaveNone,
    Interested,
    KeepAlive,
    Message,
    NotInterested,
    OfPiece,
    OfRange,
    Piece,
    Port,
    Reject,
    Request,
    Suggest,
    Unchoke,
    Unknown,
)

__all__ = [
    "ALLOWED_FAST",
    "BITFIELD",
    "BODY_LENGTHS",
    "CANCEL",
    "CHOKE",
    "EXTENDED",
    "HAVE",
    "HAVE_ALL",
    "HAVE_NONE",
    "INTERESTED",
    "NOT_INTERESTED",
    "PIECE",
    "PIECE_HEADER",
    "PIECE_OVERHEAD",
    "PORT",
    "PORT_FIELD",
    "PREFIX",
    "RANGE",
    "REJECT",
    "REQUEST",
    "SUGGEST",
    "UNCHOKE",
    "AllowedFast",
    "Bitfield",
    "Cancel",
    "Choke",
    "Extended",
    "Have",
    "HaveAll",
    "HaveNone",
    "Interested",
    "KeepAlive",
    "Message",
    "NotInterested",
    "Piece",
    "Port",
    "Reject",
    "Request",
    "Suggest",
    "Unchoke",
    "Unknown",
    "check_length",
    "decode",
    "encode",
    "encode_cancels",
    "encode_haves",
    "encode_indices",
    "encode_rejects",
    "encode_requests",
    "max_message_length",
    "piece_header",
]

CHOKE = 0
UNCHOKE = 1
INTERESTED = 2
NOT_INTERESTED = 3
HAVE = 4
BITFIELD = 5
REQUEST = 6
PIECE = 7
CANCEL = 8
PORT = 9
SUGGEST = 13
HAVE_ALL = 14
HAVE_NONE = 15
REJECT = 16
ALLOWED_FAST = 17
EXTENDED = 20

PREFIX = struct.Struct(">I")
"""The length prefix; also the one field of HAVE, SUGGEST and ALLOWED FAST."""

RANGE = struct.Struct(">III")
"""Index, begin, length: the fields of REQUEST, CANCEL and REJECT."""

PIECE_HEADER = struct.Struct(">IBII")
"""All of a PIECE but its payload, prefix included."""

PORT_FIELD = struct.Struct(">H")

PIECE_OVERHEAD = 9
"""Bytes of a PIECE body that are not payload."""

_INDEX_MESSAGE = struct.Struct(">IBI")
_BLOCK_START = struct.Struct(">II")
_RANGE_MESSAGE = struct.Struct(">IBIII")
_UNBOUNDED = 2**32 - 1

BODY_LENGTHS: dict[int, tuple[int, int]] = {
    CHOKE: (1, 1),
    UNCHOKE: (1, 1),
    INTERESTED: (1, 1),
    NOT_INTERESTED: (1, 1),
    HAVE: (5, 5),
    BITFIELD: (1, _UNBOUNDED),
    REQUEST: (13, 13),
    PIECE: (PIECE_OVERHEAD, PIECE_OVERHEAD + MAX_REQUEST_LENGTH),
    CANCEL: (13, 13),
    PORT: (3, 3),
    SUGGEST: (5, 5),
    HAVE_ALL: (1, 1),
    HAVE_NONE: (1, 1),
    REJECT: (13, 13),
    ALLOWED_FAST: (5, 5),
    EXTENDED: (2, MAX_EXTENDED_MESSAGE),
}
"""Least and greatest body length of each known id.  How long a BITFIELD must be depends on
the torrent, so whoever knows the torrent narrows that entry."""


# --- Writing -------------------------------------------------------------------------------


def encode(message: Message) -> bytes:
    """The message with its length prefix.

    Raises WireError when a field does not fit its place on the wire.
    """
    if isinstance(message, KeepAlive):
        return PREFIX.pack(0)
    try:
        body = _body(message)
        return PREFIX.pack(len(body)) + body
    except (struct.error, ValueError) as error:
        raise WireError(f"{message!r:.200} does not fit the wire: {error}") from error


def encode_requests(blocks: Iterable[BlockInfo]) -> bytes:
    """One REQUEST for each block, joined."""
    return _encode_ranges(REQUEST, blocks)


def encode_cancels(blocks: Iterable[BlockInfo]) -> bytes:
    """One CANCEL for each block, joined."""
    return _encode_ranges(CANCEL, blocks)


def encode_rejects(blocks: Iterable[BlockInfo]) -> bytes:
    """One REJECT (BEP 6) for each block, joined."""
    return _encode_ranges(REJECT, blocks)


def encode_haves(indices: Iterable[int]) -> bytes:
    """One HAVE for each piece, joined."""
    return encode_indices(HAVE, indices)


def encode_indices(message_id: int, indices: Iterable[int]) -> bytes:
    """One message of a single index (HAVE, SUGGEST, ALLOWED FAST) for each piece, joined."""
    pack = _INDEX_MESSAGE.pack
    try:
        return b"".join([pack(5, message_id, index) for index in indices])
    except struct.error as error:
        raise WireError(f"an index does not fit the wire: {error}") from error


def piece_header(index: int, begin: int, length: int) -> bytes:
    """All of a PIECE but its payload of ``length`` bytes."""
    try:
        return PIECE_HEADER.pack(PIECE_OVERHEAD + length, PIECE, index, begin)
    except struct.error as error:
        raise WireError(f"a block does not fit the wire: {error}") from error


def max_message_length(piece_count: int) -> int:
    """The longest body that a torrent of ``piece_count`` pieces can call for."""
    return max(
        1 + wire_length(piece_count), PIECE_OVERHEAD + MAX_REQUEST_LENGTH, MAX_EXTENDED_MESSAGE
    )


def _encode_ranges(message_id: int, blocks: Iterable[BlockInfo]) -> bytes:
    pack = partial(_RANGE_MESSAGE.pack, 13, message_id)
    try:
        return b"".join(starmap(pack, blocks))
    except struct.error as error:
        raise WireError(f"a block does not fit the wire: {error}") from error


def _body(message: Message) -> bytes:
    match message:
        case OfPiece(index):
            return _id_of(message) + PREFIX.pack(index)
        case OfRange(index, begin, length):
            return _id_of(message) + RANGE.pack(index, begin, length)
        case Piece(index, begin, data):
            return piece_header(index, begin, len(data))[PREFIX.size :] + bytes(data)
        case Bitfield(data):
            return _id_of(message) + data
        case Port(port):
            return _id_of(message) + PORT_FIELD.pack(port)
        case Extended(ext_id, payload):
            return bytes((EXTENDED, ext_id)) + payload
        case Unknown(message_id, payload):
            return bytes((message_id,)) + payload
        case _:
            return _id_of(message)


def _id_of(message: Message) -> bytes:
    return bytes((_IDS[type(message)],))


# --- Reading -------------------------------------------------------------------------------


def decode(body: Buffer) -> Message:
    """The message in a body, which is everything after the length prefix.

    Raises WireError for a body whose length its id does not allow.  What depends on the
    torrent (piece indices, the length of a bitfield) is not looked at.
    """
    if not body:
        return KeepAlive()
    data = bytes(body)
    bounds = BODY_LENGTHS.get(data[0])
    if bounds is None:
        return Unknown(data[0], data[1:])
    check_length(data[0], len(data), bounds)
    return _READERS[data[0]](data)


def check_length(message_id: int, length: int, bounds: tuple[int, int]) -> None:
    """Raise WireError unless a body of ``length`` bytes is within ``bounds``."""
    low, high = bounds
    if not low <= length <= high:
        raise WireError(f"{length} bytes in a message with id {message_id}", "message length")


def _read_piece(body: bytes) -> Piece:
    index, begin = _BLOCK_START.unpack_from(body, 1)
    return Piece(index, begin, body[PIECE_OVERHEAD:])


def _index(body: bytes) -> int:
    index: int = PREFIX.unpack_from(body, 1)[0]
    return index


_READERS: dict[int, Callable[[bytes], Message]] = {
    CHOKE: lambda body: Choke(),
    UNCHOKE: lambda body: Unchoke(),
    INTERESTED: lambda body: Interested(),
    NOT_INTERESTED: lambda body: NotInterested(),
    HAVE: lambda body: Have(_index(body)),
    BITFIELD: lambda body: Bitfield(body[1:]),
    REQUEST: lambda body: Request(*RANGE.unpack_from(body, 1)),
    PIECE: _read_piece,
    CANCEL: lambda body: Cancel(*RANGE.unpack_from(body, 1)),
    PORT: lambda body: Port(*PORT_FIELD.unpack_from(body, 1)),
    SUGGEST: lambda body: Suggest(_index(body)),
    HAVE_ALL: lambda body: HaveAll(),
    HAVE_NONE: lambda body: HaveNone(),
    REJECT: lambda body: Reject(*RANGE.unpack_from(body, 1)),
    ALLOWED_FAST: lambda body: AllowedFast(_index(body)),
    EXTENDED: lambda body: Extended(body[1], body[2:]),
}

_IDS: dict[type[Message], int] = {
    Choke: CHOKE,
    Unchoke: UNCHOKE,
    Interested: INTERESTED,
    NotInterested: NOT_INTERESTED,
    Have: HAVE,
    Bitfield: BITFIELD,
    Request: REQUEST,
    Cancel: CANCEL,
    Port: PORT,
    Suggest: SUGGEST,
    HaveAll: HAVE_ALL,
    HaveNone: HAVE_NONE,
    Reject: REJECT,
    AllowedFast: ALLOWED_FAST,
}
