"""Rates: totals exact, means within what was seen, silence fading to zero."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core.rates import SLOT, Rate

SAMPLES = st.lists(st.tuples(st.floats(0, 5), st.integers(0, 10**6)), max_size=40)


@given(SAMPLES, st.floats(0, 100))
def test_the_total_is_exact_and_the_mean_never_exceeds_the_densest_slot(
    samples: list[tuple[float, int]], wait: float
) -> None:
    rate, now = Rate(10.0), 10.0
    for gap, count in samples:
        now += gap
        rate.add(count, now)
    assert rate.total == sum(count for _, count in samples)
    value = rate.value(now + wait)
    assert 0 <= value <= 4 * rate.total / SLOT


@given(SAMPLES)
def test_reading_changes_nothing(samples: list[tuple[float, int]]) -> None:
    read, unread, now = Rate(0.0), Rate(0.0), 0.0
    for gap, count in samples:
        now += gap
        read.value(now)
        read.add(count, now)
        unread.add(count, now)
        assert read.value(now) == unread.value(now)


@given(st.integers(1, 10**9), st.floats(0.01, 0.4))
def test_a_steady_flow_is_measured_as_it_is(speed: int, gap: float) -> None:
    rate, now = Rate(0.0), 0.0
    for _ in range(500):
        now += gap
        rate.add(int(speed * gap), now)
    assert rate.value(now) == pytest.approx(int(speed * gap) / gap, rel=0.01, abs=1)


@given(SAMPLES)
def test_silence_fades_to_nothing(samples: list[tuple[float, int]]) -> None:
    rate, now = Rate(0.0), 0.0
    for gap, count in samples:
        now += gap
        rate.add(count, now)
    values = [rate.value(now + wait) for wait in (1, 4, 16, 64, 256)]
    assert values[-1] <= 1e-2 * rate.total
    assert all(later <= max(earlier, 1e-9) for earlier, later in pairwise(values))


def test_a_new_rate_answers_at_once_but_not_with_infinity() -> None:
    rate = Rate(5.0)
    assert rate.value(5.0) == 0
    rate.add(1000, 5.0)
    assert rate.value(5.0) == 1000 / (SLOT / 4)
    assert rate.value(5.25) == 4000
    assert rate.value(6.0) == 1000


@pytest.mark.parametrize("wait", [SLOT, 7.0])
def test_the_wait_for_the_first_byte_does_not_count(wait: float) -> None:
    rate = Rate(0.0)
    assert rate.value(wait) == 0
    for tenth in range(4):
        rate.add(1000, wait + tenth / 10)
    assert rate.value(wait + 0.4) == pytest.approx(4000 / 0.4)


def test_a_warm_rate_holds_still_within_a_slot() -> None:
    rate = Rate(0.0)
    rate.add(500, 0.0)
    rate.add(500, 0.5)
    held = rate.value(0.5)
    assert held == 1000
    rate.add(10_000, 0.7)
    assert rate.value(0.9) == held
    assert rate.value(1.0) > held


def test_time_that_goes_backwards_does_no_harm() -> None:
    rate = Rate(10.0)
    rate.add(100, 4.0)
    assert rate.total == 100
    assert rate.value(3.0) == 100 / (SLOT / 4)
