from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core.errors import LocalProtocolError
from torrent_core.geometry import Geometry
from torrent_core.metainfo import FileEntry
from torrent_core.storage import FileMap
from torrent_core.types import Span


def build(lengths: list[int], piece_length: int, pads: frozenset[int] = frozenset()) -> FileMap:
    files = []
    offset = 0
    for index, length in enumerate(lengths):
        files.append(FileEntry((f"f{index}",), length, offset, pad=index in pads))
        offset += length
    return FileMap(files, Geometry(offset, piece_length))


@st.composite
def file_maps(draw: st.DrawFn) -> FileMap:
    lengths = draw(st.lists(st.integers(0, 70), min_size=1, max_size=12).filter(any))
    pads = draw(st.frozensets(st.integers(0, len(lengths) - 1), max_size=3))
    return build(lengths, draw(st.integers(1, 40)), pads)


def owners(file_map: FileMap) -> list[tuple[int, int]]:
    """The (file, offset) of every byte of the payload, the slow way."""
    return [(index, at) for index, file in enumerate(file_map.files) for at in range(file.length)]


@given(file_maps(), st.data())
def test_spans_name_exactly_the_bytes_asked_for(file_map: FileMap, data: st.DataObject) -> None:
    geometry = file_map.geometry
    piece = data.draw(st.integers(0, geometry.piece_count - 1))
    begin = data.draw(st.integers(0, geometry.piece_size(piece) - 1))
    length = data.draw(st.integers(1, geometry.piece_size(piece) - begin))
    spans = file_map.spans(piece, begin, length)
    named = [(span.file, span.offset + at) for span in spans for at in range(span.length)]
    start = piece * geometry.piece_length + begin
    assert named == owners(file_map)[start : start + length]
    assert all(span.length > 0 for span in spans)
    assert len({span.file for span in spans}) == len(spans)


@given(file_maps())
def test_files_and_pieces_agree_in_both_directions(file_map: FileMap) -> None:
    touching = {
        (file, at // file_map.geometry.piece_length)
        for at, (file, _) in enumerate(owners(file_map))
    }
    by_piece = {
        (file, piece)
        for piece in range(file_map.geometry.piece_count)
        for file in file_map.files_of(piece)
    }
    by_file = {
        (file, piece) for file in range(len(file_map.files)) for piece in file_map.pieces_of(file)
    }
    assert by_piece == by_file == touching


@given(file_maps(), st.data())
def test_wanted_pieces_are_those_that_touch_a_wanted_file(
    file_map: FileMap, data: st.DataObject
) -> None:
    count = len(file_map.files)
    priorities = data.draw(st.lists(st.integers(0, 1), min_size=count, max_size=count))
    expected = 0
    for file, priority in enumerate(priorities):
        if priority and not file_map.files[file].pad:
            for piece in file_map.pieces_of(file):
                expected |= 1 << piece
    assert file_map.wanted_pieces(priorities) == expected
    assert file_map.wanted_pieces() == file_map.wanted_pieces([1] * count)


@given(st.integers(1, 200), st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200))))
def test_union_holds_every_piece_of_every_run(count: int, pairs: list[tuple[int, int]]) -> None:
    runs = [range(min(start, count), min(stop, count)) for start, stop in pairs]
    expected = sum(1 << piece for piece in {piece for run in runs for piece in run})
    assert build([count], 1).union(runs) == expected


def test_zero_length_files_are_in_no_span_and_want_no_piece() -> None:
    file_map = build([0, 10, 0, 0, 10, 0], 20)
    assert file_map.piece_spans(0) == (Span(1, 0, 10), Span(4, 0, 10))
    assert file_map.pieces_of(0) == range(0)
    assert file_map.wanted_pieces([1, 0, 1, 1, 0, 1]) == 0


def test_empty_files_are_those_wanted_and_never_padding() -> None:
    file_map = build([0, 5, 0, 0], 4, pads=frozenset({2}))
    assert file_map.empty_files() == (0, 3)
    assert file_map.empty_files([0, 1, 1, 1]) == (3,)


def test_a_pad_file_is_in_the_spans_but_wants_nothing() -> None:
    file_map = build([10, 6, 16], 16, pads=frozenset({1}))
    assert file_map.piece_spans(0) == (Span(0, 0, 10), Span(1, 0, 6))
    assert file_map.wanted_pieces([0, 1, 0]) == 0
    assert file_map.wanted_pieces() == 0b11


def test_the_short_last_piece_ends_with_the_last_file() -> None:
    file_map = build([10, 7], 16)
    assert file_map.piece_spans(1) == (Span(1, 6, 1),)
    assert file_map.files_of(1) == (1,)


def test_one_byte_torrent() -> None:
    file_map = build([1], 16 * 1024)
    assert file_map.spans(0, 0, 1) == (Span(0, 0, 1),)
    assert file_map.wanted_pieces() == 1


@pytest.mark.parametrize(
    ("piece", "begin", "length"),
    [(-1, 0, 1), (2, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 17), (0, 16, 1), (1, 0, 2)],
)
def test_a_range_outside_the_piece_is_refused(piece: int, begin: int, length: int) -> None:
    with pytest.raises(LocalProtocolError):
        build([10, 7], 16).spans(piece, begin, length)


@pytest.mark.parametrize("index", [-1, 2])
def test_unknown_pieces_and_files_are_refused(index: int) -> None:
    file_map = build([10, 7], 16)
    with pytest.raises(LocalProtocolError):
        file_map.files_of(index)
    with pytest.raises(LocalProtocolError):
        file_map.pieces_of(index)


@pytest.mark.parametrize("priorities", [[], [1], [1, 1, 1], [0, 2], [-1, 1]])
def test_priorities_of_a_wrong_number_or_value_are_refused(priorities: list[int]) -> None:
    file_map = build([10, 7], 16)
    with pytest.raises(LocalProtocolError):
        file_map.wanted_pieces(priorities)
    with pytest.raises(LocalProtocolError):
        file_map.empty_files(priorities)
