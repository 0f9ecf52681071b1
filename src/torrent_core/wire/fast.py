"""The allowed-fast set of a peer (BEP 6, Allowed Fast Set Generation)."""

from __future__ import annotations

from hashlib import sha1
from ipaddress import IPv4Address, IPv6Address, ip_address

_IPV4_MASK = 0xFFFFFF00
_IPV6_MASK = 0xFFFFFFFFFFFFFFFF << 64


def allowed_fast_set(ip: str, info_hash: bytes, piece_count: int, count: int) -> list[int]:
    """Pieces that the peer at ``ip`` may request although choked, in the BEP's order.

    The BEP knows IPv4 only, masked to /24.  For IPv6 the 16 bytes take the place of the 4
    (as in libtorrent), masked to /64, which is what one host commonly has for itself.  A
    host that is a name has no set.  With no more than ``count`` pieces it is all of them.
    """
    seed = _masked(ip)
    if seed is None:
        return []
    if piece_count <= count:
        return list(range(piece_count))
    digest = seed + info_hash
    chosen: dict[int, None] = {}
    while len(chosen) < count:
        digest = sha1(digest, usedforsecurity=False).digest()
        for at in range(0, 20, 4):
            chosen[int.from_bytes(digest[at : at + 4], "big") % piece_count] = None
    return list(chosen)[:count]


def _masked(ip: str) -> bytes | None:
    try:
        address: IPv4Address | IPv6Address = ip_address(ip)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if isinstance(address, IPv4Address):
        return (int(address) & _IPV4_MASK).to_bytes(4, "big")
    return (int(address) & _IPV6_MASK).to_bytes(16, "big")
