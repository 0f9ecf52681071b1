"""Peers that nobody named: found, tried, given up, evicted; and whom to dial first."""

from __future__ import annotations

import gc
import tracemalloc
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from test_dialbook import Fixed
from torrent_core.candidates import DialBook, peer_priority
from torrent_core.candidates.waiting import WaitingLine
from torrent_core.limits import (
    DIAL_TIMEOUT,
    GIVEN_UP_FOR,
    MAX_CANDIDATES,
    MAX_LINKS_PER_ADDRESS,
    MAX_LINKS_PER_LOCAL_ADDRESS,
    MAX_SHUNNED_ADDRESSES,
    MAX_STRANGER_FAILURES,
    REDIAL_BASE,
    REDIAL_MAX,
    STABLE_LINK,
    STRANGER_REDIAL_BASE,
)
from torrent_core.types import Address, PeerSource

ROOM = 100
LIMIT = 12

HOSTS = ["11.0.0.1", "11.0.0.2", "127.0.0.1"]
PEERS = [Address(host, port) for host in HOSTS for port in range(1, 11)]
EVERYBODY = list(PeerSource)
KEPT = (PeerSource.NAMED, PeerSource.TRACKER)


def peers(count: int, start: int = 0) -> list[Address]:
    """Public addresses, all different hosts."""
    return [Address(f"11.1.{n >> 8}.{n & 255}", 6881) for n in range(start, start + count)]


def book_of(*found: Address, source: PeerSource = PeerSource.TRACKER) -> DialBook:
    """A book without jitter that learned of these at 0."""
    book = DialBook(Fixed(0.0))
    assert book.found(source, found, 0.0) == len(found)
    return book


@pytest.mark.uncovered
def test_ten_thousand_peers_that_were_tried_take_less_than_ten_mebibytes() -> None:
    gc.collect()
    tracemalloc.start()
    try:
        book = DialBook(Random(1), limit=10_000)
        assert book.found(PeerSource.TRACKER, peers(10_000), 0.0) == 10_000
        while begun := book.next_dials(0.0, ROOM):
            for dial_id, _ in begun:
                book.failed(dial_id, 0.0)
        gc.collect()
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(book) == 10_000
    assert used < 10 * 1024 * 1024


# --- Properties ----------------------------------------------------------------------------


