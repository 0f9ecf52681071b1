"""Making torrents: the same bytes however the payload comes, and readable by others."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core.bencode import decode
from torrent_core.errors import LocalProtocolError
from torrent_core.limits import (
    BLOCK_SIZE,
    MAX_FILES,
    MAX_PATH_DEPTH,
    MAX_PIECE_LENGTH,
    MAX_PIECES,
)
from torrent_core.metainfo import TorrentBuilder, choose_piece_length, parse_torrent

FILES = [(("a.txt",), 10), (("d", "empty"), 0), (("d", "b"), 25)]
PAYLOAD = bytes(range(35))


def builder(files: Any = FILES, **options: Any) -> TorrentBuilder:
    return TorrentBuilder(options.pop("name", "t"), files, **{"single_file": False} | options)


def hashes(payload: bytes, piece_length: int) -> bytes:
    starts = range(0, len(payload), piece_length)
    return b"".join(hashlib.sha1(payload[at : at + piece_length]).digest() for at in starts)


# --- Properties ----------------------------------------------------------------------------


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=6).filter(any),
    st.integers(1, 50),
    st.lists(st.integers(0, 300), max_size=5),
    st.booleans(),
)
def test_chunking_does_not_matter_and_neither_does_who_hashes(
    lengths: list[int], piece_length: int, cuts: list[int], private: bool
) -> None:
    files = [((f"{index}",), length) for index, length in enumerate(lengths)]
    payload = bytes(index * 7 % 251 for index in range(sum(lengths)))

    def fresh() -> TorrentBuilder:
        return builder(files, piece_length=piece_length, private=private)

    by_bytes = fresh()
    edges = sorted({0, *(min(cut, len(payload)) for cut in cuts), len(payload)})
    for start, end in pairwise(edges):
        by_bytes.update(memoryview(payload)[start:end])
    by_hashes = fresh().build(hashes(payload, piece_length))
    assert by_bytes.finish() == by_hashes
    assert by_hashes.piece_hashes == hashes(payload, piece_length)
    assert by_hashes.private == private
    assert [file.length for file in by_hashes.files] == lengths
    assert parse_torrent(by_hashes.encode()) == by_hashes


@given(st.integers(1, 2**45))
def test_chosen_piece_lengths_are_powers_of_two_with_few_pieces(total: int) -> None:
    length = choose_piece_length(total)
    assert length.bit_count() == 1
    assert BLOCK_SIZE <= length <= 16 * 1024 * 1024
    if length < 16 * 1024 * 1024:
        assert total <= 2048 * length
    if length > BLOCK_SIZE:
        assert total > 1024 * length


# --- Piece lengths -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("total", "length"),
    [
        (1, 2**14),
        (2**25, 2**14),
        (2**25 + 1, 2**15),
        (700 * 2**20, 2**19),
        (4 * 2**30, 2**21),
        (2**35 + 1, 2**24),
        (2**45, 2**24),
        (2**45 + 1, 2**25),
        (2**50, 2**29),
    ],
)
def test_chosen_piece_lengths(total: int, length: int) -> None:
    assert choose_piece_length(total) == length
    assert builder([(("x",), total)]).geometry.piece_length == length


@pytest.mark.parametrize("total", [0, -1, 2**50 + 1])
def test_no_piece_length_for_nothing_or_too_much(total: int) -> None:
    with pytest.raises(ValueError, match=r"at least one byte|too many"):
        choose_piece_length(total)


# --- What is made --------------------------------------------------------------------------


def test_a_single_file_byte_for_byte() -> None:
    made = TorrentBuilder("a", [(("a",), 3)], single_file=True, piece_length=2)
    made.update(b"xyz")
    expected = (
        b"d4:infod6:lengthi3e4:name1:a12:piece lengthi2e6:pieces40:" + hashes(b"xyz", 2) + b"ee"
    )
    assert made.finish().encode() == expected


def test_a_folder_with_everything() -> None:
    made = builder(
        piece_length=16,
        private=True,
        trackers=[["http://a/", "http://b/"], [], ["http://c/"]],
        comment="c",
        source="s",
        created_by="me",
        creation_date=0,
    )
    made.update(PAYLOAD)
    metainfo = made.finish()
    assert ["/".join(file.path) for file in metainfo.files] == ["t/a.txt", "t/d/empty", "t/d/b"]
    assert metainfo.multi_file
    assert metainfo.private
    assert metainfo.trackers == (("http://a/", "http://b/"), ("http://c/",))
    assert (metainfo.comment, metainfo.source, metainfo.created_by) == ("c", "s", "me")
    assert metainfo.creation_date == 0
    assert decode(metainfo.encode())[b"announce"] == b"http://a/"  # type: ignore[index, call-overload]


def test_source_and_private_make_another_torrent() -> None:
    def info_hash(**options: Any) -> bytes:
        return builder(**options).build(hashes(PAYLOAD, BLOCK_SIZE)).info_hash

    kinds: list[dict[str, Any]] = [
        {},
        {"source": "s"},
        {"private": True},
        {"name": "u"},
        {"comment": "no"},
    ]
    assert len({info_hash(**kind) for kind in kinds}) == 4


def test_names_that_are_not_utf8_go_into_the_torrent_as_the_bytes_they_are() -> None:
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    metainfo = builder([((name,), 1)], name=name).build(bytes(20))
    assert b"4:name4:caf\xe9" in metainfo.info
    assert b"4:pathl4:caf\xe9e" in metainfo.info
    assert metainfo.files[0].path == ("caf_", "caf_")


def test_finishing_twice_gives_the_same() -> None:
    made = builder()
    made.update(PAYLOAD)
    assert made.finish() == made.finish()


# --- What is refused -----------------------------------------------------------------------


def test_payload_beyond_the_lengths_is_refused_and_changes_nothing() -> None:
    made = builder()
    made.update(PAYLOAD[:30])
    with pytest.raises(LocalProtocolError, match="more payload"):
        made.update(bytes(6))
    made.update(PAYLOAD[30:])
    assert made.finish().piece_hashes == hashes(PAYLOAD, BLOCK_SIZE)


def test_an_unfinished_payload_makes_no_torrent() -> None:
    made = builder()
    made.update(PAYLOAD[:-1])
    with pytest.raises(LocalProtocolError, match="1 bytes of payload"):
        made.finish()


@pytest.mark.parametrize("size", [0, 19, 40])
def test_a_wrong_number_of_digests_makes_no_torrent(size: int) -> None:
    with pytest.raises(LocalProtocolError, match="1 digests are needed"):
        builder().build(bytes(size))


def test_a_torrent_that_could_not_be_read_again_is_not_made() -> None:
    made = builder(comment="x" * 2**26)
    with pytest.raises(ValueError, match="more than"):
        made.build(bytes(20))


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"files": []}, "at least one byte"),
        ({"files": [(("a",), 0)]}, "at least one byte"),
        ({"files": [(("a",), 0)], "piece_length": 16}, "at least one byte"),
        ({"files": [((), 1)]}, "1 to 100 elements"),
        ({"files": [(("x",) * (MAX_PATH_DEPTH + 1), 1)]}, "1 to 100 elements"),
        ({"files": [(("a",), -1)]}, "negative"),
        ({"files": [(("a", ".."), 1)]}, "cannot be the name"),
        ({"files": [(("a/b",), 1)]}, "cannot be the name"),
        ({"files": [(("a\0",), 1)]}, "cannot be the name"),
        ({"files": [(("a",), 1), (("a",), 2)]}, "same path"),
        ({"files": [((f"{index}",), 1) for index in range(MAX_FILES + 1)]}, "250001 files"),
        ({"name": ""}, "cannot be the name"),
        ({"piece_length": 0}, "a piece has"),
        ({"piece_length": MAX_PIECE_LENGTH + 1}, "a piece has"),
        ({"files": [(("a",), MAX_PIECES + 1)], "piece_length": 1}, "more than 2097152"),
        ({"single_file": True}, "single-file"),
        ({"single_file": True, "files": [(("other",), 1)]}, "single-file"),
        ({"trackers": ["http://a/"]}, "tiers"),
        ({"trackers": [["http://a/", " "]]}, "URL is empty"),
    ],
)
def test_what_could_not_become_a_torrent_is_refused_at_once(
    options: dict[str, Any], what: str
) -> None:
    with pytest.raises(ValueError, match=what):
        builder(**options)


# --- Against libtorrent --------------------------------------------------------------------


@pytest.mark.real
@pytest.mark.parametrize("single", [True, False])
def test_libtorrent_makes_the_same_info_dictionary(single: bool) -> None:
    lt = pytest.importorskip("libtorrent")
    files = [(("t",), 100_000)] if single else [(("a",), 60_000), (("d", "b"), 50_000)]
    payload = bytes(index % 253 for index in range(sum(length for _, length in files)))
    listed = [
        lt.create_file_entry("t" if single else "/".join(("t", *path)), length)
        for path, length in files
    ]
    theirs = lt.create_torrent(listed, BLOCK_SIZE, lt.create_torrent.v1_only)
    for index in range(theirs.num_pieces()):
        digest = hashlib.sha1(payload[index * BLOCK_SIZE : (index + 1) * BLOCK_SIZE]).digest()
        theirs.set_hash(index, digest)
    made = builder(files, single_file=single, piece_length=BLOCK_SIZE)
    made.update(payload)
    ours = made.finish()
    assert ours.info == lt.bencode(theirs.generate()[b"info"])
    loaded = lt.load_torrent_buffer(ours.encode()).ti
    assert ours.info_hash == loaded.info_hash().to_bytes()
