"""What comes free is asked of somebody else in the same step: chokes, losses, lateness."""

from __future__ import annotations

import pytest

from pieces_kit import (
    FIRST,
    SECOND,
    Peer,
    Swarm,
    blocks_of,
    busy_and_idle,
    finish,
    pieces_of,
    two_links,
)
from torrent_core.limits import (
    BLOCK_SIZE,
    LATENESS_FLOOR,
    LATENESS_UNKNOWN,
    MAX_REJECTIONS,
    OVERTAKEN_LIMIT,
    REFUSAL_BACKOFF,
    REQUEST_TIMEOUT,
)
from torrent_core.pieces import USED
from torrent_core.types import BlockInfo, ReleaseCause

# --- Free again, asked again, in one step ------------------------------------------------------


def test_what_a_lost_link_was_asked_is_asked_of_others_in_the_same_step() -> None:
    swarm, first, second = two_links()
    swarm.unchoke(second)
    lost = first.live
    released = swarm.leave(first)
    assert released.cause is ReleaseCause.DISCONNECTED
    assert not released.cancel
    assert [info.info for info in released.requests] == lost
    swarm.deliver(second)
    swarm.deliver(second)
    assert set(lost) & set(second.live)


def test_an_idle_link_takes_over_in_the_step_in_which_the_owner_leaves() -> None:
    swarm, owner, idle = busy_and_idle()
    assert idle.live == []
    swarm.leave(owner)
    assert blocks_of(idle.live) == [(0, 0), (0, 1)]


def test_a_choke_without_bep_6_drops_all_requests_for_others_to_take() -> None:
    swarm, owner, idle = busy_and_idle()
    released = swarm.choke(owner)
    assert released.cause is ReleaseCause.CHOKED
    assert not released.cancel
    assert len(released.requests) == 2
    assert owner.book.out == {}
    assert blocks_of(idle.live) == [(0, 0), (0, 1)]


def test_a_block_on_its_way_when_a_choke_without_bep_6_comes_is_used() -> None:
    swarm, owner, idle = busy_and_idle()
    swarm.choke(owner)
    outcome = swarm.deliver(owner, FIRST)
    assert [info.link for info in outcome.duplicates] == [idle.ordinal]
    assert owner.book.unsolicited == 0
    assert owner.live == []
    assert swarm.receive(owner, FIRST).waste == "was not asked for"
    assert owner.book.unsolicited == 1


def test_a_block_dropped_by_a_choke_and_asked_for_again_is_owed_one_answer() -> None:
    swarm, owner, idle = busy_and_idle()
    swarm.leave(idle)
    swarm.choke(owner)
    swarm.unchoke(owner)
    assert owner.live == [FIRST, SECOND]
    assert not any(owner.book.withdrawn.owed(key) for key in owner.book.withdrawn)
    assert swarm.deliver(owner, FIRST) == USED
    assert owner.live == [SECOND]
    assert swarm.receive(owner, FIRST).waste == "came too late"
    assert owner.book.unsolicited == 0


def test_a_choke_with_bep_6_keeps_each_request_until_it_is_answered() -> None:
    swarm, owner, idle = busy_and_idle(fast=True)
    assert swarm.choke(owner).requests == ()
    assert len(owner.book.out) == 2
    assert idle.live == []
    released = swarm.reject(owner, FIRST)
    assert [info.info for info in released.requests] == [FIRST]
    assert idle.live == [FIRST]
    assert swarm.deliver(owner, SECOND) == USED


def test_a_choke_and_its_rejects_say_nothing_about_the_pieces() -> None:
    swarm, owner, idle = busy_and_idle(fast=True)
    swarm.leave(idle)
    swarm.choke(owner)
    for info in list(owner.live):
        swarm.reject(owner, info)
    assert owner.book.refused == 0
    swarm.unchoke(owner)
    assert owner.live == [FIRST, SECOND]


