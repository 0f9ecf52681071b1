"""URLs and bodies of HTTP trackers: BEP 3, 7, 23, 24, 31 and 48."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote_to_bytes, urlsplit

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from test_wire_extended import values
from torrent_core import bencode
from torrent_core.limits import MAX_REPLY_PEERS, MAX_TRACKER_ID, MAX_TRACKER_TEXT, MAX_TRACKER_URL
from torrent_core.trackers.http import announce_url, parse_announce, parse_scrape, scrape_url
from torrent_core.trackers.values import Announce, AnnounceReply, Failure, ScrapeReply, parse_url
from torrent_core.types import Address, Totals
from torrent_core.wire.udp_tracker import AnnounceEvent

HASH = bytes(range(0, 200, 10))
ANNOUNCE = Announce(
    info_hash=HASH,
    peer_id=b"-TC0100-abc/&=?#%+ \xff",
    port=6881,
    totals=Totals(uploaded=1, downloaded=2, left=3),
    event=AnnounceEvent.STARTED,
    key=0xBEEF,
    num_want=200,
)
KEYS = (
    *(b"interval", b"min interval", b"peers", b"peers6", b"complete", b"incomplete"),
    *(b"external ip", b"tracker id", b"warning message", b"failure reason", b"retry in", b"files"),
    HASH,
)


def _raw(url: str) -> dict[str, bytes]:
    pairs = (field.split("=", 1) for field in urlsplit(url).query.split("&"))
    return {name: unquote_to_bytes(value) for name, value in pairs}


@given(
    st.binary(min_size=20, max_size=20),
    st.binary(min_size=20, max_size=20),
    st.sampled_from(AnnounceEvent),
    st.binary(max_size=8),
    st.booleans(),
)
def test_an_announce_can_be_read_out_of_its_url(
    info_hash: bytes, peer_id: bytes, event: AnnounceEvent, tracker_id: bytes, crypto: bool
) -> None:
    announce = attrs.evolve(
        ANNOUNCE, info_hash=info_hash, peer_id=peer_id, event=event, tracker_id=tracker_id
    )
    url = announce_url("http://t.example:80/announce?pass=key", announce, crypto)
    assert url.isascii()
    assert url.isprintable()
    expected = {
        "pass": b"key",
        "info_hash": info_hash,
        "peer_id": peer_id,
        "port": b"6881",
        "uploaded": b"1",
        "downloaded": b"2",
        "left": b"3",
        "key": b"0000BEEF",
        "numwant": b"200",
        "compact": b"1",
        "no_peer_id": b"1",
    }
    if event is not AnnounceEvent.NONE:
        expected["event"] = event.name.lower().encode()
    if tracker_id:
        expected["trackerid"] = tracker_id
    if crypto:
        expected["supportcrypto"] = b"1"
    assert _raw(url) == expected


@pytest.mark.parametrize(
    ("url", "start"),
    [
        ("http://t/announce", "http://t/announce?info_hash="),
        ("http://t/announce?", "http://t/announce?info_hash="),
        ("http://t/announce?a=b", "http://t/announce?a=b&info_hash="),
        ("http://t/announce?a=b&", "http://t/announce?a=b&info_hash="),
    ],
)
def test_what_the_url_asks_already_is_kept(url: str, start: str) -> None:
    assert announce_url(url, ANNOUNCE).startswith(start)


@pytest.mark.parametrize(
    ("url", "scrape"),
    [
        ("http://t/announce", "http://t/scrape?"),
        ("http://t/x/announce.php?key=announce", "http://t/x/scrape.php?key=announce&"),
        ("https://announce.t/announce/abc", "https://announce.t/scrape/abc?"),
        ("http://announce/a", None),
        ("http://announce", None),
    ],
)
def test_where_to_scrape(url: str, scrape: str | None) -> None:
    found = scrape_url(url, HASH)
    if scrape is None:
        assert found is None
    else:
        assert found is not None
        assert found.startswith(scrape + "info_hash=")
        assert _raw(found)["info_hash"] == HASH


def test_everything_a_tracker_may_say() -> None:
    body = bencode.encode(
        {
            "interval": 1800,
            "min interval": 300,
            "complete": 5,
            "incomplete": 7,
            "tracker id": "abc",
            "external ip": b"\1\2\3\4",
            "warning message": "slow\n\x1b[31m down",
            "peers": bytes.fromhex("0a000001 1ae1 0a000002 0000 0a000001 1ae1"),
            "peers6": bytes.fromhex("20010db8000000000000000000000005 0050"),
        }
    )
    assert parse_announce(200, body) == AnnounceReply(
        interval=1800,
        min_interval=300,
        seeds=5,
        leechers=7,
        peers=(Address("10.0.0.1", 6881), Address("2001:db8::5", 80)),
        external_ip="1.2.3.4",
        tracker_id=b"abc",
        warning="slow[31m down",
    )


def test_the_example_of_bep_7() -> None:
    body = b"d8:intervali1800e5:peers6:iiiipp6:peers618:iiiiiiiiiiiiiiiippe"
    host6 = ":".join(["6969"] * 8)
    assert parse_announce(200, body).peers == (  # type: ignore[union-attr]
        Address("105.105.105.105", 0x7070),
        Address(host6, 0x7070),
    )


def test_the_long_form_of_bep_3() -> None:
    peers = [{"peer id": b"x" * 20, "ip": "10.0.0.1", "port": 1}, {"ip": "::1", "port": 2}]
    reply = parse_announce(200, bencode.encode({"interval": 60, "peers": peers}))
    assert reply == AnnounceReply(interval=60, peers=(Address("10.0.0.1", 1), Address("::1", 2)))


def test_what_makes_no_sense_is_as_if_it_had_not_been_said() -> None:
    body = bencode.encode(
        {
            "interval": -1,
            "min interval": "300",
            "complete": 2**40,
            "peers": 5,
            "peers6": [],
            "external ip": "12345",
            "tracker id": b"x" * (MAX_TRACKER_ID + 1),
            "warning message": 5,
        }
    )
    assert parse_announce(200, body) == AnnounceReply()


def test_a_tracker_cannot_make_us_keep_more_than_is_bounded() -> None:
    body = bencode.encode({"peers": b"\n\0\0\1\0\1" * 10 + bytes(range(1, 241)) * 400})
    reply = parse_announce(200, body)
    assert isinstance(reply, AnnounceReply)
    assert 0 < len(reply.peers) <= MAX_REPLY_PEERS
    refusal = parse_announce(200, bencode.encode({"failure reason": b"x" * 10_000}))
    assert isinstance(refusal, Failure)
    assert refusal.detail == "x" * MAX_TRACKER_TEXT


@pytest.mark.parametrize(
    ("fields", "failure"),
    [
        ({"failure reason": "Overloaded", "retry in": "5"}, Failure("Overloaded", True, 300.0)),
        ({"failure reason": "Overloaded", "retry in": 5}, Failure("Overloaded", True, 300.0)),
        (
            {"failure reason": "Not a tracker", "retry in": "never"},
            Failure("Not a tracker", True, None, True),
        ),
        ({"failure reason": "no", "retry in": "soon"}, Failure("no", True)),
        ({"failure reason": "no", "retry in": "9" * 50}, Failure("no", True)),
        ({"failure reason": "no", "retry in": 0}, Failure("no", True)),
        ({"failure reason": "", "peers": b""}, Failure("the tracker refused", True)),
        ({"failure reason": 5}, Failure("the tracker refused", True)),
    ],
)
def test_refusals_with_the_examples_of_bep_31(
    fields: dict[str, str | int], failure: Failure
) -> None:
    body = bencode.encode(fields)
    for status in (200, 400, 503):
        assert parse_announce(status, body) == failure
        assert parse_scrape(status, body, HASH) == failure


@pytest.mark.parametrize(
    ("status", "body", "detail"),
    [
        (404, b"<html>", "HTTP status 404"),
        (500, b"d8:intervali5ee", "HTTP status 500"),
        (200, b"<html>", "an answer that is no bencode: no value (at offset 0)"),
        (200, b"le", "an answer that is no dictionary"),
    ],
)
def test_an_answer_that_is_none_is_a_failure(status: int, body: bytes, detail: str) -> None:
    assert parse_announce(status, body) == Failure(detail, answered=True)
    assert parse_scrape(status, body, HASH) == Failure(detail, answered=True)


def test_the_example_of_bep_48() -> None:
    swarm = {"complete": 11, "downloaded": 13772, "incomplete": 19}
    body = bencode.encode({"files": {b"x" * 20: swarm, b"y" * 20: 5}})
    assert parse_scrape(200, body, b"x" * 20) == ScrapeReply(11, 13772, 19)
    unknown = Failure("the tracker does not know this torrent", answered=True)
    for info_hash in (b"y" * 20, b"z" * 20):
        assert parse_scrape(200, body, info_hash) == unknown
    assert parse_scrape(200, b"d5:filesi1ee", HASH) == unknown


@given(st.binary(max_size=200) | st.dictionaries(st.sampled_from(KEYS), values).map(bencode.encode))
def test_any_body_means_something(body: bytes) -> None:
    for status in (200, 404):
        reply = parse_announce(status, body)
        if isinstance(reply, AnnounceReply):
            assert len(reply.peers) <= MAX_REPLY_PEERS
            assert all(0 < peer.port < 65536 for peer in reply.peers)
            assert reply.warning.isprintable()
        else:
            assert reply.answered
            assert reply.detail
        assert isinstance(parse_scrape(status, body, HASH), ScrapeReply | Failure)


# --- URLs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "",
        "announce",
        "ftp://t/announce",
        "wss://t/announce",
        "http:///announce",
        "http://t:0/announce",
        "http://t:65536/announce",
        "udp://t:port",
        "http://[::1/announce",
        "http://t/announce\r\nX: y",
        "http://t/an nounce",
        "http://t\u00e4/announce",
        "http://t/" + "a" * MAX_TRACKER_URL,
    ],
)
def test_urls_that_are_no_trackers(url: str) -> None:
    assert parse_url(url) is None


def test_what_is_read_from_a_url() -> None:
    url = parse_url(" HTTP://T.Example:8080/announce?x=1#there ")
    assert url is not None
    assert (url.text, url.is_udp, url.host) == (
        "HTTP://T.Example:8080/announce?x=1",
        False,
        "t.example",
    )
    udp = parse_url("udp://[::1]:6969/dir?a=b&c=d")
    assert udp is not None
    assert (udp.is_udp, udp.host, udp.port, udp.url_data) == (
        True,
        "::1",
        6969,
        b"/dir?a=b&c=d",
    )
    bare = parse_url("udp://t.example")
    assert bare is not None
    assert (bare.port, bare.url_data) == (80, b"")


@given(st.text(max_size=40) | st.text("htps:/udp[]@#?.%0a1", max_size=30))
def test_any_text_is_a_usable_url_or_none(text: str) -> None:
    for guess in (text, "http://" + text, "udp://" + text):
        url = parse_url(guess)
        if url is not None:
            assert url.host
            assert url.text.isascii()
            assert not set(url.text) & set(" \r\n\t#")
            assert dict(parse_qsl(urlsplit(announce_url(url.text, ANNOUNCE)).query))["port"]
            assert scrape_url(url.text, HASH) is None or "scrape" in str(scrape_url(url.text, HASH))
