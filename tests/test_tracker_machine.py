"""Trackers that are hostile, slow, dead and honest in any mixture: what always holds."""

from __future__ import annotations

from bisect import bisect
from math import inf

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from test_wire_extended import values
from torrent_core import bencode
from torrent_core.actions import Fetch, Resolve, SendDatagram, TrackerReplied
from torrent_core.events import DatagramReceived, Fetched, FetchFailed, Resolved, Tick
from torrent_core.limits import (
    ANNOUNCE_JITTER,
    MAX_ANNOUNCE_INTERVAL,
    MAX_REQUESTS_OUT,
    MIN_ANNOUNCE_INTERVAL,
    STOP_ANNOUNCE_TIMEOUT,
    TRACKER_PATIENCE,
)
from torrent_core.trackers import TrackerConfig, TrackerEvent, Trackers
from torrent_core.types import Address, Family
from torrent_core.wire.udp_tracker import (
    ConnectResponse,
    ErrorResponse,
    decode_request,
    encode_response,
)
from tracker_world import TrackerWorld, event_of, good, hash_of

HASHES = [bytes([number]) * 20 for number in range(4)]
URLS = ["http://a/announce", "https://b/x", "udp://9.9.9.9:1", "udp://name/q?w", "udp://[::9]:9"]
MOST = 4
KEYS = (b"interval", b"min interval", b"peers", b"peers6", b"failure reason", b"retry in")
bodies = (
    st.binary(max_size=30)
    | st.dictionaries(st.sampled_from(KEYS), values).map(bencode.encode)
    | st.integers(-(2**40), 2**40).map(lambda interval: good(interval)[1])
)


class SilentWorld(TrackerWorld):
    """Nothing is answered but by the rules below."""

    def _later(self, event: TrackerEvent) -> None:
        pass


class HostileTrackers(RuleBasedStateMachine):
    """The network answers what it likes, when it likes, once each."""

    def __init__(self) -> None:
        super().__init__()
        self.world = SilentWorld(TrackerConfig(port=6881, max_out=MOST))
        self.seen = 0
        """Actions of the log that have been looked at."""
        self.resolves: list[int] = []
        self.heard: dict[tuple[bytes, str], float] = {}
        """When a tracker answered the announce of a torrent last."""

    @property
    def trackers(self) -> Trackers:
        return self.world.trackers

    def _is_known(self, info_hash: bytes) -> bool:
        return self.trackers._campaigns.get(info_hash) is not None

    # --- What the caller does --------------------------------------------------------------

    @rule(
        info_hash=st.sampled_from(HASHES),
        tiers=st.lists(st.lists(st.sampled_from([*URLS, "bad"]), max_size=3), max_size=3),
        private=st.booleans(),
    )
    def add(self, info_hash: bytes, tiers: list[list[str]], private: bool) -> None:
        if not self._is_known(info_hash) or self.trackers.is_stopping(info_hash):
            self.heard = {key: when for key, when in self.heard.items() if key[0] != info_hash}
            self.world.add(*tiers, info_hash=info_hash, private=private)

    @rule(
        info_hash=st.sampled_from(HASHES),
        verb=st.sampled_from(["completed", "stop", "want_peers", "want_peers"]),
    )
    def command(self, info_hash: bytes, verb: str) -> None:
        if self._is_known(info_hash):
            getattr(self.world, verb)(info_hash)

    @rule(info_hash=st.sampled_from(HASHES), url=st.sampled_from(URLS))
    def scrape(self, info_hash: bytes, url: str) -> None:
        self.world.scrape(url, info_hash)

    # --- What the world does ---------------------------------------------------------------

    @precondition(lambda self: self.world.fetches)
    @rule(data=st.data(), status=st.sampled_from([200, 200, 200, 404]), body=bodies)
    def answer(self, data: st.DataObject, status: int, body: bytes) -> None:
        fetch_id = data.draw(st.sampled_from(sorted(self.world.fetches)))
        self.world.handle(Fetched(fetch_id, status, body))

    @precondition(lambda self: self.world.fetches)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        fetch_id = data.draw(st.sampled_from(sorted(self.world.fetches)))
        self.world.handle(FetchFailed(fetch_id, "gone"))

    @precondition(lambda self: self.resolves)
    @rule(
        data=st.data(),
        hosts=st.lists(st.sampled_from(["1.1.1.1", "1.1.1.2", "::1", "0.0.0.0", "x"]), max_size=3),
    )
    def resolve(self, data: st.DataObject, hosts: list[str]) -> None:
        resolve_id = data.draw(st.sampled_from(self.resolves))
        self.resolves.remove(resolve_id)
        self.world.handle(Resolved(resolve_id, tuple(hosts)))

    @precondition(lambda self: self.world.all(SendDatagram))
    @rule(data=st.data(), kind=st.integers(0, 3), noise=st.binary(max_size=20))
    def datagram(self, data: st.DataObject, kind: int, noise: bytes) -> None:
        sent = data.draw(st.sampled_from(self.world.all(SendDatagram)[-6:]))
        number = decode_request(sent.data).transaction_id
        answers = [
            encode_response(ConnectResponse(number, 5), Family.IPV4),
            b"\0\0\0\1" + number.to_bytes(4, "big") + noise.ljust(12, b"\0"),
            encode_response(ErrorResponse(number, noise), Family.IPV4),
            noise,
        ]
        self.world.handle(DatagramReceived(sent.address, answers[kind]))

    @rule(address=st.builds(Address, st.text(max_size=9), st.integers()), data=st.binary())
    def stray(self, address: Address, data: bytes) -> None:
        assert self.trackers.handle(DatagramReceived(address, data), self.world.now) == []

    @rule(seconds=st.floats(0.0, 200.0))
    def wait(self, seconds: float) -> None:
        self.world.now += seconds
        self.world.handle(Tick())

    @rule()
    def wait_for_the_deadline(self) -> None:
        deadline = self.trackers.next_deadline()
        if deadline is not None:
            self.world.now = deadline.when
            self.world.handle(Tick())

    # --- What always holds -----------------------------------------------------------------

    @invariant()
    def what_is_owed_has_a_moment_and_none_is_overdue(self) -> None:
        deadline = self.trackers.next_deadline()
        assert deadline is None or deadline.when > self.world.now
        for info_hash in HASHES:
            due = self.trackers.due(info_hash)
            assert due is None or (deadline is not None and deadline.when <= due.when)
            assert due is not None or not self.trackers.is_stopping(info_hash)

    @invariant()
    def a_torrent_with_trackers_has_a_moment_unless_the_driver_owes_an_answer(self) -> None:
        for info_hash in HASHES:
            campaign = self.trackers._campaigns.get(info_hash)
            if campaign is not None and self.trackers.due(info_hash) is None:
                barred = all(announcer.is_barred for announcer in campaign._announcers)
                assert barred or self.world.fetches

    @invariant()
    def no_more_is_out_than_is_allowed(self) -> None:
        assert len(self.world.fetches) <= MOST
        assert self.trackers._desk.out <= MOST

    @invariant()
    def no_tracker_is_announced_to_more_often_than_it_wants(self) -> None:
        log, self.seen = self.world.log[self.seen :], len(self.world.log)
        for when, action in log:
            if isinstance(action, Resolve):
                self.resolves.append(action.resolve_id)
            elif isinstance(action, TrackerReplied):
                assert MIN_ANNOUNCE_INTERVAL <= action.next_at - when <= MAX_ANNOUNCE_INTERVAL
                self.heard[action.torrent, action.url] = when
            elif isinstance(action, Fetch) and action.family is not None:
                key = (hash_of(action), action.url.partition("?")[0])
                if event_of(action) in ("", "started"):
                    assert when >= self.heard.get(key, -inf) + MIN_ANNOUNCE_INTERVAL

    def teardown(self) -> None:
        """Once all leave and the driver answers what it owes, nothing is left."""
        for info_hash in HASHES:
            if self._is_known(info_hash):
                self.world.stop(info_hash)
        self.world.now += STOP_ANNOUNCE_TIMEOUT
        self.world.handle(Tick())
        assert not any(self._is_known(info_hash) for info_hash in HASHES)
        while (deadline := self._answer_all()) is not None:
            self.world.now = deadline
            self.world.handle(Tick())
        assert self.trackers._desk.out == 0
        assert len(self.trackers._desk._hosts) == 0
        assert not self.trackers._desk._hosts._wires.waiting

    def _answer_all(self) -> float | None:
        """The driver answers what it owes.  Returns what is due after that."""
        for fetch_id in sorted(self.world.fetches):
            self.world.handle(FetchFailed(fetch_id, "over"))
        self.no_tracker_is_announced_to_more_often_than_it_wants()
        for resolve_id in self.resolves:
            self.world.handle(Resolved(resolve_id, ()))
        self.resolves.clear()
        deadline = self.trackers.next_deadline()
        return deadline.when if deadline is not None else None


