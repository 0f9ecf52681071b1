from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pieces_kit import Swarm, make_state
from torrent_core.limits import (
    BLOCK_SIZE,
    LATENESS_FLOOR,
    LATENESS_UNKNOWN,
    MAX_PIPELINE,
    MAX_REFUSAL_BACKOFF,
    MAX_REJECTIONS,
    MIN_PIPELINE,
    REFUSAL_BACKOFF,
    REQUEST_TIMEOUT,
)
from torrent_core.pieces import ActivePiece, LinkRequests
from torrent_core.pieces.pace import SLOW_START, ResponseGaps, pipeline_depth
from torrent_core.pieces.parole import Parole
from torrent_core.pieces.refusals import Refusals

KIB = 1024


def make_link(ordinal: int = 1, *, reqq: int | None = None) -> LinkRequests:
    return LinkRequests(make_state(ordinal, pieces=0b1111, reqq=reqq), 0.0)


# --- Depth -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "reqq", "depth"),
    [
        (160 * KIB, None, 30),
        (0.0, None, MIN_PIPELINE),
        (100e6, None, MAX_PIPELINE),
        (160 * KIB, 10, 10),
        (160 * KIB, 5000, 30),
        (100e6, 5000, MAX_PIPELINE),
        (0.0, 1, 1),
        (100e6, 1, 1),
    ],
)
def test_depth_follows_the_rate_and_reqq_only_lowers_it(
    rate: float, reqq: int | None, depth: int
) -> None:
    assert pipeline_depth(rate, reqq) == depth


@given(rate=st.floats(0, 1e12), faster=st.floats(1, 10), reqq=st.none() | st.integers(1, 10**6))
def test_depth_never_falls_with_the_rate_and_keeps_its_bounds(
    rate: float, faster: float, reqq: int | None
) -> None:
    depth = pipeline_depth(rate, reqq)
    assert 1 <= depth <= MAX_PIPELINE
    assert depth <= pipeline_depth(rate * faster, reqq)
    assert reqq is None or depth <= reqq


def test_a_link_starts_small_and_grows_by_one_for_each_block() -> None:
    link = make_link()
    link.pace(0.0)
    assert link.depth == MIN_PIPELINE
    depths = []
    for block in range(1, 6):
        now = block / 10
        link.state.down.add(BLOCK_SIZE, now)
        link.delivered(now)
        link.pace(now)
        depths.append(link.depth)
    assert depths == [3, 4, 5, 6, 7]


def test_growth_stops_at_what_the_rate_calls_for() -> None:
    link = make_link()
    for block in range(1, 101):
        link.state.down.add(BLOCK_SIZE, block / 10)
        link.delivered(block / 10)
        link.pace(block / 10)
    assert link.depth == pytest.approx(30, abs=2)
    assert link.low_water == link.depth * 3 // 4


def test_in_slow_start_the_rate_is_no_bound_and_afterwards_it_is() -> None:
    """A rate needs a second to show; a quick link must not wait for that."""
    link = make_link()
    link.ask(0, ActivePiece(0, 4 * BLOCK_SIZE), [0, 1], 0.0, 30.0)
    for count, depth in ((2, 4), (4, 8), (8, 16)):
        link.arrived = count
        link.pace(0.1)
        assert link.depth == depth
    link.pace(SLOW_START - 0.01)
    assert link.depth == 16
    link.pace(SLOW_START)
    assert link.depth == MIN_PIPELINE


def test_slow_start_keeps_to_the_queue_that_the_peer_admits() -> None:
    link = make_link(reqq=5)
    link.ask(0, ActivePiece(0, 4 * BLOCK_SIZE), [0, 1], 0.0, 30.0)
    link.arrived = 100
    link.pace(0.1)
    assert link.depth == 5


