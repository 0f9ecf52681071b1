"""Geometry: pieces and blocks cover the payload exactly once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core.geometry import Geometry
from torrent_core.limits import BLOCK_SIZE

SHAPES = st.builds(Geometry, st.integers(1, 10**6), st.integers(1000, 10**5))


@given(SHAPES)
def test_pieces_add_up_to_the_payload(shape: Geometry) -> None:
    sizes = [shape.piece_size(index) for index in range(shape.piece_count)]
    assert sum(sizes) == shape.total_length
    assert all(size == shape.piece_length for size in sizes[:-1])
    assert 1 <= sizes[-1] <= shape.piece_length
    assert shape.all_pieces.bit_count() == shape.all_pieces.bit_length() == shape.piece_count


@given(SHAPES, st.data())
def test_blocks_add_up_to_their_piece(shape: Geometry, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, shape.piece_count - 1))
    size = shape.piece_size(index)
    lengths = [min(BLOCK_SIZE, size - begin) for begin in range(0, size, BLOCK_SIZE)]
    assert len(lengths) == shape.block_count(index) <= shape.blocks_per_piece
    for number, length in enumerate(lengths):
        assert shape.is_block(index, number * BLOCK_SIZE, length)
        assert not shape.is_block(index, number * BLOCK_SIZE, length - 1)
        assert not shape.is_block(index, number * BLOCK_SIZE, length + 1)
    assert not shape.is_block(index, len(lengths) * BLOCK_SIZE, 1)


@given(SHAPES, st.integers(-2, 1100), st.integers(-5, 10**5), st.integers(-5, 10**5))
def test_a_block_lies_within_its_piece_and_a_range_within_the_payload(
    shape: Geometry, index: int, begin: int, length: int
) -> None:
    if shape.is_block(index, begin, length):
        assert shape.contains(index, begin, length)
    inside = (
        0 <= index < shape.piece_count
        and begin >= 0
        and length > 0
        and begin + length
        <= min(shape.piece_length, shape.total_length - index * shape.piece_length)
    )
    assert shape.contains(index, begin, length) == inside


def test_two_pieces_and_a_half() -> None:
    shape = Geometry(total_length=100_000, piece_length=40_000)
    assert (shape.piece_count, shape.blocks_per_piece) == (3, 3)
    assert [shape.piece_size(index) for index in range(3)] == [40_000, 40_000, 20_000]
    assert [shape.block_count(index) for index in range(3)] == [3, 3, 2]
    assert shape.all_pieces == 0b111


@pytest.mark.parametrize(
    ("block", "is_block", "contained"),
    [
        ((0, 0, 16384), True, True),
        ((0, 32768, 7232), True, True),
        ((0, 32768, 7233), False, False),
        ((0, 1, 16384), False, True),
        ((0, 16384, 100), False, True),
        ((2, 16384, 3616), True, True),
        ((2, 32768, 1), False, False),
        ((3, 0, 1), False, False),
        ((-1, 0, 16384), False, False),
        ((0, -16384, 16384), False, False),
        ((0, 0, 0), False, False),
        ((0, 0, -1), False, False),
    ],
)
def test_blocks_and_ranges(block: tuple[int, int, int], is_block: bool, contained: bool) -> None:
    shape = Geometry(total_length=100_000, piece_length=40_000)
    assert shape.is_block(*block) is is_block
    assert shape.contains(*block) is contained


def test_equal_shapes_are_equal() -> None:
    assert Geometry(5, 2) == Geometry(5, 2) != Geometry(5, 3)
