"""Scenarios of links that come, go, choke and fall silent; accounts hold at every event."""

from __future__ import annotations

import pytest

from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.limits import (
    ENDGAME_PATIENCE,
    LATENESS_FLOOR,
    LATENESS_UNKNOWN,
    MAX_PIPELINE,
    MAX_REJECTIONS,
    MIN_PIPELINE,
)
from torrent_core.pieces.pace import pipeline_depth
from torrent_core.types import BlockInfo, ReleaseCause, TorrentState
from torrent_core.wire import messages as wire
from world import BLOCK, KIB
from world_peers import Leaver, Peer, Rejecter, Seed
from world_swarm import Swarm, answer, of, requested, unchoked


def test_scenario_01_what_a_lost_link_was_asked_is_asked_of_others_in_the_same_step() -> None:
    swarm = Swarm(4 * BLOCK)
    owner, idle = unchoked(swarm, have=[0]), unchoked(swarm, have=[0])
    held = set(owner.asked)
    assert held
    assert not idle.asked
    actions = swarm.feed(ev.LinkClosed("link 0", "reset"))
    assert requested(actions, "link 1") == held
    (released,) = of(actions, act.BlocksReleased)
    (again,) = of(actions, act.BlocksReassigned)
    assert set(released.blocks) == set(again.blocks) == held


@pytest.mark.parametrize("fast", [True, False])
def test_scenario_04_choke_and_unchoke_ten_times_fast(fast: bool) -> None:
    """No request leaks, and they resume in the step of the UNCHOKE."""
    swarm = Swarm(12 * BLOCK)
    peer = unchoked(swarm, fast=fast)
    for _ in range(10):
        peer.choke()
        swarm.run(seconds=0.05)
        assert not peer.asked
        (row,) = swarm.torrent.peers(swarm.now)
        assert row.outstanding == 0
        peer.unchoke()
        swarm.run(seconds=0.05)
        assert len(peer.asked) == MIN_PIPELINE
    while peer.asked:
        answer(swarm, peer)
    swarm.finish(1.0)
    assert peer.blocks_sent == 12
    assert swarm.torrent.status(swarm.now).wasted == 0


def test_scenario_04_blocks_that_cross_with_a_choke_are_used_and_no_offence() -> None:
    """Without BEP 6, 512 of them in the life of a link once closed it."""
    swarm = Swarm(600 * BLOCK, 16 * BLOCK)
    peer = swarm.join(Peer, fast=False, extended=True)
    peer.say(wire.Extended(0, b"d4:reqqi2ee"))
    peer.unchoke()
    swarm.run(seconds=0.05)
    rounds = 0
    while swarm.torrent.state is not TorrentState.SEEDING:
        crossing = list(peer.asked)
        peer.choke()
        for block in crossing:  # already in its socket, or on its way from its disk
            peer.give(block)
        peer.unchoke()
        swarm.run(seconds=0.05)
        rounds += 1
        assert peer.alive or swarm.torrent.state is TorrentState.SEEDING
    assert rounds == 300
    assert swarm.torrent.status(swarm.now).wasted == 0
    assert peer.blocks_sent == 600


def test_scenario_05_every_request_times_out_and_is_asked_again_at_the_deadline_given() -> None:
    swarm = Swarm(2 * BLOCK)
    peer = unchoked(swarm)
    held = set(peer.asked)
    due = swarm.torrent.next_deadline()
    while not swarm.actions(act.BlocksReleased):
        due = swarm.torrent.next_deadline()
        assert due is not None
        assert swarm.run(lambda at=due.when: swarm.now >= at, seconds=30)
        swarm.settle()
    assert due is not None
    assert due.when == swarm.now == pytest.approx(0.05 + LATENESS_UNKNOWN, abs=0.05)
    (released,) = swarm.actions(act.BlocksReleased)
    assert (released.cause, set(released.blocks)) == (ReleaseCause.SNUBBED, held)
    (step,) = (step for step in swarm.trace if of(step.actions, act.BlocksReleased))
    probe = requested(step.actions, "link 0")
    assert len(probe) == 1
    assert probe < held


@pytest.mark.parametrize("piece_length", [BLOCK, 3 * BLOCK, 8 * BLOCK, 16 * BLOCK])
def test_scenario_07_one_peer_has_out_its_depth_or_what_remains(piece_length: int) -> None:
    swarm = Swarm(16 * BLOCK, piece_length)
    peer = unchoked(swarm)
    while peer.asked:
        (row,) = swarm.torrent.peers(swarm.now)
        left = 16 - peer.blocks_sent
        assert len(peer.asked) == row.outstanding <= left
        assert row.outstanding == left or row.outstanding > row.depth * 3 // 4
        assert row.outstanding <= max(row.depth, MIN_PIPELINE)
        answer(swarm, peer, 1)
    swarm.finish(1.0)


def test_scenario_11_the_owner_chokes_at_half_with_only_idle_peers_left() -> None:
    swarm = Swarm(8 * BLOCK, 8 * BLOCK)
    owner = unchoked(swarm, fast=False)
    while swarm.torrent.status(swarm.now).downloaded < 4 * BLOCK:
        answer(swarm, owner, 1)
    held = set(owner.asked)
    idle = [swarm.join(Peer) for _ in range(3)]
    owner.choke()
    swarm.run(seconds=0.05)
    assert not any(peer.asked for peer in idle)  # they choke us still
    for peer in idle:
        peer.unchoke()
    swarm.run(seconds=0.05)
    assert held <= {block for peer in idle for block in peer.asked}
    while any(peer.asked for peer in idle):
        for peer in idle:
            answer(swarm, peer)
    swarm.finish(1.0)
    assert owner.blocks_sent == 4


