"""Our trackers' machine against opentracker, over HTTP and UDP."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from torrent_core.actions import TrackerFailed, TrackerReplied, TrackerScraped
from torrent_core.events import PeersFound
from torrent_core.types import Address
from tracker_driver import TrackerDriver

from .opentracker import OpenTracker

pytestmark = pytest.mark.real
HASH = bytes(range(100, 120))


@pytest.mark.parametrize("how", ["http", "udp"])
def test_two_of_us_find_each_other_and_leave(
    opentracker: Callable[..., OpenTracker], how: str
) -> None:
    tracker = opentracker(HASH)
    url = tracker.http_url if how == "http" else tracker.udp_url
    drivers = [TrackerDriver(port, random.Random(port)) for port in (6881, 6882)]
    first, second = drivers
    try:
        for driver in drivers:
            driver.do(lambda trackers, now: trackers.add(HASH, [[url]], now))
            driver.run_until(lambda log: any(isinstance(one, TrackerReplied) for one in log))
        found = {peer for one in second.log if isinstance(one, PeersFound) for peer in one.peers}
        assert Address("127.0.0.1", 6881) in found
        second.do(lambda trackers, now: trackers.scrape(HASH, url, now))
        second.run_until(lambda log: isinstance(log[-1], TrackerScraped))
        assert second.log[-1] == TrackerScraped(HASH, url, 0, 0, 2)
        first.do(lambda trackers, now: trackers.stop(HASH, now))
        first.run_until(lambda _: not first.trackers.is_stopping(HASH))
        second.do(lambda trackers, now: trackers.scrape(HASH, url, now))
        second.run_until(lambda log: isinstance(log[-1], TrackerScraped))
        assert second.log[-1] == TrackerScraped(HASH, url, 0, 0, 1)
    finally:
        for driver in drivers:
            driver.close()


def test_a_torrent_that_it_does_not_know_is_refused_in_its_words(
    opentracker: Callable[..., OpenTracker],
) -> None:
    tracker = opentracker(HASH)
    driver = TrackerDriver(6881, random.Random(1))
    try:
        driver.do(lambda trackers, now: trackers.add(b"x" * 20, [[tracker.http_url]], now))
        driver.run_until(lambda log: isinstance(log[-1], TrackerFailed))
        failure = driver.log[-1]
        assert isinstance(failure, TrackerFailed)
        assert "not authorized" in failure.detail
    finally:
        driver.close()
