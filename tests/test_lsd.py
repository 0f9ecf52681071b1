"""Local peer discovery: the form of announcements, when they are sent, what others say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from torrent_core.actions import SendMulticast
from torrent_core.deadlines import Deadline
from torrent_core.errors import LocalDiscoveryError, LocalProtocolError
from torrent_core.events import MulticastReceived, PeersFound, Tick
from torrent_core.limits import LSD_GAP, LSD_INTERVAL, MAX_LSD_HASHES, MAX_LSD_HEARD
from torrent_core.lsd import (
    GROUP_IPV4,
    GROUP_IPV6,
    Announcement,
    Lsd,
    LsdConfig,
    format_announcement,
    parse_announcement,
)
from torrent_core.types import Address, PeerSource

HASHES = st.binary(min_size=20, max_size=20)
COOKIE = b"\x01\x02\x03\x04"
ONE = bytes(range(20))
TWO = bytes(range(20, 40))
SENDER = Address("192.168.1.7", 6771)


def lsd(**changes) -> Lsd:
    return Lsd(6881, COOKIE, LsdConfig(**changes))


def heard(data: bytes) -> MulticastReceived:
    return MulticastReceived(SENDER, data)


def named(actions) -> list[bytes]:
    """The torrents of the announcement in these actions; it is the same in each group."""
    sent = [parse_announcement(action.data) for action in actions]
    assert [action.group for action in actions] == [GROUP_IPV4, GROUP_IPV6]
    assert sent[0] == sent[1]
    return list(sent[0].info_hashes)


# --- The form --------------------------------------------------------------------------------


def test_an_announcement_has_the_form_of_bep_14():
    data = format_announcement(GROUP_IPV4, 6881, [ONE], b"01020304")
    assert data == (
        b"BT-SEARCH * HTTP/1.1\r\n"
        b"Host: 239.192.152.143:6771\r\n"
        b"Port: 6881\r\n"
        b"Infohash: 000102030405060708090a0b0c0d0e0f10111213\r\n"
        b"cookie: 01020304\r\n"
        b"\r\n"
        b"\r\n"
    )
    assert b"Host: [ff15::efc0:988f]:6771\r\n" in format_announcement(GROUP_IPV6, 1, [ONE], b"c")


@given(
    st.integers(1, 65535),
    st.lists(HASHES, min_size=1, max_size=MAX_LSD_HASHES, unique=True),
    st.binary(min_size=1, max_size=20).map(lambda raw: raw.hex().encode()),
    st.sampled_from([GROUP_IPV4, GROUP_IPV6]),
)
def test_what_is_formatted_is_read_again_and_fits_a_datagram(port, hashes, cookie, group):
    data = format_announcement(group, port, hashes, cookie)
    assert parse_announcement(data) == Announcement(port, tuple(hashes), cookie)
    assert len(data) <= 1400


@given(
    st.one_of(
        st.binary(max_size=200),
        st.lists(
            st.sampled_from(
                [
                    b"BT-SEARCH * HTTP/1.1",
                    b"Port: 6881",
                    b"Port: -1",
                    b"Infohash: " + b"ab" * 20,
                    b"Infohash: " + b"zz" * 20,
                    b"cookie",
                    b":",
                    b"",
                ]
            )
        ).map(b"\r\n".join),
    )
)
def test_any_bytes_are_an_announcement_or_refused_by_the_documented_error(data):
    try:
        found = parse_announcement(data)
    except LocalDiscoveryError:
        return
    assert 0 < found.port < 65536
    assert 1 <= len(found.info_hashes) <= MAX_LSD_HASHES
    assert all(len(info_hash) == 20 for info_hash in found.info_hashes)


def request(*headers: bytes, line: bytes = b"BT-SEARCH * HTTP/1.1") -> bytes:
    return b"\r\n".join([line, *headers, b"", b""])


HASH = b"Infohash: " + ONE.hex().encode()


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b"", "first line"),
        (b"BT-SEARCH * HTTP/1.1\r\nPort: 1\r\n" + HASH, "first line"),
        (request(b"Port: 1", HASH, line=b"GET / HTTP/1.1"), "first line"),
        (request(HASH), "Port"),
        (request(b"Port: 0", HASH), "Port"),
        (request(b"Port: 65536", HASH), "Port"),
        (request(b"Port: 000001", HASH), "Port"),
        (request(b"Port: +1", HASH), "Port"),
        (request(b"Port: 1"), "Infohash"),
        (request(b"Port: 1", b"Infohash: " + b"a" * 39), "Infohash"),
        (request(b"Port: 1", b"Infohash: " + b"x" * 40), "Infohash"),
        (request(b"Port: 1", HASH, b"X: " + b"x" * 1500), "datagram"),
    ],
)
def test_what_is_no_announcement_is_refused_and_it_is_said_where(data, where):
    with pytest.raises(LocalDiscoveryError) as refused:
        parse_announcement(data)
    assert where in refused.value.where


def test_names_in_any_case_other_headers_and_wrong_hashes_among_right_ones_are_no_matter():
    data = request(
        b"PORT:51413 ",
        b"X-Other: 1",
        b"no colon",
        b"infohash: nonsense",
        b"INFOHASH:" + TWO.hex().upper().encode(),
        HASH,
        HASH,
        line=b"bt-search * HTTP/1.1",
    )
    assert parse_announcement(data) == Announcement(51413, (TWO, ONE), None)


# --- Announcing --------------------------------------------------------------------------------


def test_a_torrent_is_announced_at_once_and_every_five_minutes():
    machine = lsd()
    assert named(machine.add(ONE, 10.0)) == [ONE]
    assert machine.next_deadline() == machine.due(ONE)
    assert machine.due(ONE) == Deadline(10.0 + LSD_INTERVAL, "announce on the local network")
    assert machine.handle(Tick(), 10.0 + LSD_INTERVAL - 1) == []
    assert named(machine.handle(Tick(), 10.0 + LSD_INTERVAL)) == [ONE]


def test_torrents_added_within_a_minute_wait_for_its_end_and_share_an_announcement():
    machine = lsd()
    machine.add(ONE, 0.0)
    assert machine.add(TWO, 1.0) == []
    third = bytes(20)
    assert machine.add(third, 2.0) == []
    assert machine.due(TWO) == machine.due(third) == machine.next_deadline()
    assert machine.due(TWO).when == LSD_GAP
    assert named(machine.handle(Tick(), LSD_GAP)) == [TWO, third]


def test_a_torrent_that_is_removed_is_announced_no_more_and_may_come_again():
    machine = lsd()
    machine.add(ONE, 0.0)
    machine.remove(ONE)
    machine.remove(ONE)
    assert machine.next_deadline() is None
    assert machine.due(ONE) is None
    assert machine.handle(Tick(), 1000.0) == []
    assert named(machine.add(ONE, 1000.0)) == [ONE]


def test_time_that_goes_backwards_stands_still():
    machine = lsd()
    machine.add(ONE, 100.0)
    machine.add(TWO, 50.0)
    assert machine.due(TWO).when == 100.0 + LSD_GAP


@pytest.mark.parametrize(
    ("port", "cookie"), [(0, COOKIE), (65536, COOKIE), (1, b""), (1, b"x" * 21)]
)
def test_a_port_or_cookie_that_cannot_be_announced_is_the_callers_slip(port, cookie):
    with pytest.raises(LocalProtocolError):
        Lsd(port, cookie)


def test_adding_twice_or_something_else_than_an_info_hash_is_the_callers_slip():
    machine = lsd()
    machine.add(ONE, 0.0)
    for slip in (ONE, b"short"):
        with pytest.raises(LocalProtocolError):
            machine.add(slip, 400.0)
    assert machine.due(ONE).when == LSD_INTERVAL


class AnyTorrents(RuleBasedStateMachine):
    """Any adding, removing and waiting keeps to BEP 14's allowance, and starves nobody."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = lsd()
        self.now = 0.0
        self.sent_at: float | None = None
        self.waits: dict[bytes, float] = {}  # since when each has not been announced
        self.serial = 0

    def take(self, actions) -> None:
        if actions:
            assert self.sent_at is None or self.now >= self.sent_at + LSD_GAP
            self.sent_at = self.now
            for info_hash in named(actions):
                self.waits[info_hash] = self.now

    @rule(count=st.integers(1, 60))
    def add(self, count: int) -> None:
        for _ in range(count):
            self.serial += 1
            info_hash = self.serial.to_bytes(20, "big")
            self.waits[info_hash] = self.now
            self.take(self.machine.add(info_hash, self.now))

    @precondition(lambda self: self.waits)
    @rule(data=st.data())
    def remove(self, data) -> None:
        info_hash = data.draw(st.sampled_from(sorted(self.waits)))
        del self.waits[info_hash]
        self.machine.remove(info_hash)

    @rule()
    def wake_in_time(self) -> None:
        deadline = self.machine.next_deadline()
        if deadline is not None:
            self.now = max(self.now, deadline.when)
            sent = self.machine.handle(Tick(), self.now)
            assert sent
            self.take(sent)

    @rule(seconds=st.floats(0, 400))
    def wake_whenever(self, seconds: float) -> None:
        deadline = self.machine.next_deadline()
        self.now += seconds
        sent = self.machine.handle(Tick(), self.now)
        assert bool(sent) == (deadline is not None and deadline.when <= self.now)
        self.take(sent)

    @invariant()
    def every_torrent_is_due_and_the_machine_with_the_first(self) -> None:
        dues = [self.machine.due(info_hash).when for info_hash in self.waits]
        deadline = self.machine.next_deadline()
        assert (None if deadline is None else deadline.when) == min(dues, default=None)


