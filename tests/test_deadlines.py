"""Deadlines: always the earliest, whatever is moved, cleared or armed again."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from torrent_core.deadlines import SLACK, Deadline, Deadlines, soonest

KEYS = st.sampled_from("abcd")
TIMES = st.integers(0, 12).map(float)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), KEYS, TIMES),
        st.tuples(st.just("put"), KEYS, st.none() | TIMES),
        st.tuples(st.just("clear"), KEYS, st.none()),
        st.tuples(st.just("ask"), KEYS, st.none()),
        st.tuples(st.just("pop"), KEYS, TIMES),
    ),
    max_size=60,
)


def check(deadlines: Deadlines[str], model: dict[str, float]) -> None:
    """``soonest`` names a key that is due first, at its true moment."""
    first = deadlines.soonest()
    if not model:
        assert first is None
    else:
        assert first is not None
        assert first[0] == min(model.values()) == model[first[1]]
    assert len(deadlines) == len(model)
    assert {key: deadlines.get(key) for key in "abcd"} == {key: model.get(key) for key in "abcd"}


@given(STEPS)
def test_the_earliest_is_right_after_any_steps(steps: list[tuple[str, str, float | None]]) -> None:
    deadlines: Deadlines[str] = Deadlines()
    model: dict[str, float] = {}
    for step, key, when in steps:
        if step == "ask":
            check(deadlines, model)
        elif step == "pop":
            assert when is not None
            popped = deadlines.pop_due(when)
            if popped is None:
                assert all(moment > when for moment in model.values())
            else:
                assert model.pop(popped) <= when
        elif when is None:
            model.pop(key, None)
            deadlines.put(key, None) if step == "put" else deadlines.clear(key)
        else:
            model[key] = when
            deadlines.put(key, when) if step == "put" else deadlines.set(key, when)
    check(deadlines, model)


@given(STEPS)
@example([("set", "a", 0), ("set", "a", 1), ("ask", "a", None), ("set", "b", 0), ("set", "a", 0)])
def test_asking_changes_nothing_that_can_be_seen(
    steps: list[tuple[str, str, float | None]],
) -> None:
    asked: Deadlines[str] = Deadlines()
    unasked: Deadlines[str] = Deadlines()
    for step, key, when in steps:
        if step == "ask":
            asked.soonest()
        elif step == "pop":
            assert when is not None
            assert asked.pop_due(when) == unasked.pop_due(when)
        else:
            asked.put(key, when)
            unasked.put(key, when)
    assert [asked.pop_due(99) for _ in range(5)] == [unasked.pop_due(99) for _ in range(5)]


def test_ties_go_to_the_key_that_was_armed_first() -> None:
    deadlines: Deadlines[object] = Deadlines()
    first, second = object(), object()  # not comparable: the order must not depend on them
    deadlines.set(first, 5)
    deadlines.set(second, 5)
    assert deadlines.pop_due(5) is first
    assert deadlines.pop_due(5) is second
    assert deadlines.pop_due(5) is None


def test_ties_of_ranked_keys_go_to_the_lesser_rank_whenever_they_were_armed() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadlines.set("b", 5, rank=2)
    deadlines.set("a", 5, rank=1)
    deadlines.clear("b")
    deadlines.set("c", 5, rank=3)
    deadlines.set("b", 5, rank=2)
    assert [deadlines.pop_due(5) for _ in "abc"] == ["a", "b", "c"]


def test_a_key_that_moves_keeps_its_turn_and_one_that_is_cleared_loses_it() -> None:
    deadlines: Deadlines[str] = Deadlines()
    for key in "abc":
        deadlines.set(key, 5)
    deadlines.set("a", 9)
    deadlines.set("a", 5)
    deadlines.clear("b")
    deadlines.set("b", 5)
    assert [deadlines.pop_due(5) for _ in "abc"] == ["a", "c", "b"]


def test_a_key_due_is_disarmed_once_and_may_be_armed_again() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadlines.set("a", 3)
    assert deadlines.pop_due(2.9) is None
    assert deadlines.pop_due(3) == "a"
    assert deadlines.soonest() is None
    deadlines.set("a", 8)
    assert deadlines.soonest() == (8, "a")


def test_a_key_that_flips_between_soon_and_late_costs_no_memory() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadlines.set("steady", 2000)
    deadlines.set("gone", 60_000)
    deadlines.clear("gone")
    for now in range(1000):
        deadlines.set("flips", now + 0.1)
        deadlines.set("flips", now + 40_000.0)
        assert deadlines.soonest() == (2000, "steady")
    assert len(deadlines._heap) <= 2 * len(deadlines) + SLACK + 1
    assert len(deadlines._entry) == len(deadlines) == 2
    assert [deadlines.pop_due(1e9) for _ in range(3)] == ["steady", "flips", None]


def test_compaction_keeps_the_order_of_ties() -> None:
    deadlines: Deadlines[str] = Deadlines()
    names = [f"{number:03}" for number in range(40)]
    for name in names:
        deadlines.set(name, 100)
    for now in range(300):
        deadlines.set("flips", now / 10)
        deadlines.set("flips", 200.0 + now)
        deadlines.soonest()
    assert [deadlines.pop_due(100) for _ in names] == names


def test_the_soonest_of_several_machines() -> None:
    early, tied, late = Deadline(1, "a"), Deadline(1, "b"), Deadline(2, "c")
    assert soonest() is soonest(None) is None
    assert soonest(None, late, early, None, tied) is early
