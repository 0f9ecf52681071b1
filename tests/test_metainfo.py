"""Torrent files: what is read from good ones, and why bad ones are refused."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core.bencode import Value, decode, encode
from torrent_core.errors import BencodeError, MetainfoError
from torrent_core.limits import (
    MAX_FILES,
    MAX_PATH_DEPTH,
    MAX_PIECE_LENGTH,
    MAX_PIECES,
    MAX_TORRENT_BYTES,
)
from torrent_core.metainfo import FileEntry, Metainfo, parse_torrent

KIB16 = 16 * 1024


def spaced(fields: dict[str, Any]) -> dict[str, Any]:
    """Keyword arguments as keys of a torrent, which have spaces."""
    return {key.replace("_", " "): value for key, value in fields.items()}


def single(**changes: Any) -> dict[str, Any]:
    """The info dictionary of one file of 40,000 bytes; None removes a key."""
    info: dict[str, Any] = {
        "name": "a.bin",
        "length": 40_000,
        "piece length": KIB16,
        "pieces": bytes(range(60)),
    }
    info |= spaced(changes)
    return {key: value for key, value in info.items() if value is not None}


def multi(*files: Any, **changes: Any) -> dict[str, Any]:
    """The info dictionary of a folder ``t`` with the given files, in one piece."""
    return single(**{"length": None, "name": "t", "pieces": bytes(20), "files": files} | changes)


def entry(*path: str | bytes, **more: Any) -> dict[str, Any]:
    """A file of one byte, unless ``length`` says otherwise."""
    return {"length": 1, "path": path} | spaced(more)


def torrent(info: Any, **outer: Any) -> bytes:
    return encode({"info": info} | spaced(outer))


def read(info: Any, **outer: Any) -> Metainfo:
    return parse_torrent(torrent(info, **outer))


def names(metainfo: Metainfo) -> list[str]:
    return ["/".join(file.path) for file in metainfo.files]


# --- Properties ----------------------------------------------------------------------------

JUNK: st.SearchStrategy[Any] = st.recursive(
    st.binary(max_size=8) | st.integers(-3, 70_000) | st.just(2**63 - 1),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.binary(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYS = st.sampled_from(
    (
        *("name", "name.utf-8", "length", "piece length", "pieces", "files", "private", "source"),
        *("meta version", "announce", "announce-list", "creation date", "comment", "info"),
        *("attr", "path", "path.utf-8"),
    )
)
ODD = st.dictionaries(KEYS, JUNK, max_size=4)


def outcome(data: bytes) -> Metainfo | None:
    """The torrent, or None if it is refused in a documented way."""
    try:
        return parse_torrent(data)
    except (BencodeError, MetainfoError):
        return None


def check_sound(metainfo: Metainfo) -> None:
    """What must hold of every torrent that is accepted."""
    assert metainfo.info_hash == hashlib.sha1(metainfo.info).digest()
    assert len(metainfo.piece_hashes) == 20 * metainfo.piece_count
    assert sum(file.length for file in metainfo.files) == metainfo.total_length > 0
    offset = 0
    for file in metainfo.files:
        assert file.offset == offset
        assert file.path[0] == metainfo.name
        assert (len(file.path) > 1) == metainfo.multi_file
        offset += file.length
    stored = [file.path for file in metainfo.files if not file.pad]
    assert len(set(stored)) == len(stored)
    assert parse_torrent(metainfo.encode()) == metainfo


@given(ODD, ODD, ODD, st.booleans())
def test_odd_values_are_refused_or_read_soundly(
    outer: dict[str, Any], info: dict[str, Any], file: dict[str, Any], folder: bool
) -> None:
    base = multi(entry("x", length=9) | file) if folder else single()
    metainfo = outcome(encode({"info": base | info, **outer}))
    if metainfo is not None:
        check_sound(metainfo)


GOOD = torrent(
    multi(entry("a", "b", length=7), entry("c", length=5, attr="p"), private=1),
    announce="http://t/",
)


@given(st.lists(st.tuples(st.integers(0, len(GOOD)), st.integers(0, 3), st.binary(max_size=3))))
def test_damaged_torrents_are_refused_or_read_soundly(edits: list[tuple[int, int, bytes]]) -> None:
    data = GOOD
    for at, removed, inserted in edits:
        data = data[:at] + inserted + data[at + removed :]
    metainfo = outcome(data)
    if metainfo is not None:
        check_sound(metainfo)


@given(st.binary(max_size=100))
def test_arbitrary_bytes_are_refused_or_read_soundly(data: bytes) -> None:
    assert outcome(data) is None


@given(st.permutations(list(single())), st.booleans())
def test_the_info_hash_is_of_the_bytes_as_they_stand(order: list[str], unsorted: bool) -> None:
    info = single()
    keys = order if unsorted else sorted(order)
    raw = b"d" + b"".join(encode(key) + encode(info[key]) for key in keys) + b"e"
    metainfo = parse_torrent(b"d5:zzzzz1:x4:info" + raw + b"1:ai1ee")
    assert metainfo.info == raw
    assert metainfo.info_hash == hashlib.sha1(raw).digest()
    check_sound(metainfo)


# --- What is read --------------------------------------------------------------------------


def test_a_single_file_torrent() -> None:
    metainfo = read(single())
    assert metainfo.name == "a.bin"
    assert metainfo.files == (FileEntry(("a.bin",), 40_000, 0),)
    assert not metainfo.multi_file
    assert (metainfo.total_length, metainfo.piece_length, metainfo.piece_count) == (
        40_000,
        KIB16,
        3,
    )
    assert metainfo.piece_hash(0) == bytes(range(20))
    assert metainfo.piece_hash(2) == bytes(range(40, 60))


def test_a_torrent_of_several_files_lies_in_a_folder_of_its_name() -> None:
    metainfo = read(multi(entry("a"), entry("d", "empty", length=0), entry("d", "b", length=5)))
    assert metainfo.multi_file
    assert metainfo.files == (
        FileEntry(("t", "a"), 1, 0),
        FileEntry(("t", "d", "empty"), 0, 1),
        FileEntry(("t", "d", "b"), 5, 1),
    )


def test_files_decide_where_a_torrent_has_a_length_too() -> None:
    assert names(read(multi(entry("a"), length=5))) == ["t/a"]


def test_optional_fields() -> None:
    metainfo = read(
        single(private=1, source="S"),
        announce="http://a/",
        comment="c",
        created_by="me",
        creation_date=1_700_000_000,
        encoding="ignored",
    )
    assert metainfo.private
    assert metainfo.source == "S"
    assert metainfo.trackers == (("http://a/",),)
    assert metainfo.comment == "c"
    assert metainfo.created_by == "me"
    assert metainfo.creation_date == 1_700_000_000


def test_optional_fields_that_are_missing_or_of_the_wrong_type_are_as_good_as_absent() -> None:
    wrong: dict[str, Any] = {
        "announce": 1,
        "announce-list": "x",
        "comment": [],
        "created_by": 2,
        "creation_date": "now",
    }
    for metainfo in (read(single()), read(single(private="1", source=[]), **wrong)):
        assert not metainfo.private
        assert metainfo.trackers == ()
        assert metainfo.comment == metainfo.created_by == metainfo.source == ""
        assert metainfo.creation_date is None


@pytest.mark.parametrize(
    ("date", "kept"), [(0, True), (-1, False), (253_402_300_799, True), (253_402_300_800, False)]
)
def test_only_a_date_between_1970_and_9999_is_kept(date: int, kept: bool) -> None:
    assert read(single(), creation_date=date).creation_date == (date if kept else None)


def test_private_zero_is_public() -> None:
    assert not read(single(private=0)).private


def test_text_that_is_not_utf8_is_shown_with_replacements() -> None:
    assert read(single(), comment=b"caf\xe9").comment == "caf\ufffd"


def test_utf8_variants_are_preferred() -> None:
    metainfo = read(
        multi(
            entry(b"\xe9", **{"path.utf-8": ["é"]}),
            entry("b", **{"path.utf-8": "not a list"}),
            **{"name": b"\xff", "name.utf-8": "ñ"},
        ),
        **{"comment": "old", "comment.utf-8": "new"},
    )
    assert names(metainfo) == ["ñ/é", "ñ/b"]
    assert metainfo.comment == "new"


def test_a_utf8_name_of_the_wrong_type_is_passed_over() -> None:
    assert read(single(**{"name.utf-8": 5})).name == "a.bin"


@pytest.mark.parametrize(
    ("outer", "tiers"),
    [
        ({"announce": "http://a/"}, (("http://a/",),)),
        ({"announce": "http://a/", "announce-list": []}, (("http://a/",),)),
        ({"announce": "http://a/", "announce-list": [[], [""], 5]}, (("http://a/",),)),
        (
            {
                "announce": "http://a/",
                "announce-list": [["http://b/", 3, " udp://c/ "], ["wss://d/"]],
            },
            (("http://b/", "udp://c/"), ("wss://d/",)),
        ),
        ({"announce-list": [["http://b/"]]}, (("http://b/",),)),
        ({"announce": "  "}, ()),
    ],
)
def test_tiers_of_trackers_come_before_the_single_one(
    outer: dict[str, Any], tiers: tuple[tuple[str, ...], ...]
) -> None:
    assert read(single(), **outer).trackers == tiers


def test_pad_files_are_marked_and_keep_their_place_but_claim_no_name() -> None:
    metainfo = read(
        multi(
            entry("a", length=3),
            entry(".pad", "13", length=13, attr="p"),
            entry("b", length=3),
            entry(".pad", "13", length=13, attr="xp"),
            {"length": 7, "attr": "p"},
            entry("_____padding_file_0_if you see this file", length=2),
            entry("c", length=1),
        )
    )
    assert [file.pad for file in metainfo.files] == [0, 1, 0, 1, 1, 1, 0]
    assert names(metainfo)[1] == names(metainfo)[3] == "t/.pad/13"
    assert names(metainfo)[4] == "t/.pad/7"
    assert [file.offset for file in metainfo.files] == [0, 3, 16, 19, 32, 39, 41]


def test_a_symbolic_link_becomes_an_empty_file() -> None:
    metainfo = read(multi(entry("a"), entry("l", length=99, attr="l", symlink_path=["..", "etc"])))
    assert metainfo.files[1] == FileEntry(("t", "l"), 0, 1)
    assert read(multi(entry("a"), {"path": ["l"], "attr": "l"})).files[1].length == 0


def test_attributes_of_the_wrong_type_mean_nothing() -> None:
    assert not read(multi(entry("p", attr=5))).files[0].pad


def test_hostile_paths_stay_inside_and_apart() -> None:
    metainfo = read(
        multi(
            entry("..", "..", "etc", "passwd"),
            entry("a/../../b"),
            entry("x", ""),
            entry("x"),
            entry("Dup"),
            entry("dup"),
            entry("con.txt"),
            name="../etc",
        )
    )
    assert names(metainfo) == [
        "..etc/_/_/etc/passwd",
        "..etc/a....b",
        "..etc/x/_",
        "..etc/x.1",
        "..etc/Dup",
        "..etc/dup.1",
        "..etc/_con.txt",
    ]


@pytest.mark.parametrize("name", ["", "..", "/"])
def test_a_name_that_says_nothing_gives_way_to_the_info_hash(name: str) -> None:
    metainfo = read(multi(entry("a"), name=name))
    assert metainfo.name == metainfo.info_hash.hex()
    assert metainfo.files[0].path == (metainfo.name, "a")


def test_a_hybrid_torrent_is_read_as_version_1() -> None:
    info = single(meta_version=2) | {"file tree": {"a.bin": {"": {"length": 40_000}}}}
    assert read(info).piece_count == 3


def test_the_representation_leaves_out_what_is_long() -> None:
    shown = repr(read(single()))
    assert "a.bin" in shown
    assert len(shown) < 500


def test_an_unknown_key_changes_nothing_but_the_info_hash() -> None:
    plain, more = read(single()), read(single(unknown={"x": [1]}))
    assert plain.info_hash != more.info_hash
    found: Value = decode(more.info)
    assert isinstance(found, dict)
    assert found[b"unknown"] == {b"x": [1]}
    assert plain.files == more.files


# --- What is refused -----------------------------------------------------------------------


def edited_file(**changes: Any) -> dict[str, Any]:
    file = entry("x", **changes)
    return multi(entry("a"), {key: value for key, value in file.items() if value is not None})


@pytest.mark.parametrize(
    ("info", "where", "what"),
    [
        ([], "info", "no dictionary"),
        (single(name=None), "info.name", "is missing"),
        (single(name=7), "info.name", "is not a string"),
        (single(length=None), "info.length", "is missing"),
        (single(length="5"), "info.length", "is not an integer"),
        (single(length=-1), "info.length", "is negative"),
        (single(length=0, pieces=b""), "info", "no bytes"),
        (single(piece_length=None), "info.piece length", "is missing"),
        (single(piece_length=0), "info.piece length", "is not within"),
        (single(piece_length=MAX_PIECE_LENGTH + 1), "info.piece length", "is not within"),
        (single(pieces=None), "info.pieces", "is missing"),
        (single(pieces=None, meta_version=2), "info.pieces", "only for version 2"),
        (single(pieces=bytes(61)), "info.pieces", "multiple of 20"),
        (single(pieces=bytes(40)), "info.pieces", "2 hashes for 3 pieces"),
        (single(pieces=bytes(80)), "info.pieces", "4 hashes for 3 pieces"),
        (single(pieces=bytes(20 * MAX_PIECES + 20)), "info.pieces", "more than 2097152"),
        (single(length=2**63 - 1), "info.pieces", "3 hashes for"),
        (multi(), "info.files", "names no file"),
        (multi(files="x"), "info.files", "is not a list"),
        (multi(files=[1] * (MAX_FILES + 1)), "info.files", "more than 250000 files"),
        (multi(entry("a"), 5), "info.files[1]", "is not a dictionary"),
        (edited_file(length=None), "info.files[1].length", "is missing"),
        (edited_file(length=-5), "info.files[1].length", "is negative"),
        (edited_file(path=None), "info.files[1].path", "is missing or empty"),
        (edited_file(path=[]), "info.files[1].path", "is missing or empty"),
        (edited_file(path="x"), "info.files[1].path", "is missing or empty"),
        (edited_file(path=["x", 5]), "info.files[1].path", "other than strings"),
        (edited_file(path=["x"] * (MAX_PATH_DEPTH + 1)), "info.files[1].path", "more than 100"),
        (
            edited_file(**{"path.utf-8": ["x"] * 101}),
            "info.files[1].path.utf-8",
            "more than 100",
        ),
        (multi(entry("a", length=0), pieces=b""), "info", "no bytes"),
        (multi(*[entry("a", length=2**63 - 1)] * 3), "info.pieces", "1 hashes for"),
    ],
)
def test_refused_with_the_place_and_the_reason(info: Any, where: str, what: str) -> None:
    with pytest.raises(MetainfoError, match=what) as caught:
        read(info)
    assert caught.value.where == where


def test_the_longest_piece_and_the_deepest_path_are_accepted() -> None:
    deep = ["x"] * MAX_PATH_DEPTH
    metainfo = read(multi(entry(*deep), piece_length=MAX_PIECE_LENGTH))
    assert metainfo.piece_length == MAX_PIECE_LENGTH
    assert metainfo.files[0].path == ("t", *deep)


def test_the_most_pieces_are_accepted() -> None:
    assert read(single(length=MAX_PIECES, piece_length=1, pieces=bytes(20 * MAX_PIECES))).geometry


def test_no_torrent_without_an_info_dictionary() -> None:
    with pytest.raises(MetainfoError) as caught:
        parse_torrent(b"d8:announce1:xe")
    assert caught.value.where == "info"


@pytest.mark.parametrize("data", [b"", b"le", b"<html>", GOOD + b"\n", GOOD[:-1]])
def test_what_is_not_one_bencoded_dictionary_is_a_bencode_error(data: bytes) -> None:
    with pytest.raises(BencodeError):
        parse_torrent(data)


def test_a_file_beyond_the_limit_is_not_even_decoded() -> None:
    with pytest.raises(MetainfoError, match="more than"):
        parse_torrent(bytes(MAX_TORRENT_BYTES + 1))


# --- Saving --------------------------------------------------------------------------------


def test_a_torrent_is_saved_with_its_fields_in_canonical_order() -> None:
    data = torrent(
        single(),
        **{
            "announce": "http://a/",
            "announce-list": [["http://a/", "http://b/"], ["http://c/"]],
            "comment": "ü",
            "created by": "me",
            "creation date": 5,
        },
    )
    assert parse_torrent(data).encode() == data


def test_one_tracker_needs_no_list_and_absent_fields_are_not_written() -> None:
    for data in (torrent(single(), announce="http://a/"), torrent(single())):
        assert parse_torrent(data).encode() == data


def test_an_info_dictionary_that_is_not_canonical_is_saved_as_it_is() -> None:
    info = encode(single())
    odd = info[:-1] + b"4:name5:again" + b"e"
    metainfo = parse_torrent(b"d4:info" + odd + b"e")
    assert metainfo.encode() == b"d4:info" + odd + b"e"
    assert metainfo.name == "a.bin"


# --- Against libtorrent --------------------------------------------------------------------


@pytest.mark.real
@pytest.mark.parametrize(
    "info",
    [
        single(),
        single(private=1, source="x"),
        multi(entry("a"), entry("d", "b", length=9), entry("d", "c", length=0)),
        multi(
            entry("a", length=3),
            entry(".pad", "13", length=KIB16 - 3, attr="p"),
            entry("b", length=3),
            pieces=bytes(40),
        ),
        multi(entry("..", "x"), entry("a/b"), entry(b"caf\xe9"), entry("x", ""), name="a\nb"),
        multi(entry("a"), entry("A"), *[entry("a.txt")] * 3, entry("a.txt", "b")),
    ],
)
def test_libtorrent_reads_the_same(info: dict[str, Any]) -> None:
    lt = pytest.importorskip("libtorrent")
    data = torrent(info, **{"announce-list": [["http://b/"], ["http://c/"]]})
    loaded = lt.load_torrent_buffer(data)
    theirs, ours = loaded.ti, parse_torrent(data)
    assert ours.info_hash == theirs.info_hash().to_bytes()
    assert ours.name == theirs.name()
    assert ours.private == theirs.priv()
    assert ours.piece_count == theirs.num_pieces()
    layout = theirs.layout()
    for index, file in enumerate(ours.files):
        assert file.length == layout.file_size(index)
        assert file.offset == layout.file_offset(index)
        assert file.pad == bool(layout.file_flags(index) & layout.flag_pad_file)
        renamed = loaded.renamed_files.get(index, layout.file_path(index))
        assert "/".join(file.path) == renamed
