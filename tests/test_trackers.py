"""Torrents and their trackers on virtual time."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from torrent_core.actions import (
    CancelFetch,
    Fetch,
    Resolve,
    TrackerScraped,
    Warned,
)
from torrent_core.errors import LocalProtocolError
from torrent_core.events import (
    DatagramReceived,
    Fetched,
    FetchFailed,
    PeersFound,
    Resolved,
    Tick,
)
from torrent_core.limits import (
    ANNOUNCE_JITTER,
    ANNOUNCE_RETRY,
    COMPLETED_PATIENCE,
    FETCH_TIMEOUT,
    MAX_ANNOUNCE_RETRY,
    MAX_TRACKER_BODY,
    MAX_TRACKERS,
    STOP_ANNOUNCE_TIMEOUT,
    TRACKER_PATIENCE,
)
from torrent_core.trackers import TrackerConfig, Trackers
from torrent_core.types import Address, Family, PeerSource, Totals
from torrent_core.wire.udp_tracker import AnnounceEvent, AnnounceRequest
from tracker_world import (
    DELAY,
    HASH,
    KEY,
    PEER_ID,
    PEERS,
    TrackerWorld,
    body,
    event_of,
    good,
    hash_of,
    query,
    udp_server,
)

A, B, C = "http://a/announce", "http://b/announce", "http://c/announce"
OTHER = b"o" * 20
HOUR = 3600.0
FOREVER = 400 * HOUR


@pytest.fixture
def world() -> TrackerWorld:
    return TrackerWorld()


# --- One HTTP tracker --------------------------------------------------------------------------


def test_a_torrent_is_announced_once_over_each_family(world: TrackerWorld) -> None:
    world.http["a"] = lambda _: good(complete=4, incomplete=5, external_ip=b"\1\2\3\4")
    world.add([A])
    first, second = world.all(Fetch)
    assert (first.family, second.family) == (Family.IPV4, Family.IPV6)
    assert first.url == second.url
    assert first.limit == MAX_TRACKER_BODY
    assert first.fetch_id != second.fetch_id
    assert query(first)["event"] == "started"
    assert query(first)["peer_id"] == PEER_ID.decode()
    assert query(first)["key"] == f"{KEY:08X}"
    assert query(first)["numwant"] == "200"
    assert "supportcrypto" not in query(first)
    assert hash_of(first) == HASH
    world.run(1)
    assert world.all(PeersFound) == [PeersFound(HASH, PeerSource.TRACKER, PEERS, A)] * 2
    reply = world.replies[0]
    assert (reply.url, reply.seeds, reply.leechers, reply.peers) == (A, 4, 5, 2)
    assert reply.external_ip == "1.2.3.4"
    assert world.trackers.due(HASH) == world.trackers.next_deadline()
    assert world.trackers.due(HASH) == (world.replies[-1].next_at, f"announce to {A}")


def test_a_family_that_fails_is_not_spoken_of_if_the_other_answers(world: TrackerWorld) -> None:
    world.http["a"] = lambda fetch: good() if fetch.family is Family.IPV4 else "no route"
    world.add([A])
    world.run(60)
    assert len(world.replies) == 1
    assert world.failures == []


def test_a_literal_is_asked_over_its_own_family(world: TrackerWorld) -> None:
    world.add(["http://[::1]:8000/announce"])
    world.add(["http://127.0.0.1:8000/announce"], info_hash=OTHER)
    assert [fetch.family for fetch in world.all(Fetch)] == [Family.IPV6, Family.IPV4]


def test_the_life_of_a_torrent_in_events(world: TrackerWorld) -> None:
    world.http["a"] = lambda _: good(interval=600)
    world.add([A])
    world.run(1300)
    world.completed()
    world.run(700)
    world.stop()
    assert world.trackers.is_stopping(HASH)
    world.run(1)
    assert not world.trackers.is_stopping(HASH)
    events = world.events("a")
    assert events[0] == "started"
    assert events[-1] == "stopped"
    assert events.count("completed") == 1
    assert set(events) == {"started", "", "completed", "stopped"}
    stopped = world.all(Fetch)[-1]
    assert query(stopped)["numwant"] == "0"
    assert query(stopped)["left"] == "0"
    world.run(FOREVER)
    assert world.all(Fetch)[-1] is stopped
    assert world.trackers.next_deadline() is None
    assert world.trackers.due(HASH) is None


def test_a_tracker_gets_its_id_back(world: TrackerWorld) -> None:
    world.http["a"] = lambda _: good(interval=60, tracker_id="me&you")
    world.add([A])
    world.run(100)
    world.stop()
    ids = [query(fetch).get("trackerid") for fetch in world.all(Fetch)]
    assert ids[0] is None
    assert set(ids[2:]) == {"me&you"}


def test_completed_is_not_told_to_who_never_saw_us_incomplete(world: TrackerWorld) -> None:
    world.http["b"] = lambda _: good()
    world.add([A], [B])
    world.run(5)  # a is silent, b has not been tried
    world.totals[HASH] = Totals(0, 0, 0)
    world.completed()
    world.run(HOUR)
    assert world.events("b")[0] == "started"
    assert "completed" not in world.events("b")


def test_completed_waits_for_started_to_be_heard(world: TrackerWorld) -> None:
    world.http["a"] = lambda _: good()
    world.add([A])
    world.completed()
    world.completed()
    world.run(60)
    assert world.events("a") == ["started", "completed"]


def test_completed_that_is_lost_is_told_with_the_retry(world: TrackerWorld) -> None:
    world.http["a"] = lambda _: good()
    world.add([A])
    world.run(1)
    world.http["a"] = lambda _: "gone"
    world.completed()
    world.run(1)
    world.http["a"] = lambda _: good()
    world.run(60)
    assert world.events("a") == ["started", "completed", "completed"]


def test_completed_while_failing_goes_out_when_the_pause_is_over(world: TrackerWorld) -> None:
    world.http["a"] = lambda _: good(interval=60)
    world.add([A])
    world.run(1)
    world.http["a"] = lambda _: "gone"
    world.run(66)
    assert world.events("a") == ["started", ""]
    world.completed()
    assert world.events("a") == ["started", ""]
    world.http["a"] = lambda _: good()
    world.run(60)
    assert world.events("a") == ["started", "", "completed"]


def test_short_of_peers_it_announces_as_soon_as_the_tracker_allows(world: TrackerWorld) -> None:
    world.http["a"] = lambda _: good(min_interval=200)
    world.add([A])
    world.run(100)
    world.want_peers()
    world.want_peers()
    world.run(99)
    assert world.events("a") == ["started"]
    world.run(2)
    assert world.events("a") == ["started", ""]
    world.run(1000)
    assert len(world.events("a")) == 2


def test_after_the_min_interval_it_announces_at_once(world: TrackerWorld) -> None:
    world.http["a"] = lambda _: good(min_interval=200)
    world.add([A])
    world.run(1000)
    world.want_peers()
    assert world.events("a") == ["started", ""]


def test_in_need_while_all_fail_changes_no_pause(world: TrackerWorld) -> None:
    world.http["a"] = lambda _: "gone"
    world.add([A])
    world.run(1)
    before = world.trackers.due(HASH)
    world.want_peers()
    assert world.trackers.due(HASH) == before


def test_a_warning_is_passed_on(world: TrackerWorld) -> None:
    world.http["a"] = lambda _: good(warning_message="be nice")
    world.add([A])
    world.run(1)
    assert world.replies[0].warning == "be nice"


def test_an_answer_without_peers_finds_none(world: TrackerWorld) -> None:
    world.http["a"] = lambda _: good(peers=())
    world.add([A])
    world.run(1)
    assert world.all(PeersFound) == []
    assert world.replies[0].peers == 0


def test_encryption_is_spoken_of_only_if_there_is_some() -> None:
    world = TrackerWorld(TrackerConfig(port=1, supports_encryption=True))
    world.add([A])
    assert query(world.all(Fetch)[0])["supportcrypto"] == "1"


# --- Failures ----------------------------------------------------------------------------------


def test_a_tracker_that_is_dead_for_an_hour_is_found_again(world: TrackerWorld) -> None:
    world.http["a"] = lambda _: "connection refused"
    world.add([A])
    world.run(HOUR)
    assert 5 <= len(world.failures) <= 10
    assert all(failure.detail == "connection refused" for failure in world.failures)
    last = world.failures[-1]
    assert last.retry_at is not None
    assert world.trackers.due(HASH) == (last.retry_at, f"announce to {A}")
    world.http["a"] = lambda _: good()
    world.run(MAX_ANNOUNCE_RETRY * (1 + ANNOUNCE_JITTER) + 1)
    assert world.found
    assert set(world.events("a")[: len(world.failures) + 1]) == {"started"}


def test_a_fetch_that_is_never_answered_is_given_up(world: TrackerWorld) -> None:
    world.add([A])
    world.run(FETCH_TIMEOUT - 0.1)
    assert world.failures == []
    world.run(0.2)
    assert len(world.all(CancelFetch)) == 2
    assert [failure.detail for failure in world.failures] == ["no answer in time"]


def test_an_answer_after_the_fetch_was_given_up_is_ignored(world: TrackerWorld) -> None:
    world.add([A])
    late = list(world.fetches)
    deadline = world.trackers.next_deadline()
    assert deadline is not None
    world.trackers.handle(Tick(), deadline.when)
    for fetch_id in late:
        assert world.trackers.owns(fetch_id)
        assert world.trackers.handle(Fetched(fetch_id, *good()), deadline.when) == []
        assert not world.trackers.owns(fetch_id)


def test_the_most_telling_failure_is_reported(world: TrackerWorld) -> None:
    world.http["a"] = lambda fetch: (
        (200, body(failure_reason="unregistered torrent"))
        if fetch.family is Family.IPV4
        else "no route"
    )
    world.add([A])
    world.run(1)
    assert [failure.detail for failure in world.failures] == ["unregistered torrent"]


def test_retry_in_is_minded(world: TrackerWorld) -> None:
    world.http["a"] = lambda _: (200, body(failure_reason="busy", retry_in="30"))
    world.add([A])
    world.run(1)
    assert world.failures[0].retry_at is not None
    assert world.failures[0].retry_at >= 1800
    world.run(1700)
    assert len(world.failures) == 1


def test_a_tracker_that_says_never_is_never_asked_again(world: TrackerWorld) -> None:
    world.http["a"] = lambda _: (200, body(failure_reason="no tracker", retry_in="never"))
    world.add([A])
    world.run(FOREVER)
    assert len(world.all(Fetch)) == 2
    assert world.failures[0].retry_at is None
    assert world.trackers.next_deadline() is None
    world.want_peers()
    world.stop()
    assert not world.trackers.is_stopping(HASH)
    assert len(world.all(Fetch)) == 2


def test_a_tracker_that_starts_to_say_never_makes_way(world: TrackerWorld) -> None:
    world.http["a"] = lambda _: good(interval=60)
    world.http["b"] = lambda _: good()
    world.add([A], [B])
    world.run(1)
    world.http["a"] = lambda _: (200, body(failure_reason="gone", retry_in="never"))
    world.run(FOREVER)
    assert world.events("a") == ["started", ""]
    assert len(world.events("b")) > 100


# --- Tiers -------------------------------------------------------------------------------------


def test_a_tracker_that_fails_makes_way_for_the_next_at_once(world: TrackerWorld) -> None:
    world.http["a"] = world.http["b"] = lambda _: "refused"
    world.http["c"] = lambda _: good()
    world.add([A, B], [C])
    world.run(1)
    assert [report.url for report in world.replies] == [C, C]
    assert {failure.url for failure in world.failures} == {A, B}
    assert world.now == 1


def test_a_silent_tracker_is_asked_on_but_the_next_one_as_well(world: TrackerWorld) -> None:
    world.http["b"] = lambda _: good()
    world.add([A], [B])
    world.run(TRACKER_PATIENCE - 0.1)
    assert world.events("b") == []
    world.run(0.2 + 2 * DELAY)
    assert world.events("b") == ["started"]
    assert world.found
    world.run(FETCH_TIMEOUT)
    assert [failure.url for failure in world.failures] == [A]


def test_a_late_answer_counts_as_well(world: TrackerWorld) -> None:
    world.http["b"] = lambda _: good(interval=3000)
    world.add([A], [B])
    world.run(20)
    for fetch_id in list(world.fetches):
        world.handle(Fetched(fetch_id, *good(interval=1500)))
    assert [reply.url for reply in world.replies] == [B, B, A, A]
    world.stop()
    assert "stopped" in world.events("a")
    assert "stopped" in world.events("b")


def test_a_private_torrent_uses_one_tracker_at_a_time(world: TrackerWorld) -> None:
    world.http["b"] = lambda _: good()
    world.add([A], [B], private=True)
    world.run(FETCH_TIMEOUT - 0.1)
    assert world.events("b") == []
    assert len(world.fetches) == 2
    world.run(1)
    assert world.events("b") == ["started"]


def test_the_first_tier_is_tried_first_again(world: TrackerWorld) -> None:
    world.http["a"] = lambda _: "refused"
    world.http["b"] = lambda _: good(interval=900)
    world.add([A], [B])
    world.run(600)
    world.http["a"] = lambda _: good(interval=900)
    world.run(500)
    assert world.replies[-1].url == A
    asked = world.events("b")
    world.run(10 * HOUR)
    assert world.events("b") == asked


def test_who_answers_stays_first_in_its_tier(world: TrackerWorld) -> None:
    hosts = [f"t{number}" for number in range(6)]
    world.http["t4"] = lambda _: good(interval=600)
    for host in hosts:
        if host != "t4":
            world.http[host] = lambda _: "refused"
    world.add([f"http://{host}/announce" for host in hosts])
    world.run(500)
    failures = len(world.failures)
    world.run(10 * HOUR)
    assert len(world.failures) == failures
    assert len(world.events("t4")) > 10


def test_when_the_tracker_in_use_dies_the_others_are_tried(world: TrackerWorld) -> None:
    world.http["a"] = lambda _: good(interval=600)
    world.http["b"] = lambda _: good(interval=600)
    world.add([A], [B])
    world.run(100)
    world.http["a"] = lambda _: "refused"
    world.run(600)
    assert world.replies[-1].url == B


def test_the_death_of_the_tracker_in_use_at_an_event_makes_others_tried(
    world: TrackerWorld,
) -> None:
    world.http["a"] = lambda _: good()
    world.http["b"] = lambda _: good()
    world.add([A], [B])
    world.run(100)
    world.http["a"] = lambda _: "refused"
    world.completed()
    world.run(1)
    assert world.replies[-1].url == B
    assert world.events("b") == ["started"]


def test_when_all_are_silent_the_first_to_recover_serves(world: TrackerWorld) -> None:
    world.add([A], [B], [C])
    world.run(HOUR)
    assert world.replies == []
    assert {failure.url for failure in world.failures} == {A, B, C}
    world.http["b"] = lambda _: good()
    world.run(2 * HOUR)
    assert {reply.url for reply in world.replies} == {B}


def test_a_silent_last_tracker_is_waited_for(world: TrackerWorld) -> None:
    world.http["b"] = lambda _: "refused"
    world.add([A], [B])
    world.run(TRACKER_PATIENCE + 1)
    for fetch_id in list(world.fetches):
        world.handle(Fetched(fetch_id, *good()))
    assert [reply.url for reply in world.replies] == [A, A]


def test_a_tracker_that_is_named_twice_is_one(world: TrackerWorld) -> None:
    world.http["a"] = lambda _: "refused"
    world.add([A, A], [A])
    world.run(1)
    assert len(world.failures) == 1


def test_trackers_that_cannot_be_used_are_left_out_with_a_warning(world: TrackerWorld) -> None:
    world.http["a"] = lambda _: good()
    world.add(["wss://x/announce", A, "nonsense"])
    (warning,) = world.all(Warned)
    assert warning == Warned(HASH, "2 trackers are left out, the first is 'wss://x/announce'")
    world.run(1)
    assert len(world.replies) == 2


def test_one_tracker_that_cannot_be_used_is_named_alone(world: TrackerWorld) -> None:
    world.http["a"] = lambda _: good()
    world.add(["wss://x/announce", A])
    (warning,) = world.all(Warned)
    assert warning.text == "1 tracker is left out: 'wss://x/announce'"


def test_no_torrent_has_trackers_without_bound(world: TrackerWorld) -> None:
    urls = [f"http://t{number}/announce" for number in range(MAX_TRACKERS + 5)]
    for number in range(MAX_TRACKERS + 5):
        world.http[f"t{number}"] = lambda _: "refused"
    world.add(urls[:100], urls[100:])
    world.run(100)
    assert {failure.url for failure in world.failures} == set(urls[:MAX_TRACKERS])
    (warning,) = world.all(Warned)
    assert warning.text.startswith("5 trackers are left out")


def test_a_torrent_without_trackers_is_announced_nowhere(world: TrackerWorld) -> None:
    world.add()
    assert world.trackers.due(HASH) is None
    assert world.trackers.next_deadline() is None
    world.want_peers()
    world.completed()
    world.stop()
    assert world.log == []
    assert not world.trackers.is_stopping(HASH)


# --- Stopping ----------------------------------------------------------------------------------


def test_leaving_is_given_up_in_bounded_time(world: TrackerWorld) -> None:
    world.http["a"] = lambda _: good()
    world.add([A])
    world.run(1)
    del world.http["a"]
    world.stop()
    due = world.trackers.due(HASH)
    assert due == (world.now + STOP_ANNOUNCE_TIMEOUT, "take leave of the trackers")
    world.run(STOP_ANNOUNCE_TIMEOUT - 0.1)
    assert world.trackers.is_stopping(HASH)
    world.run(0.2)
    assert not world.trackers.is_stopping(HASH)
    assert world.failures[-1].retry_at is None
    assert len(world.all(CancelFetch)) == 2
    world.run(FOREVER)
    assert world.fetches == {}
    assert world.trackers.next_deadline() is None


def test_who_leaves_at_once_is_counted_as_completed_before_that(world: TrackerWorld) -> None:
    world.http["a"] = lambda _: good()
    world.add([A])
    world.run(1)
    world.completed()
    world.stop()
    assert world.events("a") == ["started", "completed"]
    world.run(1)
    assert world.events("a") == ["started", "completed", "stopped"]
    assert world.all(CancelFetch) == []
    assert not world.trackers.is_stopping(HASH)
    assert world.trackers.next_deadline() is None


def test_completed_in_line_goes_before_what_others_want_though_we_leave() -> None:
    world = TrackerWorld(TrackerConfig(port=1, max_out=2))
    world.http["a"] = lambda _: good()
    world.add([A])
    world.run(1)
    for number in range(3):
        world.add([B], info_hash=bytes([number]) * 20)
    world.completed()
    world.totals[HASH] = Totals(7, 8, 0)
    world.stop()
    del world.totals[HASH]
    assert world.events("a") == ["started"]  # no place free
    for fetch_id in list(world.fetches):
        world.handle(FetchFailed(fetch_id, ""))
    assert query(world.all(Fetch)[-1])["uploaded"] == "7"
    world.run(3 * DELAY)
    assert world.events("a") == ["started", "completed", "stopped"]


def test_who_left_before_started_was_answered_is_counted_as_well(world: TrackerWorld) -> None:
    world.http["a"] = lambda _: good()
    world.add([A])
    world.completed()
    world.stop()
    world.run(1)
    assert world.events("a") == ["started", "completed", "stopped"]
    assert len(world.replies) == 0


def test_a_tracker_that_is_silent_on_completed_is_left_all_the_same(world: TrackerWorld) -> None:
    world.http["a"] = lambda fetch: None if event_of(fetch) == "completed" else good()
    world.add([A])
    world.run(1)
    world.completed()
    world.stop()
    assert world.trackers.due(HASH) == (
        world.now + COMPLETED_PATIENCE,
        "take leave of the trackers",
    )
    world.run(COMPLETED_PATIENCE + 2 * DELAY)
    assert world.events("a") == ["started", "completed", "stopped"]
    assert not world.trackers.is_stopping(HASH)
    assert world.fetches == {}


@pytest.mark.parametrize(
    ("answer", "then"),
    [("gone", ["stopped"]), ((200, body(failure_reason="no", retry_in="never")), [])],
)
def test_a_tracker_that_refuses_completed_is_left_unless_it_wants_silence(
    world: TrackerWorld, answer: tuple[int, bytes] | str, then: list[str]
) -> None:
    world.http["a"] = lambda fetch: answer if event_of(fetch) == "completed" else good()
    world.add([A])
    world.run(1)
    world.completed()
    world.stop()
    world.run(1)
    assert world.events("a") == ["started", "completed", *then]
    assert [failure.retry_at for failure in world.failures] == [None]
    assert not world.trackers.is_stopping(HASH)


def test_a_torrent_that_comes_back_while_completed_is_out_starts_anew(world: TrackerWorld) -> None:
    world.http["a"] = lambda _: good()
    world.add([A])
    world.run(1)
    world.completed()
    world.stop()
    world.add([A])
    assert len(world.all(CancelFetch)) == 2
    world.run(10)
    assert world.events("a") == ["started", "completed", "started"]


def test_completed_is_said_over_udp_before_we_leave(world: TrackerWorld) -> None:
    tracker = Address("10.0.0.9", 80)
    world.udp[tracker] = udp_server()
    world.add(["udp://10.0.0.9:80"])
    world.run(1)
    world.completed()
    world.stop()
    world.run(1)
    said = [
        (when, ask.event) for when, _, ask in world.datagrams if isinstance(ask, AnnounceRequest)
    ]
    (_, first), (told, second), (left, third) = said
    assert [first, second, third] == [
        *(AnnounceEvent.STARTED, AnnounceEvent.COMPLETED, AnnounceEvent.STOPPED)
    ]
    assert left == told + 2 * DELAY  # it was answered first
    assert not world.trackers.is_stopping(HASH)


def test_a_tracker_that_refuses_our_leave_is_done_with(world: TrackerWorld) -> None:
    world.http["a"] = lambda fetch: "gone" if event_of(fetch) == "stopped" else good()
    world.add([A])
    world.run(1)
    world.stop()
    world.run(1)
    assert not world.trackers.is_stopping(HASH)
    assert world.failures[-1].retry_at is None


def test_nobody_is_left_who_was_never_met(world: TrackerWorld) -> None:
    world.http["a"] = lambda _: "refused"
    world.add([A], [B])
    world.run(1)
    assert world.events("b") == ["started"]  # out, and perhaps heard
    world.stop()
    assert world.events("a") == ["started"]
    assert world.events("b") == ["started", "stopped"]
    assert len(world.all(CancelFetch)) == 2


def test_stopping_twice_is_stopping_once(world: TrackerWorld) -> None:
    world.http["a"] = lambda _: good()
    world.add([A])
    world.run(1)
    world.stop()
    sent = len(world.log)
    world.stop()
    world.completed()
    world.want_peers()
    assert len(world.log) == sent


def test_a_torrent_that_comes_back_while_it_leaves_starts_anew(world: TrackerWorld) -> None:
    world.http["a"] = lambda _: good()
    world.add([A])
    world.run(1)
    world.stop()
    world.add([A])
    assert not world.trackers.is_stopping(HASH)
    world.run(10)
    assert world.events("a") == ["started", "stopped", "started"]
    assert world.trackers.due(HASH) is not None


def test_a_second_answer_to_our_leave_says_nothing_of_our_return(world: TrackerWorld) -> None:
    world.http["a"] = lambda _: good()
    world.add([A])
    world.run(1)
    del world.http["a"]
    world.stop()
    first, second = world.fetches
    world.handle(Fetched(first, *good()))
    assert not world.trackers.is_stopping(HASH)
    world.add([A])
    heard = len(world.replies)
    world.handle(Fetched(second, *good()))
    assert len(world.replies) == heard


def test_a_torrent_that_comes_back_while_it_is_in_line_leaves_no_trace() -> None:
    world = TrackerWorld(TrackerConfig(port=1, max_out=2))
    world.add([A], info_hash=OTHER)
    world.add([B])
    world.stop()
    assert world.trackers.due(HASH) is None
    world.http["b"] = lambda _: good()
    world.add([B])
    world.run(FETCH_TIMEOUT + 1)
    assert world.events("b") == ["started"]


def test_what_we_moved_is_asked_for_the_last_time_when_we_leave() -> None:
    world = TrackerWorld(TrackerConfig(port=1, max_out=2))
    world.http["a"] = lambda _: good()
    world.add([A])
    world.run(1)
    world.add([B], info_hash=OTHER)
    world.totals[HASH] = Totals(7, 8, 9)
    world.stop()
    assert world.events("a") == ["started"]  # no place free
    del world.totals[HASH]
    for fetch_id in list(world.fetches):
        world.handle(FetchFailed(fetch_id, ""))
    stopped = query(world.all(Fetch)[-1])
    assert (stopped["uploaded"], stopped["downloaded"], stopped["left"]) == ("7", "8", "9")


# --- Scrape ------------------------------------------------------------------------------------


def test_a_scrape_over_http(world: TrackerWorld) -> None:
    swarm = {"complete": 1, "downloaded": 2, "incomplete": 3}
    world.http["a"] = lambda _: (200, body(files={HASH: swarm}))
    world.scrape(A)
    (fetch,) = world.all(Fetch)
    assert urlsplit(fetch.url).path == "/scrape"
    assert fetch.family is None
    world.run(1)
    assert world.all(TrackerScraped) == [TrackerScraped(HASH, A, 1, 2, 3)]
    world.scrape(A, OTHER)
    world.run(1)
    assert world.all(TrackerScraped)[1].detail == "the tracker does not know this torrent"


def test_scrapes_that_come_to_nothing_say_so(world: TrackerWorld) -> None:
    world.scrape("http://a/x")
    world.scrape(A)
    world.run(FETCH_TIMEOUT + 1)
    details = [report.detail for report in world.all(TrackerScraped)]
    assert details == ["a tracker of such a URL cannot be scraped", "no answer in time"]
    assert world.trackers.next_deadline() is None


# --- The caller's slips ------------------------------------------------------------------------


def test_what_the_caller_gets_wrong_changes_nothing(world: TrackerWorld) -> None:
    world.add([A])
    trackers, due = world.trackers, world.trackers.next_deadline()
    for slip in (
        lambda: trackers.add(HASH, [[B]], 1.0),
        lambda: trackers.add(b"short", [[B]], 1.0),
        lambda: trackers.stop(OTHER, 1.0),
        lambda: trackers.completed(OTHER, 1.0),
        lambda: trackers.want_peers(OTHER, 1.0),
        lambda: trackers.scrape(HASH, "nonsense", 1.0),
        lambda: trackers.scrape(b"short", A, 1.0),
        lambda: trackers.handle(Fetched(99, 200, b""), 1.0),
        lambda: trackers.handle(FetchFailed(99, ""), 1.0),
        lambda: trackers.handle(Resolved(99, ()), 1.0),
    ):
        with pytest.raises(LocalProtocolError):
            slip()
        assert trackers.next_deadline() == due
    assert not trackers.is_stopping(OTHER)
    assert trackers.due(OTHER) is None
    assert not trackers.owns(99)


@pytest.mark.parametrize(("peer_id", "key"), [(b"short", 0), (PEER_ID, -1), (PEER_ID, 2**32)])
def test_names_that_are_none_are_refused(peer_id: bytes, key: int) -> None:
    world = TrackerWorld()
    with pytest.raises(LocalProtocolError):
        Trackers(peer_id, key, world, world, world.config, world)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fields",
    [{"port": 0}, {"port": 65536}, {"port": 1, "families": ()}, {"port": 1, "max_out": 1}],
)
def test_settings_that_cannot_be_are_refused(fields: dict[str, int]) -> None:
    with pytest.raises(LocalProtocolError):
        TrackerConfig(**fields)  # type: ignore[arg-type]


def test_datagrams_that_nobody_waits_for_have_no_effect(world: TrackerWorld) -> None:
    stray = DatagramReceived(Address("9.9.9.9", 9), b"x" * 20)
    assert not world.trackers.takes(stray)
    assert world.trackers.handle(stray, 0.0) == []
    assert world.trackers.handle(DatagramReceived(Address("9.9.9.9", 9), b""), 0.0) == []


def test_time_that_goes_backwards_is_held(world: TrackerWorld) -> None:
    world.http["a"] = lambda _: good()
    world.add([A])
    world.run(50)
    world.trackers.handle(Tick(), 10.0)
    world.want_peers()
    due = world.trackers.due(HASH)
    assert due is not None
    assert due.when > 50


def test_many_families_many_urls_and_one_world() -> None:
    """HTTP, UDP and a dead name in one torrent: whoever answers first serves."""
    world = TrackerWorld()
    world.names["u"] = ("9.9.9.9",)
    world.udp[Address("9.9.9.9", 80)] = udp_server()
    world.add([A], ["udp://u"], ["udp://nowhere"])
    world.run(TRACKER_PATIENCE + 1)
    assert {reply.url for reply in world.replies} == {"udp://u"}
    assert [resolve.host for resolve in world.all(Resolve)] == ["u"]


def test_pauses_begin_short(world: TrackerWorld) -> None:
    world.http["a"] = lambda _: "refused"
    world.add([A])
    world.run(1)
    world.http["a"] = lambda _: good()
    world.run(ANNOUNCE_RETRY * (1 + ANNOUNCE_JITTER))
    assert len(world.replies) == 2
