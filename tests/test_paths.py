"""Names made safe: no way out of the folder, no two files in one place."""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core.limits import MAX_PATH_ELEMENT
from torrent_core.metainfo.paths import decode_text, distinct_paths, safe_element, safe_name

# Characters that some rule is about, so that they come up together.
TRICKY = st.text(
    st.sampled_from("./\\\0\n\x7f\x85 :ccoonnpprrn1²\u202e\u200b\ufeff\udc80aAéE\u0301🎵ßſ"),
    max_size=12,
)
ELEMENTS = TRICKY | st.text(st.characters(codec=None), max_size=300)
RAW = st.binary(max_size=300) | ELEMENTS.map(lambda text: text.encode("utf-8", "surrogatepass"))
SAFE_PATHS = st.lists(
    st.lists(st.sampled_from(["a", "A", "b.txt", "B.TXT", "b.1.txt", "é", "e\u0301"]), min_size=1)
    .map(tuple)
    .filter(lambda path: len(path) <= 4),
    max_size=12,
)

DEVICES = {"CON", "PRN", "AUX", "NUL", "COM1", "COM²", "LPT9"}


def same_place(path: tuple[str, ...]) -> tuple[str, ...]:
    """Equal for paths that a file system blind to case and composition takes for one."""
    return tuple(
        unicodedata.normalize("NFC", unicodedata.normalize("NFC", element).casefold())
        for element in path
    )


# --- Properties ----------------------------------------------------------------------------


@given(RAW)
def test_a_safe_element_names_one_thing_inside_its_folder(raw: bytes) -> None:
    element = safe_element(decode_text(raw))
    assert PurePosixPath("/down", element).parent == PurePosixPath("/down")
    assert PurePosixPath(element).name == element
    windows = PureWindowsPath("d:/down", element)
    assert windows.parent == PureWindowsPath("d:/down")
    assert element.partition(".")[0].rstrip(" ").upper() not in DEVICES
    assert element.strip(" .")
    assert not any(unicodedata.category(char) == "Cc" for char in element)
    assert 1 <= len(element.encode()) <= MAX_PATH_ELEMENT


@given(RAW)
def test_making_safe_twice_changes_nothing_more(raw: bytes) -> None:
    once = safe_element(decode_text(raw))
    assert safe_element(once) == once


@given(st.lists(st.lists(ELEMENTS, min_size=1, max_size=3), max_size=8) | SAFE_PATHS)
def test_no_two_files_share_a_place_and_no_file_is_a_folder(paths: list[list[str]]) -> None:
    safe = [tuple(safe_element(element) for element in path) for path in paths]
    distinct = distinct_paths(safe)
    places = [same_place(path) for path in distinct]
    assert len(set(places)) == len(places)
    folders = {place[:size] for place in places for size in range(1, len(place))}
    assert not folders & set(places)
    assert all(len(path[-1].encode()) <= MAX_PATH_ELEMENT for path in distinct)


@given(SAFE_PATHS)
def test_a_path_without_collision_is_kept_and_folders_always_are(
    paths: list[tuple[str, ...]],
) -> None:
    distinct = distinct_paths(paths)
    assert [path[:-1] for path in distinct] == [path[:-1] for path in paths]
    places = [same_place(path) for path in paths]
    folders = {place[:size] for place in places for size in range(1, len(place))}
    for path, place, result in zip(paths, places, distinct, strict=True):
        if places.count(place) == 1 and place not in folders:
            taken_by_number = [other for other in distinct if other != result]
            assert result == path or place in map(same_place, taken_by_number)


# --- Single elements -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("", "_"),
        (".", "_"),
        ("..", "_"),
        ("...", "_"),
        (".. ", "_"),
        ("/", "_"),
        ("\u202e..", "_"),
        ("../../etc/passwd", "....etcpasswd"),
        ("..\\x", "..x"),
        ("a/b\\c\0d", "abcd"),
        ("exe.\u202egpj", "exe.gpj"),
        ("\ufeffa\u200bb\u2066c\u061cd\u2060e", "abcde"),
        ("a\nb\x1b[31m\x7f\x9f", "a_b_[31m__"),
        ("\ud800x", "_x"),
        (".hidden", ".hidden"),
        ("Les Misérables (2012) [x264].mkv", "Les Misérables (2012) [x264].mkv"),
        ("C:", "C_"),
        ("c:evil", "c_evil"),
        ("Part 1: x", "Part 1: x"),
        ("é:x", "é:x"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("Aux .tar.gz", "_Aux .tar.gz"),
        ("com1", "_com1"),
        ("COM¹.x", "_COM¹.x"),
        ("conin$", "_conin$"),
        ("console", "console"),
        ("com10", "com10"),
    ],
)
def test_elements(text: str, safe: str) -> None:
    assert safe_element(text) == safe


