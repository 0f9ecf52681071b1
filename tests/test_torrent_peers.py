"""Peers that leave, choke, fall silent or refuse: the blocks move on."""

from __future__ import annotations

import pytest

from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.limits import (
    LATENESS_FLOOR,
    LATENESS_UNKNOWN,
)
from torrent_core.types import CloseReason, ReleaseCause
from torrent_core.wire import messages as wire
from world import BLOCK, KIB
from world_peers import Choker, Corrupter, Leaver, Leech, Peer, Rejecter, Seed, Silent
from world_swarm import (
    FIRST,
    Swarm,
    answer,
    of,
    requested,
    sent,
    unchoked,
)

# --- Peers that leave, choke or fall silent -----------------------------------------------------


def owner_and_idle(*, fast: bool = True) -> tuple[Swarm, Peer, Peer]:
    """One peer was asked for all of piece 0; another has it too and nothing to do.

    It helps the first only when that has had a moment to answer.
    """
    swarm = Swarm(4 * BLOCK)
    owner = unchoked(swarm, have=[0], fast=fast)
    idle = unchoked(swarm, have=[0])
    assert len(owner.asked) == 2
    assert not idle.asked
    return swarm, owner, idle


def test_what_was_asked_of_a_peer_that_leaves_is_asked_of_others_in_the_same_step() -> None:
    swarm, owner, _ = owner_and_idle()
    held = set(owner.asked)
    actions = swarm.feed(ev.LinkClosed("link 0", "reset"))
    (released,) = of(actions, act.BlocksReleased)
    assert (released.link, released.cause) == ("link 0", ReleaseCause.DISCONNECTED)
    (again,) = of(actions, act.BlocksReassigned)
    assert set(released.blocks) == set(again.blocks) == held
    assert requested(actions, "link 1") == held
    (lost,) = of(actions, act.LinkLost)
    assert (lost.reason, lost.detail) == (CloseReason.CONNECTION_FAILED, "reset")


@pytest.mark.uncovered
def test_blocks_spread_over_more_pieces_than_any_cap() -> None:
    swarm = Swarm(120 * 2 * BLOCK)
    for index in range(swarm.meta.piece_count):
        swarm.join(Leaver, have=[index]).blocks = 1
    seed = swarm.join(Seed)
    swarm.finish()
    assert seed.blocks_sent < 240


@pytest.mark.parametrize("fast", [True, False])
def test_choke_and_unchoke_ten_times_fast(fast: bool) -> None:
    swarm = Swarm(12 * BLOCK)
    peer = unchoked(swarm, fast=fast)
    for _ in range(10):
        peer.choke()
        peer.unchoke()
        swarm.run(seconds=0.1)
    assert len(peer.asked) == FIRST
    while peer.asked:
        answer(swarm, peer)
    swarm.finish(1.0)
    assert peer.blocks_sent == 12


def test_choke_without_the_fast_extension_frees_all_requests_in_the_same_step() -> None:
    swarm, owner, idle = owner_and_idle(fast=False)
    held = set(owner.asked)
    owner.choke()
    swarm.run(seconds=0.05)
    (released,) = swarm.actions(act.BlocksReleased)
    assert released.cause is ReleaseCause.CHOKED
    (again,) = swarm.actions(act.BlocksReassigned)
    assert set(released.blocks) == set(again.blocks) == held == set(idle.asked)


def test_choke_with_the_fast_extension_leaves_requests_to_be_answered() -> None:
    swarm = Swarm(4 * BLOCK)
    peer = unchoked(swarm)
    held = list(peer.asked)
    peer.say(wire.Choke())
    swarm.run(seconds=0.05)
    assert not swarm.actions(act.BlocksReleased)
    answer(swarm, peer)
    assert not peer.asked
    assert swarm.torrent.status(swarm.now).downloaded == len(held) * BLOCK
    assert swarm.torrent.status(swarm.now).wasted == 0


def test_a_piece_allowed_fast_is_fetched_from_one_who_chokes() -> None:
    swarm = Swarm(8 * BLOCK)
    peer = swarm.join(Peer)
    peer.allowed = {2}
    peer.say(wire.Suggest(1), wire.AllowedFast(2))
    swarm.run(seconds=0.05)
    assert {block.piece for block in peer.asked} == {2}
    answer(swarm, peer)
    assert swarm.torrent.verified == 1 << 2