def test_scenario_11_the_owner_leaves_while_its_piece_is_fully_requested() -> None:
    swarm = Swarm(4 * BLOCK, 2 * BLOCK)
    owner, other = unchoked(swarm), unchoked(swarm)
    assert {block.piece for block in owner.asked} != {block.piece for block in other.asked}
    owner.leave()
    swarm.run(seconds=0.05)
    while other.asked:
        answer(swarm, other)
    swarm.finish(1.0)
    assert other.blocks_sent == 4


def test_scenario_19_all_peers_leave_at_half_and_come_back() -> None:
    """It completes, and fetches nothing twice but what was in flight or doubled at the end."""
    swarm = Swarm(80 * BLOCK, 4 * BLOCK)
    peers = [swarm.dialled(Leaver, port=port, rate=200_000) for port in (1, 2)]
    for peer in peers:
        peer.blocks = 20
    swarm.finish()
    assert len(swarm.lines) >= 4
    sent = sum(peer.blocks_sent for peer in peers)
    in_flight = 2 * len(swarm.lines)  # cut off as a link closed
    assert sent <= 80 + in_flight
    assert swarm.torrent.status(swarm.now).downloaded <= (80 + 4) * BLOCK


@pytest.mark.parametrize(
    ("rate", "depth"), [(160 * KIB, 30), (0.0, MIN_PIPELINE), (100e6, MAX_PIPELINE)]
)
def test_scenario_26_depth_follows_the_rate(rate: float, depth: int) -> None:
    assert pipeline_depth(rate) == depth


def test_scenario_26_a_link_of_160_kib_a_second_has_thirty_requests_out() -> None:
    swarm = Swarm(200 * BLOCK, 16 * BLOCK)
    swarm.join(Seed, rate=160.0 * KIB)
    swarm.run(seconds=12)
    (row,) = swarm.torrent.peers(swarm.now)
    assert row.depth == pytest.approx(30, abs=3)
    assert row.outstanding <= row.depth


@pytest.mark.uncovered
@pytest.mark.parametrize(
    ("reqq", "most"), [(1, 1), (10, 10), (5000, MAX_PIPELINE), (-5, 500), (2**32 + 1, 500)]
)
def test_scenario_26_what_a_peer_queues_only_lowers_the_depth(reqq: int, most: int) -> None:
    swarm = Swarm(700 * BLOCK, 16 * BLOCK)
    peer = swarm.join(Peer, extended=True)
    peer.say(wire.Extended(0, b"d4:reqqi%dee" % reqq))
    peer.unchoke()
    swarm.run(seconds=0.1)
    out = 0
    while peer.blocks_sent < 150:
        assert len(peer.asked) <= most
        out = max(out, len(peer.asked))
        answer(swarm, peer)
    assert out == most if most <= 10 else out > 10


def test_scenario_27_silent_after_one_quick_block_and_back_within_the_timeout() -> None:
    swarm = Swarm(8 * BLOCK)
    peer = unchoked(swarm)
    answer(swarm, peer, 1)
    delivered = swarm.now
    swarm.run(lambda: bool(swarm.actions(act.BlocksReleased)), seconds=60)
    assert swarm.now == pytest.approx(delivered + LATENESS_FLOOR, abs=0.1)
    (row,) = swarm.torrent.peers(swarm.now)
    assert row.snubbed
    swarm.run(seconds=0.05)
    assert len(peer.asked) == 1  # the probe
    answer(swarm, peer)
    (row,) = swarm.torrent.peers(swarm.now)
    assert not row.snubbed
    assert len(peer.asked) >= MIN_PIPELINE


def test_scenario_30_an_hour_of_sleep_drops_no_link_and_the_download_goes_on() -> None:
    swarm = Swarm(64 * BLOCK)
    peers = [unchoked(swarm) for _ in range(3)]
    swarm.run(seconds=ENDGAME_PATIENCE)
    swarm.now += 3600.0
    swarm.tick()
    assert not swarm.actions(act.Close)
    swarm.run(seconds=0.05)
    while any(peer.asked for peer in peers):
        for peer in peers:
            if peer.alive:
                answer(swarm, peer)
    swarm.finish(1.0)
    assert swarm.torrent.status(swarm.now).wasted <= 2 * BLOCK


def requests_heard(peer: Peer) -> int:
    return sum(isinstance(message, wire.Request) for message in peer.heard)


def test_scenario_31_a_peer_that_rejects_for_ever_is_no_loop_and_is_asked_ever_less() -> None:
    swarm = Swarm(128 * BLOCK, 2 * BLOCK)
    rejecter = swarm.join(Rejecter, latency=0.0)
    swarm.run(seconds=0.0)
    assert requests_heard(rejecter) <= 2 * MAX_REJECTIONS
    explained = swarm.torrent.explain(swarm.now)
    assert "refused" in explained.text()
    assert explained.next_move is not None
    assert explained.next_move > swarm.now
    swarm.run(seconds=600)
    assert 16 <= requests_heard(rejecter) < 400
    swarm.join(Seed)
    swarm.finish(5.0)


def test_scenario_31_a_peer_that_never_answers_one_block_leaves_it_to_another() -> None:
    class AllButOne(Seed):
        def serve(self, block: BlockInfo) -> float:
            if block == BlockInfo(1, 0, BLOCK):
                self.refuse(block)
                return self.world.now
            return super().serve(block)

    swarm = Swarm(8 * BLOCK)
    miser = swarm.join(AllButOne)
    swarm.run(seconds=30)
    assert requests_heard(miser) < 20
    assert swarm.torrent.verified == 0b1101
    assert "refused" in swarm.torrent.explain(swarm.now).text()
    seed = swarm.join(Seed)
    swarm.finish(1.0)
    assert seed.blocks_sent <= 2