@pytest.mark.parametrize("fast", [True, False])
def test_choke_and_unchoke_ten_times_leaks_nothing(fast: bool) -> None:
    swarm = Swarm(2, 4)
    peer = swarm.join(fast=fast)
    for _ in range(10):
        swarm.choke(peer)
        for info in list(peer.live):
            swarm.reject(peer, info)
        assert peer.book.out == {}
        swarm.unchoke(peer)
        assert len(peer.live) == 2
    finish(swarm, [peer])
    assert swarm.missing() == []


def test_a_timeout_frees_cancels_and_asks_again_at_the_deadline_given() -> None:
    swarm = Swarm(1, 2)
    owner = swarm.join()
    due = swarm.scheduler.next_deadline()
    assert due == (LATENESS_UNKNOWN, "a request is late")
    swarm.tick(LATENESS_UNKNOWN - 0.001)
    assert len(owner.live) == 2
    (released,) = swarm.tick(LATENESS_UNKNOWN)
    assert released.cancel
    assert owner.live == [FIRST]
    assert len(owner.book.withdrawn) == 2


def test_asking_again_for_what_was_free_before_is_noted() -> None:
    swarm, owner, idle = busy_and_idle()
    swarm.leave(owner)
    noted = swarm.scheduler.reassigned
    assert [(info.link, info.info) for info in noted] == [
        (idle.ordinal, FIRST),
        (idle.ordinal, SECOND),
    ]


def test_what_is_asked_for_the_first_time_is_not_noted_as_reassigned() -> None:
    swarm, first, _second = two_links(2)
    swarm.deliver_all(first)
    assert swarm.scheduler.reassigned == []


def test_a_probe_is_no_reassignment() -> None:
    swarm = Swarm(1, 2)
    swarm.join()
    swarm.tick()
    assert swarm.scheduler.reassigned == []


def test_a_full_link_is_not_given_more_than_its_depth() -> None:
    swarm, first, second = two_links(2)
    busy = list(second.live)
    swarm.leave(first)
    assert second.live == busy


# --- Rejects -----------------------------------------------------------------------------------


def test_a_rejected_piece_is_left_to_others_and_asked_again_after_the_pause() -> None:
    swarm = Swarm(1, 2)
    peer = swarm.join(fast=True)
    released = swarm.reject(peer, FIRST)
    assert released.cause is ReleaseCause.REJECTED
    assert not released.cancel
    assert peer.live == [SECOND]
    swarm.reject(peer, SECOND)
    assert peer.live == []
    assert swarm.scheduler.next_deadline() == (REFUSAL_BACKOFF, "a refusal ends")
    swarm.tick()
    assert peer.live == [FIRST, SECOND]


def test_the_pauses_of_a_link_that_left_fall_due_no_more() -> None:
    swarm = Swarm(1, 2)
    peer = swarm.join(fast=True)
    swarm.reject(peer, FIRST)
    swarm.leave(peer)
    assert swarm.scheduler.next_deadline() is None


def test_the_earlier_of_a_late_request_and_a_refusals_end_is_the_deadline() -> None:
    swarm = Swarm(2, 2)
    peer = swarm.join(fast=True)
    swarm.reject(peer, peer.live[0])
    assert swarm.scheduler.next_deadline() == (REFUSAL_BACKOFF, "a refusal ends")
    swarm.tick(1.0)
    swarm.now = 2.0
    swarm.tick(2.0)
    assert swarm.scheduler.next_deadline() == (LATENESS_UNKNOWN, "a request is late")


def test_without_requests_or_refusals_nothing_is_due() -> None:
    assert Swarm().scheduler.next_deadline() is None


def test_a_peer_that_rejects_for_ever_is_not_asked_in_a_loop_at_one_instant() -> None:
    swarm = Swarm(100, 4)
    peer = swarm.join(fast=True)
    rejects = 0
    while peer.live:
        swarm.reject(peer, peer.live[0])
        rejects += 1
        assert rejects < 3 * MAX_REJECTIONS
    due = swarm.scheduler.next_deadline()
    assert due is not None
    assert due[0] >= REFUSAL_BACKOFF


