"""Discovery composes its parts: who is told of which torrent, and whose an answer is."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from torrent_core.actions import Fetch, Resolve, SaveNodes, SendDatagram, SendMulticast
from torrent_core.deadlines import Deadline
from torrent_core.discovery import Discovery
from torrent_core.errors import LocalProtocolError
from torrent_core.events import (
    DatagramReceived,
    Fetched,
    FetchFailed,
    MulticastReceived,
    PeersFound,
    Resolved,
    Tick,
)
from torrent_core.lsd import GROUP_IPV4, Lsd, format_announcement
from torrent_core.types import Address, PeerSource

ONE, TWO = bytes([1]) * 20, bytes([2]) * 20
TIERS = (("http://tracker.example/announce",),)
PORT = 6881
PEER = Address("192.0.2.1", 1)
TRACKER = Address("192.0.2.9", 80)


class Part:
    """Keeps every call, and is due when a test says so."""

    def __init__(self, new_id) -> None:
        self.calls: list[tuple] = []
        self.when: dict[bytes, float] = {}
        self.new_id = new_id
        self.out: list[int] = []

    def note(self, *call):
        self.calls.append(call)

    def ask(self) -> int:
        self.out.append(self.new_id())
        return self.out[-1]

    def owns(self, request_id) -> bool:
        return request_id in self.out

    def due(self, info_hash):
        when = self.when.get(info_hash)
        return None if when is None else Deadline(when, type(self).__name__)

    def next_deadline(self):
        return min(filter(None, map(self.due, self.when)), default=None)

    def handle(self, event, now):
        self.note("handle", event, now)
        for name in ("fetch_id", "resolve_id"):
            if hasattr(event, name):
                self.out.remove(getattr(event, name))
        for info_hash, when in self.when.items():
            if when <= now:
                self.when[info_hash] = now + 10
        return [PeersFound(info_hash, self.source, (PEER,)) for info_hash in self.said(event)]

    def said(self, event) -> list[bytes]:
        """Whatever torrent is asked for in the answer; a part may be late with it."""
        return [event.body] if isinstance(event, Fetched) else []


class Trackers(Part):
    source = PeerSource.TRACKER

    def add(self, info_hash, tiers, now, is_private):
        self.note("add", info_hash, tiers, now, is_private)
        self.when[info_hash] = now + 5
        return [Fetch(self.ask(), tiers[0][0], 1)] if tiers else []

    def completed(self, info_hash, now):
        self.note("completed", info_hash, now)
        return [Fetch(self.ask(), "completed", 1)]

    def stop(self, info_hash, now):
        self.note("stop", info_hash, now)
        del self.when[info_hash]
        return [Fetch(self.ask(), "stopped", 1)]

    def is_stopping(self, info_hash):
        return info_hash == TWO

    def want_peers(self, info_hash, now):
        self.note("want_peers", info_hash, now)
        return []

    def scrape(self, info_hash, url, now):
        self.note("scrape", info_hash, url, now)
        return [Resolve(self.ask(), url)]

    def takes(self, event):
        return event.address == TRACKER


class Dht(Part):
    source = PeerSource.DHT
    running = False

    def start(self, now):
        self.running = True
        self.note("start", now)
        return [Resolve(self.ask(), "router.example")]

    def stop(self, now):
        self.running = False
        self.note("stop", now)
        return [SaveNodes(b"nodes")]

    def add_node(self, address, now):
        assert self.running
        self.note("add_node", address, now)
        return [SendDatagram(address, b"ping")]

    def search(self, info_hash, port, now):
        assert self.running
        self.note("search", info_hash, port, now)
        self.when[info_hash] = now + 3
        return [SendDatagram(PEER, info_hash)]

    def forget(self, info_hash):
        self.note("forget", info_hash)
        self.when.pop(info_hash, None)

    def said(self, event):
        return [event.data] if isinstance(event, DatagramReceived) else []


class Whole:
    """A discovery of all parts; the one of the local network is real."""

    def __init__(self, *, trackers=True, dht=True, local=True, port=PORT, start=True) -> None:
        new_id = itertools.count(1).__next__
        self.trackers = Trackers(new_id) if trackers else None
        self.dht = Dht(new_id) if dht else None
        self.local = Lsd(PORT, b"cookie") if local else None
        self.discovery = Discovery(port, trackers=self.trackers, dht=self.dht, local=self.local)
        if start:
            self.discovery.start(0.0)
            if self.dht:
                self.dht.calls.clear()


def kinds(found) -> list[type]:
    return [type(each) for each in found]


def heard(info_hash: bytes) -> MulticastReceived:
    return MulticastReceived(PEER, format_announcement(GROUP_IPV4, 7, [info_hash], b"x"))


def local_peer(info_hash: bytes) -> PeersFound:
    return PeersFound(info_hash, PeerSource.LOCAL, (Address(PEER.host, 7),))


# --- Torrents ----------------------------------------------------------------------------------


def test_a_torrent_is_told_to_every_part():
    whole = Whole()
    found = whole.discovery.added(ONE, False, TIERS, 1.0)
    assert kinds(found) == [Fetch, SendDatagram, SendMulticast, SendMulticast]
    assert whole.trackers.calls == [("add", ONE, TIERS, 1.0, False)]
    assert whole.dht.calls == [("search", ONE, PORT, 1.0)]
    assert whole.local.due(ONE) is not None


def test_a_private_torrent_is_told_to_its_trackers_alone():
    whole = Whole()
    discovery = whole.discovery
    assert kinds(discovery.added(ONE, True, TIERS, 1.0)) == [Fetch]
    assert discovery.node_seen(ONE, PEER, 2.0) == []
    assert kinds(discovery.completed(ONE, 3.0)) == [Fetch]
    assert discovery.handle(heard(ONE), 4.0) == []
    assert [due.why for due in discovery.dues(ONE)] == ["Trackers"]
    assert kinds(discovery.removed(ONE, 5.0)) == [Fetch]
    assert whole.dht.calls == []


def test_a_torrent_that_turns_out_to_be_private_is_withdrawn_from_all_but_its_trackers():
    whole = Whole()
    whole.discovery.added(ONE, False, TIERS, 0.0)
    whole.discovery.turned_private(ONE)
    whole.discovery.turned_private(ONE)
    assert whole.dht.calls[1:] == [("forget", ONE)]
    assert whole.local.due(ONE) is None
    assert whole.discovery.handle(DatagramReceived(PEER, ONE), 1.0) == []
    told = whole.discovery.handle(Fetched(whole.trackers.out[0], 200, ONE), 1.0)
    assert told == [PeersFound(ONE, PeerSource.TRACKER, (PEER,))]


def test_a_torrent_that_is_removed_is_withdrawn_and_trackers_are_told():
    whole = Whole()
    whole.discovery.added(ONE, False, TIERS, 0.0)
    assert kinds(whole.discovery.removed(ONE, 9.0)) == [Fetch]
    assert whole.trackers.calls[-1] == ("stop", ONE, 9.0)
    assert whole.dht.calls[-1] == ("forget", ONE)
    assert whole.discovery.dues(ONE) == []
    assert whole.discovery.handle(Fetched(whole.trackers.out[0], 200, ONE), 10.0) == []
    assert kinds(whole.discovery.added(ONE, False, TIERS, 90.0))[:2] == [Fetch, SendDatagram]


def test_what_concerns_trackers_is_handed_on_to_them():
    whole = Whole()
    whole.discovery.added(ONE, False, TIERS, 0.0)
    whole.discovery.completed(ONE, 1.0)
    whole.discovery.short_of_peers(ONE, 2.0)
    whole.discovery.scrape(ONE, "url", 3.0)
    assert whole.trackers.calls[1:] == [
        ("completed", ONE, 1.0),
        ("want_peers", ONE, 2.0),
        ("scrape", ONE, "url", 3.0),
    ]
    assert whole.discovery.is_stopping(TWO)
    assert not whole.discovery.is_stopping(ONE)


def test_a_node_that_a_peer_names_is_told_to_the_dht():
    whole = Whole()
    whole.discovery.added(ONE, False, TIERS, 0.0)
    assert whole.discovery.node_seen(ONE, PEER, 1.0) == [SendDatagram(PEER, b"ping")]
    assert whole.dht.calls[-1] == ("add_node", PEER, 1.0)


@pytest.mark.parametrize(
    "address", [Address("peer.example", 1), Address("192.0.2.1", 0), Address("192.0.2.1", 65536)]
)
def test_a_node_that_cannot_be_there_is_ignored(address):
    whole = Whole()
    whole.discovery.added(ONE, False, TIERS, 0.0)
    assert whole.discovery.node_seen(ONE, address, 1.0) == []


def test_the_dht_is_entered_and_left_with_the_session():
    whole = Whole(start=False)
    assert whole.discovery.start(1.0) == [Resolve(1, "router.example")]
    whole.discovery.added(ONE, False, (), 1.0)
    assert whole.discovery.stop(2.0) == [SaveNodes(b"nodes")]
    assert whole.discovery.node_seen(ONE, PEER, 3.0) == []
    assert whole.discovery.added(TWO, False, (), 3.0) == []
    assert kinds(whole.discovery.removed(ONE, 4.0)) == [Fetch]


def test_torrents_that_are_there_before_the_dht_is_are_searched_once_it_is():
    whole = Whole(start=False, local=False)
    whole.discovery.added(ONE, False, (), 1.0)
    whole.discovery.added(TWO, True, (), 1.0)
    assert kinds(whole.discovery.start(2.0)) == [Resolve, SendDatagram]
    assert whole.dht.calls == [("start", 2.0), ("search", ONE, PORT, 2.0)]


def test_without_parts_nothing_is_asked_and_nothing_is_due():
    discovery = Discovery(None)
    assert discovery.start(0.0) == []
    assert discovery.added(ONE, False, TIERS, 0.0) == []
    assert discovery.node_seen(ONE, PEER, 0.0) == []
    assert discovery.completed(ONE, 0.0) == []
    assert discovery.short_of_peers(ONE, 0.0) == []
    for event in (Tick(), DatagramReceived(PEER, b""), heard(ONE)):
        assert discovery.handle(event, 1.0) == []
    assert discovery.next_deadline() is None
    assert discovery.dues(ONE) == []
    discovery.turned_private(ONE)
    with pytest.raises(LocalProtocolError, match="no trackers"):
        discovery.scrape(ONE, "url", 1.0)
    assert discovery.removed(ONE, 1.0) == []
    assert not discovery.is_stopping(TWO)
    assert discovery.stop(2.0) == []


def test_without_a_port_the_dht_is_searched_and_not_announced_to():
    whole = Whole(port=None, local=False)
    whole.discovery.added(ONE, False, TIERS, 0.0)
    assert whole.dht.calls == [("search", ONE, None, 0.0)]


# --- Whose an answer is ------------------------------------------------------------------------


def test_each_answer_goes_to_the_part_that_asked():
    whole = Whole()
    discovery = whole.discovery
    # The DHT resolves by id 1 since it was started.
    discovery.added(ONE, False, TIERS, 0.0)  # fetches by id 2
    discovery.scrape(ONE, "url", 0.0)  # resolves by id 3
    discovery.completed(ONE, 0.0)  # fetches by id 4
    events = [Fetched(2, 200, b""), FetchFailed(4, "no"), Resolved(3, ()), Resolved(1, ())]
    for event in events:
        discovery.handle(event, 1.0)
    assert [call[1] for call in whole.trackers.calls if call[0] == "handle"] == events[:3]
    assert [call[1] for call in whole.dht.calls if call[0] == "handle"] == events[3:]


def test_a_datagram_is_the_trackers_if_they_wait_for_it_and_else_the_dhts():
    whole = Whole()
    whole.discovery.added(ONE, False, TIERS, 0.0)
    whole.discovery.handle(DatagramReceived(TRACKER, b"t"), 1.0)
    whole.discovery.handle(DatagramReceived(PEER, b"d"), 1.0)
    assert whole.trackers.calls[-1] == ("handle", DatagramReceived(TRACKER, b"t"), 1.0)
    assert whole.dht.calls[-1] == ("handle", DatagramReceived(PEER, b"d"), 1.0)


def test_what_is_heard_on_the_local_network_names_a_peer():
    whole = Whole()
    whole.discovery.added(ONE, False, TIERS, 0.0)
    assert whole.discovery.handle(heard(ONE), 1.0) == [local_peer(ONE)]
    assert whole.discovery.handle(heard(TWO), 1.0) == []


def test_an_answer_that_nobody_asked_for_is_the_callers_slip_and_changes_nothing():
    whole = Whole()
    whole.discovery.added(ONE, False, TIERS, 0.0)
    for event in (Fetched(9, 200, b""), FetchFailed(9, ""), Resolved(9, ())):
        with pytest.raises(LocalProtocolError):
            whole.discovery.handle(event, 5.0)
    assert kinds(whole.discovery.added(TWO, True, TIERS, 0.0)) == [Fetch]
    assert whole.trackers.calls[-1] == ("add", TWO, TIERS, 0.0, True)
    with pytest.raises(LocalProtocolError):
        Discovery(1).handle(Fetched(1, 200, b""), 0.0)


def test_torrents_that_are_not_here_and_those_that_are_already_are_the_callers_slip():
    whole = Whole()
    discovery = whole.discovery
    discovery.added(ONE, True, TIERS, 0.0)
    slips = [
        lambda: discovery.added(ONE, False, TIERS, 5.0),
        lambda: discovery.removed(TWO, 5.0),
        lambda: discovery.turned_private(TWO),
        lambda: discovery.completed(TWO, 5.0),
        lambda: discovery.short_of_peers(TWO, 5.0),
        lambda: discovery.scrape(TWO, "url", 5.0),
        lambda: discovery.node_seen(TWO, PEER, 5.0),
    ]
    for slip in slips:
        with pytest.raises(LocalProtocolError):
            slip()
    assert whole.trackers.calls == [("add", ONE, TIERS, 0.0, True)]
    assert whole.dht.calls == []


# --- Time ----------------------------------------------------------------------------------------


def test_the_first_part_that_is_due_is_named_and_those_that_are_due_are_woken():
    whole = Whole()
    discovery = whole.discovery
    discovery.added(ONE, False, TIERS, 0.0)
    assert discovery.next_deadline() == Deadline(3.0, "Dht")
    discovery.handle(Tick(), 4.0)
    assert whole.dht.calls[-1] == ("handle", Tick(), 4.0)
    assert whole.trackers.calls[-1][0] == "add"
    assert discovery.next_deadline() == Deadline(5.0, "Trackers")
    discovery.handle(Tick(), 6.0)
    assert whole.trackers.calls[-1] == ("handle", Tick(), 6.0)


def test_time_that_goes_backwards_stands_still():
    whole = Whole()
    whole.discovery.added(ONE, False, TIERS, 7.0)
    whole.discovery.completed(ONE, 3.0)
    assert whole.trackers.calls[-1] == ("completed", ONE, 7.0)


@given(st.booleans(), st.booleans(), st.booleans())
def test_any_of_the_parts_may_be_absent(trackers, dht, local):
    whole = Whole(trackers=trackers, dht=dht, local=local)
    found = whole.discovery.added(ONE, False, TIERS, 0.0)
    wanted = [Fetch] * trackers + [SendDatagram] * dht + [SendMulticast] * (2 * local)
    assert kinds(found) == wanted
    assert (whole.discovery.next_deadline() is None) == (not wanted)
    whole.discovery.handle(Tick(), 1000.0)
    whole.discovery.removed(ONE, 1000.0)
    assert whole.discovery.dues(ONE) == []


# --- BEP 27 --------------------------------------------------------------------------------------


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens, a private torrent is known to trackers alone, and hears of them alone."""

    def __init__(self) -> None:
        super().__init__()
        self.whole = Whole()
        self.discovery = self.whole.discovery
        self.private: dict[bytes, bool] = {}
        self.now = 0.0

    def take(self, found) -> None:
        for each in found:
            if isinstance(each, PeersFound):
                private = self.private[each.torrent]
                assert not private or each.source is PeerSource.TRACKER
            elif isinstance(each, SendMulticast):
                hidden = [name.hex().encode() for name, private in self.private.items() if private]
                assert not [name for name in hidden if name in each.data]
            elif isinstance(each, SendDatagram):
                assert not self.private.get(each.data, False)

    @precondition(lambda self: len(self.private) < 6)
    @rule(private=st.booleans(), number=st.integers(0, 9))
    def add(self, private: bool, number: int) -> None:
        info_hash = bytes([number]) * 20
        if info_hash not in self.private:
            self.private[info_hash] = private
            self.take(self.discovery.added(info_hash, private, TIERS, self.now))

    @precondition(lambda self: self.private)
    @rule(data=st.data(), what=st.sampled_from(["removed", "private", "short", "node", "done"]))
    def change(self, data, what: str) -> None:
        info_hash = data.draw(st.sampled_from(sorted(self.private)))
        discovery, now = self.discovery, self.now
        if what == "removed":
            del self.private[info_hash]
            self.take(discovery.removed(info_hash, now))
        elif what == "private":
            self.private[info_hash] = True
            discovery.turned_private(info_hash)
        elif what == "short":
            self.take(discovery.short_of_peers(info_hash, now))
        elif what == "done":
            self.take(discovery.completed(info_hash, now))
        else:
            found = discovery.node_seen(info_hash, PEER, now)
            assert bool(found) != self.private[info_hash]

    @rule(number=st.integers(0, 9), source=st.sampled_from(["dht", "local", "tracker"]))
    def hear(self, number: int, source: str) -> None:
        info_hash = bytes([number]) * 20
        out = self.whole.trackers.out
        if source == "dht":
            self.take(self.discovery.handle(DatagramReceived(PEER, info_hash), self.now))
        elif source == "local":
            self.take(self.discovery.handle(heard(info_hash), self.now))
        elif out:
            self.take(self.discovery.handle(Fetched(out[0], 200, info_hash), self.now))

    @rule(seconds=st.floats(0, 400))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.take(self.discovery.handle(Tick(), self.now))

    @invariant()
    def no_part_but_trackers_knows_a_private_torrent(self) -> None:
        for info_hash, private in self.private.items():
            known = self.whole.local.due(info_hash) is not None
            assert known != private
            assert (self.whole.dht.due(info_hash) is not None) != private
            assert self.whole.trackers.due(info_hash) is not None


TestAnyOrder = AnyOrder.TestCase
