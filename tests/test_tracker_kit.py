"""The small tracker of the tests, on real sockets, and our machine against it."""

from __future__ import annotations

import gzip
import random
import socket
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator

import pytest

from torrent_core import bencode
from torrent_core.actions import TrackerReplied, TrackerScraped
from torrent_core.events import PeersFound
from torrent_core.limits import MAX_TRACKER_BODY
from torrent_core.types import Address
from tracker_driver import TrackerDriver
from tracker_kit import BOMB, RealTracker

HASH = bytes(range(20))
QUERY = "?info_hash=abc&port=1&left=5&key=FF&event=started"


@pytest.fixture
def tracker() -> Iterator[RealTracker]:
    with RealTracker() as running:
        yield running


def _get(url: str) -> tuple[bytes, str]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url + QUERY, timeout=20) as response:
        return response.read(), response.headers.get("Content-Encoding", "")


@pytest.mark.parametrize("behaviour", ["", "gzip", "redirect/1", "redirect/5"])
def test_ways_to_the_same_answer(tracker: RealTracker, behaviour: str) -> None:
    body, encoding = _get(tracker.url(behaviour))
    plain = gzip.decompress(body) if encoding else body
    assert bencode.decode(plain)[b"incomplete"] == 1  # type: ignore[call-overload, index]
    (seen,) = tracker.wait(lambda seen: len(seen) == 1)
    assert (seen.how, seen.event, seen.left, seen.key) == ("http", "started", 5, 255)


def test_answers_that_are_too_much(tracker: RealTracker) -> None:
    bomb, encoding = _get(tracker.url("bomb"))
    assert encoding == "gzip"
    assert len(bomb) < MAX_TRACKER_BODY < BOMB
    assert len(zlib.decompressobj(31).decompress(bomb, BOMB + 1)) == BOMB
    big, _ = _get(tracker.url("big"))
    assert len(big) > MAX_TRACKER_BODY


def test_answers_that_are_none(tracker: RealTracker) -> None:
    assert _get(tracker.url("junk"))[0].startswith(b"<html>")
    assert b"failure reason" in _get(tracker.url("refuse"))[0]
    for behaviour, error in [
        ("status/503", urllib.error.HTTPError),
        ("loop", urllib.error.HTTPError),
        ("elsewhere", urllib.error.URLError),
        ("cut", Exception),
    ]:
        with pytest.raises(error) as caught:
            _get(tracker.url(behaviour))
        if isinstance(caught.value, urllib.error.HTTPError):
            caught.value.close()


def test_silence_ends_with_the_tracker() -> None:
    with (
        RealTracker() as tracker,
        socket.create_connection((tracker.host, tracker._http.server_address[1])) as link,
    ):
        link.sendall(b"GET /silent/announce HTTP/1.0\r\n\r\n")
        link.settimeout(0.05)
        with pytest.raises(TimeoutError):
            link.recv(1)


def test_waiting_in_vain_says_what_was_seen(tracker: RealTracker) -> None:
    with pytest.raises(TimeoutError, match="not announced so"):
        tracker.wait(lambda seen: bool(seen), limit=0.01)


def test_ipv6_where_there_is_some() -> None:
    try:
        tracker = RealTracker("::1")
    except OSError:
        pytest.skip("no IPv6 loopback here")
    with tracker:
        _get(tracker.url())
        assert tracker.seen[0].peer == Address("::1", 1)
        assert "[::1]" in tracker.udp_url


@pytest.mark.parametrize("how", ["http", "udp"])
@pytest.mark.parametrize("drop", [0, 1])
def test_two_of_us_find_each_other(how: str, drop: int) -> None:
    with RealTracker(drop=drop if how == "udp" else 0) as tracker:
        url = tracker.url() if how == "http" else tracker.udp_url
        first, second = (TrackerDriver(port, random.Random(port)) for port in (6881, 6882))
        try:
            for peer in (first, second):
                peer.do(lambda trackers, now: trackers.add(HASH, [[url]], now))
                peer.run_until(lambda log: any(isinstance(one, TrackerReplied) for one in log))
            found = [one for one in second.log if isinstance(one, PeersFound)]
            assert [peers.peers for peers in found] == [(Address("127.0.0.1", 6881),)]
            second.do(lambda trackers, now: trackers.scrape(HASH, url, now))
            second.run_until(lambda log: isinstance(log[-1], TrackerScraped))
            assert second.log[-1] == TrackerScraped(HASH, url, 0, 0, 2)
            for peer in (first, second):
                peer.do(lambda trackers, now: trackers.stop(HASH, now))
                peer.run_until(lambda _, peer=peer: not peer.trackers.is_stopping(HASH))  # type: ignore[misc]
        finally:
            first.close()
            second.close()
        events = [(seen.how, seen.event, seen.peer.port) for seen in tracker.seen]
        assert events == [
            (how, event, port) for event in ("started", "stopped") for port in (6881, 6882)
        ]
        assert {seen.path for seen in tracker.seen} == {"/announce"}
