"""Ids of nodes: distance (BEP 5) and their tie to the address of the node (BEP 42)."""

from __future__ import annotations

from ..types import Family, RandomSource
from ..wire.contacts import ID_BYTES
from .hosts import look_at

ID_BITS = 8 * ID_BYTES
"""Bits of an id."""

TIED_BITS = 21
"""So many of them, the first, follow from the address (BEP 42)."""

_MASKS = {
    Family.IPV4: bytes.fromhex("030f3fff"),
    Family.IPV6: bytes.fromhex("0103070f1f3f7fff"),
}
"""What of an address counts: one who holds a large network is not to choose freely."""

_POLYNOMIAL = 0x82F63B78
"""Castagnoli's, bits reversed (RFC 3720, appendix B.4)."""


def _entry(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (_POLYNOMIAL if byte & 1 else 0)
    return byte


_TABLE = [_entry(byte) for byte in range(256)]


def crc32c(data: bytes) -> int:
    """CRC-32C of ``data``."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def number(node_id: bytes) -> int:
    """An id as the number that distances are taken of."""
    return int.from_bytes(node_id, "big")


def common_bits(one: int, other: int) -> int:
    """How many first bits two ids share."""
    return ID_BITS - (one ^ other).bit_length()


def _prefix(packed: bytes, family: Family, r: int) -> int:
    mask = _MASKS[family]
    masked = bytearray(byte & keep for byte, keep in zip(packed, mask, strict=False))
    masked[0] |= r << 5
    return crc32c(bytes(masked)) >> (32 - TIED_BITS)


def fits(node_id: bytes, host: str) -> bool:
    """Whether a node at ``host`` may have this id; any will do at a local address (BEP 42)."""
    facts = look_at(host)
    if facts is None or facts.local:
        return facts is not None
    tied = number(node_id) >> (ID_BITS - TIED_BITS)
    return tied == _prefix(facts.packed, facts.family, node_id[-1] & 7)


def make_id(random: RandomSource, host: str | None = None) -> bytes:
    """An id for a node at ``host``, or for one that does not know where it is."""
    free = random.getrandbits(ID_BITS)
    facts = None if host is None else look_at(host)
    if facts is not None and not facts.local:
        rest = ID_BITS - TIED_BITS
        tied = _prefix(facts.packed, facts.family, free & 7)
        free = tied << rest | free & ((1 << rest) - 1)
    return free.to_bytes(ID_BYTES, "big")
