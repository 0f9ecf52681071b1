"""The first 68 bytes in each direction (BEP 3, peer protocol).

They come in three stages, each useful as soon as it is in: 20 bytes name the protocol, 28
more carry reserved bits and the info-hash (enough to route a link), 20 more the peer id.
"""

from __future__ import annotations

from ..classes import frozen
from ..errors import WireError
from ..types import Buffer

PROTOCOL = b"\x13BitTorrent protocol"
"""Stage one, the same for everybody."""

INFO_HASH_END = 48
"""Bytes until the info-hash is complete."""

HANDSHAKE_LENGTH = 68
"""Bytes of the whole handshake."""

_RESERVED = slice(20, 28)
_INFO_HASH = slice(28, INFO_HASH_END)
_PEER_ID = slice(INFO_HASH_END, HANDSHAKE_LENGTH)


@frozen
class Handshake:
    """What one side says of itself: 20 bytes, 20 bytes and 8 bytes."""

    info_hash: bytes
    peer_id: bytes
    reserved: bytes

    @property
    def fast(self) -> bool:
        """BEP 6 is offered."""
        return bool(self.reserved[7] & 0x04)

    @property
    def extended(self) -> bool:
        """BEP 10 is offered."""
        return bool(self.reserved[5] & 0x10)

    @property
    def dht(self) -> bool:
        """A DHT node is offered (BEP 5)."""
        return bool(self.reserved[7] & 0x01)


def encode(handshake: Handshake) -> bytes:
    """The 68 bytes.  Raises WireError when a field is not as long as it must be."""
    fields = (handshake.reserved, handshake.info_hash, handshake.peer_id)
    if tuple(map(len, fields)) != (8, 20, 20):
        raise WireError("a field of the handshake has the wrong length", "handshake")
    return PROTOCOL + b"".join(fields)


def check_protocol(data: Buffer) -> None:
    """Raise WireError at the first byte, of those that are here, that is wrong."""
    head = bytes(data[: len(PROTOCOL)])
    if PROTOCOL.startswith(head):
        return
    at = next(i for i, (got, want) in enumerate(zip(head, PROTOCOL, strict=False)) if got != want)
    raise WireError("not the BitTorrent protocol", f"byte {at}")


def peek_info_hash(data: Buffer) -> bytes | None:
    """The info-hash that a peer names, or None while more bytes are needed.

    ``data`` is what the link delivered so far.  Raises WireError for another protocol.
    """
    check_protocol(data)
    if len(data) < INFO_HASH_END:
        return None
    return bytes(data[_INFO_HASH])


def decode(data: Buffer) -> Handshake | None:
    """The handshake at the start of ``data``, or None while more bytes are needed.

    Raises WireError for another protocol.
    """
    check_protocol(data)
    if len(data) < HANDSHAKE_LENGTH:
        return None
    return Handshake(bytes(data[_INFO_HASH]), bytes(data[_PEER_ID]), bytes(data[_RESERVED]))
