"""Bit sets: the wire form and the algebra agree with plain sets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core import bitfield
from torrent_core.errors import WireError


@st.composite
def counted_sets(draw: st.DrawFn) -> tuple[set[int], int]:
    count = draw(st.integers(1, 200))
    return draw(st.sets(st.integers(0, count - 1))), count


@given(counted_sets())
def test_sets_survive_the_wire(case: tuple[set[int], int]) -> None:
    wanted, count = case
    bits = bitfield.from_indices(sorted(wanted), count)
    assert list(bitfield.indices(bits)) == sorted(wanted)
    assert bitfield.from_wire(bitfield.to_wire(bits, count), count) == bits
    assert {index for index in range(count) if bitfield.has(bits, index)} == wanted


@given(counted_sets())
def test_on_the_wire_the_high_bit_comes_first(case: tuple[set[int], int]) -> None:
    wanted, count = case
    wire = bitfield.to_wire(bitfield.from_indices(sorted(wanted), count), count)
    assert len(wire) == bitfield.wire_length(count)
    text = "".join(f"{byte:08b}" for byte in wire)
    assert {index for index, bit in enumerate(text) if bit == "1"} == wanted


@given(counted_sets().filter(lambda case: bool(case[0])), st.integers(0, 2**64))
def test_a_random_member_is_a_member(case: tuple[set[int], int], pick: int) -> None:
    wanted, count = case
    bits = bitfield.from_indices(sorted(wanted), count)
    assert bitfield.random_member(bits, pick) in wanted
    assert bitfield.lowest(bits) == min(wanted)


@given(st.integers(0, 40_000), st.integers(0, 2**70))
def test_the_lowest_member_is_found_however_far_up_it_is(index: int, above: int) -> None:
    assert bitfield.lowest((2 * above + 1) << index) == index


@given(counted_sets(), counted_sets())
def test_what_is_without_is_the_difference(
    one: tuple[set[int], int], other: tuple[set[int], int]
) -> None:
    bits, gone = (bitfield.from_indices(sorted(wanted), count) for wanted, count in (one, other))
    assert set(bitfield.indices(bitfield.without(bits, gone))) == one[0] - other[0]


@given(counted_sets().filter(lambda case: bool(case[0])))
def test_every_member_can_be_the_random_one(case: tuple[set[int], int]) -> None:
    wanted, count = case
    bits = bitfield.from_indices(sorted(wanted), count)
    assert {bitfield.random_member(bits, pick) for pick in range(count)} == wanted


@given(st.binary(max_size=12), st.integers(0, 90))
def test_any_bytes_are_a_set_in_range_or_refused(data: bytes, count: int) -> None:
    spare_bits = (1 << -count % 8) - 1
    if len(data) != bitfield.wire_length(count) or (data and data[-1] & spare_bits):
        with pytest.raises(WireError):
            bitfield.from_wire(data, count)
    else:
        bits = bitfield.from_wire(data, count)
        assert bits < 1 << count
        assert bitfield.to_wire(bits, count) == data


def test_the_example_of_ten_pieces() -> None:
    assert bitfield.to_wire(0b1000000001, 10) == b"\x80\x40"
    assert bitfield.from_wire(memoryview(b"\x80\x40"), 10) == 0b1000000001


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\xff", "1 bytes for 10 pieces"),
        (b"\xff\xc0\x00", "3 bytes for 10 pieces"),
        (b"\xff\xe0", "spare bits"),
        (b"\x00\x01", "spare bits"),
    ],
)
def test_wrong_lengths_and_spare_bits_are_refused(data: bytes, what: str) -> None:
    with pytest.raises(WireError, match=what):
        bitfield.from_wire(data, 10)


def test_an_empty_set_has_no_indices() -> None:
    assert list(bitfield.indices(0)) == []
