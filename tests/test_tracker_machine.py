"""Trackers that are hostile, slow, dead and honest in any mixture: what always holds."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from test_wire_extended import values
from torrent_core import bencode
from torrent_core.actions import Fetch, SendDatagram
from torrent_core.events import DatagramReceived, Fetched, FetchFailed, Resolved, Tick
from torrent_core.limits import (
    MAX_ANNOUNCE_INTERVAL,
    MIN_ANNOUNCE_INTERVAL,
    STOP_ANNOUNCE_TIMEOUT,
)
from torrent_core.trackers import TrackerConfig
from torrent_core.types import Address, Family
from torrent_core.wire.udp_tracker import (
    ConnectResponse,
    ErrorResponse,
    decode_request,
    encode_response,
)
from tracker_world import TrackerWorld, good

HASHES = [bytes([number]) * 20 for number in range(4)]
URLS = ["http://a/announce", "https://b/x", "udp://9.9.9.9:1", "udp://name/q?w", "udp://[::9]:9"]
MOST = 4
KEYS = (b"interval", b"min interval", b"peers", b"peers6", b"failure reason", b"retry in")
bodies = (
    st.binary(max_size=30)
    | st.dictionaries(st.sampled_from(KEYS), values).map(bencode.encode)
    | st.integers(-(2**40), 2**40).map(lambda n: good(n)[1])
)


class HostileTrackers(RuleBasedStateMachine):
    """The network answers what it likes, when it likes, once each."""

    def __init__(self) -> None:
        super().__init__()
        self.world = TrackerWorld(TrackerConfig(port=6881, max_out=MOST))
        self.resolves: list[int] = []
        self.asked: dict[tuple[bytes, str], float] = {}
        """When each torrent was last heard by each tracker, but for events."""
        self.world._later = lambda event: None  # type: ignore[method-assign]
        self.seen = 0

    @property
    def trackers(self):  # type: ignore[no-untyped-def]
        return self.world.trackers

    def _known(self, info_hash: bytes) -> bool:
        return self.trackers._campaigns.get(info_hash) is not None

    @rule(
        number=st.integers(0, 3),
        tiers=st.lists(st.lists(st.sampled_from([*URLS, "bad"]), max_size=3), max_size=3),
        private=st.booleans(),
    )
    def add(self, number: int, tiers: list[list[str]], private: bool) -> None:
        info_hash = HASHES[number]
        if not self._known(info_hash) or self.trackers.is_stopping(info_hash):
            self.world.add(*tiers, info_hash=info_hash, private=private)

    @rule(number=st.integers(0, 3), verb=st.sampled_from(["completed", "stop", "want_peers"]))
    def command(self, number: int, verb: str) -> None:
        if self._known(HASHES[number]):
            getattr(self.world, verb)(HASHES[number])

    @rule(number=st.integers(0, 3), url=st.sampled_from(URLS))
    def scrape(self, number: int, url: str) -> None:
        self.world.scrape(url, HASHES[number])

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
        request = decode_request(sent.data)
        number = request.transaction_id
        family = Family.IPV6 if ":" in sent.address.host else Family.IPV4
        answers: list[Callable[[], bytes]] = [
            lambda: encode_response(ConnectResponse(number, 5), family),
            lambda: b"\0\0\0\1" + number.to_bytes(4, "big") + noise.ljust(12, b"\0"),
            lambda: encode_response(ErrorResponse(number, noise), family),
            lambda: noise,
        ]
        self.world.handle(DatagramReceived(sent.address, answers[kind]()))

    @rule(address=st.builds(Address, st.text(max_size=9), st.integers()), data=st.binary())
    def stray(self, address: Address, data: bytes) -> None:
        assert self.trackers.handle(DatagramReceived(address, data), self.world.now) == []

    @rule(seconds=st.floats(0.0, 200.0))
    def wait(self, seconds: float) -> None:
        self.world.now += seconds
        self.world.handle(Tick())

    @rule()
    def until_the_deadline(self) -> None:
        deadline = self.trackers.next_deadline()
        if deadline is not None:
            self.world.now = max(self.world.now, deadline.when)
            self.world.handle(Tick())

    @invariant()
    def nothing_is_overdue_and_what_is_owed_has_a_moment(self) -> None:
        deadline = self.trackers.next_deadline()
        assert deadline is None or deadline.when >= self.world.now - 1e-6 or self.is_behind
        if deadline is None:
            assert not any(self.trackers.is_stopping(info_hash) for info_hash in HASHES)
        for info_hash in HASHES:
            due = self.trackers.due(info_hash)
            if due is not None:
                assert deadline is not None
                assert deadline.when <= due.when

    @property
    def is_behind(self) -> bool:
        """Whether no call at this moment has shown the machine what time it is."""
        return self.trackers._now < self.world.now

    @invariant()
    def no_more_is_out_than_is_allowed(self) -> None:
        assert len(self.world.fetches) <= MOST
        assert self.trackers._desk.out <= MOST

    @invariant()
    def what_was_said_is_within_bounds(self) -> None:
        log, self.seen = self.world.log[self.seen :], len(self.world.log)
        for when, action in log:
            if isinstance(action, Fetch):
                assert action.url.isprintable()
        for report in self.world.replies[-3:]:
            assert report.next_at - self.world.now <= MAX_ANNOUNCE_INTERVAL
        for number, action in enumerate(log):
            kind = type(action[1]).__name__
            if kind == "Resolve":
                self.resolves.append(action[1].resolve_id)  # type: ignore[union-attr]
            elif kind == "TrackerReplied":
                report = action[1]
                assert report.next_at >= action[0] + MIN_ANNOUNCE_INTERVAL  # type: ignore[union-attr]

    def teardown(self) -> None:
        """Once all leave and the driver answers what it owes, nothing is left."""
        for info_hash in HASHES:
            if self._known(info_hash):
                self.world.stop(info_hash)
        self.world.now += STOP_ANNOUNCE_TIMEOUT
        self.world.handle(Tick())
        assert not any(self.trackers.is_stopping(info_hash) for info_hash in HASHES)
        for _ in range(1000):
            for fetch_id in sorted(self.world.fetches):
                self.world.handle(FetchFailed(fetch_id, "over"))
            for resolve_id in self.resolves:
                if self.trackers.owns(resolve_id):
                    self.world.handle(Resolved(resolve_id, ()))
            self.what_was_said_is_within_bounds()
            deadline = self.trackers.next_deadline()
            if deadline is None:
                break
            self.world.now = max(self.world.now, deadline.when)
            self.world.handle(Tick())
        assert self.trackers.next_deadline() is None
        assert not self.trackers._desk._hosts
        assert not self.trackers._desk._hosts._wires.waiting
        assert self.trackers._desk.out == 0
        assert not any(self._known(info_hash) for info_hash in HASHES)


HostileTrackersTest = HostileTrackers.TestCase
HostileTrackersTest.settings = settings(stateful_step_count=40)