class BookMachine(RuleBasedStateMachine):
    """Any order of what can happen to a small book, against what must hold of each."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.barred: set[str] = set()
        self.book = DialBook(Random(1), 4, self.barred.__contains__, limit=LIMIT)
        self.named: set[Address] = set()
        self.shunned: set[Address] = set()
        self.ours: set[Address] = set()
        self.left: set[Address] = set()
        """Not wanted any longer, while a dial or link is still to end."""
        self.dials: dict[int, Address] = {}
        self.linked: set[Address] = set()
        self.failures: dict[Address, int] = {}

    @rule(seconds=st.sampled_from([0.0, 1.0, DIAL_TIMEOUT, STRANGER_REDIAL_BASE, 400.0, 5000.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(
        source=st.sampled_from([s for s in PeerSource if s is not PeerSource.NAMED]),
        found=st.lists(st.sampled_from(PEERS), max_size=20),
    )
    def find(self, source: PeerSource, found: list[Address]) -> None:
        before = {address for address in PEERS if address in self.book}
        new = self.book.found(source, found, self.now)
        after = {address for address in PEERS if address in self.book}
        assert new >= len(after - before)
        assert after - before <= set(found) - self.shunned - self.ours
        assert new == 0 or len(self.book) <= max(LIMIT, len(self.named | self.linked))

    @rule(address=st.sampled_from(PEERS))
    def name(self, address: Address) -> None:
        self.book.add(address, self.now)
        if address not in self.ours:
            self.shunned.discard(address)
            self.left.discard(address)
            if address not in self.named:
                self.failures[address] = 0
            self.named.add(address)

    @rule(address=st.sampled_from(PEERS))
    def drop(self, address: Address) -> None:
        under_way = [dial for dial, peer in self.dials.items() if peer == address]
        assert self.book.drop(address) == (under_way[0] if under_way else None)
        self.shunned.add(address)
        self.named.discard(address)

    @rule(address=st.sampled_from(PEERS))
    def meet(self, address: Address) -> None:
        if self.book.met(address, self.now):
            assert address not in self.linked
            assert address not in self.dials.values()
            assert address not in self.shunned | self.ours
            self.linked.add(address)

    @precondition(lambda self: self.linked)
    @rule(data=st.data())
    def see_ourselves(self, data: st.DataObject) -> None:
        address = data.draw(st.sampled_from(sorted(self.linked)))
        self.book.turned_out_ours(address)
        self.ours.add(address)
        self.named.discard(address)

    @rule()
    def keep_some(self) -> None:
        told = {address: set(self.book.sources(address)) for address in PEERS}
        gone = {a for a in PEERS if a in self.book and not told[a] & set(KEPT)}
        under_way = [dial for dial, address in self.dials.items() if address in gone]
        assert set(under_way) <= set(self.book.keep_only(KEPT))
        assert not any(address in self.book for address in gone)
        self.left |= gone & (self.linked | set(self.dials.values()))

    @rule(host=st.sampled_from(HOSTS))
    def bar_or_not(self, host: str) -> None:
        self.barred ^= {host}
        self.book.review(host, self.now)

    @rule(complete=st.booleans(), address=st.sampled_from(PEERS))
    def complete(self, complete: bool, address: Address) -> None:
        self.book.set_complete(complete, self.now)
        self.book.note_seed(address, self.now)

    @rule(host=st.sampled_from(HOSTS))
    def we_are_at(self, host: str) -> None:
        self.book.set_external([Address(host, 1)])

    @rule(room=st.integers(0, 5), strangers=st.integers(-1, 5))
    def dial(self, room: int, strangers: int) -> None:
        begun = self.book.next_dials(self.now, room, strangers)
        assert len(begun) <= room
        assert sum(address not in self.named for _, address in begun) <= max(0, strangers)
        for dial_id, address in begun:
            assert address not in self.dials.values()
            assert address not in self.linked | self.shunned | self.ours
            assert address.host not in self.barred
            if address not in self.named:
                assert self.failures.get(address, 0) < MAX_STRANGER_FAILURES
            self.dials[dial_id] = address
        assert len(self.dials) <= 4

    @precondition(lambda self: self.dials)
    @rule(data=st.data(), works=st.booleans())
    def answer(self, data: st.DataObject, works: bool) -> None:
        dial_id = data.draw(st.sampled_from(sorted(self.dials)))
        address = self.dials.pop(dial_id)
        if works:
            wanted = address not in self.shunned | self.ours | self.left
            assert self.book.opened(dial_id) == (address if wanted else None)
            self.linked.add(address)
        else:
            self.book.failed(dial_id, self.now)
            self.left.discard(address)

    @precondition(lambda self: self.linked)
    @rule(data=st.data(), useful=st.booleans())
    def close(self, data: st.DataObject, useful: bool) -> None:
        address = data.draw(st.sampled_from(sorted(self.linked)))
        self.linked.discard(address)
        self.left.discard(address)
        self.book.closed(address, self.now, 0.0, useful)

    @invariant()
    def it_knows_what_is_going_on(self) -> None:
        assert self.book.dialing() == sorted(self.dials)
        for address in PEERS:
            assert self.book.is_dialing(address) == (address in self.dials.values())
            assert self.book.is_connected(address) == (address in self.linked)
            if address in self.shunned | self.ours | self.left:
                assert address not in self.book
            if address in self.named:
                assert PeerSource.NAMED in self.book.sources(address)

    @invariant()
    def it_is_bounded(self) -> None:
        kept = self.named | self.linked | set(self.dials.values())
        assert len(self.book) <= LIMIT + len(kept)
        known = [address for address in PEERS if address in self.book]
        for host in HOSTS[:2]:
            strangers = [a for a in known if a.host == host and a not in kept]
            assert len(strangers) <= MAX_LINKS_PER_ADDRESS

    @invariant()
    def nobody_is_lost(self) -> None:
        """Named ones that are idle and not barred are always scheduled."""
        busy = self.linked | set(self.dials.values())
        idle = [a for a in self.named - busy if a.host not in self.barred]
        due = self.book.next_redial(0)
        assert (due is not None) == bool(idle)

    @invariant()
    def a_deadline_that_has_come_is_worth_the_call(self) -> None:
        due = self.book.next_redial()
        if due is not None:
            assert due.when <= self.now + REDIAL_MAX
            assert due.why.startswith("dial ")


TestBookMachine = pytest.mark.uncovered(BookMachine.TestCase)


@given(st.lists(st.tuples(st.integers(0, 20), st.none() | st.floats(0, 50)), max_size=60))
def test_a_line_gives_each_once_when_due_in_the_order_of_rank(
    puts: list[tuple[int, float | None]],
) -> None:
    line = WaitingLine(lambda address: (address.port % 3, 0))
    waiting: dict[Address, float] = {}
    for number, (port, when) in enumerate(puts):
        address = Address("11.0.0.1", port)
        line.put(address, when)
        waiting.pop(address, None)
        if when is not None:
            waiting[address] = when
        assert (address in line) == (when is not None)
        assert line.when(address) == when
        if number % 5 == 4:
            took = line.pop_due(25.0)
            due = [address for address, when in waiting.items() if when <= 25.0]
            assert (took in due) if due else took is None
            if took is not None:
                assert took.port % 3 == min(address.port % 3 for address in due)
                del waiting[took]
        assert len(line) == len(waiting)
        soonest = line.soonest()
        assert (soonest is None) == (not waiting)
        if soonest is not None:
            assert waiting[soonest[1]] == soonest[0]
    taken = []
    while (took := line.pop_due(50.0)) is not None:
        taken.append(took)
    assert sorted(taken) == sorted(waiting)
    assert line.soonest() is None


def test_a_line_keeps_no_more_than_those_who_wait() -> None:
    line = WaitingLine(lambda address: (int(address.host[-1]), 0))
    for _ in range(1000):
        for address in peers(3):
            line.put(address, 0.0)
        assert line.pop_due(0.0) is not None
    assert len(line._heap) < 100


# --- Trying and giving up ------------------------------------------------------------------


def test_a_stranger_is_dialled_at_once_then_ever_more_seldom_and_given_up() -> None:
    (peer,) = peers(1)
    book = book_of(peer)
    now, moments = 0.0, []
    while (due := book.next_redial()) is not None:
        now = due.when
        moments.append(now)
        [(dial_id, _)] = book.next_dials(now, ROOM)
        book.failed(dial_id, now)
    base = STRANGER_REDIAL_BASE
    assert moments == [0.0, base, 3 * base]
    assert len(moments) == MAX_STRANGER_FAILURES
    assert peer in book


def fail_until_given_up(book: DialBook) -> float:
    now = 0.0
    while (due := book.next_redial()) is not None:
        now = due.when
        for dial_id, _ in book.next_dials(now, ROOM):
            book.failed(dial_id, now)
    return now


def test_gossip_does_not_bring_back_who_was_given_up_before_it_is_forgotten() -> None:
    (peer,) = peers(1)
    book = book_of(peer)
    now = fail_until_given_up(book)
    assert book.found(PeerSource.EXCHANGE, [peer], now + 60) == 0
    assert book.next_redial() is None
    assert book.found(PeerSource.EXCHANGE, [peer], now + GIVEN_UP_FOR) == 1
    assert book.next_dials(now + GIVEN_UP_FOR, ROOM)


def test_who_was_given_up_is_forgotten_in_time_though_nobody_speaks_of_it() -> None:
    (peer,) = peers(1)
    book = book_of(peer)
    now = fail_until_given_up(book)
    book.expired(now + GIVEN_UP_FOR - 1)
    assert len(book) == 1
    book.expired(now + GIVEN_UP_FOR)
    assert len(book) == 0


def test_a_tracker_that_names_it_again_brings_one_more_try() -> None:
    (peer,) = peers(1)
    book = book_of(peer)
    now = fail_until_given_up(book)
    assert book.found(PeerSource.TRACKER, [peer], now) == 0
    due = book.next_redial()
    assert due is not None
    assert due.when == now + 2 * STRANGER_REDIAL_BASE
    [(dial_id, _)] = book.next_dials(due.when, ROOM)
    book.failed(dial_id, due.when)
    assert book.next_redial() is None


def test_a_stranger_that_was_of_use_is_dialled_again_soon_and_starts_afresh() -> None:
    (peer,) = peers(1)
    book = book_of(peer)
    for lived, useful in ((1.0, True), (STABLE_LINK, False)):
        due = book.next_redial()
        assert due is not None
        [(dial_id, _)] = book.next_dials(due.when, ROOM)
        book.opened(dial_id)
        book.closed(peer, due.when, lived, useful)
        after = book.next_redial()
        assert after is not None
        assert after.when == due.when + REDIAL_BASE


def test_a_stranger_that_is_named_is_dialled_for_ever() -> None:
    (peer,) = peers(1)
    book = book_of(peer, source=PeerSource.DHT)
    now = fail_until_given_up(book)
    book.add(peer, now)
    for _ in range(10):
        due = book.next_redial()
        assert due is not None
        [(dial_id, _)] = book.next_dials(due.when, ROOM)
        book.failed(dial_id, due.when)
    assert book.sources(peer) == (PeerSource.NAMED, PeerSource.DHT)


def test_what_each_source_told_is_counted_and_a_peer_may_have_several() -> None:
    one, two, three = peers(3)
    book = book_of(one, two)
    assert book.found(PeerSource.DHT, [two, three], 0.0) == 1
    assert book.found(PeerSource.DHT, [two, three], 0.0) == 0
    counts = {source: count for source, count in book.known().items() if count}
    assert counts == {PeerSource.TRACKER: 2, PeerSource.DHT: 2}
    assert book.sources(two) == (PeerSource.TRACKER, PeerSource.DHT)
    assert book.sources(Address("11.9.9.9", 1)) == ()


# --- Whom not ------------------------------------------------------------------------------


def test_whoever_turned_out_to_be_ourselves_is_never_dialled_again() -> None:
    (peer,) = peers(1)
    book = book_of(peer)
    [(dial_id, _)] = book.next_dials(0.0, ROOM)
    book.opened(dial_id)
    book.turned_out_ours(peer)
    book.closed(peer, 0.0, 0.0, False)
    assert book.found(PeerSource.TRACKER, [peer], 0.0) == 0
    book.add(peer, 0.0)
    assert book.next_redial() is None
    assert peer not in book
    assert not book.met(peer, 0.0)


def test_who_was_dropped_comes_back_by_the_caller_alone() -> None:
    (peer,) = peers(1)
    book = book_of(peer)
    book.drop(peer)
    for source in EVERYBODY:
        assert book.found(source, [peer], 0.0) == 0
    book.add(peer, 0.0)
    assert book.next_dials(0.0, ROOM) == [(1, peer)]


def test_only_those_stay_of_whom_the_right_ones_told() -> None:
    a, b, c, d, e, f = peers(6)
    book = book_of(a)
    book.found(PeerSource.DHT, (a, b, c, d, e), 0.0)
    book.add(e, 0.0)
    book.met(f, 0.0)
    dials = {address: dial_id for dial_id, address in book.next_dials(0.0, 4)}
    assert set(dials) == {e, a, b, c}
    assert book.opened(dials[b]) == b
    assert book.keep_only(KEPT) == [dials[c]]
    assert [address in book for address in (a, b, c, d, e, f)] == [1, 0, 0, 0, 1, 0]
    assert len(book) == 5  # a link and a dial have still to end, and a link to us
    assert book.opened(dials[c]) is None
    for address in (b, c, f):
        book.closed(address, 9.0, 9.0, useful=True)
    assert len(book) == 2
    assert book.found(PeerSource.TRACKER, (b,), 10.0) == 1


def test_those_who_are_shunned_are_bounded() -> None:
    book = DialBook(Fixed(0.0))
    crowd = peers(MAX_SHUNNED_ADDRESSES + 1)
    for peer in crowd:
        book.drop(peer)
    assert book.found(PeerSource.TRACKER, crowd, 0.0) == 1
    assert crowd[0] in book


def test_our_own_address_is_not_entered() -> None:
    book = DialBook(Fixed(0.0))
    book.set_external([Address("11.0.0.1", 6881)])
    assert book.found(PeerSource.DHT, [Address("11.0.0.1", 6881)], 0.0) == 0
    assert book.found(PeerSource.DHT, [Address("11.0.0.1", 6882)], 0.0) == 1


def test_one_public_host_has_so_many_places_a_local_one_more() -> None:
    book = DialBook(Fixed(0.0))
    many = 2 * MAX_LINKS_PER_LOCAL_ADDRESS
    public = [Address("11.0.0.1", port) for port in range(1, many)]
    local = [Address("10.0.0.1", port) for port in range(1, many)]
    assert book.found(PeerSource.EXCHANGE, public, 0.0) == MAX_LINKS_PER_ADDRESS
    assert book.found(PeerSource.EXCHANGE, local, 0.0) == MAX_LINKS_PER_LOCAL_ADDRESS
    assert book.found(PeerSource.EXCHANGE, peers(1), 0.0) == 1


def test_strangers_that_are_seeds_rest_while_we_are_complete() -> None:
    seed, leech = peers(2)
    book = book_of(seed, leech)
    book.add(Address("11.0.0.9", 1), 0.0)
    book.note_seed(seed, 0.0)
    book.note_seed(Address("11.0.0.9", 1), 0.0)
    book.note_seed(Address("11.0.0.8", 1), 0.0)  # not in the book: no effect
    book.set_complete(True, 0.0)
    assert [address for _, address in book.next_dials(0.0, ROOM)] == [Address("11.0.0.9", 1), leech]
    book.set_complete(False, 5.0)
    assert [address for _, address in book.next_dials(5.0, ROOM)] == [seed]
    book.set_complete(True, 6.0)
    book.failed(3, 6.0)
    assert [address for _, address in book.next_dials(500.0, ROOM)] == []


def test_a_seed_that_is_told_of_while_it_is_connected_is_not_scheduled() -> None:
    (seed,) = peers(1)
    book = DialBook(Fixed(0.0))
    assert book.met(seed, 0.0)
    book.note_seed(seed, 0.0)
    assert book.next_redial() is None


# --- Those who dialled us ------------------------------------------------------------------


def test_a_peer_that_dialled_us_is_dialled_once_its_link_is_gone() -> None:
    (peer,) = peers(1)
    book = DialBook(Fixed(0.0))
    assert book.met(peer, 0.0)
    assert book.is_connected(peer)
    assert book.next_redial() is None
    book.closed(peer, 10.0, 10.0, useful=True)
    due = book.next_redial()
    assert due is not None
    assert due.when == 10.0 + REDIAL_BASE
    assert book.sources(peer) == (PeerSource.INCOMING,)


def test_a_second_link_from_where_one_is_connected_is_not_its_own() -> None:
    (peer,) = peers(1)
    book = DialBook(Fixed(0.0))
    assert book.met(peer, 0.0)
    assert not book.met(peer, 0.0)


def test_a_peer_that_dialled_us_may_be_left_out_unless_it_is_known() -> None:
    one, two = peers(2)
    book = book_of(two)
    assert not book.met(one, 0.0, enter=False)
    assert one not in book
    assert book.met(two, 0.0, enter=False)
    assert book.sources(two) == (PeerSource.TRACKER,)


# --- A full book ---------------------------------------------------------------------------


def full_book(source: PeerSource, limit: int = 100) -> DialBook:
    book = DialBook(Fixed(0.0), limit=limit)
    assert book.found(source, peers(limit), 0.0) == limit
    return book


def test_the_usual_bound_is_that_of_the_limits() -> None:
    book = DialBook(Fixed(0.0))
    crowd = peers(MAX_CANDIDATES + 10)
    assert book.found(PeerSource.TRACKER, crowd, 0.0) == MAX_CANDIDATES


def test_gossip_does_not_displace_anybody_who_has_not_failed() -> None:
    book = full_book(PeerSource.EXCHANGE)
    assert book.found(PeerSource.EXCHANGE, peers(50, 1000), 0.0) == 0
    assert all(peer in book for peer in peers(100))


def test_others_displace_gossip_a_few_at_a_time() -> None:
    book = full_book(PeerSource.EXCHANGE)
    assert book.found(PeerSource.TRACKER, peers(1, 1000), 0.0) == 1
    assert len(book) == 96  # a twentieth went, oldest first
    assert [peer in book for peer in peers(6)] == [False] * 5 + [True]


def test_others_do_not_displace_each_other() -> None:
    book = full_book(PeerSource.DHT)
    assert book.found(PeerSource.TRACKER, peers(1, 1000), 0.0) == 0


def test_those_who_failed_most_go_first_and_never_the_connected_or_named() -> None:
    book = DialBook(Fixed(0.0), max_half_open=100, limit=20)
    crowd = peers(20)
    assert book.found(PeerSource.TRACKER, crowd, 0.0) == 20
    dials = {address: dial_id for dial_id, address in book.next_dials(0.0, ROOM)}
    for peer in crowd[1:]:
        book.failed(dials[peer], 0.0)
    book.opened(dials[crowd[0]])
    book.add(crowd[1], 0.0)
    again = {a: dial_id for dial_id, a in book.next_dials(STRANGER_REDIAL_BASE, ROOM)}
    for peer in crowd[1:]:
        if peer != crowd[3]:
            book.failed(again[peer], STRANGER_REDIAL_BASE)
    book.opened(again[crowd[3]])
    book.closed(crowd[3], 100.0, STABLE_LINK, useful=False)  # no failure any more
    assert book.found(PeerSource.EXCHANGE, peers(30, 1000), 100.0) == 17
    left = [peer for peer in crowd if peer in book]
    assert left == [crowd[0], crowd[1], crowd[3]]


def test_named_peers_are_entered_into_a_full_book() -> None:
    book = full_book(PeerSource.TRACKER)
    (peer,) = peers(1, 1000)
    book.add(peer, 0.0)
    assert peer in book
    assert book.found(PeerSource.TRACKER, peers(1, 2000), 0.0) == 0


def test_barred_strangers_go_before_others() -> None:
    barred = {"11.1.0.7"}
    book = DialBook(Fixed(0.0), is_barred=barred.__contains__, limit=20)
    assert book.found(PeerSource.TRACKER, peers(20), 0.0) == 20
    assert book.found(PeerSource.TRACKER, peers(2, 1000), 0.0) == 1
    assert peers(1, 7)[0] not in book


# --- Whom first ----------------------------------------------------------------------------


def test_named_peers_are_dialled_before_strangers() -> None:
    stranger, named = peers(2)
    book = book_of(stranger)
    book.add(named, 5.0)
    assert book.next_dials(5.0, ROOM) == [(1, named), (2, stranger)]


def test_strangers_wait_where_only_named_peers_may_be_dialled() -> None:
    stranger, named = peers(2)
    book = book_of(stranger)
    assert book.next_dials(0.0, ROOM, strangers=0) == []
    assert book.next_deadline(ROOM, strangers=0) is None
    assert book.next_deadline(ROOM, strangers=1) is not None
    book.add(named, 0.0)
    assert book.next_dials(0.0, ROOM, strangers=0) == [(1, named)]


def test_without_our_own_address_strangers_are_dialled_as_they_were_learned() -> None:
    crowd = peers(10)
    book = book_of(*crowd)
    assert [address for _, address in book.next_dials(0.0, ROOM)] == crowd


@given(st.lists(st.ip_addresses(v=4).map(str), min_size=2, max_size=20, unique=True), st.booleans())
def test_with_our_own_address_the_order_is_that_of_bep_40(hosts: list[str], late: bool) -> None:
    book = DialBook(Fixed(0.0))
    ours = Address("11.0.0.1", 6881)
    found = [Address(host, 1) for host in hosts]
    if not late:
        book.set_external([Address("2001:db8::1", 6881), ours])
    book.found(PeerSource.TRACKER, found, 0.0)
    if late:
        assert book.next_dials(0.0, 0) == []
        book.next_dials(0.0, 1)  # the rest is in line by now
        book.set_external([Address("2001:db8::1", 6881), ours])
    order = [address for _, address in book.next_dials(0.0, ROOM)]
    priorities = [peer_priority(ours, address) or 0 for address in order]
    assert priorities == sorted(priorities, reverse=True)


def test_who_failed_less_is_dialled_first() -> None:
    one, two = peers(2)
    book = book_of(one)
    book.set_external([Address("11.0.0.1", 6881)])
    [(dial_id, _)] = book.next_dials(0.0, ROOM)
    book.failed(dial_id, 0.0)
    book.found(PeerSource.TRACKER, [two], 50.0)
    assert [address for _, address in book.next_dials(100.0, ROOM)] == [two, one]


@pytest.mark.parametrize("count", [0, 1])
def test_a_book_without_jitter_or_order_to_speak_of_names_its_next_dial(count: int) -> None:
    book = book_of(*peers(count))
    due = book.next_redial()
    assert (None if due is None else due.why) == (None, "dial 11.1.0.0:6881")[count]
