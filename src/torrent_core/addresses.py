"""What an address alone says about who is behind it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

from .types import Address


def literal(host: str) -> IPv4Address | IPv6Address | None:
    """``host`` as an address, or None if it is a name.

    IPv4 inside of IPv6 counts as IPv4: sockets that serve both families write it so.
    """
    try:
        return _plain(host)
    except ValueError:
        return None


def is_local(host: str) -> bool:
    """Whether ``host`` is a loopback, link-local or private address.

    A whole swarm may share one of these: what is done by address does not fit them.
    """
    address = literal(host)
    return address is not None and address.is_private


def packed(host: str) -> bytes | None:
    """The 4 or 16 bytes of an address, or None if ``host`` is a name."""
    address = literal(host)
    return None if address is None else address.packed


def unpacked(data: bytes) -> str:
    """The address of these 4 or 16 bytes.  Raises ValueError for any other number of them."""
    return str(_plain(data))


def _plain(host: str | bytes) -> IPv4Address | IPv6Address:
    address = ip_address(host)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def can_be_dialled(address: Address) -> bool:
    """Whether somebody may listen there: a port, and a name or the address of one host.

    Not so are 0.0.0.0/8, multicast, and all that is reserved above it (RFC 6890).
    """
    if not address.host or not 0 < address.port < 65536:
        return False
    data = packed(address.host)
    return data is None or is_host(data)


def is_host(data: bytes) -> bool:
    """Whether one machine can have the address of these 4 or 16 bytes."""
    if len(data) == 4:
        return 0 < data[0] < 0xE0
    return data[0] != 0xFF and any(data)
