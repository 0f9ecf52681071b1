"""Canonical peer priority (BEP 40): an order of peers that both ends of a link agree on.

Where all dial in this order, who is dialled most is spread over the swarm, and nobody can
fill everybody's links by dialling fast.
"""

from __future__ import annotations

from ..addresses import packed
from ..types import Address

_POLYNOMIAL = 0x82F63B78
"""Of Castagnoli's CRC, bits reflected (RFC 3720, appendix B.4)."""


def _step(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
    return byte


_TABLE = tuple(map(_step, range(256)))


def crc32c(data: bytes) -> int:
    """CRC-32C of ``data`` (RFC 3720)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def peer_priority(ours: Address, theirs: Address) -> int | None:
    """BEP 40's number for these two; the greater, the sooner they should be connected.

    None if they are of two families, or one is a name.
    """
    one, other = packed(ours.host), packed(theirs.host)
    if one is None or other is None or len(one) != len(other):
        return None
    if one == other:
        ports = sorted((ours.port, theirs.port))
        return crc32c(b"".join(port.to_bytes(2, "big") for port in ports))
    keep = _whole_bytes(one, other)
    return crc32c(b"".join(sorted((_masked(one, keep), _masked(other, keep)))))


def _whole_bytes(one: bytes, other: bytes) -> int:
    """Bytes that the mask leaves whole: one more than both have in common, but at least the
    network's two (IPv4) or six (IPv6); of two IPv4 neighbours in a /24 all."""
    same = next(at for at, pair in enumerate(zip(one, other, strict=True)) if pair[0] != pair[1])
    return max(same + 1, 2 if len(one) == 4 else 6)


def _masked(address: bytes, keep: int) -> bytes:
    return address[:keep] + bytes(byte & 0x55 for byte in address[keep:])
