from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from torrent_core.choking import Choker, Decision
from torrent_core.choking.choker import ROUNDS_PER_TURN
from torrent_core.deadlines import Deadline
from torrent_core.errors import LocalProtocolError
from torrent_core.limits import CHOKE_INTERVAL, OPTIMISTIC_INTERVAL
from torrent_core.linkstate import LinkState
from torrent_core.rates import Rate
from torrent_core.types import Address

ROUND = CHOKE_INTERVAL


def make_link(ordinal: int) -> LinkState:
    address = Address("192.0.2.1", 1000 + ordinal)
    return LinkState(ordinal, f"link {ordinal}", address, False, Rate(0.0), Rate(0.0))


class Swarm:
    """A choker with links, whose decisions are carried out and checked as they come."""

    def __init__(self, slots: int, seed: int = 1) -> None:
        self.slots = slots
        self.choker = Choker(slots, Random(seed))
        self.links: dict[int, LinkState] = {}
        self.now = 0.0
        self.seeding = False
        self.log: list[tuple[int, bool]] = []

    def join(self, ordinal: int, interested: bool = True) -> LinkState:
        link = self.links[ordinal] = make_link(ordinal)
        self.choker.add(link)
        if interested:
            self.interest(link, True)
        return link

    def interest(self, link: LinkState, interested: bool) -> None:
        link.peer_interested = interested
        self.carry_out(self.choker.interest_changed(link, self.now))

    def leave(self, ordinal: int) -> None:
        self.carry_out(self.choker.remove(self.links.pop(ordinal)))

    def round(self) -> list[Decision]:
        due = self.choker.next_deadline()
        if due is not None:
            self.now = due.when
        decisions = self.choker.round(self.now, self.seeding)
        self.carry_out(decisions)
        return decisions

    def feed(self, count: int, *ordinals: int) -> None:
        """Bytes flow both ways, evenly through the second before the next round."""
        for ordinal in ordinals:
            for step in range(1, 11):
                self.links[ordinal].down.add(count, self.now + ROUND - 1 + step / 10)
                self.links[ordinal].up.add(count, self.now + ROUND - 1 + step / 10)

    def carry_out(self, decisions: list[Decision]) -> None:
        for state, choke in decisions:
            assert self.links[state.ordinal] is state
            assert state.am_choking != choke, "a decision that changes nothing"
            state.am_choking = choke
            self.log.append((state.ordinal, choke))
            assert len(self.unchoked()) <= self.slots

    def unchoked(self) -> list[int]:
        return [ordinal for ordinal, link in self.links.items() if not link.am_choking]


# --- Properties ----------------------------------------------------------------------------


class ChokerMachine(RuleBasedStateMachine):
    """Any order of arrivals, changes of heart, rounds and departures."""

    links = Bundle("links")

    def __init__(self) -> None:
        super().__init__()
        self.swarm = Swarm(3)
        self.ordinal = 0

    @rule(target=links, interested=st.booleans())
    def join(self, interested: bool) -> int:
        self.ordinal += 1
        self.swarm.join(self.ordinal, interested)
        return self.ordinal

    @rule(link=links, interested=st.booleans(), upload_only=st.booleans())
    def change(self, link: int, interested: bool, upload_only: bool) -> None:
        state = self.swarm.links[link]
        state.upload_only = upload_only
        self.swarm.interest(state, interested)

    @rule(link=consumes(links))
    def leave(self, link: int) -> None:
        self.swarm.leave(link)

    @rule(link=links, count=st.integers(1, 10**6))
    def feed(self, link: int, count: int) -> None:
        self.swarm.feed(count, link)

    @rule(seeding=st.booleans())
    def round(self, seeding: bool) -> None:
        self.swarm.seeding = seeding
        self.swarm.round()

    @invariant()
    def slots_are_neither_idle_nor_overdrawn(self) -> None:
        competing = [
            ordinal
            for ordinal, link in self.swarm.links.items()
            if link.peer_interested and not link.upload_only
        ]
        unchoked = self.swarm.unchoked()
        assert set(unchoked) <= set(competing)
        assert len(unchoked) == min(len(competing), 3)
        due = self.swarm.choker.next_deadline()
        assert (due is None) == (not competing)
        assert due is None or due.when <= self.swarm.now + ROUND


TestChokerMachine = ChokerMachine.TestCase


