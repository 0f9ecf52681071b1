"""The messages of the peer wire as values; ``messages`` turns them into bytes and back."""

from __future__ import annotations

from typing import TypeAlias

from ..classes import frozen
from ..types import Buffer


@frozen
class OfPiece:
    """A message whose one field is a piece."""

    index: int


@frozen
class OfRange:
    """A message about bytes of one piece: offsets and lengths in bytes."""

    index: int
    begin: int
    length: int


@frozen
class KeepAlive:
    """BEP 3: a message of length zero."""


@frozen
class Choke:
    """BEP 3, choke."""


@frozen
class Unchoke:
    """BEP 3, unchoke."""


@frozen
class Interested:
    """BEP 3, interested."""


@frozen
class NotInterested:
    """BEP 3, not interested."""


@frozen
class Have(OfPiece):
    """BEP 3, have: the sender has this piece now."""


@frozen
class Bitfield:
    """BEP 3, bitfield: one bit per piece, the high bit of the first byte is piece 0."""

    data: bytes


@frozen
class Request(OfRange):
    """BEP 3, request."""


@frozen
class Piece:
    """BEP 3, piece: one block of it."""

    index: int
    begin: int
    data: Buffer


@frozen
class Cancel(OfRange):
    """BEP 3, cancel."""


@frozen
class Port:
    """BEP 5, port: UDP port of the sender's DHT node."""

    port: int


@frozen
class Suggest(OfPiece):
    """BEP 6, suggest piece."""


@frozen
class HaveAll:
    """BEP 6, have all."""


@frozen
class HaveNone:
    """BEP 6, have none."""


@frozen
class Reject(OfRange):
    """BEP 6, reject request."""


@frozen
class AllowedFast(OfPiece):
    """BEP 6, allowed fast."""


@frozen
class Extended:
    """BEP 10: ``ext_id`` 0 is the extension handshake, others are the receiver's choice."""

    ext_id: int
    payload: bytes


@frozen
class Unknown:
    """A message whose id none of the BEPs above gives."""

    message_id: int
    payload: bytes


Message: TypeAlias = (
    KeepAlive
    | Choke
    | Unchoke
    | Interested
    | NotInterested
    | Have
    | Bitfield
    | Request
    | Piece
    | Cancel
    | Port
    | Suggest
    | HaveAll
    | HaveNone
    | Reject
    | AllowedFast
    | Extended
    | Unknown
)
