from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pieces_kit import BLOCK_SIZE, Peer, Swarm, blocks_of, content, payload

from torrent_core.bitfield import indices
from torrent_core.limits import (
    LATENESS_FLOOR,
    LATENESS_UNKNOWN,
    MAX_OPEN_BLOCKS,
    MAX_REJECTIONS,
    OVERTAKEN_LIMIT,
    REFUSAL_BACKOFF,
    REQUEST_TIMEOUT,
)
from torrent_core.pieces import USED, ActivePieceConfig, Stage
from torrent_core.types import BlockInfo, ReleaseCause

FIRST, SECOND = BlockInfo(0, 0, BLOCK_SIZE), BlockInfo(0, BLOCK_SIZE, BLOCK_SIZE)


def pieces_of(peer: Peer) -> set[int]:
    return {info.piece for info in peer.live}


def two_links(pieces: int = 1, blocks: int = 4) -> tuple[Swarm, Peer, Peer]:
    """Two links with everything; the first is asked for the first two blocks of a piece."""
    swarm = Swarm(pieces, blocks)
    first = swarm.join()
    return swarm, first, swarm.join()


# --- The order of work -----------------------------------------------------------------------


def test_a_link_goes_on_with_its_own_piece_before_it_opens_another() -> None:
    swarm = Swarm(4, 40)
    peer = swarm.join()
    (own,) = pieces_of(peer)
    swarm.deliver(peer)
    swarm.deliver(peer)
    assert pieces_of(peer) == {own}
    assert swarm.active.active_count == 1


def test_what_was_asked_in_vain_comes_before_a_links_own_piece() -> None:
    swarm = Swarm(2, 4)
    leaver = swarm.join()
    stayer = swarm.join()
    (orphan,), (own,) = pieces_of(leaver), pieces_of(stayer)
    assert orphan != own
    swarm.leave(leaver)
    swarm.deliver(stayer)
    assert (orphan, 0) in blocks_of(stayer.live)


def test_a_piece_begun_that_nobody_works_on_comes_before_a_new_one() -> None:
    swarm = Swarm(4, 4)
    begun = swarm.active.get_or_create(2, 0.0)
    assert begun is not None
    begun.restore(0b0101)
    swarm.active.refresh(begun)
    assert blocks_of(swarm.join().live) == [(2, 1), (2, 3)]


def test_a_new_piece_comes_before_one_that_another_link_works_on() -> None:
    swarm, first, second = two_links(2)
    assert pieces_of(first).isdisjoint(pieces_of(second))


def test_new_pieces_are_opened_rarest_first() -> None:
    swarm = Swarm(4, 2)
    swarm.join(0b1011, choking=True)
    assert pieces_of(swarm.join()) == {2}


def test_what_the_peer_suggests_is_opened_first() -> None:
    swarm = Swarm(4, 2)
    swarm.join(0b1011, choking=True)
    peer = swarm.join(choking=True)
    peer.state.suggested = 0b1000
    swarm.unchoke(peer)
    assert pieces_of(peer) == {3}


