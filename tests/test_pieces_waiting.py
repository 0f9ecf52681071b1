"""The links that wait for work, against a dictionary that is searched from end to end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core.pieces.waiting import Waiting

SETS = st.integers(0, 255)
STEPS = st.lists(st.tuples(st.integers(0, 20), st.none() | SETS))


def filled(steps: list[tuple[int, int | None]]) -> tuple[Waiting, dict[int, int]]:
    waiting, model = Waiting(), {}
    for ordinal, pieces in steps:
        if pieces is None:
            waiting.drop(ordinal)
            model.pop(ordinal, None)
        else:
            waiting.put(ordinal, pieces)
            model[ordinal] = pieces
    return waiting, model


@given(STEPS, SETS)
def test_whoever_could_be_asked_is_found_and_nobody_else(
    steps: list[tuple[int, int | None]], pieces: int
) -> None:
    waiting, model = filled(steps)
    able = {ordinal for ordinal, has in model.items() if has & pieces}
    assert waiting.find(pieces) in (able or {None})
    assert {ordinal for ordinal in range(21) if waiting.has(ordinal, pieces)} == able


@given(STEPS, SETS)
def test_each_has_its_turn_before_any_has_another(
    steps: list[tuple[int, int | None]], pieces: int
) -> None:
    waiting, model = filled(steps)
    able = [ordinal for ordinal, has in model.items() if has & pieces]
    for _ in range(2):
        assert {waiting.find(pieces) for _ in able} == set(able)


@pytest.mark.parametrize("links", [1, 2, 1000])
def test_those_that_left_make_room_for_others(links: int) -> None:
    waiting = Waiting()
    for ordinal in range(3 * links):
        waiting.put(ordinal, 1 << ordinal)
        waiting.drop(ordinal - links)
    assert waiting.find((1 << 2 * links) - 1) is None
    assert waiting.find(1 << 3 * links - 1) == 3 * links - 1
    assert len(waiting._links) <= 4 * links
