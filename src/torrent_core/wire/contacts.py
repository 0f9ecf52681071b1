"""Addresses and nodes in the compact form of the DHT (BEP 5, Contact Encoding; BEP 32)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

from ..errors import WireError
from ..types import Address

ID_BYTES = 20
"""Bytes of a node's id, as of an info-hash."""

PEER_BYTES = (6, 18)
"""Bytes of an address with its port: IPv4, IPv6."""

NODE_BYTES = (26, 38)
"""The same behind a node's id."""


class NodeInfo(NamedTuple):
    """A node of the DHT: 20 bytes of id, and where it is reached by UDP."""

    node_id: bytes
    address: Address


@lru_cache(maxsize=4096)
def pack_host(host: str) -> bytes:
    """4 or 16 bytes.  Raises WireError when ``host`` is no literal address."""
    try:
        return ip_address(host).packed
    except ValueError as error:
        raise WireError("not a literal address", host) from error


def unpack_host(data: bytes) -> str:
    """The literal of 4 or 16 bytes."""
    if len(data) == 4:
        return "%d.%d.%d.%d" % tuple(data)  # noqa: UP031 - twice as fast as its successors
    return str(IPv6Address(data))


def pack_address(address: Address) -> bytes:
    """Host and port, 6 or 18 bytes.  Raises WireError when the host is no literal."""
    return pack_host(address.host) + address.port.to_bytes(2, "big")


def unpack_address(data: bytes) -> Address:
    """An address of 6 or 18 bytes."""
    return Address(unpack_host(data[:-2]), int.from_bytes(data[-2:], "big"))


def pack_nodes(nodes: Iterable[NodeInfo]) -> bytes:
    """Nodes of one family, one behind the other."""
    return b"".join(node.node_id + pack_address(node.address) for node in nodes)


def unpack_nodes(data: bytes, size: int) -> tuple[NodeInfo, ...]:
    """The nodes of ``size`` bytes each that ``data`` holds; those with port 0 are left out, and
    so is a rest that is no whole node (BEP 5's own example has nothing else)."""
    whole = len(data) - len(data) % size
    entries = (data[at : at + size] for at in range(0, whole, size))
    nodes = (NodeInfo(entry[:ID_BYTES], unpack_address(entry[ID_BYTES:])) for entry in entries)
    return tuple(node for node in nodes if node.address.port)
