"""The order of trackers (BEP 12), and when one of them is announced to again."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core.limits import (
    ANNOUNCE_JITTER,
    ANNOUNCE_RETRY,
    DEFAULT_ANNOUNCE_INTERVAL,
    DEFAULT_MIN_INTERVAL,
    MAX_ANNOUNCE_INTERVAL,
    MAX_ANNOUNCE_RETRY,
    MIN_ANNOUNCE_INTERVAL,
)
from torrent_core.trackers.announcer import Announcer
from torrent_core.trackers.tiers import Tiers
from torrent_core.trackers.values import AnnounceReply, Failure, Job, parse_url
from torrent_core.wire.udp_tracker import AnnounceEvent

tiers_of = st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=5), max_size=4)


class Steady:
    """A source of randomness that always says the same."""

    def __init__(self, value: float = 0.0) -> None:
        self.value = value

    def random(self) -> float:
        return self.value

    def getrandbits(self, k: int, /) -> int:
        return int(self.value * 2**k)


def _announcer(value: float = 0.0) -> Announcer:
    url = parse_url("http://t/announce")
    assert url is not None
    return Announcer(url, Steady(value), next_at=0.0)


def _job(announcer: Announcer, event: AnnounceEvent = AnnounceEvent.STARTED) -> Job:
    return Job(b"x" * 20, announcer.url, event)


# --- Tiers -------------------------------------------------------------------------------------


@given(tiers_of, st.integers(), st.lists(st.sampled_from("abcdefgh"), max_size=6))
def test_tiers_keep_their_order_and_their_trackers(
    tiers: list[list[str]], seed: int, answers: list[str]
) -> None:
    order = Tiers(tiers, random.Random(seed))
    ranks: dict[str, int] = {}
    for rank, tier in enumerate(tiers):
        for url in tier:
            ranks.setdefault(url, rank)
    for url in [None, *answers]:
        if url is not None:
            before = order.order()
            order.promote(url)
            if url in before:
                first = next(one for one in order.order() if ranks[one] == ranks[url])
                assert first == url
            rest = [one for one in order.order() if one != url]
            assert rest == [one for one in before if one != url]
        assert sorted(order.order()) == sorted(ranks)
        assert [ranks[one] for one in order.order()] == sorted(ranks.values())


def test_the_example_of_bep_12() -> None:
    order = Tiers([["tracker1", "tracker2", "tracker3"]], Steady(0.99))
    assert order.order() == ["tracker1", "tracker2", "tracker3"]
    order.promote("tracker2")
    assert order.order() == ["tracker2", "tracker1", "tracker3"]
    order.promote("tracker3")
    assert order.order() == ["tracker3", "tracker2", "tracker1"]


def test_every_tracker_of_a_tier_is_first_now_and_then() -> None:
    first = {Tiers([list("abcd")], random.Random(seed)).order()[0] for seed in range(50)}
    assert first == set("abcd")


# --- Intervals ---------------------------------------------------------------------------------


@given(
    st.none() | st.integers(0, 2**32), st.none() | st.integers(0, 2**32), st.floats(0.0, 0.999999)
)
def test_whatever_is_asked_the_waits_are_within_bounds(
    interval: int | None, least: int | None, value: float
) -> None:
    announcer = _announcer(value)
    reply = AnnounceReply(interval=interval, min_interval=least)
    announcer.replied(_job(announcer), reply, 1000.0)
    wait, shortest = announcer.next_at - 1000.0, announcer.earliest - 1000.0
    assert MIN_ANNOUNCE_INTERVAL <= shortest <= wait <= MAX_ANNOUNCE_INTERVAL
    if interval:
        assert wait >= min(interval, MAX_ANNOUNCE_INTERVAL)
    if least:
        assert shortest >= min(least, MAX_ANNOUNCE_INTERVAL)
    assert not announcer.is_ready(announcer.earliest - 0.01)
    assert announcer.is_ready(announcer.earliest)
    assert announcer.due(in_need=True) == announcer.earliest
    assert announcer.due(in_need=False) == announcer.next_at


@pytest.mark.parametrize(
    ("interval", "least", "earliest", "next_at"),
    [
        (None, None, DEFAULT_MIN_INTERVAL, DEFAULT_ANNOUNCE_INTERVAL),
        (1800, None, DEFAULT_MIN_INTERVAL, 1800),
        (120, None, 120, 120),
        (1, None, 60, 60),
        (1800, 900, 900, 1800),
        (900, 1800, 1800, 1800),
        (10**9, 10**9, 86400, 86400),
    ],
)
def test_the_rule_of_intervals(
    interval: int | None, least: int | None, earliest: float, next_at: float
) -> None:
    announcer = _announcer()
    announcer.replied(_job(announcer), AnnounceReply(interval, least), 0.0)
    assert (announcer.earliest, announcer.next_at) == (earliest, next_at)


def test_of_two_families_the_longer_wait_counts() -> None:
    announcer = _announcer()
    job = _job(announcer)
    announcer.replied(job, AnnounceReply(3600, 600), 0.0)
    announcer.replied(job, AnnounceReply(900, 300), 1.0)
    assert (announcer.earliest, announcer.next_at) == (600.0, 3600.0)
    later = _job(announcer, AnnounceEvent.NONE)
    announcer.replied(later, AnnounceReply(900, 300), 3600.0)
    assert (announcer.earliest, announcer.next_at) == (3900.0, 4500.0)


def test_failures_back_off_twofold_up_to_an_hour() -> None:
    announcer, pauses = _announcer(), []
    for _ in range(12):
        announcer.failed(Failure("silence"), 0.0)
        pauses.append(announcer.next_at)
    doubling = [ANNOUNCE_RETRY * 2**n for n in range(12)]
    assert pauses == [min(pause, MAX_ANNOUNCE_RETRY) for pause in doubling]
    announcer.replied(_job(announcer), AnnounceReply(60), 0.0)
    announcer.failed(Failure("silence"), 100.0)
    assert announcer.next_at == 100.0 + ANNOUNCE_RETRY


@pytest.mark.parametrize(
    ("failure", "pause"),
    [
        (Failure("no", answered=True), MIN_ANNOUNCE_INTERVAL),
        (Failure("no", answered=True, retry_in=300.0), 300.0),
        (Failure("no", answered=True, retry_in=1e9), MAX_ANNOUNCE_INTERVAL),
    ],
)
def test_who_refuses_is_left_in_peace(failure: Failure, pause: float) -> None:
    announcer = _announcer()
    assert announcer.failed(failure, 0.0) == pause
    assert not announcer.is_ready(pause - 0.1)


def test_never_is_never() -> None:
    announcer = _announcer()
    assert announcer.failed(Failure("go", answered=True, never=True), 0.0) is None
    assert announcer.due(in_need=False) is None
    assert not announcer.is_ready(1e12)
    assert not announcer.may_know_us


def test_waits_are_stretched_and_not_cut() -> None:
    least, most = _announcer(0.0), _announcer(0.999999)
    for announcer in (least, most):
        announcer.replied(_job(announcer), AnnounceReply(1000), 0.0)
    assert least.next_at == 1000.0
    assert most.next_at == pytest.approx(1000.0 * (1.0 + ANNOUNCE_JITTER), rel=1e-3)


# --- What is owed ------------------------------------------------------------------------------


def test_events_are_owed_until_they_are_heard() -> None:
    announcer = _announcer()
    assert announcer.event is AnnounceEvent.STARTED
    announcer.failed(Failure("silence"), 0.0)
    assert announcer.event is AnnounceEvent.STARTED
    announcer.replied(_job(announcer), AnnounceReply(tracker_id=b"me"), 0.0)
    assert announcer.event is AnnounceEvent.NONE
    announcer.owes_completed = True
    assert announcer.event is AnnounceEvent.COMPLETED
    announcer.replied(_job(announcer, AnnounceEvent.NONE), AnnounceReply(), 0.0)
    assert announcer.event is AnnounceEvent.COMPLETED
    announcer.replied(_job(announcer, AnnounceEvent.COMPLETED), AnnounceReply(), 0.0)
    assert announcer.event is AnnounceEvent.NONE
    assert announcer.tracker_id == b"me"


def test_a_tracker_may_know_us_once_an_announce_has_left() -> None:
    announcer = _announcer()
    assert not announcer.may_know_us
    announcer.job = _job(announcer)
    assert announcer.is_busy
    assert not announcer.may_know_us
    announcer.job.began = True
    assert announcer.may_know_us
    announcer.job.is_over = True
    assert not announcer.may_know_us
