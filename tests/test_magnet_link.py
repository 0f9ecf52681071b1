"""Magnet links: what is read from good ones, and why bad ones are refused."""

from __future__ import annotations

from base64 import b32encode
from string import printable
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from torrent_core import InvalidMagnet, MagnetLink, parse_magnet
from torrent_core.limits import MAX_FILES, MAX_MAGNET_ENTRIES, MAX_MAGNET_LENGTH
from torrent_core.types import Address

HASH = bytes(range(20))
HEX = HASH.hex()
PLAIN = f"magnet:?xt=urn:btih:{HEX}"

shown = st.text(st.characters(exclude_categories=("C", "Z"))).map(str.strip)
urls = st.lists(shown.filter(bool), max_size=4, unique=True).map(tuple)
hosts = st.one_of(
    st.ip_addresses().map(str),
    st.from_regex(r"[a-z][a-z0-9_-]{0,20}(\.[a-z]{1,9}){0,3}", fullmatch=True),
)
peers = st.lists(st.builds(Address, hosts, st.integers(1, 0xFFFF)), max_size=4, unique=True)


@st.composite
def runs(draw: st.DrawFn) -> tuple[tuple[int, int], ...] | None:
    """Runs that ascend and do not touch, as a link has them."""
    at, found = 0, []
    for gap, length in draw(st.lists(st.tuples(st.integers(0, 99), st.integers(1, 99)))):
        found.append((at + gap, at + gap + length - 1))
        at += gap + length + 1
    return tuple(found[:MAX_MAGNET_ENTRIES]) or None


links = st.builds(
    MagnetLink,
    st.binary(min_size=20, max_size=20),
    shown,
    urls,
    peers.map(tuple),
    urls,
    runs(),
)


# --- Properties ------------------------------------------------------------------------------


@given(links)
def test_what_is_written_is_read_again(link: MagnetLink) -> None:
    assert parse_magnet(str(link)) == link


@given(
    st.text()
    | st.text(printable).map(f"{PLAIN}&".__add__)
    | st.lists(
        st.tuples(
            st.sampled_from(
                ["xt", "dn", "tr", "x.pe", "so", "ws", "XT.1", "tr.2", ".", "", "so.x"]
            ),
            st.text(printable)
            | st.sampled_from([f"urn:btih:{HEX}", "urn:btmh:1220" + 64 * "a", "1-3,5", "[::1]:5"]),
        )
    ).map(lambda pairs: "magnet:?" + "&".join(f"{name}={value}" for name, value in pairs))
)
@example("magnet:?xt=urn:btih:" + "\ud800" * 40)
@example(PLAIN + "&x.pe=[" + "1" * 9999 + "]:1&so=" + "9" * 5000)
def test_whatever_is_given_is_a_link_or_invalid_and_nothing_else(text: str) -> None:
    try:
        link = parse_magnet(text)
    except InvalidMagnet:
        return
    assert parse_magnet(str(link)) == link


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=9), st.integers(1, 50))
def test_the_files_that_are_wanted_are_those_that_so_names(
    pairs: list[tuple[int, int]], count: int
) -> None:
    link = parse_magnet(f"{PLAIN}&so=" + ",".join(f"{first}-{last}" for first, last in pairs))
    wanted = {index for first, last in pairs for index in range(first, last + 1)}
    expected = tuple(int(index in wanted) for index in range(count))
    assert link.priorities(count) == (expected if any(expected) else None)


# --- Which torrent ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "topic",
    [
        HEX,
        HEX.upper(),
        b32encode(HASH).decode(),
        b32encode(HASH).decode().lower(),
        quote(HEX[:39]) + f"%{ord(HEX[39]):02x}",
    ],
)
@pytest.mark.parametrize(
    "start", ["magnet:?xt=urn:btih:", "MAGNET:?XT.1=URN%3ABTIH%3A", " magnet:?&xt=urn:btih:"]
)
def test_the_info_hash_is_read_in_each_of_its_forms(start: str, topic: str) -> None:
    assert parse_magnet(start + topic) == MagnetLink(HASH)


