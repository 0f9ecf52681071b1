"""Blocks that come late, twice, unasked or spoiled."""

from __future__ import annotations

import pytest

from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.limits import ENDGAME_PATIENCE
from torrent_core.types import CloseReason
from torrent_core.wire import messages as wire
from world import BLOCK
from world_peers import Corrupter, Peer, Seed
from world_swarm import (
    FIRST,
    Swarm,
    answer,
    unchoked,
)

# --- Late, doubled and unasked blocks -----------------------------------------------------------


def test_a_late_block_is_taken_once() -> None:
    swarm = Swarm(4 * BLOCK, 4 * BLOCK)
    peer = unchoked(swarm)
    blocks = list(peer.asked)
    swarm.run(lambda: bool(swarm.actions(act.BlocksReleased)), seconds=30)
    for block in blocks:  # the CANCELs are still on their way
        peer.give(block)
    swarm.run(seconds=0.05)
    while peer.asked:
        answer(swarm, peer)
    swarm.finish(1.0)
    assert swarm.torrent.status(swarm.now).wasted <= FIRST * BLOCK  # asked for twice
    assert all(count == BLOCK for count in (w.count for w in swarm.actions(act.DataWasted)))
    assert len(swarm.actions(act.HashPiece)) == 1


def test_a_duplicate_while_hashing_is_waste_and_hashes_nothing_twice() -> None:
    swarm = Swarm(2 * BLOCK)
    swarm.disk.delays[act.HashPiece] = 5.0
    peer, other = unchoked(swarm), unchoked(swarm)
    swarm.run(seconds=ENDGAME_PATIENCE)
    both = list(peer.asked)
    assert set(both) == set(other.asked)
    answer(swarm, peer)
    for block in both:
        other.blocks_sent += 1
        other.say(wire.Piece(block.piece, block.begin, other.block(block)))
    swarm.finish(60)
    assert len(swarm.actions(act.HashPiece)) == 1
    assert len(swarm.actions(act.WriteBlocks)) == 1
    assert [w.count for w in swarm.actions(act.DataWasted)] == [BLOCK, BLOCK]
    assert swarm.torrent.status(swarm.now).wasted == 2 * BLOCK


@pytest.mark.parametrize(
    ("index", "begin", "length"),
    [(0, 0, 100), (0, 1, BLOCK), (3, BLOCK, BLOCK), (1, BLOCK - 1, BLOCK), (0, 0, BLOCK)],
)
@pytest.mark.parametrize("chunk", [0, 5000])
def test_blocks_nobody_asked_for_are_waste_and_change_nothing(
    index: int, begin: int, length: int, chunk: int
) -> None:
    swarm = Swarm(8 * BLOCK)
    peer = swarm.join(Peer, chunk=chunk)  # it chokes us: nothing was asked
    before = swarm.torrent.status(swarm.now)
    peer.say(wire.Piece(index, begin, bytes(length)))
    swarm.run(seconds=0.05)
    after = swarm.torrent.status(swarm.now)
    (waste,) = swarm.actions(act.DataWasted)
    assert (waste.count, waste.why) == (length, "was not asked for")
    assert after.wasted == length
    assert (after.wanted_left, after.pieces_have) == (before.wanted_left, before.pieces_have)
    assert peer.alive
    peer.unchoke()
    swarm.run(seconds=0.05)
    while peer.asked:
        answer(swarm, peer)
    swarm.finish(1.0)


@pytest.mark.parametrize(
    ("index", "begin", "length"), [(4, 0, BLOCK), (0, 2 * BLOCK, 1), (3, BLOCK, BLOCK + 1)]
)
def test_blocks_that_cannot_exist_close_the_link(index: int, begin: int, length: int) -> None:
    swarm = Swarm(8 * BLOCK)
    peer = swarm.join(Peer)
    peer.say(wire.Piece(index, begin, bytes(length)))
    swarm.run(seconds=0.05)
    assert swarm.actions(act.Close)[0].reason is CloseReason.PROTOCOL_ERROR
    assert not peer.alive


def test_blocks_and_a_broken_message_in_one_input_leave_no_clock_behind() -> None:
    swarm = Swarm(8 * BLOCK)
    peer = unchoked(swarm)
    blocks = [wire.Piece(block.piece, block.begin, peer.block(block)) for block in peer.asked]
    peer.asked.clear()
    peer.say_bytes(b"".join(map(wire.encode, blocks)) + b"\xff" * 4)
    swarm.run(seconds=60)
    assert swarm.actions(act.Close)[0].reason is CloseReason.PROTOCOL_ERROR
    swarm.join(Seed)
    swarm.finish()


