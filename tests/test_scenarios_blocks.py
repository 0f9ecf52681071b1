"""Scenarios of blocks that come late, unasked or spoiled; accounts hold at every event."""

from __future__ import annotations

import pytest

from torrent_core import actions as act
from torrent_core.limits import ENDGAME_PATIENCE, MAX_UNSOLICITED_BLOCKS
from torrent_core.types import CloseReason
from torrent_core.wire import messages as wire
from world import BLOCK, KIB
from world_peers import Corrupter, Peer, Seed
from world_swarm import Swarm, answer, unchoked


def test_scenario_15_a_late_block_is_taken_once_and_the_books_are_exact() -> None:
    swarm = Swarm(2 * BLOCK)
    peer = unchoked(swarm)
    late = list(peer.asked)
    swarm.run(lambda: bool(swarm.actions(act.BlocksReleased)), seconds=30)
    for block in late:  # the CANCELs and the probe are still on their way
        peer.give(block)
    swarm.finish(5.0)
    assert len(swarm.actions(act.HashPiece)) == len(swarm.actions(act.WriteBlocks)) == 1
    assert swarm.torrent.status(swarm.now).downloaded == 2 * BLOCK


def test_scenario_15_a_duplicate_while_hashing_is_one_hash_and_one_write() -> None:
    swarm = Swarm(2 * BLOCK)
    swarm.disk.delays[act.HashPiece] = 5.0
    first, second = unchoked(swarm), unchoked(swarm)
    swarm.run(seconds=2 * ENDGAME_PATIENCE)
    both = set(first.asked)
    assert both == set(second.asked)
    for peer in (first, second):
        for block in both:
            peer.give(block)
    swarm.finish(60)
    assert len(swarm.actions(act.HashPiece)) == len(swarm.actions(act.WriteBlocks)) == 1
    assert swarm.torrent.status(swarm.now).wasted == 2 * BLOCK


@pytest.mark.parametrize(
    ("index", "begin", "length"),
    [
        (3, BLOCK, BLOCK),  # nobody asked
        (0, 0, BLOCK - 1),  # short
        (0, 0, 1),
        (0, 1, BLOCK),  # misaligned
        (0, BLOCK - 1, BLOCK),
    ],
)
def test_scenario_16_a_block_that_is_not_exactly_what_was_asked_changes_nothing(
    index: int, begin: int, length: int
) -> None:
    swarm = Swarm(8 * BLOCK)
    peer = unchoked(swarm, have=[0])
    before = swarm.torrent.explain(swarm.now)
    peer.say(wire.Piece(index, begin, bytes(length)))
    swarm.run(seconds=0.02)
    (waste,) = swarm.actions(act.DataWasted)
    assert (waste.count, waste.why) == (length, "was not asked for")
    assert swarm.torrent.explain(before.now).entries == before.entries
    assert peer.alive


@pytest.mark.parametrize(
    ("index", "begin", "length"), [(4, 0, BLOCK), (0, BLOCK, BLOCK + 1), (0, 0, 0)]
)
def test_scenario_16_a_block_that_cannot_exist_closes_the_link(
    index: int, begin: int, length: int
) -> None:
    swarm = Swarm(8 * BLOCK)
    peer = unchoked(swarm)
    peer.say(wire.Piece(index, begin, bytes(length)))
    swarm.run(seconds=0.05)
    assert swarm.actions(act.Close)[0].reason is CloseReason.PROTOCOL_ERROR
    swarm.join(Seed)
    swarm.finish(5.0)


def test_scenario_16_who_sends_too_much_that_nobody_asked_for_is_closed() -> None:
    swarm = Swarm(2 * BLOCK)
    peer = swarm.join(Peer)
    for sent in range(MAX_UNSOLICITED_BLOCKS + 1):
        assert peer.alive, sent
        peer.say(wire.Piece(0, 0, b"x"))
        swarm.run(seconds=0.02)
    assert swarm.actions(act.Close)[0].reason is CloseReason.UNSOLICITED_DATA


@pytest.mark.uncovered
def test_scenario_16_a_useful_peer_is_forgiven_what_crossed() -> None:
    """A strange block now and then, over a long life, closes nobody."""
    count = MAX_UNSOLICITED_BLOCKS + 100
    swarm = Swarm(count * BLOCK, 64 * BLOCK)
    peer = unchoked(swarm)
    for _ in range(count):
        peer.say(wire.Piece(0, 1, b"x"))
        answer(swarm, peer, 1)
        if not peer.asked:
            break
    swarm.finish(5.0)
    assert all(close.reason is CloseReason.BOTH_SEEDS for close in swarm.actions(act.Close))


def test_scenario_17_one_of_several_corrupts_and_only_it_is_closed() -> None:
    swarm = Swarm(64 * BLOCK, 4 * BLOCK)
    bad = swarm.join(Corrupter, rate=200.0 * KIB)
    honest = [swarm.join(Seed, rate=200.0 * KIB) for _ in range(4)]
    swarm.finish(600)
    failures = len(swarm.actions(act.PieceFailed))
    assert 1 <= failures <= 8
    closed = [c for c in swarm.actions(act.Close) if c.reason is not CloseReason.BOTH_SEEDS]
    assert {close.link for close in closed} <= {"link 0"}
    swarm.run(seconds=1.0)
    assert all(peer.line is not None for peer in [bad, *honest])