def test_a_choking_peer_that_rejects_what_it_allowed_is_not_asked_in_a_loop() -> None:
    """It was asked again in the same step, as fast as it could say no."""
    swarm = Swarm(1, 2)
    peer = swarm.join(fast=True, choking=True)
    swarm.allow_fast(peer, 0b1)
    for info in list(peer.live):
        swarm.reject(peer, info)
    assert peer.live == []
    swarm.tick()
    assert peer.live == [FIRST, SECOND]


def test_a_choking_peer_is_asked_for_what_it_allows_and_no_more() -> None:
    swarm = Swarm(3, 2)
    peer = swarm.join(fast=True, choking=True)
    assert peer.live == []
    swarm.allow_fast(peer, 0b010)
    assert pieces_of(peer) == {1}


def test_a_reject_of_what_was_never_asked_changes_nothing() -> None:
    swarm = Swarm(1, 4)
    peer = swarm.join(fast=True)
    before = list(peer.book.out)
    assert swarm.reject(peer, BlockInfo(0, 3 * BLOCK_SIZE, BLOCK_SIZE)).requests == ()
    assert list(peer.book.out) == before
    assert peer.book.refused == 0


def test_a_reject_of_a_withdrawn_request_settles_that_one() -> None:
    swarm = Swarm(1, 2)
    peer = swarm.join(fast=True)
    swarm.tick()
    assert list(peer.book.withdrawn) == [0, 1]
    swarm.reject(peer, SECOND)
    assert list(peer.book.withdrawn) == [0]
    swarm.reject(peer, FIRST)
    assert list(peer.book.withdrawn) == []
    assert peer.live == [FIRST]  # the probe, which is owed an answer of its own


# --- Lateness ----------------------------------------------------------------------------------


def test_a_silent_link_loses_everything_and_keeps_one_probe() -> None:
    swarm = Swarm(1, 4)
    silent = swarm.join()
    asked = silent.live
    (released,) = swarm.tick()
    assert released.cause is ReleaseCause.SNUBBED
    assert [info.info for info in released.requests] == asked
    assert silent.book.snubbed
    assert len(silent.live) == 1
    (probe,) = silent.book.out.values()
    assert probe.probe


def test_others_may_have_the_block_that_a_silent_link_is_probed_for() -> None:
    swarm = Swarm(1, 2)
    silent = swarm.join()
    swarm.tick()
    assert silent.live == [FIRST]
    assert swarm.join().live == [FIRST, SECOND]


def test_a_silent_link_recovers_when_it_delivers_and_its_probe_counts_again() -> None:
    swarm = Swarm(1, 4)
    silent = swarm.join()
    swarm.tick()
    swarm.deliver(silent)
    assert not silent.book.snubbed
    assert len(silent.live) == 2
    assert not any(info.probe for info in silent.book.out.values())


def test_the_answer_to_a_probe_may_take_the_last_free_block() -> None:
    swarm = Swarm(1, 2)
    silent = swarm.join()
    swarm.tick()
    other = swarm.join(fast=True)
    swarm.reject(other, FIRST)
    assert swarm.active.open == 0b1
    swarm.receive(silent, FIRST)
    assert swarm.active.open == 0


def test_a_late_answer_makes_the_probe_a_request_like_others() -> None:
    swarm = Swarm(1, 4)
    silent = swarm.join()
    late = silent.live[1]
    swarm.tick()
    (probe,) = silent.book.out.values()
    assert swarm.deliver(silent, late) == USED
    assert not probe.probe
    piece = swarm.active.get(0)
    assert piece is not None
    assert piece.holders(probe.block) == 1


def test_a_link_that_stays_silent_is_probed_again_and_again() -> None:
    swarm = Swarm(1, 2)
    silent = swarm.join()
    for _ in range(5):
        (released,) = swarm.tick()
        assert released.cause is ReleaseCause.SNUBBED
        assert len(silent.live) == 1
    assert swarm.now == pytest.approx(5 * LATENESS_UNKNOWN)


