"""The file format: whole, cut short, damaged, foreign."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core.errors import TraceError
from torrent_core.trace import frames
from torrent_core.trace.frames import NAME, VERSION, Frame, FrameReader, FrameWriter

bodies = st.lists(st.binary(min_size=1, max_size=200), max_size=6)


def written(parts: Iterable[bytes], *, end: bool = True) -> tuple[bytes, list[int]]:
    """A trace of these frames, and where each of them begins."""
    pieces: list[bytes] = []
    writer = FrameWriter(pieces.append)
    starts = []
    for part in parts:
        starts.append(sum(map(len, pieces)))
        writer.write(part)
    if end:
        writer.write(b"")
    return b"".join(pieces), starts


def read(data: bytes) -> tuple[list[Frame], FrameReader]:
    reader = FrameReader([data])
    return list(reader), reader


@given(bodies, st.integers(1, 50))
def test_what_is_written_is_read_however_it_is_cut(parts: list[bytes], size: int) -> None:
    data, starts = written(parts)
    reader = FrameReader(data[at : at + size] for at in range(0, len(data), size))
    assert list(reader) == list(map(Frame, starts, parts))
    assert reader.ended
    assert reader.offset == len(data)


@given(bodies)
def test_cut_at_any_byte_all_whole_frames_before_are_read(parts: list[bytes]) -> None:
    data, starts = written(parts)
    ends = [*starts[1:], len(data) - 12]
    for cut in range(len(data)):
        got, reader = read(data[:cut])
        assert [frame.data for frame in got] == [
            part for part, end in zip(parts, ends, strict=False) if end <= cut
        ]
        assert not reader.ended


@given(bodies, st.integers(1, 255))
def test_any_byte_that_is_another_is_found_at_the_frame_it_is_in(
    parts: list[bytes], change: int
) -> None:
    data, starts = written(parts)
    starts.append(len(data) - 12)
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= change
        with pytest.raises(TraceError) as caught:
            read(bytes(damaged))
        expected = at if at < 8 else max(start for start in starts if start <= at)
        assert caught.value.where == f"byte {expected}"


@given(bodies.filter(lambda parts: len(parts) > 1), st.data())
def test_a_frame_that_is_lost_doubled_or_moved_is_found(
    parts: list[bytes], data: st.DataObject
) -> None:
    whole, starts = written(parts)
    ends = [*starts[1:], len(whole) - 12]
    cut = [whole[start:end] for start, end in zip(starts, ends, strict=True)]
    at = data.draw(st.integers(0, len(cut) - 2))
    tail = whole[ends[-1] :]
    for frames_now in (
        cut[:at] + cut[at + 1 :],
        [*cut[: at + 1], *cut[at:]],
        [*cut[:at], cut[at + 1], cut[at], *cut[at + 2 :]],
    ):
        with pytest.raises(TraceError):
            read(whole[:8] + b"".join(frames_now) + tail)


@given(st.binary(max_size=300))
def test_noise_is_no_trace(noise: bytes) -> None:
    for data in (noise, NAME + bytes((VERSION,)) + noise):
        try:
            got, reader = read(data)
        except TraceError:
            continue
        assert got == []
        assert not reader.ended


@pytest.mark.parametrize(
    ("data", "what", "where"),
    [
        (b"d8:announce", "not a trace", "byte 0"),
        (NAME[:3] + b"?", "not a trace", "byte 3"),
        (NAME + b"\x02", "version 2 of the format", "byte 7"),
    ],
)
def test_a_foreign_file_is_called_so(data: bytes, what: str, where: str) -> None:
    with pytest.raises(TraceError) as caught:
        read(data)
    assert (caught.value.what, caught.value.where) == (what, where)


def test_bytes_after_the_end_are_an_error() -> None:
    data, _ = written([b"one"])
    with pytest.raises(TraceError, match=f"bytes after the end \\(at byte {len(data)}\\)"):
        read(data + b"\0")


def test_nothing_is_written_after_the_end() -> None:
    pieces: list[bytes] = []
    writer = FrameWriter(pieces.append)
    writer.write(b"")
    before = list(pieces)
    writer.write(b"more")
    writer.write(b"")
    assert pieces == before


def test_a_frame_goes_to_the_sink_in_one_piece() -> None:
    pieces: list[bytes] = []
    writer = FrameWriter(pieces.append)
    writer.write(b"one")
    writer.write(b"two")
    assert len(pieces) == 3


def _forged(body: bytes) -> bytes:
    """A trace of one frame with such a body and the right checks."""
    check = zlib.crc32(body)
    head = struct.pack("<II", len(body), check)
    return NAME + bytes((VERSION,)) + head + struct.pack("<I", zlib.crc32(head, check)) + body


def test_a_frame_that_is_not_zlib_is_damaged() -> None:
    with pytest.raises(TraceError, match="damaged"):
        read(_forged(b"not zlib"))


def test_a_frame_that_inflates_beyond_all_bounds_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frames, "MAX_FRAME_BYTES", 1000)
    assert len(read(_forged(zlib.compress(bytes(1000))))[0][0].data) == 1000
    with pytest.raises(TraceError, match="a frame that is too large"):
        read(_forged(zlib.compress(bytes(100_000))))
