from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from torrent_core.candidates import DialBook
from torrent_core.candidates.dialbook import REDIAL_JITTER
from torrent_core.deadlines import Deadline
from torrent_core.errors import LocalProtocolError
from torrent_core.limits import (
    DIAL_TIMEOUT,
    MAX_HALF_OPEN,
    REDIAL_BASE,
    REDIAL_MAX,
    STABLE_LINK,
)
from torrent_core.types import Address

A = Address("192.0.2.1", 6881)
B = Address("192.0.2.2", 6881)
C = Address("peer.example", 6881)
PEERS = [Address("192.0.2.9", port) for port in range(1, 7)]
ROOM = 100


class Fixed:
    """A random source that always draws the same share."""

    def __init__(self, share: float) -> None:
        self.share = share

    def random(self) -> float:
        return self.share

    def getrandbits(self, k: int, /) -> int:
        return 0


def plain_book(*named: Address) -> DialBook:
    """A book without jitter, with these peers named at 0."""
    book = DialBook(Fixed(0.0))
    for address in named:
        book.add(address, 0.0)
    return book


# --- Properties ----------------------------------------------------------------------------


class DialBookMachine(RuleBasedStateMachine):
    """Any order of names, drops, answers and ends, against a plain model."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.book = DialBook(Random(1), max_half_open=2)
        self.named: set[Address] = set()
        self.dials: dict[int, Address] = {}
        self.started: dict[int, float] = {}
        self.linked: set[Address] = set()
        self.last_id = 0

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0, 5.0, DIAL_TIMEOUT, 400.0, 1e9]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(address=st.sampled_from(PEERS))
    def add(self, address: Address) -> None:
        self.book.add(address, self.now)
        self.named.add(address)

    @rule(address=st.sampled_from(PEERS))
    def drop(self, address: Address) -> None:
        under_way = [dial for dial, peer in self.dials.items() if peer == address]
        assert self.book.drop(address) == (under_way[0] if under_way else None)
        self.named.discard(address)

    @rule(room=st.integers(-1, 3))
    def dial(self, room: int) -> None:
        begun = self.book.next_dials(self.now, room)
        assert len(begun) <= max(room, 0)
        for dial_id, address in begun:
            assert dial_id > self.last_id
            assert address in self.named
            assert address not in self.dials.values()
            assert address not in self.linked
            self.last_id = dial_id
            self.dials[dial_id] = address
            self.started[dial_id] = self.now
        assert len(self.dials) <= 2

    @precondition(lambda self: self.dials)
    @rule(data=st.data(), works=st.booleans())
    def answer(self, data: st.DataObject, works: bool) -> None:
        dial_id = data.draw(st.sampled_from(sorted(self.dials)))
        address = self.dials.pop(dial_id)
        self.started.pop(dial_id, None)
        if works:
            assert self.book.opened(dial_id) == (address if address in self.named else None)
            self.linked.add(address)
        else:
            self.book.failed(dial_id, self.now)

    @rule(address=st.sampled_from(PEERS), lived=st.sampled_from([0.0, 60.0]), useful=st.booleans())
    def close(self, address: Address, lived: float, useful: bool) -> None:
        self.book.closed(address, self.now, lived, useful)
        self.linked.discard(address)

    @rule()
    def expire(self) -> None:
        late = {dial for dial, when in self.started.items() if when + DIAL_TIMEOUT <= self.now}
        assert set(self.book.expired(self.now)) == late
        for dial_id in late:
            del self.started[dial_id]

    @invariant()
    def the_book_knows_what_is_going_on(self) -> None:
        assert self.book.dialing() == sorted(self.dials)
        for address in PEERS:
            assert (address in self.book) == (address in self.named)
            assert self.book.is_dialing(address) == (address in self.dials.values())
            assert self.book.is_connected(address) == (address in self.linked)

    @invariant()
    def every_idle_candidate_has_its_dial_scheduled(self) -> None:
        idle = self.named - self.linked - set(self.dials.values())
        due = self.book.next_redial()
        assert (due is None) == (not idle)
        assert due is None or due.when <= self.now + REDIAL_MAX

    @invariant()
    def a_deadline_that_has_come_is_worth_the_call(self) -> None:
        due = self.book.next_deadline(1)
        if due is not None and due.when <= self.now:
            overdue = any(when + DIAL_TIMEOUT <= self.now for when in self.started.values())
            assert overdue or len(self.dials) < 2


TestDialBookMachine = DialBookMachine.TestCase


@given(st.integers(0, 2**32), st.integers(1, 40))
def test_pauses_double_to_the_longest_and_jitter_only_cuts_them(seed: int, tries: int) -> None:
    book = DialBook(Random(seed))
    book.add(A, 0.0)
    now = 0.0
    pause = REDIAL_BASE
    for _ in range(tries):
        [(dial_id, _)] = book.next_dials(now, ROOM)
        book.failed(dial_id, now)
        due = book.next_redial()
        assert due is not None
        # The sum and the difference of two clock readings round.
        assert pause * (1 - REDIAL_JITTER) - 1e-6 <= due.when - now <= pause + 1e-6
        now = due.when
        pause = min(2 * pause, REDIAL_MAX)


@given(st.integers(0, 2**32))
def test_the_same_inputs_give_the_same_dials(seed: int) -> None:
    runs = []
    for _ in range(2):
        book = DialBook(Random(seed))
        dials = []
        for address in PEERS:
            book.add(address, 0.0)
        for step in range(60):
            for dial_id, address in book.next_dials(step * 0.25, 3):
                dials.append((step, dial_id, address))
                book.failed(dial_id, step * 0.25)
        runs.append(dials)
    assert runs[0] == runs[1]


# --- Scenarios -----------------------------------------------------------------------------


def test_a_named_peer_is_due_at_once_and_dialled_once() -> None:
    book = plain_book(A)
    assert book.next_deadline(ROOM) == Deadline(0.0, "dial 192.0.2.1:6881")
    assert book.next_dials(0.0, ROOM) == [(1, A)]
    assert book.next_dials(0.0, ROOM) == []
    assert book.is_dialing(A)
    assert not book.is_connected(A)


def test_naming_a_peer_again_changes_nothing() -> None:
    book = plain_book(A)
    [(dial_id, _)] = book.next_dials(0.0, ROOM)
    book.failed(dial_id, 0.0)
    due = book.next_redial()
    book.add(A, 0.5)
    assert book.next_redial() == due
    assert book.next_dials(0.5, ROOM) == []


def test_peers_are_dialled_in_the_order_in_which_they_are_due() -> None:
    book = plain_book(C, A)
    book.add(B, -1.0)
    assert [address for _, address in book.next_dials(0.0, ROOM)] == [B, C, A]


@pytest.mark.parametrize("room", [0, -3])
def test_without_room_nothing_is_dialled_and_nothing_due(room: int) -> None:
    book = plain_book(A)
    assert book.next_dials(0.0, room) == []
    assert book.next_deadline(room) is None
    assert book.next_redial() == Deadline(0.0, "dial 192.0.2.1:6881")


def test_dials_under_way_are_bounded_until_they_are_answered() -> None:
    book = DialBook(Fixed(0.0), max_half_open=1)
    for address in (A, B):
        book.add(address, 0.0)
    assert book.next_dials(0.0, ROOM) == [(1, A)]
    assert book.next_dials(0.0, ROOM) == []
    assert book.next_deadline(ROOM) == Deadline(DIAL_TIMEOUT, "a dial times out")
    assert book.expired(DIAL_TIMEOUT) == [1]
    assert book.next_deadline(ROOM) is None
    assert book.next_dials(DIAL_TIMEOUT, ROOM) == []
    book.failed(1, DIAL_TIMEOUT)
    assert book.next_dials(DIAL_TIMEOUT, ROOM) == [(2, B)]


def test_the_usual_bound_is_that_of_the_limits() -> None:
    book = DialBook(Fixed(0.0))
    for port in range(1, 2 * MAX_HALF_OPEN):
        book.add(Address("192.0.2.7", port), 0.0)
    assert len(book.next_dials(0.0, 1000)) == MAX_HALF_OPEN


def test_a_dial_is_reported_late_once_and_exactly_at_its_time() -> None:
    book = plain_book(A)
    book.next_dials(3.0, ROOM)
    assert book.expired(3.0 + DIAL_TIMEOUT - 0.001) == []
    assert book.expired(3.0 + DIAL_TIMEOUT) == [1]
    assert book.expired(3.0 + DIAL_TIMEOUT) == []
    assert book.is_dialing(A)


def test_a_dial_that_opens_although_it_was_late_is_a_link_like_any_other() -> None:
    book = plain_book(A)
    book.next_dials(0.0, ROOM)
    book.expired(DIAL_TIMEOUT)
    assert book.opened(1) == A
    assert book.is_connected(A)


def test_a_connected_peer_is_not_dialled_and_has_no_timeout() -> None:
    book = plain_book(A)
    book.next_dials(0.0, ROOM)
    assert book.opened(1) == A
    assert book.next_deadline(ROOM) is None
    assert book.expired(1e9) == []
    assert book.next_dials(1e9, ROOM) == []


def test_links_that_close_at_once_back_off_like_failures() -> None:
    book = plain_book(A)
    now = 0.0
    pauses = []
    for _ in range(4):
        [(dial_id, _)] = book.next_dials(now, ROOM)
        book.opened(dial_id)
        book.closed(A, now, lived=0.0, useful=False)
        due = book.next_redial()
        assert due is not None
        pauses.append(due.when - now)
        now = due.when
    assert pauses == [REDIAL_BASE, 2 * REDIAL_BASE, 4 * REDIAL_BASE, 8 * REDIAL_BASE]


@pytest.mark.parametrize(("lived", "useful"), [(STABLE_LINK, False), (0.5, True)])
def test_a_stable_or_useful_link_clears_the_backoff(lived: float, useful: bool) -> None:
    book = plain_book(A)
    now = 0.0
    for _ in range(5):
        [(dial_id, _)] = book.next_dials(now, ROOM)
        book.failed(dial_id, now)
        now += REDIAL_MAX
    [(dial_id, _)] = book.next_dials(now, ROOM)
    book.opened(dial_id)
    book.closed(A, now, lived, useful)
    assert book.next_redial() == Deadline(now + REDIAL_BASE, "dial 192.0.2.1:6881")


def test_a_second_close_has_no_effect() -> None:
    book = plain_book(A)
    book.next_dials(0.0, ROOM)
    book.opened(1)
    book.closed(A, 1.0, 0.0, False)
    due = book.next_redial()
    book.closed(A, 5.0, 0.0, False)
    book.closed(B, 5.0, 0.0, False)
    assert book.next_redial() == due


def test_jitter_spreads_the_redials_of_peers_that_failed_together() -> None:
    book = DialBook(Random(7))
    for address in PEERS:
        book.add(address, 0.0)
    for dial_id, _ in book.next_dials(0.0, ROOM):
        book.failed(dial_id, 0.0)
    instants = set()
    while (due := book.next_redial()) is not None:
        instants.add(due.when)
        book.next_dials(due.when, ROOM)
    assert len(instants) == len(PEERS)


def test_a_wake_far_in_the_future_dials_each_peer_once() -> None:
    book = plain_book(*PEERS)
    for dial_id, _ in book.next_dials(0.0, ROOM):
        book.failed(dial_id, 0.0)
    assert [address for _, address in book.next_dials(1e12, ROOM)] == PEERS


def test_dropping_an_idle_peer_forgets_it() -> None:
    book = plain_book(A)
    assert book.drop(A) is None
    assert book.drop(A) is None
    assert A not in book
    assert book.next_redial() is None


def test_a_dropped_dial_is_handed_back_and_its_link_disowned() -> None:
    book = plain_book(A)
    book.next_dials(0.0, ROOM)
    assert book.drop(A) == 1
    assert book.opened(1) is None
    book.closed(A, 1.0, 0.0, False)
    assert not book.is_connected(A)
    assert book.next_redial() is None


def test_a_dropped_dial_that_fails_is_not_tried_again() -> None:
    book = plain_book(A)
    book.next_dials(0.0, ROOM)
    book.drop(A)
    book.failed(1, 1.0)
    assert not book.is_dialing(A)
    assert book.next_redial() is None


def test_a_peer_named_again_while_its_old_link_closes_is_dialled_after_that() -> None:
    book = plain_book(A)
    book.next_dials(0.0, ROOM)
    book.opened(1)
    assert book.drop(A) is None
    book.add(A, 1.0)
    assert A in book
    assert book.next_dials(1.0, ROOM) == []
    book.closed(A, 2.0, 2.0, True)
    assert book.next_dials(2.0 + REDIAL_BASE, ROOM) == [(2, A)]


def test_a_peer_named_again_after_a_drop_starts_with_a_clean_slate() -> None:
    book = plain_book(A)
    now = 0.0
    for _ in range(5):
        [(dial_id, _)] = book.next_dials(now, ROOM)
        book.failed(dial_id, now)
        now += REDIAL_MAX
    [(dial_id, _)] = book.next_dials(now, ROOM)
    assert book.drop(A) == dial_id
    book.add(A, now)
    book.failed(dial_id, now)
    assert book.next_redial() == Deadline(now + REDIAL_BASE, "dial 192.0.2.1:6881")


def test_a_dial_that_is_not_under_way_cannot_be_answered() -> None:
    book = plain_book(A)
    for answer in (1, 0, -1):
        with pytest.raises(LocalProtocolError):
            book.opened(answer)
    book.next_dials(0.0, ROOM)
    book.failed(1, 0.0)
    with pytest.raises(LocalProtocolError):
        book.failed(1, 0.0)


@pytest.mark.parametrize("address", [Address("", 1), Address("h", 0), Address("h", 65536)])
def test_an_address_nobody_can_listen_on_is_refused(address: Address) -> None:
    book = DialBook(Fixed(0.0))
    with pytest.raises(LocalProtocolError):
        book.add(address, 0.0)
    assert book.next_redial() is None


def test_a_book_that_may_not_dial_is_refused() -> None:
    with pytest.raises(LocalProtocolError):
        DialBook(Fixed(0.0), max_half_open=0)
