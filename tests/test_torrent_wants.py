"""What is wanted, what others have, and who is told."""

from __future__ import annotations

import pytest

from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.types import CloseReason, TorrentState
from torrent_core.wire import messages as wire
from world import BLOCK
from world_peers import Corrupter, Peer, Seed
from world_swarm import (
    Swarm,
    answer,
    of,
    sent,
    unchoked,
)

# --- Interest and HAVE --------------------------------------------------------------------------


def test_interest_is_shown_while_something_is_left_and_withdrawn_after() -> None:
    swarm = Swarm(4 * BLOCK, 2 * BLOCK)
    half = swarm.join(Peer, have=[0])
    nothing = swarm.join(Peer, have=[])
    assert half.their_interest
    assert not nothing.their_interest
    half.unchoke()
    swarm.run(seconds=0.05)
    answer(swarm, half)
    swarm.run(seconds=0.2)
    assert not half.their_interest
    assert half.alive
    nothing.have.add(1)
    nothing.say(wire.Have(1))
    swarm.run(seconds=0.05)
    assert nothing.their_interest


def test_haves_are_gathered_and_not_said_to_those_who_have_the_piece() -> None:
    swarm = Swarm(8 * BLOCK)
    seed = swarm.join(Seed)
    curious = swarm.join(Peer, have=[])
    swarm.finish()
    swarm.run(seconds=1.0)
    assert not any(isinstance(m, wire.Have) for m in seed.heard)
    with_haves = [
        step.actions
        for step in swarm.trace
        if any(isinstance(m, wire.Have) for m in sent(step.actions, "link 1"))
    ]
    assert len(with_haves) == 1  # all within a tenth of a second
    assert curious.their_pieces == {0, 1, 2, 3}


def test_a_have_goes_out_exactly_when_it_is_due() -> None:
    swarm = Swarm(4 * BLOCK)
    curious = swarm.join(Peer, have=[])
    seed = unchoked(swarm)
    answer(swarm, seed, 2)
    verified_at = next(when for when, _ in swarm.timed(act.PieceVerified))
    swarm.run(lambda: bool(curious.their_pieces), seconds=5)
    said_at = next(
        step.now
        for step in swarm.trace
        if any(isinstance(m, wire.Have) for m in sent(step.actions, "link 0"))
    )
    assert said_at == pytest.approx(verified_at + 0.1)


@pytest.mark.parametrize("already", [True, False])
def test_two_seeds_have_nothing_to_say_to_each_other(already: bool) -> None:
    swarm = Swarm(4 * BLOCK, full=already)
    seed = swarm.join(Seed)
    swarm.run(seconds=5)
    assert not seed.alive
    assert swarm.actions(act.Close)[0].reason is CloseReason.BOTH_SEEDS


# --- Availability -------------------------------------------------------------------------------


def counts(swarm: Swarm) -> list[int]:
    """How many links have each piece, as the picker sees it."""
    availability = swarm.torrent._context.picker.availability
    return [availability.count(index) for index in range(swarm.meta.piece_count)]


def test_availability_is_exact_however_often_pieces_are_named() -> None:
    swarm = Swarm(8 * BLOCK)
    one = swarm.join(Peer, have=[0, 1])
    assert counts(swarm) == [1, 1, 0, 0]
    one.say(wire.Bitfield(b"\xc0"), wire.Have(0), wire.Have(2), wire.Have(2))
    swarm.run(seconds=0.05)
    assert counts(swarm) == [1, 1, 1, 0]
    one.say(wire.HaveAll(), wire.HaveAll(), wire.HaveNone())
    two = swarm.join(Peer)
    assert counts(swarm) == [2, 2, 2, 2]
    two.leave("reset")
    swarm.run(seconds=0.05)
    swarm.feed(ev.LinkClosed("link 1"))
    assert counts(swarm) == [1, 1, 1, 1]
    one.say_bytes(b"\xff\xff\xff\xff")  # a message too long: we close, and the end is reported
    swarm.run(seconds=0.05)
    swarm.feed(ev.LinkClosed("link 0", "and again"))
    assert counts(swarm) == [0, 0, 0, 0]


# --- Priorities ---------------------------------------------------------------------------------