@pytest.mark.parametrize(("idle", "restarts"), [(60.0, True), (0.1, False)])
def test_slow_start_begins_anew_when_the_rate_is_forgotten(idle: float, restarts: bool) -> None:
    link = make_link()
    for tenth in range(101):
        link.state.down.add(BLOCK_SIZE, tenth / 10)
    now = 10.0 + idle
    link.pace(now)
    link.ask(0, ActivePiece(0, 4 * BLOCK_SIZE), [0], now, 30.0)
    link.arrived = 400
    link.pace(now + 0.1)
    assert (link.depth == MIN_PIPELINE + 400) is restarts


@given(
    gaps=st.lists(st.floats(0.01, 5.0), min_size=1, max_size=40),
    batches=st.lists(st.integers(1, 9), min_size=40, max_size=40),
)
def test_a_pipeline_never_holds_more_than_slow_start_or_the_rate_allow(
    gaps: list[float], batches: list[int]
) -> None:
    link, now, came = make_link(), 0.0, 0
    link.ask(0, ActivePiece(0, 4 * BLOCK_SIZE), [0, 1], 0.0, 30.0)
    for gap, batch in zip(gaps, batches, strict=False):
        now += gap
        for _ in range(batch):
            link.state.down.add(BLOCK_SIZE, now)
            link.delivered(now)
        came += batch
        link.pace(now)
        by_rate = pipeline_depth(link.state.down.value(now))
        assert link.depth <= MIN_PIPELINE + came
        assert now < SLOW_START or link.depth <= by_rate
        assert MIN_PIPELINE <= link.depth <= MAX_PIPELINE


def test_a_full_pipeline_asks_again_only_at_the_low_water_mark() -> None:
    link = make_link()
    link.depth, link.low_water = 8, 6
    piece = ActivePiece(0, 8 * BLOCK_SIZE)
    link.ask(0, piece, list(range(7)), 0.0, 30.0)
    assert link.room(eager=False) == 0
    assert link.room(eager=True) == 1
    del link.out[0]
    assert link.room(eager=False) == 2


def test_a_snubbed_link_gets_one_request_at_a_time() -> None:
    link = make_link()
    link.snub(5.0)
    assert (link.snubbed, link.depth, link.low_water) == (True, 1, 0)
    assert link.last_progress == 5.0
    assert link.room(eager=False) == 1


# --- Patience ----------------------------------------------------------------------------


def test_patience_with_a_link_that_never_delivered() -> None:
    assert ResponseGaps().patience(REQUEST_TIMEOUT) == LATENESS_UNKNOWN
    assert ResponseGaps().patience(5.0) == 5.0


def test_a_quick_link_is_not_called_late_before_the_floor() -> None:
    gaps = ResponseGaps()
    for _ in range(20):
        gaps.add(0.01)
    assert gaps.patience(REQUEST_TIMEOUT) == LATENESS_FLOOR


def test_a_slow_link_is_given_up_at_the_ceiling_at_the_latest() -> None:
    gaps = ResponseGaps()
    gaps.add(25.0)
    assert gaps.patience(REQUEST_TIMEOUT) == REQUEST_TIMEOUT


def test_patience_is_the_mean_gap_and_four_deviations() -> None:
    gaps = ResponseGaps()
    gaps.add(2.0)
    assert gaps.patience(REQUEST_TIMEOUT) == pytest.approx(2.0 + 4 * 1.0)
    gaps.add(4.0)  # deviation 1 + (2 - 1) / 4, mean 2 + 2 / 8
    assert gaps.patience(REQUEST_TIMEOUT) == pytest.approx(2.25 + 4 * 1.25)


def test_a_steady_link_is_soon_judged_by_its_own_gap() -> None:
    gaps = ResponseGaps()
    for _ in range(30):
        gaps.add(5.0)
    assert gaps.patience(REQUEST_TIMEOUT) == pytest.approx(5.0, abs=0.05)


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(LATENESS_FLOOR, 1000))
def test_patience_keeps_its_bounds(gaps: list[float], ceiling: float) -> None:
    seen = ResponseGaps()
    for gap in gaps:
        seen.add(gap)
    assert LATENESS_FLOOR <= seen.patience(ceiling) <= ceiling


