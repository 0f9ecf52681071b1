"""What an address says about the node behind it, before a word is said.

A *place* is what one party holds: a public IPv4 address, or a public IPv6 network of 64 bits
(whoever has one address there has them all).  Of local addresses each port is a place of its
own, since a whole network may run on one host.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from ..addresses import literal
from ..classes import frozen
from ..errors import LocalProtocolError
from ..types import Address, Family

_LOCAL = [
    ip_network(text)
    for text in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "127.0.0.0/8",
        "::1/128",
        "fe80::/10",
        "fc00::/7",
    )
]
"""BEP 42, Enforcement, names those of IPv4; these of IPv6 are their counterparts."""

_NOBODY = [
    ip_network(text) for text in ("0.0.0.0/8", "224.0.0.0/3", "::/128", "::ffff:0:0/96", "ff00::/8")
]
"""Unspecified, multicast, reserved, and IPv4 in disguise: no single node answers there."""


@frozen
class Host:
    """What a literal host name stands for."""

    text: str
    """In the one form that addresses are compared by."""
    packed: bytes
    family: Family
    local: bool


@lru_cache(maxsize=4096)
def look_at(host: str) -> Host | None:
    """What ``host`` stands for; None if no node can be there."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        address = IPv6Address(address.packed)
    if any(address in network for network in _NOBODY):
        return None
    local = any(address in network for network in _LOCAL)
    return Host(str(address), address.packed, Family(address.version), local)


@lru_cache(maxsize=4096)
def look_at_sender(host: str) -> Host | None:
    """The same of what a socket or a person calls it: a socket that serves both families writes
    IPv4 inside of IPv6.  No packet does, and a node that is told of so is nobody."""
    address = literal(host)
    return None if address is None else look_at(str(address))


def family_of(address: Address) -> Family | None:
    """The family of a usable address; None where no node can be: not a literal, port 0."""
    host = look_at(address.host)
    return host.family if host is not None and 1 <= address.port <= 0xFFFF else None


def is_local(address: Address) -> bool:
    """Whether the address is one that only we, or our neighbours, can reach."""
    host = look_at(address.host)
    return host is not None and host.local


def place_of(address: Address) -> bytes:
    """The place of a usable address.  Raises LocalProtocolError for another."""
    host = look_at(address.host)
    if host is None:
        raise LocalProtocolError(f"no node can be at {address}")
    if host.local:
        return host.packed + address.port.to_bytes(2, "big")
    return host.packed[:8]


def may_tell(teller: Address, of: Address) -> bool:
    """Whether to believe one address when it speaks of another: nobody far away knows our
    neighbourhood, and who sends us there means harm."""
    return family_of(of) is not None and (is_local(teller) or not is_local(of))