def test_more_than_512_unasked_blocks_close_the_link() -> None:
    swarm = Swarm(2 * BLOCK)
    peer = swarm.join(Peer)
    for _ in range(513):
        assert peer.alive
        peer.say(wire.Piece(0, 0, b"x"))
        swarm.run(seconds=0.02)
    assert swarm.actions(act.Close)[0].reason is CloseReason.UNSOLICITED_DATA


def test_what_follows_the_block_that_closes_the_link_is_ignored() -> None:
    swarm = Swarm(2 * BLOCK)
    peer = swarm.join(Peer)
    peer.say(*[wire.Piece(0, 0, b"x")] * 600)
    swarm.run(seconds=0.1)
    assert swarm.actions(act.Close)[0].reason is CloseReason.UNSOLICITED_DATA
    assert len(swarm.actions(act.DataWasted)) == 513


def test_a_block_that_another_brings_while_it_arrives_in_parts() -> None:
    swarm = Swarm(BLOCK)
    slow, quick = unchoked(swarm), unchoked(swarm)
    (block,) = slow.asked
    whole = wire.encode(wire.Piece(0, 0, slow.block(block)))
    slow.say_bytes(whole[:9000])
    swarm.run(seconds=0.05)
    answer(swarm, quick)
    slow.asked.clear()
    if slow.alive:
        slow.say_bytes(whole[9000:])
    swarm.finish(1.0)


def test_half_a_block_of_a_piece_dropped_and_wanted_again_answers_the_first_request() -> None:
    swarm = Swarm(BLOCK, files=[BLOCK])
    peer = unchoked(swarm)
    block = next(iter(peer.asked))
    whole = wire.encode(wire.Piece(block.piece, block.begin, peer.block(block)))
    del peer.asked[block]
    peer.say_bytes(whole[:9000])
    swarm.run(seconds=0.05)
    for wanted in (0, 1):
        swarm.feed(ev.SetPriorities(swarm.name, (wanted,)))
    swarm.run(seconds=0.05)
    peer.say_bytes(whole[9000:])
    swarm.run(seconds=0.05)
    answer(swarm, peer)
    swarm.finish(1.0)
    assert len([m for m in peer.heard if isinstance(m, wire.Request)]) == 2


# --- Corruption ---------------------------------------------------------------------------------


def test_a_sole_contributor_of_a_bad_piece_is_banned_and_not_let_in_again() -> None:
    swarm = Swarm(4 * BLOCK)
    bad = swarm.join(Corrupter, port=7)
    swarm.run(seconds=1.0)
    (failed, *_) = swarm.actions(act.PieceFailed)
    assert failed.contributors == ("link 0",)
    assert swarm.actions(act.Close)[0].reason is CloseReason.CORRUPT_DATA
    again = swarm.join(Corrupter, port=9, peer_id=bad.peer_id)
    swarm.run(seconds=1.0)
    assert swarm.actions(act.Close)[1].reason is CloseReason.BANNED
    assert not again.alive
    swarm.join(Seed, port=7)
    swarm.finish()


def test_with_several_contributors_the_piece_is_fetched_from_one_link_at_a_time() -> None:
    swarm = Swarm(4 * BLOCK, 4 * BLOCK)
    bad, good = unchoked(swarm), unchoked(swarm)
    stolen = set(good.asked)
    for block in list(good.asked):
        good.give(block)
    swarm.run(seconds=0.05)
    for block in list(bad.asked):
        bad.give(block, bytes(block.length))
    swarm.run(seconds=0.05)
    (failed,) = swarm.actions(act.PieceFailed)
    assert set(failed.contributors) == {"link 0", "link 1"}
    assert stolen
    assert bad.alive
    assert good.alive
    holders = [peer for peer in (bad, good) if peer.asked]
    assert len(holders) == 1
    (holder,) = holders
    for block in list(holder.asked):
        holder.give(block, None if holder is good else bytes(block.length))
    swarm.run(seconds=0.05)
    for block in list(good.asked):
        good.give(block)
    swarm.finish(60)
    assert good.line is not None
    assert all(
        close.reason is CloseReason.BOTH_SEEDS
        for close in swarm.actions(act.Close)
        if close.link == "link 1"
    )


def test_a_piece_that_several_spoiled_is_asked_of_one_of_them_alone() -> None:
    swarm = Swarm(16 * BLOCK, 16 * BLOCK)
    bad, good = unchoked(swarm), unchoked(swarm)
    while not swarm.actions(act.PieceFailed):
        for peer in (bad, good):
            for block in list(peer.asked)[:1]:
                peer.give(block, bytes(block.length) if peer is bad else None)
            swarm.run(seconds=0.05)
    assert bad.alive
    assert good.alive
    assert sum(bool(peer.asked) for peer in (bad, good)) == 1
