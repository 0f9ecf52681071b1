from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core import bencode
from torrent_core.errors import ResumeError
from torrent_core.geometry import Geometry
from torrent_core.storage import ResumeData, decode_resume
from torrent_core.storage.resume import CHECKSUM, seal
from torrent_core.types import FileStat

INFO_HASH = bytes(range(20))
BLOCK = 16 * 1024
# Four pieces of four blocks, and a last one of two.
GEOMETRY = Geometry(4 * 4 * BLOCK + BLOCK + 1, 4 * BLOCK)
BLOCKS = [GEOMETRY.block_count(piece) for piece in range(GEOMETRY.piece_count)]

file_stats = st.none() | st.builds(
    FileStat, st.integers(0, 2**63 - 1), st.integers(-(2**63), 2**63 - 1)
)


@st.composite
def resumes(draw: st.DrawFn, files: int = 3) -> ResumeData:
    verified = draw(st.integers(0, GEOMETRY.all_pieces))
    free = [piece for piece in range(GEOMETRY.piece_count) if not verified >> piece & 1]
    chosen = draw(st.sets(st.sampled_from(free))) if free else set()
    return ResumeData(
        info_hash=INFO_HASH,
        piece_count=GEOMETRY.piece_count,
        verified=verified,
        partial=tuple(
            (piece, draw(st.integers(1, (1 << BLOCKS[piece]) - 1))) for piece in sorted(chosen)
        ),
        files=tuple(draw(st.lists(file_stats, min_size=files, max_size=files))),
        downloaded=draw(st.integers(0, 2**63 - 1)),
        uploaded=draw(st.integers(0, 2**63 - 1)),
    )


SAMPLE = ResumeData(
    info_hash=INFO_HASH,
    piece_count=GEOMETRY.piece_count,
    verified=0b00101,
    partial=((1, 0b1010), (4, 0b01)),
    files=(FileStat(7, -5), None, FileStat(0, 0)),
    downloaded=12,
    uploaded=34,
)


def read(data: bytes) -> ResumeData:
    return decode_resume(data, INFO_HASH, GEOMETRY, 3)


def altered(**changes: bencode.Encodable | None) -> bytes:
    """The sample with other values at some keys; None leaves a key out.  The checksum fits."""
    values = bencode.decode(SAMPLE.encode())
    assert isinstance(values, dict)
    merged: dict[bytes, bencode.Encodable] = dict(values)
    for name, value in changes.items():
        key = name.replace("_", "-").encode()
        del merged[key]
        if value is not None:
            merged[key] = value
    del merged[CHECKSUM]
    return seal(merged)


@given(resumes())
def test_what_is_saved_is_what_is_read(resume: ResumeData) -> None:
    assert read(resume.encode()) == resume


@given(resumes(), resumes())
def test_equal_data_gives_equal_bytes_and_other_data_others(
    one: ResumeData, other: ResumeData
) -> None:
    assert (one.encode() == other.encode()) == (one == other)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_with_the_documented_error(data: bytes) -> None:
    with pytest.raises(ResumeError):
        read(data)


@given(resumes(), st.data())
def test_mutated_bytes_are_refused_with_the_documented_error(
    resume: ResumeData, data: st.DataObject
) -> None:
    saved = resume.encode()
    mutated = bytearray(saved)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(mutated) - 1))
        mutated[at] = data.draw(st.integers(0, 255))
    if mutated == saved:
        assert read(bytes(mutated)) == resume
        return
    with pytest.raises(ResumeError):
        read(bytes(mutated))


@given(st.integers(0, GEOMETRY.piece_count - 1))
def test_one_flipped_bit_verifies_no_piece(piece: int) -> None:
    saved = bytearray(SAMPLE.encode())
    saved[saved.index(b"8:verified1:") + len(b"8:verified1:")] ^= 0x80 >> piece
    with pytest.raises(ResumeError, match="does not match the data"):
        read(bytes(saved))


def test_data_without_a_checksum_is_refused() -> None:
    values = bencode.decode(SAMPLE.encode())
    assert isinstance(values, dict)
    del values[CHECKSUM]
    with pytest.raises(ResumeError) as caught:
        read(bencode.encode(values))
    assert caught.value.where == "checksum"


JUNK = st.recursive(
    st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=50),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=4), inner),
    max_leaves=8,
)