@pytest.mark.parametrize(
    ("raw", "safe"),
    [
        (b"caf\xe9.txt", "caf_.txt"),
        (b"\xff\xfe", "__"),
        ("\ufffd".encode(), "\ufffd"),
        (b"\xed\xa0\x80", "___"),
    ],
)
def test_each_byte_that_is_not_utf8_becomes_an_underscore(raw: bytes, safe: str) -> None:
    assert safe_element(decode_text(raw)) == safe


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("x" * 240, "x" * 240),
        ("x" * 241, "x" * 240),
        ("x" * 300 + ".flac", "x" * 235 + ".flac"),
        ("x" * 300 + ".longer-than-ten", "x" * 240),
        ("é" * 200, "é" * 120),
        ("x" + "é" * 200, "x" + "é" * 119),
        ("x" + "🎵" * 100 + ".ogg", "x" + "🎵" * 58 + ".ogg"),
        ("." + "x" * 300, "." + "x" * 239),
        ("x." + "🎵" * 99, "x." + "🎵" * 59),
    ],
)
def test_long_elements_are_cut_between_characters_and_keep_a_short_extension(
    text: str, safe: str
) -> None:
    assert safe_element(text) == safe


@pytest.mark.parametrize("raw", [b"", b".", b"..", b"///", b"\0", "\u202e".encode(), b" . "])
def test_a_torrent_name_that_says_nothing_becomes_the_info_hash(raw: bytes) -> None:
    assert safe_name(raw, bytes(range(20))) == bytes(range(20)).hex()


def test_a_torrent_name_that_says_something_is_made_safe() -> None:
    assert safe_name(b"a/\xff", bytes(20)) == "a_"


@pytest.mark.parametrize(
    "raw", [b".torrent-core", b".Torrent-CORE", b".torrent\0-core", b".torrent-core" + b". " * 110]
)
def test_no_torrent_is_named_as_the_folder_for_resume_data(raw: bytes) -> None:
    assert safe_name(raw, bytes(20)) == "_.torrent-core"


def test_names_that_only_begin_like_that_folder_stay() -> None:
    assert safe_name(b".torrent-core.txt", bytes(20)) == ".torrent-core.txt"


# --- Collisions ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("paths", "distinct"),
    [
        (["t/a.txt", "t/a.txt", "t/A.TXT"], ["t/a.txt", "t/a.1.txt", "t/A.2.TXT"]),
        (["t/a", "t/a", "t/a.1"], ["t/a", "t/a.1", "t/a.1.1"]),
        (["t/a.1", "t/a", "t/a"], ["t/a.1", "t/a", "t/a.2"]),
        (["t/Foo/a", "t/foo/A"], ["t/Foo/a", "t/foo/A.1"]),
        (["t/Foo/a", "t/foo/b"], ["t/Foo/a", "t/foo/b"]),
        (["t/a", "t/a/b"], ["t/a.1", "t/a/b"]),
        (["t/a/b", "t/A"], ["t/a/b", "t/A.1"]),
        (["t/x", "u/x"], ["t/x", "u/x"]),
        (["t/é", "t/e\u0301"], ["t/é", "t/e\u0301.1"]),
        (["t/straße", "t/STRASSE"], ["t/straße", "t/STRASSE.1"]),
        (["t/.rc", "t/.rc"], ["t/.rc", "t/.rc.1"]),
    ],
)
def test_collisions(paths: list[str], distinct: list[str]) -> None:
    split = [tuple(path.split("/")) for path in paths]
    assert ["/".join(path) for path in distinct_paths(split)] == distinct


def test_a_number_fits_even_where_the_name_has_the_full_length() -> None:
    name = "é" * 118 + ".ogg"
    first, second = distinct_paths([(name,), (name,)])
    assert first == (name,)
    assert second == ("é" * 114 + ".1.ogg",)


def test_many_equal_and_nearly_equal_names_cost_one_try_each() -> None:
    long = [("x" * 235 + f"{number:05}",) for number in range(3000)]
    distinct = distinct_paths(long * 2 + [("a",)] * 3000)
    assert len(set(distinct)) == 9000
    assert distinct[-1] == ("a.2999",)
    assert distinct[5999] == ("x" * 233 + ".3000",)


def test_deep_paths_cost_their_length_and_no_more() -> None:
    deep = tuple(f"folder {number}" for number in range(100))
    distinct = distinct_paths([(*deep, "x")] * 2)
    assert distinct == [(*deep, "x"), (*deep, "x.1")]
