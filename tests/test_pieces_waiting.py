"""The links that wait for work, against a dictionary that is searched from end to end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pieces_kit import TORRENT, Swarm
from torrent_core.limits import BLOCK_SIZE, MAX_LINKS_REVIEWED
from torrent_core.pieces import PiecePicker
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


# --- What came free, among many links ----------------------------------------------------------


def test_of_many_hungry_links_some_look_at_slower_ones_at_a_time() -> None:
    swarm = Swarm(2, 2, wanted=0b01)
    slow = swarm.join(0b01)
    for _ in range(MAX_LINKS_REVIEWED):
        swarm.join(0b10)
    helper = swarm.join(0b01)
    swarm.review()
    assert helper.live == []
    swarm.review()
    assert sorted(helper.live) == slow.live


def test_what_is_reserved_for_one_of_many_is_asked_of_it_at_once() -> None:
    swarm = Swarm(1, 2, wanted=0)
    crowd = [swarm.join() for _ in range(MAX_LINKS_REVIEWED)]
    holder = swarm.join()
    swarm.scheduler.parole.sentence(0)
    swarm.scheduler.parole.take(0, holder.ordinal)
    swarm.picker.set_wanted(1)
    swarm.scheduler.touch_hungry()
    assert list(swarm.settle()) == [holder.ordinal]
    assert not any(peer.live for peer in crowd)


def test_what_comes_free_may_go_to_a_busy_link_that_has_it() -> None:
    swarm = Swarm(2, 64)
    busy = [swarm.join(0b01), swarm.join(0b10)]
    for peer in busy:
        while not peer.book.low_water < len(peer.book.out) < peer.book.depth:
            swarm.deliver(peer)
    leaver = swarm.join(0b10)
    lost = leaver.live
    swarm.leave(leaver)
    assert set(lost) <= set(busy[1].live)


def test_while_memory_is_short_nobody_looks_which_piece_would_be_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    swarm = Swarm(8, 4, memory=4 * 4 * BLOCK_SIZE)
    for _ in range(8):
        swarm.join()
    looks: list[int] = []
    monkeypatch.setattr(PiecePicker, "pick", lambda _, usable, _hints: looks.append(usable))
    late = swarm.join()
    assert (late.live, looks) == ([], [])
    assert swarm.budget.take_waiting() == []
    swarm.budget.give(0)
    assert swarm.budget.take_waiting() == [TORRENT]  # told, like one that was refused


@pytest.mark.parametrize("room", [3, 4, 5])
def test_a_short_last_piece_is_begun_where_no_other_has_room(room: int) -> None:
    swarm = Swarm(8, 8, cut=4 * BLOCK_SIZE, memory=(4 * 8 + room) * BLOCK_SIZE)
    first = [swarm.join(0b1111) for _ in range(4)]
    late = swarm.join(0b1000_0000)
    assert len({info.piece for peer in first for info in peer.live}) == 4
    assert {info.piece for info in late.live} == ({7} if room >= 4 else set())


def test_a_link_that_chokes_us_is_not_looked_at_for_what_it_gains() -> None:
    swarm = Swarm(4, 4)
    peer = swarm.join(0, choking=True, fast=True)
    peer.state.allowed_fast = 0b0010
    for gained, asked in ((0b0001, None), (0b0010, 1)):
        peer.state.pieces |= gained
        swarm.scheduler.gained(peer.book, gained)
        dirty = swarm.scheduler.next_dirty()
        assert dirty is (None if asked is None else peer.book)
    swarm.settle()
    assert {info.piece for info in peer.live} == {1}