# --- Deadlines of requests -----------------------------------------------------------------


@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    pauses=st.lists(st.sampled_from([0.0, 0.1, 2.0, 3600.0]), min_size=6, max_size=6),
    received=st.integers(0, 100),
)
def test_deadlines_ascend_and_are_bounded_by_the_queue(
    sizes: list[int], pauses: list[float], received: int
) -> None:
    """A rate that has decayed to next to nothing once put them off for ever."""
    link, now = make_link(), 0.0
    link.state.down.add(received * BLOCK_SIZE, now)
    for index, (size, pause) in enumerate(zip(sizes, pauses, strict=False)):
        now += pause
        link.ask(index * 9, ActivePiece(index, 9 * BLOCK_SIZE), list(range(size)), now, 30.0)
    deadlines = [info.deadline for info in link.out.values()]
    assert deadlines == sorted(deadlines)
    assert deadlines[-1] <= now + 30.0 * (len(deadlines) + 1)
    serials = [info.serial for info in link.out.values()]
    assert serials == list(range(1, len(serials) + 1))
    assert link.due(30.0) == min(deadlines[0], link.last_progress + LATENESS_UNKNOWN)


def test_a_deadline_is_the_queue_ahead_and_the_slack() -> None:
    link = make_link()
    link.state.down.add(4 * BLOCK_SIZE, 0.5)
    link.state.down.add(0, 1.0)
    rate = link.state.down.value(1.0)
    each = BLOCK_SIZE / rate
    link.ask(0, ActivePiece(0, 4 * BLOCK_SIZE), [0, 1, 2], 1.0, 30.0)
    assert [info.deadline for info in link.out.values()] == pytest.approx(
        [31.0, 31.0 + each, 31.0 + 2 * each]
    )


def test_nothing_out_is_never_late() -> None:
    assert make_link().due(30.0) is None


def test_the_time_a_queue_takes_is_unknown_until_something_came() -> None:
    link = make_link()
    link.ask(0, ActivePiece(0, 4 * BLOCK_SIZE), [0, 1], 0.0, 30.0)
    assert link.wait(1, 0.0) == float("inf")
    link.state.down.add(BLOCK_SIZE, 1.0)
    link.delivered(1.0)
    rate = link.state.down.value(2.0)
    assert link.wait(2, 2.0) == pytest.approx(2 * BLOCK_SIZE / rate + 1.0)


def test_who_has_just_begun_to_answer_is_given_until_its_rate_shows() -> None:
    link = make_link()
    link.ask(0, ActivePiece(0, 4 * BLOCK_SIZE), [0, 1], 5.0, 30.0)
    assert link.wait(1, 5.5) == float("inf")
    link.state.down.add(BLOCK_SIZE, 5.6)
    link.delivered(5.6)
    assert link.wait(2, 5.9) == 0.0
    assert link.wait(2, 5.0 + SLOW_START) > 0.0


def test_the_place_of_a_request_is_no_less_than_it_is() -> None:
    link = make_link()
    link.ask(0, ActivePiece(0, 8 * BLOCK_SIZE), list(range(8)), 0.0, 30.0)
    infos = list(link.out.values())
    assert [link.position(info) for info in infos] == list(range(1, 9))
    for key in (0, 3, 4):
        del link.out[key]
    assert [link.position(infos[block]) for block in (1, 2, 5, 6, 7)] == [1, 2, 5, 5, 5]


