"""Sets of piece indices as Python integers, and their form on the wire.

Bit ``i`` of the integer is piece ``i``.  Whole-set questions ("what has this link that I
want?") are then one ``&``: a few microseconds at 100,000 pieces.  On the wire (BEP 3,
bitfield) the *high* bit of the first byte is piece 0 and spare bits are zero, so turning
one into the other reverses the bits of every byte.
"""

from __future__ import annotations

from collections.abc import Iterator

from .errors import WireError
from .types import Buffer

_LOW_END = (1 << 512) - 1
"""Where ``lowest`` looks first."""

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def from_wire(data: Buffer, count: int) -> int:
    """The set in a BITFIELD message for ``count`` pieces.

    Raises WireError for a wrong length or spare bits that are set (BEP 3: such a peer
    should be dropped).
    """
    if len(data) != wire_length(count):
        raise WireError(f"bitfield of {len(data)} bytes for {count} pieces", "bitfield")
    bits = int.from_bytes(bytes(data).translate(_REVERSED), "little")
    if bits >> count:
        raise WireError("bitfield with spare bits set", "bitfield")
    return bits


def to_wire(bits: int, count: int) -> bytes:
    """The BITFIELD payload of a set of ``count`` pieces."""
    return bits.to_bytes(wire_length(count), "little").translate(_REVERSED)


def wire_length(count: int) -> int:
    """Bytes of a bitfield of ``count`` pieces."""
    return (count + 7) // 8


def has(bits: int, index: int) -> bool:
    """Whether ``index`` is in the set (a shift of a long set takes five times as long)."""
    return bool(bits & 1 << index)


def without(bits: int, gone: int) -> int:
    """The members of ``bits`` that are not in ``gone``.

    ``bits & ~gone`` is the same, but the complement is a negative number, and bitwise steps
    on those turn long integers over and over: ten times slower at 100,000 pieces.
    """
    return bits ^ (bits & gone)


def lowest(bits: int) -> int:
    """The smallest index of a set that is not empty.

    Of most sets a short end will do, and a negative number as long as the set is dear
    (``without``).
    """
    bits = bits & _LOW_END or bits
    return (bits & -bits).bit_length() - 1


def indices(bits: int) -> Iterator[int]:
    """The indices in the set, ascending.

    Clearing the lowest bit of a long integer copies it, so the set is walked byte by byte,
    from the first that is not empty.
    """
    start = max(0, (bits & -bits).bit_length() - 1) & ~7
    bits >>= start
    data = bits.to_bytes((bits.bit_length() + 7) // 8, "little")
    for at, byte in enumerate(data):
        while byte:
            low = byte & -byte
            yield start + at * 8 + low.bit_length() - 1
            byte ^= low


def from_indices(wanted: Iterator[int] | list[int] | range, count: int) -> int:
    """The set of the given indices, each below ``count``, in time linear in both."""
    data = bytearray(wire_length(count))
    for index in wanted:
        data[index >> 3] |= 1 << (index & 7)
    return int.from_bytes(data, "little")


def random_member(bits: int, pick: int) -> int:
    """A member of a set that is not empty, chosen by the non-negative number ``pick``.

    Starts at a place given by ``pick`` and takes the next member, wrapping round: constant
    in Python operations, and even enough over a set that is not clustered.
    """
    start = pick % bits.bit_length()
    above = bits >> start
    return start + lowest(above) if above else lowest(bits)