@given(
    slots=st.integers(1, 4),
    count=st.integers(1, 12),
    seed=st.integers(0, 2**32),
    favourites=st.lists(st.integers(1, 12), max_size=40),
)
def test_everybody_interested_gets_a_turn_within_two_lists_of_turns(
    slots: int, count: int, seed: int, favourites: list[int]
) -> None:
    swarm = Swarm(slots, seed)
    for ordinal in range(1, count + 1):
        swarm.join(ordinal)
    last_turn = dict.fromkeys(swarm.links, 0)
    limit = (2 * count + 1) * ROUNDS_PER_TURN
    for number in range(1, 3 * limit):
        if favourites:
            favourite = favourites[number % len(favourites)]
            swarm.feed(1000 * favourite, *([favourite] if favourite in swarm.links else []))
        swarm.round()
        last_turn.update(dict.fromkeys(swarm.unchoked(), number))
        assert all(number - turn <= limit for turn in last_turn.values())


@given(slots=st.integers(1, 3), seed=st.integers(0, 2**32))
def test_a_stream_of_newcomers_starves_nobody(slots: int, seed: int) -> None:
    swarm = Swarm(slots, seed)
    for ordinal in range(6):
        swarm.join(ordinal)
    served = set(swarm.unchoked())
    for number in range(30 * ROUNDS_PER_TURN):
        swarm.join(100 + number)
        swarm.feed(10_000, 100 + number)
        if number >= 3:
            swarm.leave(97 + number)
        swarm.round()
        served.update(swarm.unchoked())
    assert served >= set(range(6))


@given(
    seed=st.integers(0, 2**32),
    steps=st.lists(st.tuples(st.sampled_from("jlicr"), st.integers(0, 9)), max_size=60),
)
def test_the_same_inputs_give_the_same_decisions(seed: int, steps: list[tuple[str, int]]) -> None:
    logs = []
    for _ in range(2):
        swarm = Swarm(2, seed)
        for verb, ordinal in steps:
            known = ordinal in swarm.links
            if verb == "j" and not known:
                swarm.join(ordinal)
            elif verb == "l" and known:
                swarm.leave(ordinal)
            elif verb in "ic" and known:
                swarm.interest(swarm.links[ordinal], verb == "i")
            elif verb == "r":
                swarm.round()
        logs.append(swarm.log)
    assert logs[0] == logs[1]


# --- Scenarios -----------------------------------------------------------------------------


def test_a_free_slot_goes_to_the_newly_interested_at_once() -> None:
    swarm = Swarm(2)
    swarm.join(1, interested=False)
    assert swarm.log == []
    swarm.join(2)
    swarm.interest(swarm.links[1], True)
    swarm.join(3)
    assert swarm.log == [(2, False), (1, False)]


def test_interest_lost_frees_the_slot_for_the_next_in_turn() -> None:
    swarm = Swarm(1)
    for ordinal in (1, 2):
        swarm.join(ordinal)
    swarm.interest(swarm.links[1], False)
    assert swarm.log == [(1, False), (1, True), (2, False)]


def test_interest_lost_while_waiting_decides_nothing() -> None:
    swarm = Swarm(1)
    for ordinal in (1, 2):
        swarm.join(ordinal)
    swarm.interest(swarm.links[2], False)
    swarm.interest(swarm.links[2], False)
    assert swarm.log == [(1, False)]


def test_a_departure_frees_the_slot_and_is_idempotent() -> None:
    swarm = Swarm(1)
    for ordinal in (1, 2, 3):
        swarm.join(ordinal)
    gone = swarm.links[1]
    swarm.leave(1)
    assert len(swarm.unchoked()) == 1
    assert swarm.choker.remove(gone) == []
    assert swarm.choker.remove(make_link(9)) == []


def test_a_peer_that_says_it_is_upload_only_gives_its_slot_back() -> None:
    swarm = Swarm(1)
    link = swarm.join(1)
    link.upload_only = True
    assert swarm.choker.interest_changed(link, 0.0) == [Decision(link, True)]
    assert swarm.choker.next_deadline() is None


@pytest.mark.parametrize("seeding", [False, True])
def test_slots_go_to_the_best_rates_of_the_direction_that_counts(seeding: bool) -> None:
    swarm = Swarm(3)
    swarm.seeding = seeding
    for ordinal in range(1, 9):
        swarm.join(ordinal)
    for ordinal, link in swarm.links.items():
        right, wrong = (link.up, link.down) if seeding else (link.down, link.up)
        right.add(1000 * ordinal, 9.5)
        wrong.add(1000 * (10 - ordinal), 9.5)
    swarm.round()
    assert {7, 8} < set(swarm.unchoked())


