"""Bloom filters that count a swarm, held by many nodes in parts (BEP 33)."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha1
from math import log

from ..wire.contacts import pack_host
from ..wire.krpc import FILTER_BYTES

_BITS = 8 * FILTER_BYTES
_HASHES = 2

EMPTY = bytes(FILTER_BYTES)
"""The filter of no host."""


def filter_of(hosts: Iterable[str]) -> bytes:
    """The filter that holds these literal addresses."""
    bits = bytearray(FILTER_BYTES)
    for host in hosts:
        digest = sha1(pack_host(host), usedforsecurity=False).digest()
        for at in (0, 2):
            index = int.from_bytes(digest[at : at + 2], "little") % _BITS
            bits[index // 8] |= 1 << index % 8
    return bytes(bits)


def union(one: bytes, other: bytes) -> bytes:
    """The filter of whoever is in either."""
    both = int.from_bytes(one, "big") | int.from_bytes(other, "big")
    return both.to_bytes(FILTER_BYTES, "big")


def estimate(bits: bytes) -> float:
    """About how many hosts a filter holds; worthless above 6,000 (BEP 33)."""
    zeros = _BITS - int.from_bytes(bits, "big").bit_count()
    # A full filter would be an infinite crowd: it counts as one with one bit left.
    return log(min(_BITS - 1, max(1, zeros)) / _BITS) / (_HASHES * log(1 - 1 / _BITS))
