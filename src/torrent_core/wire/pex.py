"""Peer exchange messages (BEP 11): contacts that the sender is linked to since, or no longer.

Contacts are compact: 4 or 16 bytes of address, two of port.  What is not a whole contact is
left out and does not spoil the others, as everywhere in the extension protocol.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..addresses import packed, unpacked
from ..bencode import Encodable, Value, decode_prefix
from ..bencode import encode as bencode
from ..classes import frozen
from ..errors import BencodeError, WireError
from ..types import Address, Buffer

NAME = b"ut_pex"
"""What the extension is called in the extension handshake (BEP 10, ``m``)."""

OUR_ID = 1
"""The number that we give it there (libtorrent's)."""

PREFERS_ENCRYPTION = 0x01
IS_SEED = 0x02
"""It uploads only."""
SUPPORTS_UTP = 0x04
SUPPORTS_HOLEPUNCH = 0x08
IS_REACHABLE = 0x10
"""The sender dialled it."""


@frozen
class Contact:
    """A peer, and what the sender knows of it."""

    address: Address
    """The host is a literal."""
    flags: int = 0
    """BEP 11's bits, 0 to 255."""


@frozen
class PeerExchange:
    """What changed since the sender's last message; both families together."""

    added: tuple[Contact, ...] = ()
    dropped: tuple[Address, ...] = ()


def encode(value: PeerExchange) -> bytes:
    """The dictionary, keys sorted; fields of which there is nothing to say are left out.

    Raises ValueError for a contact whose host is no literal.
    """
    fields: dict[bytes, Encodable] = {}
    for suffix, size in ((b"", 4), (b"6", 16)):
        added = [contact for contact in value.added if len(_host(contact.address)) == size]
        dropped = [address for address in value.dropped if len(_host(address)) == size]
        if added:
            fields[b"added" + suffix] = _compact([contact.address for contact in added])
            fields[b"added" + suffix + b".f"] = bytes(contact.flags for contact in added)
        if dropped:
            fields[b"dropped" + suffix] = _compact(dropped)
    return bencode(fields)


def decode(payload: Buffer, limit: int) -> PeerExchange:
    """What the sender said, at most ``limit`` contacts each added and dropped.

    Flags that are missing are 0; what follows the dictionary is not looked at, and unknown
    keys may hold anything.  Raises WireError when it is not a bencoded dictionary.
    """
    try:
        fields, _ = decode_prefix(bytes(payload), strict=False)
    except BencodeError as error:
        raise WireError(f"peer exchange: {error.what}", error.where) from error
    if not isinstance(fields, dict):
        raise WireError("peer exchange is not a dictionary", "peer exchange")
    added: list[Contact] = []
    dropped: list[Address] = []
    for suffix, size in ((b"", 4), (b"6", 16)):
        flags = _string(fields.get(b"added" + suffix + b".f"))
        for number, address in enumerate(_addresses(fields.get(b"added" + suffix), size)):
            added.append(Contact(address, flags[number] if number < len(flags) else 0))
        dropped += _addresses(fields.get(b"dropped" + suffix), size)
    return PeerExchange(tuple(added[:limit]), tuple(dropped[:limit]))


def _host(address: Address) -> bytes:
    host = packed(address.host)
    if host is None:
        raise ValueError(f"{address.host!r} is not the literal of an address")
    return host


def _compact(addresses: Sequence[Address]) -> bytes:
    return b"".join(_host(address) + address.port.to_bytes(2, "big") for address in addresses)


def _string(field: Value | None) -> bytes:
    return field if isinstance(field, bytes) else b""


def _addresses(field: Value | None, size: int) -> Iterator[Address]:
    data = _string(field)
    for at in range(0, len(data) - size - 1, size + 2):
        port = int.from_bytes(data[at + size : at + size + 2], "big")
        yield Address(unpacked(data[at : at + size]), port)