def test_skipped_files_are_not_fetched_and_may_be_wanted_later() -> None:
    swarm = Swarm(8 * BLOCK, files=[4 * BLOCK, 4 * BLOCK], priorities=(1, 0))
    seed = swarm.join(Seed)
    swarm.finish()
    assert seed.alive
    assert swarm.torrent.verified == 0b0011
    swarm.run(seconds=1.0)
    assert not seed.their_interest
    assert swarm.torrent.status(swarm.now).progress == 1.0
    swarm.feed(ev.SetPriorities(swarm.name, (0, 1)))
    assert swarm.torrent.status(swarm.now).wanted_left == 4 * BLOCK
    swarm.finish()
    assert swarm.torrent.verified == 0b1111


def test_nothing_wanted_is_nothing_left() -> None:
    swarm = Swarm(4 * BLOCK, files=[2 * BLOCK, 2 * BLOCK], priorities=(0, 0))
    assert swarm.torrent.state is TorrentState.SEEDING
    assert swarm.torrent.status(swarm.now).progress == 1.0


def test_what_is_no_longer_wanted_is_cancelled_and_all_can_fetch_it_later() -> None:
    swarm = Swarm(8 * BLOCK, 4 * BLOCK, files=[4 * BLOCK, 4 * BLOCK], priorities=(1, 0))
    peer = unchoked(swarm)
    assert {block.piece for block in peer.asked} == {0}
    swarm.feed(ev.SetPriorities(swarm.name, (0, 1)))
    swarm.run(seconds=0.05)
    assert {block.piece for block in peer.asked} == {1}
    swarm.feed(ev.SetPriorities(swarm.name, (1, 1)))
    other = unchoked(swarm)
    while peer.asked or other.asked:
        answer(swarm, peer, 2)
        answer(swarm, other, 2)
    swarm.finish(1.0)


def test_completion_by_priorities_alone_is_reported() -> None:
    swarm = Swarm(4 * BLOCK, files=[2 * BLOCK, 2 * BLOCK])
    peer = unchoked(swarm, have=[0])
    answer(swarm, peer)
    assert swarm.torrent.verified == 0b01
    actions = swarm.feed(ev.SetPriorities(swarm.name, (1, 0)))
    assert of(actions, act.TorrentCompleted)
    assert swarm.torrent.state is TorrentState.SEEDING
    actions = swarm.feed(ev.SetPriorities(swarm.name, (1, 0)))
    assert not of(actions, act.TorrentCompleted)


def test_a_file_of_no_bytes_that_becomes_wanted_is_made() -> None:
    swarm = Swarm(2 * BLOCK, files=[2 * BLOCK, 0], priorities=(1, 0))
    assert swarm.disk.files[1] is None
    swarm.feed(ev.SetPriorities(swarm.name, (1, 1)))
    swarm.settle()
    assert swarm.disk.files[1] == b""


@pytest.mark.parametrize("step", [act.HashPiece, act.WriteBlocks])
def test_priorities_that_change_while_a_piece_is_hashed_or_written(step: type) -> None:
    swarm = Swarm(8 * BLOCK, files=[4 * BLOCK, 4 * BLOCK])
    swarm.disk.delays[step] = 2.0
    swarm.join(Seed)
    swarm.feed(ev.SetPriorities(swarm.name, (1, 0)))
    swarm.finish(60)
    swarm.feed(ev.SetPriorities(swarm.name, (1, 1)))
    swarm.finish(60)
    assert swarm.torrent.verified == 0b1111
    assert len(swarm.actions(act.WriteBlocks)) == 4


def test_a_piece_that_fails_when_nobody_wants_it_any_more_is_dropped() -> None:
    swarm = Swarm(4 * BLOCK, files=[2 * BLOCK, 2 * BLOCK], priorities=(1, 0))
    swarm.disk.delays[act.HashPiece] = 2.0
    swarm.join(Corrupter)
    honest = unchoked(swarm)
    swarm.run(seconds=1.0)
    swarm.feed(ev.SetPriorities(swarm.name, (0, 0)))
    swarm.run(seconds=5.0)
    assert swarm.actions(act.PieceFailed)
    assert not honest.asked
    assert swarm.torrent._context.active.active_count == 0