def test_at_the_soft_cap_links_share_a_piece_rather_than_open_more() -> None:
    swarm = Swarm(4, MAX_OPEN_BLOCKS // 2, config=ActivePieceConfig(max_active_pieces=20))
    first, second, third = swarm.join(), swarm.join(), swarm.join()
    assert swarm.active.active_count == 2
    assert pieces_of(first).isdisjoint(pieces_of(second))
    shared = pieces_of(third)
    assert shared < pieces_of(first) | pieces_of(second)
    assert len(set(first.live + second.live + third.live)) == 6


def test_a_piece_that_is_all_asked_for_does_not_count_against_the_cap() -> None:
    swarm = Swarm(30, 2, config=ActivePieceConfig(max_active_pieces=1))
    peers = [swarm.join() for _ in range(10)]
    assert sorted(len(pieces_of(peer)) for peer in peers) == [1] * 10
    assert swarm.active.open == 0


def test_the_cap_yields_before_a_link_is_idle() -> None:
    swarm = Swarm(2, MAX_OPEN_BLOCKS)
    swarm.join(0b01)
    other = swarm.join(0b10)
    assert pieces_of(other) == {1}


@pytest.mark.parametrize("soft_cap", [1, 2, 5])
def test_blocks_spread_over_more_pieces_than_any_cap_still_complete(soft_cap: int) -> None:
    """The plan's own stall: the cap full of half-done pieces that those who stay lack."""
    swarm = Swarm(12, 4, config=ActivePieceConfig(max_active_pieces=soft_cap))
    for index in range(12):
        leaver = swarm.join(1 << index)
        swarm.deliver(leaver)
        swarm.leave(leaver)
    peers = [swarm.join(0b000000111111), swarm.join(0b111111000000)]
    finish(swarm, peers)
    assert swarm.missing() == []


def finish(swarm: Swarm, peers: list[Peer]) -> None:
    """The peers answer in turn; every completed piece passes."""
    for _ in range(1000):
        for piece in list(swarm.completed):
            assert bytes(piece.assemble()) == content(piece)
            swarm.passed(piece)
        busy = [peer for peer in peers if peer.live]
        if not busy:
            return
        for peer in busy:
            swarm.now += 0.01
            if peer.live:
                swarm.deliver(peer)


@given(
    pieces=st.integers(1, 6),
    blocks=st.integers(1, 4),
    cut=st.integers(0, BLOCK_SIZE * 2),
    shares=st.lists(st.integers(1, 63), min_size=1, max_size=4),
)
def test_whoever_has_what_all_that_somebody_has_is_fetched_once(
    pieces: int, blocks: int, cut: int, shares: list[int]
) -> None:
    swarm = Swarm(pieces, blocks, cut=min(cut, blocks * BLOCK_SIZE - 1))
    everything = swarm.geometry.all_pieces
    peers = [swarm.join(share & everything) for share in shares]
    finish(swarm, peers)
    somebody_has = 0
    for share in shares:
        somebody_has |= share & everything
    assert swarm.verified.bitfield == somebody_has


@given(blocks=st.integers(1, 40), reqq=st.sampled_from([None, 1, 2, 10]))
def test_one_peer_has_as_much_out_as_depth_and_remainder_allow(
    blocks: int, reqq: int | None
) -> None:
    swarm = Swarm(1, blocks)
    peer = swarm.join(reqq=reqq)
    for left in range(blocks, 0, -1):
        assert len(peer.live) >= min(peer.book.low_water + 1, left)
        assert len(peer.live) <= min(max(peer.book.depth, 2), left)
        assert reqq is None or len(peer.live) <= reqq
        swarm.now += 0.05
        swarm.deliver(peer)


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
    swarm = Swarm(2, 2)
    swarm.join(0b10, choking=True)  # keeps it from being end-game
    owner, idle = swarm.join(0b01), swarm.join(0b01)
    assert idle.live == []
    swarm.leave(owner)
    assert blocks_of(idle.live) == [(0, 0), (0, 1)]


def not_endgame(*, fast: bool = False) -> tuple[Swarm, Peer, Peer]:
    """A busy link, and an idle one that has the same piece."""
    swarm = Swarm(2, 2)
    swarm.join(0b10, choking=True)
    return swarm, swarm.join(0b01, fast=fast), swarm.join(0b01)


def test_a_choke_without_bep_6_drops_all_requests_for_others_to_take() -> None:
    swarm, owner, idle = not_endgame()
    released = swarm.choke(owner)
    assert released.cause is ReleaseCause.CHOKED
    assert not released.cancel
    assert len(released.requests) == 2
    assert owner.book.out == {}
    assert owner.book.withdrawn == {}
    assert blocks_of(idle.live) == [(0, 0), (0, 1)]


def test_a_choke_with_bep_6_keeps_each_request_until_it_is_answered() -> None:
    swarm, owner, idle = not_endgame(fast=True)
    assert swarm.choke(owner).requests == ()
    assert len(owner.book.out) == 2
    assert idle.live == []
    released = swarm.reject(owner, FIRST)
    assert [info.info for info in released.requests] == [FIRST]
    assert idle.live == [FIRST]
    assert swarm.deliver(owner, SECOND) == USED


def test_a_choke_and_its_rejects_say_nothing_about_the_pieces() -> None:
    swarm, owner, idle = not_endgame(fast=True)
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


def test_a_timeout_frees_cancels_and_asks_somebody_else_at_the_deadline_given() -> None:
    swarm, owner, idle = not_endgame()
    due = swarm.scheduler.next_deadline()
    assert due == (LATENESS_UNKNOWN, "a request is late")
    swarm.tick(LATENESS_UNKNOWN - 0.001)
    assert len(owner.live) == 2
    (released,) = swarm.tick(LATENESS_UNKNOWN)
    assert released.cancel
    assert blocks_of(idle.live) == [(0, 0), (0, 1)]
    assert len(owner.book.withdrawn) == 2


def test_asking_again_for_what_was_free_before_is_noted() -> None:
    swarm, owner, idle = not_endgame()
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
    assert peer.book.withdrawn == {}
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


def test_a_slow_but_steady_link_loses_only_the_request_that_is_overdue() -> None:
    swarm = Swarm(1, 40)
    peer = swarm.join(reqq=3)
    stuck = peer.live[0]
    for _ in range(7):
        swarm.now += 4.0
        swarm.deliver(peer, peer.live[-1])
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


# --- Blocks ------------------------------------------------------------------------------------


def test_the_last_block_completes_the_piece_once() -> None:
    swarm = Swarm(1, 2)
    peer = swarm.join()
    assert swarm.deliver(peer) == USED
    outcome = swarm.deliver(peer)
    (piece,) = swarm.completed
    assert outcome.completed is piece
    assert piece.stage is Stage.HASHING
    assert piece.owner is None


def test_a_piece_with_blocks_in_files_is_stored_whole_before_it_is_hashed() -> None:
    swarm = Swarm(1, 2)
    piece = swarm.active.get_or_create(0, 0.0)
    assert piece is not None
    piece.restore(0b10)
    swarm.active.refresh(piece)
    outcome = swarm.deliver(swarm.join())
    assert outcome.completed is piece
    assert piece.stage is Stage.FLUSHING


def test_a_duplicate_while_hashing_is_waste_and_completes_nothing() -> None:
    swarm = Swarm(1, 1)
    first, second = swarm.join(), swarm.join()
    assert second.live == [FIRST]
    swarm.deliver(first)
    outcome = swarm.deliver(second, FIRST)
    assert outcome.completed is None
    assert outcome.waste == "came too late"
    assert second.book.unsolicited == 0
    assert len(swarm.completed) == 1


def test_a_late_block_is_taken_once() -> None:
    swarm = Swarm(1, 2)
    peer = swarm.join()
    swarm.tick()
    assert swarm.deliver(peer, SECOND) == USED
    outcome = swarm.receive(peer, SECOND)
    assert outcome.waste == "was not asked for"
    assert peer.book.unsolicited == 1


def test_a_late_block_saves_whoever_was_asked_instead() -> None:
    swarm = Swarm(1, 2)
    late = swarm.join()
    swarm.tick()
    other = swarm.join()
    outcome = swarm.deliver(late, SECOND)
    assert [info.link for info in outcome.duplicates] == [other.ordinal]
    assert SECOND not in other.live


def test_a_late_block_of_a_piece_that_is_ours_is_known_as_late() -> None:
    swarm = Swarm(1, 1)
    late = swarm.join()
    swarm.tick()
    swarm.deliver(swarm.join())
    swarm.passed(swarm.completed[0])
    assert swarm.receive(late, FIRST).waste == "came too late"
    assert late.book.unsolicited == 0


@pytest.mark.parametrize(
    ("begin", "length"),
    [(0, BLOCK_SIZE - 1), (0, BLOCK_SIZE + 1), (0, 0), (1, BLOCK_SIZE), (3 * BLOCK_SIZE, BLOCK_SIZE)],
)  # fmt: skip
def test_a_block_that_is_not_exactly_what_was_asked_changes_nothing(
    begin: int, length: int
) -> None:
    swarm = Swarm(1, 4)
    peer = swarm.join()
    out = list(peer.book.out)
    outcome = swarm.received(peer, BlockInfo(0, begin, length), memoryview(bytes(length)))
    assert outcome.waste == "was not asked for"
    assert peer.book.unsolicited == 1
    assert list(peer.book.out) == out
    piece = swarm.active.get(0)
    assert piece is not None
    assert piece.received == 0


@pytest.mark.parametrize(("begin", "length"), [(1, BLOCK_SIZE), (0, 5), (0, BLOCK_SIZE + 1)])
def test_a_malformed_answer_to_a_withdrawn_request_settles_nothing(
    begin: int, length: int
) -> None:
    swarm = Swarm(1, 2)
    peer = swarm.join()
    swarm.tick()
    ledger = dict(peer.book.withdrawn)
    outcome = swarm.received(peer, BlockInfo(0, begin, length), memoryview(bytes(length)))
    assert outcome.waste == "was not asked for"
    assert peer.book.withdrawn == ledger
    assert peer.book.snubbed


@pytest.mark.parametrize("index", [1, 5])
def test_no_piece_is_created_for_a_block_that_nobody_asked_for(index: int) -> None:
    swarm = Swarm(6, 2, wanted=0b1)
    peer = swarm.join()
    swarm.receive(peer, BlockInfo(index, 0, BLOCK_SIZE))
    assert swarm.active.active_indices == [0]


# --- Blocks that come in parts -------------------------------------------------------------------


def test_a_block_in_parts_is_written_in_its_place_and_taken() -> None:
    swarm = Swarm(1, 1)
    peer = swarm.join()
    swarm.begin(peer, FIRST)
    assert peer.book.claim is not None
    outcome = swarm.finish(peer)
    assert peer.book.claim is None
    assert outcome.completed is not None
    assert outcome.completed.assemble() == payload(FIRST)


def test_a_place_is_given_for_a_late_block_that_is_still_missing() -> None:
    swarm = Swarm(1, 2)
    peer = swarm.join()
    swarm.tick()
    swarm.begin(peer, SECOND)
    assert swarm.finish(peer) == USED
    piece = swarm.active.get(0)
    assert piece is not None
    assert piece.received == 0b10
    assert piece.block_view(1) == payload(SECOND)


@pytest.mark.parametrize(
    ("begin", "length"),
    [(0, 1), (1, BLOCK_SIZE), (2 * BLOCK_SIZE, BLOCK_SIZE)],
)
def test_no_place_is_given_for_what_was_not_asked(begin: int, length: int) -> None:
    swarm = Swarm(1, 4)
    peer = swarm.join()
    assert swarm.scheduler.open_block(peer.book, 0, begin, length) is None
    swarm.begin(peer, BlockInfo(0, begin, length))
    assert swarm.finish(peer).waste == "was not asked for"


@pytest.mark.parametrize("begin", [0, 1])
def test_no_place_is_given_for_a_late_block_that_is_here_or_malformed(begin: int) -> None:
    swarm = Swarm(1, 2)
    late = swarm.join()
    swarm.tick()
    swarm.choke(late)
    swarm.deliver(swarm.join())
    assert swarm.scheduler.open_block(late.book, 0, begin, BLOCK_SIZE) is None


def test_who_is_first_with_a_block_ends_the_writing_of_the_other() -> None:
    swarm = Swarm(1, 2)
    slow, quick = swarm.join(), swarm.join()
    assert quick.live == [SECOND, FIRST]
    swarm.begin(slow, FIRST)
    outcome = swarm.deliver(quick, FIRST)
    assert [info.link for info in outcome.duplicates] == [slow.ordinal]
    assert slow.arriving is not None
    assert slow.arriving.place is None
    assert swarm.finish(slow).waste == "came too late"
    piece = swarm.active.get(0)
    assert piece is not None
    assert piece.block_view(0) == payload(FIRST)


def test_two_that_write_the_same_block_do_not_spoil_each_others() -> None:
    swarm = Swarm(1, 2)
    first, second = swarm.join(), swarm.join()
    swarm.begin(first, FIRST)
    swarm.begin(second, FIRST)
    swarm.finish(second)
    piece = swarm.active.get(0)
    assert piece is not None
    assert piece.block_view(0) == payload(FIRST)
    assert swarm.finish(first).waste == "came too late"


def test_a_block_whose_piece_was_abandoned_meanwhile_is_dropped() -> None:
    swarm = Swarm(2, 2)
    peer = swarm.join(0b01)
    swarm.begin(peer, FIRST)
    swarm.want(0b10)
    assert peer.arriving is not None
    assert peer.arriving.place is None
    assert swarm.finish(peer).waste == "came too late"


# --- Pieces that fail ----------------------------------------------------------------------------


def spoiled() -> tuple[Swarm, Peer, Peer]:
    """A piece of two blocks that two links sent and that has failed its hash; both are idle,
    and a link that chokes keeps it from being end-game."""
    swarm = Swarm(2, 2)
    swarm.join(0b10, choking=True)
    first, second = swarm.join(0b01, fast=True), swarm.join(0b01, fast=True)
    swarm.leave(swarm.peers[1])
    swarm.want(0b01)
    swarm.deliver(first, FIRST)
    swarm.deliver(second, SECOND)
    return swarm, first, second


def paroled() -> tuple[Swarm, Peer, Peer]:
    """The same, after the piece was given to one of them: (swarm, holder, the other)."""
    swarm, first, second = spoiled()
    swarm.failed(swarm.completed[0])
    holder, other = (first, second) if first.live else (second, first)
    return swarm, holder, other


def test_a_sole_contributor_of_a_failed_piece_is_known() -> None:
    swarm = Swarm(1, 2)
    peer = swarm.join()
    swarm.deliver_all(peer)
    assert swarm.completed[0].get_contributing_peers() == (peer.ordinal,)
    swarm.failed(swarm.completed[0])
    assert swarm.peers == {}
    assert swarm.join().live == [FIRST, SECOND]


def test_a_failed_piece_with_several_contributors_is_fetched_from_one_link() -> None:
    _, holder, other = paroled()
    assert holder.live == [FIRST, SECOND]
    assert other.live == []


def test_a_piece_that_passes_is_on_parole_no_longer() -> None:
    swarm, holder, _ = paroled()
    swarm.deliver_all(holder)
    assert swarm.completed[0].get_contributing_peers() == (holder.ordinal,)
    swarm.passed(swarm.completed[0])
    assert not swarm.scheduler.parole
    assert swarm.missing() == []


def leaves(swarm: Swarm, peer: Peer) -> None:
    swarm.leave(peer)


def chokes(swarm: Swarm, peer: Peer) -> None:
    swarm.choke(peer)


def rejects(swarm: Swarm, peer: Peer) -> None:
    swarm.reject(peer, peer.live[0])


def stays_silent(swarm: Swarm, peer: Peer) -> None:
    swarm.tick()


@pytest.mark.parametrize("fails", [leaves, chokes, rejects, stays_silent])
def test_when_the_holder_fails_the_next_link_starts_over(fails: object) -> None:
    swarm, holder, other = paroled()
    swarm.deliver(holder, FIRST)
    assert callable(fails)
    fails(swarm, holder)
    assert other.live[:1] == [FIRST]
    piece = swarm.active.get(0)
    assert piece is not None
    assert piece.received == 0
    assert not swarm.scheduler.parole.is_closed_to(0, other.ordinal)


def test_a_silent_holder_does_not_take_the_piece_again_and_again() -> None:
    """Its probe reserved the piece for it each time, while another link stood idle."""
    swarm, holder, other = paroled()
    swarm.tick()
    assert other.live == [FIRST, SECOND]
    assert FIRST not in holder.live
    assert SECOND not in holder.live


def test_the_choke_of_a_holder_frees_what_it_sent_although_nothing_is_void() -> None:
    """With BEP 6 a choke voids no request; the block received was free and nobody looked."""
    swarm, holder, other = paroled()
    swarm.deliver(holder, FIRST)
    assert swarm.choke(holder).requests == ()
    assert other.live == [FIRST]


def test_an_answer_of_the_former_holder_is_not_used_and_its_block_goes_to_the_next() -> None:
    """The block was free again, and nobody was told."""
    swarm, holder, other = paroled()
    swarm.deliver(holder, FIRST)
    swarm.choke(holder)
    outcome = swarm.deliver(holder, SECOND)
    assert outcome.waste == "is reserved for another link"
    assert holder.book.unsolicited == 0
    assert other.live == [FIRST, SECOND]


def test_a_block_that_was_arriving_when_its_piece_started_over_settles_its_request() -> None:
    swarm, holder, other = paroled()
    swarm.deliver(holder, FIRST)
    swarm.begin(holder, SECOND)
    swarm.choke(holder)
    assert swarm.finish(holder).waste == "came while its piece was started over"
    assert holder.book.out == {}
    assert holder.book.unsolicited == 0
    assert other.live == [FIRST, SECOND]


def test_the_claim_of_a_former_holder_does_not_outlive_its_answer() -> None:
    """A claim left behind was broken later, in the middle of another block."""
    swarm, holder, _other = paroled()
    swarm.choke(holder)
    swarm.begin(holder, SECOND)
    swarm.finish(holder)
    piece = swarm.active.get(0)
    assert piece is not None
    assert piece.claims == {}
    assert holder.book.claim is None


def test_a_late_block_of_a_paroled_piece_counts_only_from_its_holder() -> None:
    swarm, holder, other = paroled()
    swarm.tick()
    outcome = swarm.deliver(holder, SECOND)
    assert outcome.waste == "came too late"
    assert other.live == [FIRST, SECOND]


def test_a_paroled_piece_being_hashed_survives_its_holders_leaving() -> None:
    swarm, holder, other = paroled()
    swarm.deliver_all(holder)
    (piece,) = swarm.completed
    swarm.leave(holder)
    assert piece.stage is Stage.HASHING
    assert piece.have_all_blocks
    swarm.failed(piece)
    assert other.live == [FIRST, SECOND]


def test_a_holder_that_loses_requests_for_other_pieces_keeps_its_parole() -> None:
    swarm, holder, _ = paroled()
    swarm.want(0b11)
    swarm.gain(holder, 0b10)
    holder.state.reqq = None
    swarm.deliver(holder, FIRST)
    elsewhere = [info for info in holder.live if info.piece == 1]
    assert elsewhere
    swarm.reject(holder, elsewhere[0])
    piece = swarm.active.get(0)
    assert piece is not None
    assert piece.received == 0b01


# --- Wanting, memory -----------------------------------------------------------------------------


def test_an_abandoned_piece_leaves_nothing_behind() -> None:
    swarm, first, _ = two_links(2)
    index = min(pieces_of(first))
    swarm.want(0b11 & ~(1 << index))
    assert not swarm.active.has(index)
    assert index not in pieces_of(first)
    assert [owed.info.piece for owed in first.queue if owed.cancelled] == [index, index]
    swarm.want(0b11)
    assert swarm.active.has(index) is not bool(swarm.picker.candidates >> index & 1)


def test_abandoning_a_piece_ends_its_parole() -> None:
    swarm, _, _ = paroled()
    swarm.want(0)
    assert not swarm.scheduler.parole


def test_abandoning_what_is_not_active_is_no_error() -> None:
    assert Swarm().scheduler.abandon(2) == []


def test_a_link_that_shared_a_piece_does_not_go_on_with_it_once_it_is_abandoned() -> None:
    """Its blocks went into a buffer that was another piece's by then."""
    swarm = Swarm(2, MAX_OPEN_BLOCKS)
    first, second = swarm.join(0b01), swarm.join(0b01)
    assert pieces_of(first) == pieces_of(second) == {0}
    swarm.want(0)
    swarm.want(0b11)
    (piece,) = swarm.active.active_pieces
    assert all(info.piece is piece for info in first.book.out.values())
    assert all(info.piece is piece for info in second.book.out.values())


def test_without_memory_nothing_is_opened_and_the_owner_waits() -> None:
    swarm = Swarm(4, 2, memory=1)
    peers = [swarm.join() for _ in range(3)]
    assert [len(peer.live) for peer in peers] == [2, 2, 0]
    assert swarm.budget.used == 4 * BLOCK_SIZE
    swarm.deliver_all(peers[0])
    swarm.passed(swarm.completed[0])
    assert len(peers[2].live) + len(peers[0].live) >= 2
    assert swarm.active.active_count == 2
    finish(swarm, peers)
    assert swarm.missing() == []


def test_hashing_that_takes_its_time_does_not_drain_the_pipe() -> None:
    swarm = Swarm(8, 2)
    peer = swarm.join()
    for _ in range(10):
        swarm.now += 0.1
        swarm.deliver(peer)
        assert len(peer.live) >= 2
    assert len(swarm.completed) >= 4


def test_a_link_that_gains_a_piece_is_asked_at_once() -> None:
    swarm = Swarm(2, 2)
    peer = swarm.join(0)
    assert peer.live == []
    swarm.gain(peer, 0b10)
    assert pieces_of(peer) == {1}


def test_availability_follows_links_as_they_come_and_go() -> None:
    swarm = Swarm(3, 1)
    peer = swarm.join(0b011)
    swarm.gain(peer, 0b110)
    seed = swarm.join()
    availability = swarm.picker.availability
    assert [availability.count(index) for index in range(3)] == [2, 2, 2]
    swarm.leave(peer)
    swarm.leave(seed)
    assert list(indices(availability.available)) == []
