"""Checking what is on disk, writing, failing, saving."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core import actions as act
from torrent_core.budget import Budget
from torrent_core.limits import (
    MAX_CHECKS_IN_FLIGHT,
    MAX_STORAGE_RETRY,
    STORAGE_RETRY,
)
from torrent_core.torrent import Budgets
from torrent_core.types import StorageFault, TorrentState
from world import BLOCK
from world_peers import Leech, Peer, Seed
from world_swarm import (
    Swarm,
    failing,
    saved,
    stop,
)

# --- Starting -----------------------------------------------------------------------------------


def test_a_full_disk_is_checked_a_few_pieces_at_a_time_and_seeded() -> None:
    swarm = Swarm(40 * BLOCK, full=True, start=False)
    swarm.disk.delays[act.HashPiece] = 1.0
    swarm.start()
    assert swarm.torrent.state is TorrentState.CHECKING
    assert len(swarm.actions(act.HashPiece)) == MAX_CHECKS_IN_FLIGHT
    swarm.run(seconds=2.5)
    assert swarm.torrent.status(swarm.now).checking == pytest.approx(0.4)
    swarm.finish(60)
    assert swarm.now == pytest.approx(5.0)
    assert not swarm.actions(act.WriteBlocks)


def test_wrong_pieces_on_disk_are_fetched_again() -> None:
    swarm = Swarm(8 * BLOCK, full=True, start=False)
    content = swarm.disk.files[0]
    assert content is not None
    content[5 * BLOCK] ^= 0xFF
    swarm.start()
    assert swarm.torrent.verified == 0b1011
    seed = swarm.join(Seed)
    swarm.finish()
    assert seed.blocks_sent == 2


def test_what_cannot_be_read_while_checking_is_reported_and_fetched() -> None:
    swarm = Swarm(8 * BLOCK, full=True, start=False)
    swarm.disk.fault = failing(act.HashPiece, 1, StorageFault.PERMISSION)
    swarm.start()
    (trouble,) = swarm.actions(act.StorageTrouble)
    assert (trouble.fault, trouble.retry_at) == (StorageFault.PERMISSION, None)
    swarm.join(Seed)
    swarm.finish()


def test_a_file_that_shrinks_while_it_is_checked_is_no_trouble() -> None:
    swarm = Swarm(8 * BLOCK, full=True, start=False)
    swarm.disk.fault = failing(act.HashPiece, 2, StorageFault.MISSING)
    swarm.start()
    assert not swarm.actions(act.StorageTrouble)
    assert swarm.torrent.verified.bit_count() == 2


@pytest.mark.parametrize("kind", [act.StatFiles, act.CreateFiles])
def test_a_start_that_fails_is_tried_again_five_seconds_later(kind: type) -> None:
    swarm = Swarm(2 * BLOCK, files=[2 * BLOCK, 0], start=False)
    swarm.disk.fault = failing(kind, 3)
    swarm.start()
    assert swarm.torrent.state is TorrentState.CHECKING
    deadline = swarm.torrent.next_deadline()
    assert deadline is not None
    assert deadline.when == STORAGE_RETRY
    swarm.run(lambda: swarm.torrent.state is TorrentState.DOWNLOADING, seconds=60)
    assert swarm.now == 3 * STORAGE_RETRY
    assert [t.retry_at for t in swarm.actions(act.StorageTrouble)] == [5.0, 10.0, 15.0]
    swarm.join(Seed)
    swarm.finish()


def test_peers_that_come_while_checking_are_told_afterwards() -> None:
    swarm = Swarm(4 * BLOCK, full=True, start=False)
    swarm.disk.delays[act.HashPiece] = 1.0
    swarm.start()
    early = swarm.join(Leech, have=[])
    assert early.alive
    assert not early.their_pieces
    swarm.run(lambda: early.complete, seconds=30)
    assert early.complete


# --- Storage fails ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [act.HashPiece, act.WriteBlocks])
def test_a_step_that_fails_once_is_repeated_and_nothing_is_fetched_again(kind: type) -> None:
    swarm = Swarm(8 * BLOCK)
    swarm.disk.fault = failing(kind, 1)
    seed = swarm.join(Seed)
    swarm.finish(60)
    (trouble,) = swarm.actions(act.StorageTrouble)
    assert trouble.retry_at is not None
    assert seed.blocks_sent == 8
    assert len(swarm.actions(act.PieceVerified)) == 4


def test_nothing_is_announced_before_it_is_written() -> None:
    swarm = Swarm(8 * BLOCK)
    swarm.disk.delays[act.WriteBlocks] = 5.0
    swarm.join(Seed)
    curious = swarm.join(Peer, have=[])
    swarm.run(seconds=4.0)
    assert len(swarm.actions(act.WriteBlocks)) == 4  # all has come, and has its right digest
    assert not curious.their_pieces
    assert not swarm.torrent.verified
    swarm.finish(2.0)
    swarm.run(seconds=1.0)
    assert curious.their_pieces == {0, 1, 2, 3}


def test_a_full_disk_is_tried_ever_more_seldom_and_recovers() -> None:
    memory = Budget(4 * 2 * BLOCK)
    swarm = Swarm(40 * BLOCK, budgets=Budgets(memory=memory))
    full = StorageFault.DISK_FULL
    swarm.disk.fault = lambda a: full if isinstance(a, act.WriteBlocks) else None
    seed = swarm.join(Seed)
    swarm.run(seconds=600)
    assert seed.blocks_sent == 8  # to the memory budget and no further
    assert memory.used <= memory.limit
    first = swarm.actions(act.WriteBlocks)[0].piece
    tries = [when for when, a in swarm.timed(act.WriteBlocks) if a.piece == first]
    gaps = [round(b - a, 6) for a, b in pairwise(tries)]
    assert gaps[:4] == [5.0, 10.0, 20.0, 40.0]
    assert set(gaps[4:]) == {MAX_STORAGE_RETRY}
    assert not swarm.torrent.verified
    assert not swarm.actions(act.PieceVerified)
    swarm.disk.fault = lambda a: None
    swarm.finish(MAX_STORAGE_RETRY + 10)
    assert seed.blocks_sent == 40


@given(st.integers(0, 60), st.integers(1, 3), st.sampled_from(StorageFault))
def test_whichever_storage_action_fails_it_completes_in_the_end(
    first: int, count: int, fault: StorageFault
) -> None:
    swarm = Swarm(12 * BLOCK, files=[5 * BLOCK, 0, 7 * BLOCK], start=False)
    failing_now = range(first, first + count)
    swarm.disk.fault = lambda a: fault if len(swarm.disk.done) - 1 in failing_now else None
    swarm.start()
    seed = swarm.join(Seed)
    swarm.finish(200)
    assert seed.blocks_sent == 12


# --- Saving -------------------------------------------------------------------------------------


def test_resume_data_is_saved_ten_seconds_after_progress() -> None:
    swarm = Swarm(40 * BLOCK)
    swarm.join(Seed, rate=10_000)
    swarm.finish()
    saves = [when for when, _ in swarm.timed(act.SaveResume)]
    assert saves[0] == 10.0
    progress = [when for when, _ in swarm.timed(act.PieceVerified)]
    for when in progress:
        assert any(0 <= at - when <= 10.001 for at in saves) or when > saves[-1]
    swarm.run(seconds=11)
    assert saved(swarm.disk) == swarm.torrent.verified
    saves = swarm.actions(act.SaveResume)
    swarm.run(seconds=100)
    assert swarm.actions(act.SaveResume) == saves  # nothing new, nothing saved


def test_a_save_whose_stat_fails_is_only_left_out() -> None:
    swarm = Swarm(4 * BLOCK)
    swarm.join(Seed)
    swarm.finish()
    swarm.disk.fault = failing(act.StatFiles, 1)
    swarm.run(seconds=30)
    assert not swarm.actions(act.SaveResume)
    stop(swarm)
    assert saved(swarm.disk) == 0b11
