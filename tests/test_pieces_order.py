"""The order in which work is found for a link, and what it waits for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pieces_kit import Swarm, blocks_of, finish, pieces_of, two_links
from torrent_core.bitfield import indices
from torrent_core.limits import BLOCK_SIZE, MAX_OPEN_BLOCKS
from torrent_core.pieces import ActivePieceConfig

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


def test_a_piece_whose_owner_is_choked_comes_before_a_new_one() -> None:
    """With BEP 6 nothing of it is void yet, but its owner is not going on with it."""
    swarm = Swarm(4, 8)
    owner = swarm.join(fast=True)
    (begun,) = pieces_of(owner)
    swarm.choke(owner)
    assert blocks_of(swarm.join().live) == [(begun, 2), (begun, 3)]


def test_a_new_piece_comes_before_one_that_another_link_works_on() -> None:
    _swarm, first, second = two_links(2)
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


def test_pieces_that_wait_for_their_hash_do_not_count_against_the_cap() -> None:
    """If they did, the second link would share the piece of the first."""
    swarm = Swarm(12, 8, config=ActivePieceConfig(max_active_pieces=1))
    first = swarm.join(reqq=2)
    while len(swarm.completed) < 4:
        swarm.deliver(first)
    assert swarm.active.open.bit_count() == 1
    second = swarm.join()
    assert pieces_of(second)
    assert pieces_of(first).isdisjoint(pieces_of(second))


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
    swarm = Swarm(8, 2, memory=8 * BLOCK_SIZE)
    peers = [swarm.join() for _ in range(5)]
    assert [len(peer.live) for peer in peers] == [2, 2, 2, 2, 0]
    assert swarm.budget.used == 8 * BLOCK_SIZE
    swarm.deliver_all(peers[0])
    assert not peers[0].live
    swarm.passed(swarm.completed[0])
    assert len({*peers[4].live, *peers[0].live}) == 2
    assert swarm.active.active_count == 4
    finish(swarm, peers)
    assert swarm.missing() == []


@pytest.mark.parametrize("blocks", [1, 2])
def test_hashing_that_takes_its_time_does_not_drain_the_pipe(blocks: int) -> None:
    swarm = Swarm(16 // blocks, blocks)
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