def test_a_base_32_hash_that_libtorrent_tests_is_read_as_it_reads_it() -> None:
    # libtorrent, test_magnet.cpp, parse_base32_hash
    link = parse_magnet("magnet:?xt=urn:btih:MFRGCYTBMJQWEYLCMFRGCYTBMJQWEYLC")
    assert link.info_hash == b"abababababababababab"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "does not begin with magnet:"),
        ("http://example.com/a.torrent", "does not begin with magnet:"),
        ("magnet:", "does not begin with magnet:"),
        ("magnet:?", "names no torrent"),
        ("magnet:?dn=foo", "names no torrent"),
        ("magnet:?xt=urn:sha1:" + 32 * "A", "names no torrent"),
        ("magnet:?xt=urn:btih:abababab", "an info-hash of 8 characters"),
        ("magnet:?xt=urn:btih:" + 40 * "z", "an info-hash that is no number"),
        ("magnet:?xt=urn:btih:" + 20 * "a-", "an info-hash of 40 characters"),
        ("magnet:?xt=urn:btih:" + 32 * "1", "an info-hash that is no number"),
        ("magnet:?xt=urn:btmh:1220" + 64 * "c", "only for version 2"),
        (f"{PLAIN}&xt=urn:btih:{40 * 'a'}", "names several torrents"),
        (f"{PLAIN}&dn={'a' * MAX_MAGNET_LENGTH}", f"more than {MAX_MAGNET_LENGTH} characters"),
    ],
)
def test_what_names_no_torrent_is_refused_by_name(text: str, what: str) -> None:
    with pytest.raises(InvalidMagnet, match=what):
        parse_magnet(text)


def test_a_hybrid_is_taken_for_the_version_1_torrent_that_it_also_is() -> None:
    btmh = "urn:btmh:1220" + 64 * "c"
    assert parse_magnet(f"magnet:?xt={btmh}&xt=urn:btih:{HEX}") == MagnetLink(HASH)
    assert parse_magnet(f"{PLAIN}&xt=urn:btih:{HEX.upper()}&xt={btmh}") == MagnetLink(HASH)


# --- The rest --------------------------------------------------------------------------------


def test_names_trackers_and_web_seeds_are_unquoted() -> None:
    tracker, seed = "http://t.example/announce?a=1&b=2+3", "https://w.example/ü"
    link = parse_magnet(
        f"{PLAIN}&dn=a+b%20c&tr={quote(tracker, safe='+')}&tr.1=udp://u:1&ws={quote(seed)}&tr="
    )
    assert link == MagnetLink(HASH, "a b c", (tracker, "udp://u:1"), (), (seed,))


def test_what_would_disturb_a_terminal_is_not_in_a_name() -> None:
    assert parse_magnet(f"{PLAIN}&dn=%1b[31m%ff%00x").name == "[31m\ufffdx"


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("192.0.2.1:6881", Address("192.0.2.1", 6881)),
        ("peer.example:1", Address("peer.example", 1)),
        ("[2001:db8::1]:65535", Address("2001:db8::1", 65535)),
        ("%5B2001%3Adb8%3A%3A1%5D%3A5", Address("2001:db8::1", 5)),
        ("2001:db8::1:5", None),
        ("[192.0.2.1]:5", None),
        ("[x]:5", None),
        ("192.0.2.1", None),
        ("192.0.2.1:", None),
        ("192.0.2.1:0", None),
        ("192.0.2.1:65536", None),
        ("192.0.2.1:+1", None),
        ("192.0.2.1:٣", None),
        (":5", None),
        ("a b:5", None),
        (f"{254 * 'a'}:5", None),
    ],
)
def test_peers_are_read_if_they_can_be_dialled(peer: str, address: Address | None) -> None:
    assert parse_magnet(f"{PLAIN}&x.pe={peer}").peers == (() if address is None else (address,))


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        # libtorrent, test_magnet.cpp, parse_select_only
        ("0,2,4,6-8", ((0, 0), (2, 2), (4, 4), (6, 8))),
        ("0-0", ((0, 0),)),
        ("-0,1-,3-2,a,,7", ((7, 7),)),
        ("3,1-2,0", ((0, 3),)),
        ("1-5,2-3", ((1, 5),)),
        (f"{MAX_FILES - 1},{MAX_FILES}", ((MAX_FILES - 1, MAX_FILES - 1),)),
        ("1-2-3", None),
        ("", None),
    ],
)
def test_select_only_is_read_as_far_as_it_makes_sense(
    only: str, expected: tuple[tuple[int, int], ...] | None
) -> None:
    assert parse_magnet(f"{PLAIN}&so={only}").only == expected


def test_no_list_grows_without_bound() -> None:
    many = range(2 * MAX_MAGNET_ENTRIES)
    text = "".join(f"&tr=t{i}&ws=w{i}&x.pe=h:{i + 1}&so={2 * i}" for i in many)
    link = parse_magnet(PLAIN + text)
    for kept in (link.trackers, link.web_seeds, link.peers, link.only or ()):
        assert len(kept) == MAX_MAGNET_ENTRIES
    assert link.trackers[0] == "t0"