TestAnyTorrents = pytest.mark.uncovered(AnyTorrents.TestCase)


@given(st.integers(1, 300))
def test_however_many_torrents_there_are_each_has_its_turn(count):
    machine = lsd()
    hashes = [number.to_bytes(20, "big") for number in range(count)]
    told: list[bytes] = []
    for info_hash in hashes:
        actions = machine.add(info_hash, 0.0)
        told += named(actions) if actions else []
    while len(told) < count:
        told += named(machine.handle(Tick(), machine.next_deadline().when))
    assert told[:count] == hashes


# --- Listening ---------------------------------------------------------------------------------


def test_a_peer_of_a_torrent_of_ours_is_told_with_the_address_that_the_datagram_came_from():
    machine = lsd()
    machine.add(ONE, 0.0)
    data = format_announcement(GROUP_IPV4, 51413, [TWO, ONE], b"other")
    assert machine.handle(heard(data), 1.0) == [
        PeersFound(ONE, PeerSource.LOCAL, (Address("192.168.1.7", 51413),))
    ]


def test_our_own_announcement_is_known_by_its_cookie():
    machine = lsd()
    [sent, _] = machine.add(ONE, 0.0)
    assert isinstance(sent, SendMulticast)
    assert machine.handle(heard(sent.data), 0.1) == []
    other = Lsd(6881, b"\xff\xff")
    other.add(ONE, 0.0)
    assert len(other.handle(heard(sent.data), 0.1)) == 1


@given(st.binary(max_size=200))
def test_whatever_else_is_heard_has_no_effect(data):
    machine = lsd()
    machine.add(ONE, 0.0)
    assert machine.handle(heard(data), 1.0) == []
    assert machine.next_deadline().when == LSD_INTERVAL


def test_a_flood_is_heard_up_to_its_bound_and_the_next_minute_again():
    machine = lsd()
    machine.add(ONE, 0.0)
    data = format_announcement(GROUP_IPV4, 1, [ONE], b"flood")
    answers = [machine.handle(heard(data), 1.0) for _ in range(MAX_LSD_HEARD + 5)]
    assert sum(map(bool, answers)) == MAX_LSD_HEARD
    assert machine.handle(heard(data), LSD_GAP - 1) == []
    assert machine.handle(heard(data), LSD_GAP + 1) != []
