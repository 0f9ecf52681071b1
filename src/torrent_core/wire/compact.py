"""Peers as trackers and peers pass them on: compact strings, and lists of dictionaries.

Of many peers one that cannot be does not spoil the others: it is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address

from ..addresses import is_host, literal
from ..bencode import Value
from ..errors import LocalProtocolError
from ..types import Address, Buffer, Family

_HOST_SIZE = {Family.IPV4: 4, Family.IPV6: 16}
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_")
_MAX_NAME = 253


def family_of(host: str) -> Family | None:
    """The family of a literal; None for a name."""
    address = literal(host)
    return None if address is None else Family(address.version)


def stride(family: Family) -> int:
    """Bytes of one compact peer: 6 (BEP 23) or 18 (BEP 7)."""
    return _HOST_SIZE[family] + 2


def pack(address: Address) -> bytes:
    """One peer in compact form.

    Raises LocalProtocolError if the host is no literal or the port no port.
    """
    host = literal(address.host)
    if host is None or not 0 <= address.port <= 0xFFFF:
        raise LocalProtocolError(f"{address} has no compact form")
    return host.packed + address.port.to_bytes(2, "big")


def pack_all(addresses: Iterable[Address], family: Family) -> bytes:
    """Those of ``addresses`` that are of this family, in compact form.  Errors as ``pack``."""
    packed = (pack(address) for address in addresses)
    return b"".join(one for one in packed if len(one) == stride(family))


def unpack(data: Buffer, family: Family) -> Iterator[Address]:
    """The peers of a compact string that can be, in its order; a part of one is ignored.

    Without port 0, and without hosts that nobody has: 0.0.0.0/8, ::, multicast and beyond.
    """
    raw, step, size = bytes(data), stride(family), _HOST_SIZE[family]
    for at in range(0, len(raw) - step + 1, step):
        host, port = raw[at : at + size], int.from_bytes(raw[at + size : at + step], "big")
        if port and is_host(host):
            yield Address(str(ip_address(host)), port)


def from_dictionaries(peers: list[Value]) -> Iterator[Address]:
    """The peers of the long form (BEP 3) that can be, in its order: literals or names."""
    for peer in peers:
        if isinstance(peer, dict):
            host, port = _host(peer.get(b"ip")), peer.get(b"port")
            if host and isinstance(port, int) and 0 < port <= 0xFFFF:
                yield Address(host, port)


def _host(field: Value | None) -> str:
    """A host as text, literals in their shortest form; empty if it cannot be one."""
    if not isinstance(field, bytes) or not field or len(field) > _MAX_NAME:
        return ""
    text = field.decode("latin-1")
    address = literal(text)
    if address is not None:  # a zone means nothing to others, and may hold any text
        return str(ip_address(address.packed)) if is_host(address.packed) else ""
    return text if _NAME_CHARACTERS.issuperset(text) else ""