KEYS = ["version", "pieces", "verified", "partial", "files", "downloaded"]


@given(st.dictionaries(st.sampled_from(KEYS), JUNK))
def test_values_of_any_shape_are_read_or_refused_with_the_documented_error(
    changes: dict[str, bencode.Encodable],
) -> None:
    wrong = None
    try:
        found = read(altered(**changes))
    except ResumeError as error:
        wrong = error.where.split("[")[0]
    else:
        assert read(found.encode()) == found
    assert wrong is None or wrong in changes


@given(st.data())
def test_truncated_data_is_refused(data: st.DataObject) -> None:
    encoded = SAMPLE.encode()
    with pytest.raises(ResumeError):
        read(encoded[: data.draw(st.integers(0, len(encoded) - 1))])


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"format": b"something else"}, "format"),
        ({"format": None}, "format"),
        ({"format": 1}, "format"),
        ({"version": 2}, "version"),
        ({"version": b"1"}, "version"),
        ({"info_hash": bytes(20)}, "info-hash"),
        ({"pieces": 4}, "pieces"),
        ({"pieces": None}, "pieces"),
        ({"verified": b""}, "verified"),
        ({"verified": b"\x00\x00"}, "verified"),
        ({"verified": b"\x04"}, "verified"),
        ({"partial": b""}, "partial"),
        ({"partial": [1]}, "partial[0]"),
        ({"partial": [[1]]}, "partial[0]"),
        ({"partial": [[b"1", b"\x80"]]}, "partial[0]"),
        ({"partial": [[-1, b"\x80"]]}, "partial[0]"),
        ({"partial": [[1, b"\x80"], [5, b"\x80"]]}, "partial[1]"),
        ({"partial": [[3, b"\x80"], [1, b"\x80"]]}, "partial[1]"),
        ({"partial": [[1, b"\x80"], [1, b"\x80"]]}, "partial[1]"),
        ({"partial": [[2, b"\x80"]]}, "partial[0]"),
        ({"partial": [[1, 1]]}, "partial[0]"),
        ({"partial": [[1, b""]]}, "partial[0]"),
        ({"partial": [[1, b"\x00"]]}, "partial[0]"),
        ({"partial": [[1, b"\x08"]]}, "partial[0]"),
        ({"partial": [[4, b"\x20"]]}, "partial[0]"),
        ({"partial": [[1, b"\x80\x80"]]}, "partial[0]"),
        ({"files": b""}, "files"),
        ({"files": bytes(47)}, "files"),
        ({"files": bytes(64)}, "files"),
        ({"files": bytes(16) + b"\xff" * 16 + bytes(16)}, "files[1]"),
        ({"files": [1, 2, 3]}, "files"),
        ({"downloaded": -1}, "downloaded"),
        ({"uploaded": b"1"}, "uploaded"),
        ({"uploaded": None}, "uploaded"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(
    changes: dict[str, bencode.Encodable | None], where: str
) -> None:
    with pytest.raises(ResumeError) as caught:
        read(altered(**changes))
    assert caught.value.where == where


def test_data_that_is_no_dictionary_is_refused() -> None:
    with pytest.raises(ResumeError, match="not a dictionary"):
        read(b"le")


def test_damage_below_our_own_fields_names_the_offset() -> None:
    with pytest.raises(ResumeError) as caught:
        read(SAMPLE.encode() + b"x")
    assert "offset" in caught.value.where


def test_unknown_keys_are_ignored() -> None:
    values = bencode.decode(SAMPLE.encode())
    assert isinstance(values, dict)
    del values[CHECKSUM]
    assert read(seal({**values, b"zz": b"of a later writer"})) == SAMPLE


def test_a_partial_piece_may_hold_all_of_its_blocks() -> None:
    assert read(altered(partial=[[4, b"\xc0"]])).partial == ((4, 0b11),)


@pytest.mark.parametrize("stat", [FileStat(2**63, 0), FileStat(1, 2**63), FileStat(1, -(2**64))])
def test_a_file_state_beyond_64_bits_is_saved_as_unknown(stat: FileStat) -> None:
    resume = ResumeData(INFO_HASH, GEOMETRY.piece_count, 0, (), (stat, None, FileStat(1, 1)))
    assert read(resume.encode()).files == (None, None, FileStat(1, 1))