def test_a_link_is_not_slow_because_nothing_was_asked_of_it() -> None:
    link = make_link()
    for tenth in range(101):
        link.state.down.add(BLOCK_SIZE, tenth / 10)
        link.delivered(tenth / 10)
    link.pace(10.0)
    rate = link.state.down.value(10.0)
    assert link.speed(60.0) == rate
    link.pace(60.0)  # without a delivery that changes nothing
    assert link.speed(60.0) == rate
    link.ask(0, ActivePiece(0, 4 * BLOCK_SIZE), [0], 60.0, 30.0)
    assert link.speed(70.0) < rate / 100


# --- Refusals ----------------------------------------------------------------------------


def delays(refusals: Refusals, link: LinkRequests, count: int) -> list[float]:
    """Refuse piece 0 again and again, each time when the last pause has just ended."""
    now, seen = 0.0, []
    for _ in range(count):
        refusals.refuse(link, 0, now)
        due = refusals.soonest()
        assert due is not None
        seen.append(due - now)
        now = due
        assert refusals.pop_due({1: link}, now) == [link]
    return seen


def test_a_piece_refused_again_is_left_alone_twice_as_long_up_to_a_minute() -> None:
    assert delays(Refusals(), make_link(), 7) == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert (REFUSAL_BACKOFF, MAX_REFUSAL_BACKOFF) == (2.0, 60.0)


def test_blocks_of_one_piece_refused_together_are_one_refusal() -> None:
    """Four REJECTs in one batch once made the first pause sixteen seconds."""
    refusals, link = Refusals(), make_link()
    for _ in range(5):
        refusals.rejected(link, 0, 1.0)
    assert refusals.soonest() == 1.0 + REFUSAL_BACKOFF
    assert link.rejections == 5


def test_a_refused_piece_is_not_usable_until_the_pause_ends() -> None:
    refusals, link = Refusals(), make_link()
    link.state.peer_choking = False
    refusals.refuse(link, 1, 0.0)
    assert link.usable == 0b1101
    assert refusals.pop_due({1: link}, 1.9) == []
    assert link.usable == 0b1101
    assert refusals.pop_due({1: link}, 2.0) == [link]
    assert link.usable == 0b1111
    assert refusals.soonest() is None


def test_a_link_that_rejects_everything_is_left_alone_as_a_whole() -> None:
    refusals, link = Refusals(), make_link()
    link.state.peer_choking = False
    for piece in range(MAX_REJECTIONS - 1):
        refusals.rejected(link, piece + 10, 0.0)
    assert link.usable
    for _ in range(3):
        refusals.rejected(link, 99, 0.0)
    assert link.usable == 0
    refusals.pop_due({1: link}, REFUSAL_BACKOFF)
    assert link.usable == 0b1111
    refusals.rejected(link, 99, 2.0)  # it goes on as soon as the rest is over
    refusals.pop_due({1: link}, 2.0 + 2 * REFUSAL_BACKOFF - 0.1)
    assert link.usable == 0
    refusals.pop_due({1: link}, 2.0 + 2 * REFUSAL_BACKOFF)
    assert link.usable == 0b1111


def test_the_end_of_a_rest_is_told_like_that_of_a_piece() -> None:
    refusals, link = Refusals(), make_link()
    for _ in range(MAX_REJECTIONS):
        refusals.rejected(link, 0, 0.0)
    assert refusals.pop_due({1: link}, REFUSAL_BACKOFF) == [link, link]
    assert link.refused == 0
    assert refusals.soonest() is None


def test_a_delivery_ends_the_rest() -> None:
    refusals, link = Refusals(), make_link()
    link.state.peer_choking = False
    for _ in range(MAX_REJECTIONS):
        refusals.rejected(link, 99, 0.0)
    assert link.usable == 0
    link.delivered(1.0)
    assert link.usable == 0b1111
    assert link.rejections == 0


def test_the_pauses_of_a_link_that_left_are_forgotten() -> None:
    refusals, link, other = Refusals(), make_link(), make_link(2)
    for _ in range(MAX_REJECTIONS):
        refusals.rejected(link, 0, 0.0)
    refusals.refuse(other, 0, 7.0)
    refusals.removed(link)
    assert refusals.soonest() == 7.0 + REFUSAL_BACKOFF