def test_a_quick_link_that_falls_silent_is_snubbed_at_the_floor() -> None:
    swarm = Swarm(1, 8)
    peer = swarm.join()
    for _ in range(3):
        swarm.now += 0.05
        swarm.deliver(peer)
    assert swarm.scheduler.next_deadline() == (swarm.now + LATENESS_FLOOR, "a request is late")
    swarm.tick()
    assert peer.book.snubbed
    swarm.deliver(peer)
    assert not peer.book.snubbed


def test_while_requests_are_out_it_is_checked_at_least_every_clean_up_interval() -> None:
    swarm = Swarm(1, 40)
    peer = swarm.join(reqq=3)
    for _ in range(7):
        swarm.now += 4.0
        swarm.deliver(peer, peer.live[-1])
    interval = swarm.scheduler.active.config.cleanup_interval
    assert swarm.scheduler.next_deadline() == (interval, "a request is late")
    assert swarm.scheduler.tick(swarm.now) == []
    assert swarm.scheduler.next_deadline() == (REQUEST_TIMEOUT, "a request is late")


def test_a_slow_but_steady_link_loses_only_the_request_that_is_overdue() -> None:
    swarm = Swarm(1, 40)
    peer = swarm.join(reqq=3)
    stuck = peer.live[0]
    for _ in range(7):
        swarm.now += 4.0
        swarm.deliver(peer, peer.live[-1])
    released = swarm.tick()
    while not released:  # a check in between finds nothing late
        released = swarm.tick()
    (one,) = released
    assert one.cause is ReleaseCause.TIMED_OUT
    assert [info.info for info in one.requests] == [stuck]
    assert swarm.now == REQUEST_TIMEOUT
    assert not peer.book.snubbed
    assert peer.book.refused == 0b1


def test_an_hour_of_sleep_probes_every_link_and_drops_none() -> None:
    swarm, first, second = two_links(2)
    swarm.tick(3600.0)
    for peer in (first, second):
        assert peer.book.snubbed
        assert len(peer.live) == 1
    finish(swarm, [first, second])
    assert swarm.missing() == []


# --- Overtaken ---------------------------------------------------------------------------------


def overtake(swarm: Swarm, peer: Peer, count: int, gap: float) -> list[object]:
    """The peer answers ``count`` requests but never its oldest."""
    lost: list[object] = []
    for _ in range(count):
        swarm.now += gap
        outcome = swarm.deliver(peer, peer.live[1])
        lost += [outcome.lost] if outcome.lost else []
    return lost


def test_a_request_passed_over_too_often_and_too_long_is_lost() -> None:
    swarm = Swarm(2, 40)
    peer = swarm.join()
    (oldest, *_) = peer.book.out.values()
    lost = overtake(swarm, peer, OVERTAKEN_LIMIT + 1, LATENESS_FLOOR / OVERTAKEN_LIMIT)
    assert lost == [oldest]
    assert oldest.info not in peer.live
    assert swarm.active.key_of(oldest) in peer.book.withdrawn
    assert peer.book.refused == 1 << oldest.piece.index


def test_order_alone_is_no_sign_of_loss() -> None:
    swarm = Swarm(1, 40)
    peer = swarm.join()
    assert overtake(swarm, peer, 3 * OVERTAKEN_LIMIT, 0.01) == []


def test_time_alone_is_no_sign_of_loss() -> None:
    swarm = Swarm(1, 40)
    peer = swarm.join()
    assert overtake(swarm, peer, OVERTAKEN_LIMIT - 1, 1.9) == []


def test_a_link_that_answers_all_but_one_block_leaves_it_to_another() -> None:
    swarm = Swarm(1, 12)
    peer = swarm.join()
    never = peer.live[0]
    other = swarm.join()
    while len(peer.live) > 1:
        swarm.now += 0.4
        swarm.deliver(peer, peer.live[1])
    assert never in other.live