def test_links_of_equal_rate_keep_their_slots() -> None:
    swarm = Swarm(3)
    for ordinal in range(9, 1, -1):
        swarm.join(ordinal)
    assert swarm.round() == []
    assert swarm.unchoked() == [9, 8, 7]


@pytest.mark.parametrize("seed", range(8))
def test_the_optimistic_slot_moves_after_its_interval_and_not_before(seed: int) -> None:
    swarm = Swarm(2, seed)
    for ordinal in range(1, 5):
        swarm.join(ordinal)
    moves = []
    for _ in range(12):
        if swarm.round():
            moves.append(swarm.now)
    assert moves == [OPTIMISTIC_INTERVAL * turn for turn in range(1, 5)]
    assert 1 in swarm.unchoked()


def test_an_optimistic_link_that_proves_good_is_kept_and_another_gets_the_chance() -> None:
    swarm = Swarm(2)
    for ordinal in range(1, 4):
        swarm.join(ordinal)
    swarm.feed(1000, 2)
    swarm.round()
    assert 2 in swarm.unchoked()
    for _ in range(ROUNDS_PER_TURN):
        swarm.feed(1000, 2)
        swarm.round()
    assert {1, 3} <= {ordinal for ordinal, _ in swarm.log}
    assert 2 in swarm.unchoked()


def test_a_single_slot_goes_round() -> None:
    swarm = Swarm(1)
    for ordinal in range(1, 4):
        swarm.join(ordinal)
    seen = set()
    for _ in range(3 * 3 * ROUNDS_PER_TURN):
        swarm.feed(1000, 1)
        swarm.round()
        seen.update(swarm.unchoked())
    assert seen == {1, 2, 3}


@pytest.mark.parametrize("seed", range(8))
def test_who_takes_the_last_slot_after_a_lull_keeps_it_through_the_next_round(seed: int) -> None:
    swarm = Swarm(2, seed)
    for ordinal in (1, 2):
        swarm.join(ordinal)
    swarm.leave(1)
    swarm.round()
    for ordinal in (4, 5):
        swarm.join(ordinal)
    assert swarm.round() == []
    assert swarm.unchoked() == [2, 4]


def test_chokes_come_before_unchokes() -> None:
    swarm = Swarm(3)
    for ordinal in range(1, 7):
        swarm.join(ordinal)
    swarm.feed(1000, 5, 6)
    order = [choke for _, choke in swarm.round()]
    assert order == sorted(order, reverse=True)
    assert order.count(True) == order.count(False) >= 1


def test_rounds_are_due_only_while_somebody_is_interested() -> None:
    swarm = Swarm(2)
    assert swarm.choker.next_deadline() is None
    assert swarm.choker.round(100.0, False) == []
    swarm.now = 7.0
    link = swarm.join(1)
    assert swarm.choker.next_deadline() == Deadline(7.0 + ROUND, "choking round")
    swarm.interest(link, False)
    assert swarm.choker.next_deadline() is None


def test_a_round_before_its_time_does_nothing() -> None:
    swarm = Swarm(1)
    for ordinal in (1, 2):
        swarm.join(ordinal)
    swarm.feed(1000, 2)
    due = swarm.choker.next_deadline()
    assert swarm.choker.round(ROUND - 0.001, False) == []
    assert swarm.choker.next_deadline() == due


def test_a_wake_an_hour_late_is_one_round() -> None:
    swarm = Swarm(1)
    for ordinal in (1, 2):
        swarm.join(ordinal)
    swarm.choker.round(3600.0, False)
    assert swarm.choker.next_deadline() == Deadline(3600.0 + ROUND, "choking round")


def test_without_slots_nobody_is_unchoked_and_nothing_is_due() -> None:
    swarm = Swarm(0)
    swarm.join(1)
    assert swarm.log == []
    assert swarm.choker.next_deadline() is None


def test_slots_below_zero_are_refused() -> None:
    with pytest.raises(LocalProtocolError):
        Choker(-1, Random(1))


def test_interest_of_an_unknown_link_is_refused() -> None:
    with pytest.raises(LocalProtocolError):
        Choker(1, Random(1)).interest_changed(make_link(1), 0.0)