def test_a_link_knows_when_its_first_pause_ends() -> None:
    refusals, link = Refusals(), make_link()
    assert link.eases_at is None
    refusals.refuse(link, 0, 0.0)
    refusals.refuse(link, 1, 1.0)
    assert link.eases_at == REFUSAL_BACKOFF
    refusals.pop_due({1: link}, REFUSAL_BACKOFF)
    assert link.eases_at == 1.0 + REFUSAL_BACKOFF
    refusals.pop_due({1: link}, 1.0 + REFUSAL_BACKOFF)
    assert link.eases_at is None
    for _ in range(MAX_REJECTIONS):
        refusals.rejected(link, 99, 10.0)
    refusals.pop_due({1: link}, 10.0)
    assert link.eases_at == 10.0 + REFUSAL_BACKOFF


def test_a_pause_that_is_over_lasts_until_the_link_is_looked_at() -> None:
    """Else the link would be idle, and nobody would ask it: the blocks would be stranded."""
    book = Swarm(pieces=MAX_REJECTIONS, blocks=2)
    rejecter = book.join(fast=True)
    while rejecter.live:
        book.reject(rejecter, rejecter.live[0])
    assert rejecter.book.rests
    due = book.scheduler.next_deadline()
    assert due is not None
    assert due[0] == rejecter.book.eases_at
    book.now = due[0]
    assert not rejecter.book.usable
    book.tick()
    assert rejecter.live


@pytest.mark.parametrize(
    ("choking", "allowed_fast", "usable"),
    [(False, 0, 0b1111), (True, 0, 0), (True, 0b110010, 0b0010), (False, 0b0010, 0b1111)],
)
def test_what_may_be_asked_of_a_choking_peer(choking: bool, allowed_fast: int, usable: int) -> None:
    link = make_link()
    link.state.peer_choking, link.state.allowed_fast = choking, allowed_fast
    assert link.usable == usable


# --- Parole ------------------------------------------------------------------------------


def test_a_paroled_piece_belongs_to_the_first_link_that_takes_it() -> None:
    parole, first, second = Parole(), make_link(1), make_link(2)
    assert not parole
    parole.sentence(3)
    assert parole
    assert parole.closed_to(first) == parole.closed_to(second) == 0
    parole.take(3, 1)
    assert parole.closed_to(first) == 0
    assert parole.closed_to(second) == 0b1000
    assert parole.held_by(1) == [3]
    assert parole.held_by(2) == []


def test_blocks_of_a_paroled_piece_are_refused_from_all_but_its_holder() -> None:
    parole = Parole()
    parole.sentence(3)
    assert parole.is_closed_to(3, 1)  # nobody was asked for it yet
    parole.take(3, 1)
    assert not parole.is_closed_to(3, 1)
    assert parole.is_closed_to(3, 2)
    assert not parole.is_closed_to(4, 2)


def test_a_vacated_parole_may_be_taken_by_the_next_link() -> None:
    parole, first, second = Parole(), make_link(1), make_link(2)
    parole.sentence(3)
    parole.take(3, 1)
    parole.vacate(3)
    assert parole.closed_to(second) == 0
    parole.take(3, 2)
    assert parole.closed_to(first) == 0b1000


def test_a_piece_that_is_not_on_parole_cannot_be_held_or_vacated() -> None:
    parole = Parole()
    parole.take(3, 1)
    parole.vacate(3)
    parole.release(3)
    assert not parole
    assert parole.held_by(1) == []


def test_all_paroled_pieces_are_known_until_released() -> None:
    parole = Parole()
    for index in (0, 4):
        parole.sentence(index)
    parole.take(4, 1)
    assert parole.everything == 0b10001
    parole.release(4)
    assert parole.everything == 0b00001
