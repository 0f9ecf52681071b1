from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from torrent_core.budget import Budget

OWNERS = (b"one", b"two", b"three")
owners = st.sampled_from(OWNERS)
amounts = st.integers(0, 6)


class BudgetMachine(RuleBasedStateMachine):
    """What is taken and who waits, beside a list of amounts and a list of names."""

    @initialize(limit=st.integers(0, 12))
    def make(self, limit: int) -> None:
        self.budget = Budget(limit)
        self.taken: list[int] = []
        self.waiting: list[bytes] = []
        self.told: list[bytes] = []
        self.offers: list[bytes] = []
        self.asked = True

    @rule(amount=amounts, owner=owners, force=st.booleans())
    def take(self, amount: int, owner: bytes, force: bool) -> None:
        fits = sum(self.taken) + amount <= self.budget.limit
        assert self.budget.take(amount, owner, force=force) is (fits or force)
        if fits or force:
            self.taken.append(amount)
        else:
            self.model_wait(owner)

    @rule(owner=owners)
    def wait(self, owner: bytes) -> None:
        self.budget.wait(owner)
        self.model_wait(owner)

    def model_wait(self, owner: bytes) -> None:
        if owner in self.told:
            self.told.remove(owner)
        if owner not in self.waiting:
            self.waiting.append(owner)
            self.asked = False

    @rule(pick=st.integers(0, 99))
    def give(self, pick: int) -> None:
        if self.taken:
            self.budget.give(self.taken.pop(pick % len(self.taken)))
            self.told += self.waiting
            self.waiting = []

    @rule(owner=owners)
    def forget(self, owner: bytes) -> None:
        self.budget.forget(owner)
        for names in (self.waiting, self.told, self.offers):
            if owner in names:
                names.remove(owner)

    @rule()
    def take_waiting(self) -> None:
        assert self.budget.take_waiting() == self.told
        self.told = []

    @rule(owner=owners)
    def offer(self, owner: bytes) -> None:
        self.budget.offer(owner)
        if owner not in self.offers:
            self.offers.append(owner)
            self.asked = False

    @rule(owner=owners)
    def retract(self, owner: bytes) -> None:
        self.budget.retract(owner)
        if owner in self.offers:
            self.offers.remove(owner)

    @rule()
    def take_offer(self) -> None:
        ask = bool(self.waiting) and not self.asked
        first = self.offers[0] if ask and self.offers else None
        assert self.budget.take_offer() == first
        self.asked = self.asked or ask

    @invariant()
    def what_is_used_is_what_was_taken_and_not_given_back(self) -> None:
        assert self.budget.used == sum(self.taken)
        assert self.budget.room == max(0, self.budget.limit - sum(self.taken))


TestBudgetMachine = BudgetMachine.TestCase


def test_the_limit_itself_may_be_taken() -> None:
    budget = Budget(10)
    assert budget.take(10, b"one")
    assert budget.room == 0
    assert not budget.take(1, b"one")
    assert budget.take(0, b"one")


def test_force_goes_beyond_the_limit_and_leaves_no_room() -> None:
    budget = Budget(10)
    assert budget.take(25, b"one", force=True)
    assert (budget.used, budget.room) == (25, 0)
    budget.give(20)
    assert budget.room == 5


def test_nobody_is_told_until_something_comes_free() -> None:
    budget = Budget(1)
    assert budget.take(1, b"one")
    assert not budget.take(1, b"two")
    assert budget.take_waiting() == []
    budget.give(1)
    assert budget.take_waiting() == [b"two"]
    assert budget.take_waiting() == []


def test_who_waits_is_told_once_and_in_the_order_of_asking() -> None:
    budget = Budget(1)
    budget.take(1, b"one")
    for owner in (b"three", b"two", b"three"):
        budget.take(1, owner)
    budget.give(1)
    assert budget.take_waiting() == [b"three", b"two"]


def test_who_is_forgotten_is_not_told() -> None:
    budget = Budget(0)
    budget.wait(b"one")
    budget.wait(b"two")
    budget.forget(b"one")
    budget.forget(b"three")
    budget.give(0)
    assert budget.take_waiting() == [b"two"]


def test_what_came_free_before_somebody_was_refused_is_no_news_to_him() -> None:
    budget = Budget(1)
    budget.take(1, b"one")
    budget.give(1)
    budget.take(1, b"two")
    budget.take(1, b"three")
    assert budget.take_waiting() == []


def test_who_is_refused_again_before_he_is_told_is_told_the_next_time() -> None:
    budget = Budget(2)
    budget.take(2, b"one")
    budget.wait(b"two")
    budget.give(1)
    assert not budget.take(2, b"two")
    assert budget.take_waiting() == []
    budget.give(1)
    assert budget.take_waiting() == [b"two"]


def test_the_oldest_offer_is_asked_for_once_until_somebody_else_waits_or_offers() -> None:
    budget = Budget(0)
    budget.offer(b"one")
    assert budget.take_offer() is None
    budget.wait(b"two")
    assert budget.take_offer() == b"one"
    assert budget.take_offer() is None
    budget.wait(b"three")
    assert budget.take_offer() == b"one"
    budget.offer(b"two")
    budget.retract(b"one")
    assert budget.take_offer() == b"two"
    budget.offer(b"three")
    assert budget.take_offer() == b"two"