def test_requests_that_time_out_are_asked_again_at_the_deadline_that_was_given() -> None:
    swarm = Swarm(2 * BLOCK)
    peer = unchoked(swarm)
    held = set(peer.asked)
    due = next(iter(peer.asked.values())) - peer.latency + LATENESS_UNKNOWN
    swarm.run(lambda: bool(swarm.actions(act.BlocksReleased)), seconds=30)
    assert swarm.now == pytest.approx(due)
    now, event, actions = swarm.trace[-1]
    assert (now, event) == (swarm.now, ev.Tick())
    (released,) = of(actions, act.BlocksReleased)
    assert released.cause is ReleaseCause.SNUBBED
    assert set(released.blocks) == held
    assert len(requested(actions, "link 0")) == 1
    assert sum(isinstance(m, wire.Cancel) for m in sent(actions, "link 0")) == len(held)
    (row,) = swarm.torrent.peers(swarm.now)
    assert row.snubbed


def test_a_peer_silent_after_one_quick_block_is_snubbed_at_the_floor_and_can_recover() -> None:
    swarm = Swarm(8 * BLOCK)
    peer = unchoked(swarm)
    other = swarm.join(Peer)
    answer(swarm, peer, 1)
    delivered = swarm.trace[-1].now
    swarm.run(lambda: bool(swarm.actions(act.BlocksReleased)), seconds=60)
    assert swarm.now == pytest.approx(delivered + LATENESS_FLOOR, abs=0.1)
    assert swarm.torrent.peers(swarm.now)[0].snubbed
    swarm.run(seconds=0.05)  # the CANCELs are answered by REJECT: one probe is left
    assert len(peer.asked) == 1
    answer(swarm, peer)
    assert not swarm.torrent.peers(swarm.now)[0].snubbed
    assert len(peer.asked) > 1
    other.unchoke()
    swarm.run(seconds=0.05)
    assert other.asked


def test_a_request_passed_over_often_and_for_long_is_lost() -> None:
    swarm = Swarm(256 * BLOCK, 64 * BLOCK)
    peer = unchoked(swarm)
    passed_over = next(iter(peer.asked))
    for _ in range(100):
        later = [block for block in peer.asked if block != passed_over]
        peer.give(later[0])
        swarm.run(seconds=0.4)
        if swarm.actions(act.BlocksReleased):
            break
    (released,) = swarm.actions(act.BlocksReleased)
    assert (released.cause, released.blocks) == (ReleaseCause.OVERTAKEN, (passed_over,))
    assert any(isinstance(m, wire.Cancel) for m in peer.heard)


@pytest.mark.parametrize("villain", [Silent, Choker, Leaver, Corrupter, Rejecter, Leech])
def test_one_villain_beside_an_honest_seed(villain: type[Peer]) -> None:
    swarm = Swarm(40 * BLOCK)
    swarm.join(villain)
    swarm.join(Seed, rate=500_000)
    swarm.finish(120)


@pytest.mark.parametrize("fast", [True, False])
def test_all_villains_before_an_honest_seed_comes(fast: bool) -> None:
    swarm = Swarm(64 * BLOCK)
    for villain in (Silent, Choker, Leaver, Corrupter, Rejecter, Leaver, Silent):
        swarm.join(villain, fast=fast or villain is Rejecter, rate=200_000)
    swarm.run(seconds=30)
    swarm.join(Seed, rate=500_000, fast=fast)
    swarm.finish(300)


def test_the_owner_of_a_piece_chokes_in_the_middle_and_idle_peers_go_on() -> None:
    swarm = Swarm(4 * BLOCK, 4 * BLOCK)
    owner = unchoked(swarm, fast=False)
    idle = unchoked(swarm)
    answer(swarm, owner, 2)
    owner.choke()
    swarm.run(seconds=0.05)
    assert len(idle.asked) == 2
    answer(swarm, idle)
    swarm.finish(1.0)


def test_the_owner_leaves_while_its_piece_is_fully_requested() -> None:
    swarm = Swarm(8 * BLOCK, 4 * BLOCK)
    owner, other = unchoked(swarm), unchoked(swarm)
    assert len({block.piece for block in owner.asked}) == 1
    owner.leave()
    swarm.run(seconds=0.05)
    while other.asked:
        answer(swarm, other)
    swarm.finish(1.0)


def test_all_peers_leave_in_the_middle_and_come_back() -> None:
    swarm = Swarm(40 * BLOCK)
    for port in (1, 2, 3):
        swarm.dialled(Leaver, port=port, rate=100_000).blocks = 6
    swarm.finish()
    assert len(swarm.lines) >= 6
    assert swarm.torrent.status(swarm.now).wasted <= 2 * BLOCK  # in end-game


@pytest.mark.uncovered
def test_a_large_piece_from_one_slow_peer_is_downloaded_once() -> None:
    swarm = Swarm(16 * 1024 * KIB, 16 * 1024 * KIB)
    seed = swarm.join(Seed, rate=100 * KIB, chunk=8 * KIB)
    swarm.finish()
    assert seed.blocks_sent == 1024
    assert swarm.torrent.status(swarm.now).wasted == 0
    assert not swarm.actions(act.BlocksReleased)