HostileTrackersTest = HostileTrackers.TestCase
HostileTrackersTest.settings = settings(stateful_step_count=40)


# --- Storms ------------------------------------------------------------------------------------


@pytest.mark.uncovered
def test_a_storm_of_torrents_is_spread_and_bounded() -> None:
    """A thousand torrents, added in one instant, at one tracker."""
    world = TrackerWorld()
    world.http["t"] = lambda _: good(interval=1800)
    for number in range(1000):
        world.add(["http://t/announce"], info_hash=number.to_bytes(20, "big"))
    assert len(world.fetches) == MAX_REQUESTS_OUT
    world.run(60)
    assert world.most_out == MAX_REQUESTS_OUT
    assert len({reply.torrent for reply in world.replies}) == 1000
    world.log.clear()
    world.run(1800 * (1 + ANNOUNCE_JITTER) - 50)
    moments = sorted(world.times(Fetch))
    assert len(moments) == 2000
    assert moments[-1] - moments[0] > 0.9 * 1800 * ANNOUNCE_JITTER
    assert max(_in_one_second(moments)) < MAX_REQUESTS_OUT
    for number in range(1000):
        world.stop(number.to_bytes(20, "big"))
    world.run(STOP_ANNOUNCE_TIMEOUT)
    assert world.most_out == MAX_REQUESTS_OUT
    assert sum(event_of(fetch) == "stopped" for fetch in world.all(Fetch)) == 2000
    assert world.failures == []


def _in_one_second(moments: list[float]) -> list[int]:
    """How many of the moments lie in the second after each."""
    return [bisect(moments, moment + 1.0) - at for at, moment in enumerate(moments)]


def test_a_storm_at_dead_trackers_lets_the_living_be_asked() -> None:
    """Each torrent has a UDP tracker of its own that is dead, before one that lives."""
    world = TrackerWorld()
    world.http["t"] = lambda _: good()
    for number in range(1000):
        dead = f"udp://10.{number // 250}.{number % 250}.1"
        world.add([dead], ["http://t/announce"], info_hash=number.to_bytes(20, "big"))
    world.run(1000 / MAX_REQUESTS_OUT * TRACKER_PATIENCE + 60)
    assert len({reply.torrent for reply in world.replies}) == 1000
    assert world.most_out <= MAX_REQUESTS_OUT
