"""Stopping, going on, and checking again."""

from __future__ import annotations

import pytest

from peer_kit import parse
from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.budget import Budget
from torrent_core.torrent import Budgets
from torrent_core.types import CloseReason, StorageFault, TorrentState
from torrent_core.wire import messages as wire
from world import BLOCK
from world_peers import Corrupter, Leaver, Peer, Seed
from world_swarm import (
    Swarm,
    failing,
    saved,
    stop,
    to_fraction,
)

# --- Stopping and going on ----------------------------------------------------------------------


@pytest.mark.parametrize("same", [True, False])
def test_a_restart_goes_on_where_it_was(same: bool) -> None:
    swarm = Swarm(40 * BLOCK)
    first = swarm.join(Seed, rate=100_000)
    to_fraction(swarm, 4)
    stop(swarm)
    swarm.run(seconds=0.1)
    assert not first.alive
    have = swarm.torrent.verified
    totals = swarm.torrent.status(swarm.now).downloaded
    resume, disk = swarm.disk.resume, swarm.disk
    assert saved(disk) == have
    before = len(disk.done)
    if same:
        swarm.start(resume)
    else:
        swarm = Swarm(40 * BLOCK, disk=disk, resume=resume)
    assert not any(isinstance(action, act.HashPiece) for action in disk.done[before:])
    assert swarm.torrent.verified == have
    assert swarm.torrent.status(swarm.now).downloaded == totals
    second = swarm.join(Seed, rate=100_000)
    swarm.finish()
    assert first.blocks_sent + second.blocks_sent <= 40 + 8  # what was on the wire
    assert swarm.torrent.status(swarm.now).downloaded >= 40 * BLOCK


def test_a_torrent_that_was_stopped_and_started_saves_and_goes_on() -> None:
    swarm = Swarm(100 * BLOCK)
    stop(swarm)
    swarm.start(swarm.disk.resume)
    swarm.join(Seed, rate=50_000)
    before = len(swarm.actions(act.SaveResume))
    swarm.finish()
    assert len(swarm.actions(act.SaveResume)) > before + 1


def test_a_stop_keeps_the_blocks_of_pieces_half_done() -> None:
    swarm = Swarm(8 * BLOCK, 8 * BLOCK)
    leaver = swarm.join(Leaver)
    swarm.run(seconds=1)
    stop(swarm)
    resume = swarm.disk.resume
    swarm = Swarm(8 * BLOCK, 8 * BLOCK, disk=swarm.disk, resume=resume)
    seed = swarm.join(Seed)
    swarm.finish()
    assert leaver.blocks_sent == 3
    assert seed.blocks_sent == 5
    (job,) = swarm.actions(act.HashPiece)
    assert job.data is None  # part of it was on disk: hashed from there


def test_blocks_kept_of_a_piece_nobody_wants_now_are_left_alone() -> None:
    files = [4 * BLOCK, 4 * BLOCK]
    swarm = Swarm(8 * BLOCK, 4 * BLOCK, files=files, priorities=(1, 0))
    swarm.join(Leaver)
    swarm.run(seconds=1)
    stop(swarm)
    disk = swarm.disk
    swarm = Swarm(
        8 * BLOCK, 4 * BLOCK, files=files, disk=disk, resume=disk.resume, priorities=(0, 1)
    )
    swarm.join(Seed)
    swarm.finish()
    assert swarm.torrent.verified == 0b10


def test_more_half_done_pieces_than_memory_has_room_for() -> None:
    swarm = Swarm(24 * BLOCK, 4 * BLOCK)
    for index in range(6):
        swarm.join(Leaver, have=[index]).blocks = 1
    swarm.run(seconds=1)
    stop(swarm)
    memory = Budget(2 * 4 * BLOCK)
    disk = swarm.disk
    swarm = Swarm(
        24 * BLOCK, 4 * BLOCK, disk=disk, resume=disk.resume, budgets=Budgets(memory=memory)
    )
    swarm.join(Seed)
    swarm.finish()
    assert memory.used == 0


def test_bad_blocks_kept_on_disk_blame_nobody() -> None:
    swarm = Swarm(4 * BLOCK, 4 * BLOCK)
    swarm.join(Leaver)
    swarm.run(seconds=1)
    stop(swarm)
    disk, resume = swarm.disk, swarm.disk.resume
    content = disk.files[0]
    assert content is not None
    for at in range(0, len(content), 100):  # behind our back, leaving size and time as they were
        content[at] ^= 0xFF
    swarm = Swarm(4 * BLOCK, 4 * BLOCK, disk=disk, resume=resume)
    seed = swarm.join(Seed)
    swarm.finish()
    assert len(swarm.actions(act.PieceFailed)) == 1
    assert seed.blocks_sent == 5
    assert all(a.reason is CloseReason.BOTH_SEEDS for a in swarm.actions(act.Close))


@pytest.mark.parametrize("resume", [b"", b"nonsense", b"de"])
def test_resume_data_that_is_no_use_is_ignored_with_a_warning(resume: bytes) -> None:
    swarm = Swarm(4 * BLOCK, full=True, resume=resume)
    (warning,) = swarm.actions(act.Warned)
    assert "resume data ignored" in warning.text
    assert swarm.torrent.state is TorrentState.SEEDING


def test_files_changed_behind_our_back_are_hashed_again() -> None:
    swarm = Swarm(8 * BLOCK, full=True)
    stop(swarm)
    resume = swarm.disk.resume
    content = swarm.disk.files[0]
    assert content is not None
    content[0] ^= 0xFF
    swarm.disk.mtimes[0] += 1
    swarm = Swarm(8 * BLOCK, disk=swarm.disk, resume=resume)
    assert swarm.torrent.verified == 0b1110


@pytest.mark.parametrize("kind", [act.HashPiece, act.WriteBlocks])
def test_a_stop_while_a_piece_is_hashed_or_written_leaves_it_whole_or_absent(kind: type) -> None:
    swarm = Swarm(8 * BLOCK)
    swarm.disk.delays[kind] = 3.0
    swarm.join(Seed)
    swarm.run(seconds=1)
    stop(swarm)
    assert saved(swarm.disk) == swarm.torrent.verified == 0b1111
    assert all(swarm.disk.holds(index) for index in range(4))
    assert swarm.torrent.next_deadline() is None or swarm.tick() == []


def test_a_stop_after_a_failed_write_tries_it_once_more() -> None:
    swarm = Swarm(2 * BLOCK)
    swarm.disk.fault = failing(act.WriteBlocks, 1)
    swarm.join(Seed)
    swarm.run(seconds=1)
    assert not swarm.torrent.verified
    stop(swarm)
    assert saved(swarm.disk) == 1


def test_a_stop_on_a_disk_that_fails_ends_all_the_same() -> None:
    swarm = Swarm(8 * BLOCK, 4 * BLOCK)
    swarm.disk.fault = lambda a: StorageFault.DISK_FULL if isinstance(a, act.WriteBlocks) else None
    swarm.join(Leaver).blocks = 6
    swarm.run(seconds=1)
    stop(swarm)
    assert swarm.actions(act.StorageTrouble)[-1].retry_at is None
    assert saved(swarm.disk) == 0


def test_a_stop_whose_stat_fails_ends_without_resume_data() -> None:
    swarm = Swarm(4 * BLOCK)
    swarm.disk.fault = lambda a: StorageFault.OTHER if isinstance(a, act.StatFiles) else None
    stop(swarm)
    assert swarm.disk.resume is None


def test_a_corrupt_piece_whose_digest_comes_after_the_stop() -> None:
    swarm = Swarm(2 * BLOCK)
    swarm.disk.delays[act.HashPiece] = 3.0
    swarm.join(Corrupter)
    swarm.run(seconds=1)
    stop(swarm)
    assert swarm.actions(act.PieceFailed)
    swarm.start(swarm.disk.resume)
    swarm.join(Seed)
    swarm.finish(60)


def test_a_piece_on_parole_does_not_wait_for_a_link_of_the_run_before() -> None:
    swarm = Swarm(2 * BLOCK)
    one, two = swarm.join(Peer), swarm.join(Peer)
    for peer in (one, two):
        peer.unchoke()
    swarm.run(seconds=2.0)  # what the one does not answer, the other is asked as well
    first, second = list(one.asked)
    one.give(first, bytes(first.length))
    two.give(second, bytes(second.length))
    swarm.run(seconds=0.05)
    assert swarm.actions(act.PieceFailed)
    holder = one if one.asked else two
    swarm.disk.fault = lambda a: StorageFault.OTHER if isinstance(a, act.HashPiece) else None
    for block in list(holder.asked):
        holder.give(block)
    swarm.run(seconds=0.05)
    stop(swarm)
    swarm.disk.fault = lambda a: None
    swarm.start()
    swarm.join(Seed)
    swarm.finish(60)


def test_a_stop_in_the_middle_of_a_check_leaves_the_resume_data_as_it_was() -> None:
    swarm = Swarm(40 * BLOCK, full=True)
    stop(swarm)
    whole = swarm.disk.resume
    swarm.disk.mtimes[0] += 1
    swarm = Swarm(40 * BLOCK, disk=swarm.disk, start=False)
    swarm.disk.delays[act.HashPiece] = 1.0
    swarm.start(whole)
    swarm.run(seconds=1.5)
    stop(swarm)
    assert swarm.disk.resume == whole  # what was not looked at yet is not forgotten
    swarm.disk.delays.clear()
    swarm.start(whole)
    swarm.finish(1.0)


def test_stopping_twice_and_stopping_what_never_ran_does_nothing() -> None:
    swarm = Swarm(4 * BLOCK, start=False)
    assert swarm.feed(ev.StopTorrent(swarm.name)) == []
    swarm.start()
    swarm.disk.manual = True
    assert swarm.feed(ev.StopTorrent(swarm.name))
    assert swarm.feed(ev.StopTorrent(swarm.name)) == []
    swarm.answer(swarm.disk)
    assert swarm.torrent.state is TorrentState.STOPPED


def test_a_stop_while_the_files_are_looked_at_or_made() -> None:
    swarm = Swarm(2 * BLOCK, files=[2 * BLOCK, 0], start=False)
    swarm.disk.manual = True
    swarm.start()
    swarm.feed(ev.StopTorrent(swarm.name))
    while swarm.disk.pending:
        swarm.answer(swarm.disk)
    assert swarm.torrent.state is TorrentState.STOPPED
    swarm.start()
    swarm.answer(swarm.disk)
    (create,) = swarm.disk.pending
    assert isinstance(create, act.CreateFiles)
    swarm.feed(ev.StopTorrent(swarm.name))
    while swarm.disk.pending:
        swarm.answer(swarm.disk)
    assert swarm.torrent.state is TorrentState.STOPPED


@pytest.mark.parametrize("kind", [act.StatFiles, act.CreateFiles])
def test_a_check_that_fails_after_the_stop_is_not_tried_again(kind: type) -> None:
    swarm = Swarm(2 * BLOCK, files=[2 * BLOCK, 0], start=False)
    swarm.disk.manual = True
    swarm.disk.fault = failing(kind, 1)
    swarm.start()
    if kind is act.CreateFiles:
        swarm.answer(swarm.disk)
    swarm.feed(ev.StopTorrent(swarm.name))
    while swarm.disk.pending:
        swarm.answer(swarm.disk)
    assert swarm.torrent.state is TorrentState.STOPPED
    assert swarm.torrent.next_deadline() is None


def test_a_save_that_is_under_way_when_the_torrent_stops() -> None:
    swarm = Swarm(4 * BLOCK)
    swarm.join(Seed)
    swarm.finish()
    swarm.disk.manual = True
    swarm.run(seconds=11)
    assert swarm.disk.pending
    swarm.feed(ev.StopTorrent(swarm.name))
    while swarm.disk.pending:
        swarm.answer(swarm.disk)
    assert swarm.torrent.state is TorrentState.STOPPED
    assert saved(swarm.disk) == 0b11


# --- Checking again -----------------------------------------------------------------------------


def test_a_recheck_trusts_nothing_and_fetches_what_is_wrong() -> None:
    swarm = Swarm(8 * BLOCK)
    seed = swarm.join(Seed)
    swarm.finish()
    content = swarm.disk.files[0]
    assert content is not None
    content[3 * BLOCK] ^= 0xFF
    swarm.feed(ev.Recheck(swarm.name))
    assert swarm.torrent.state is TorrentState.CHECKING
    swarm.settle()
    assert swarm.torrent.verified == 0b1101
    assert swarm.torrent.state is TorrentState.DOWNLOADING
    again = swarm.join(Seed)
    swarm.finish()
    assert (seed.blocks_sent, again.blocks_sent) == (8, 2)


def test_a_recheck_in_the_middle_of_a_download_goes_on_afterwards() -> None:
    swarm = Swarm(40 * BLOCK)
    swarm.join(Seed, rate=100_000)
    to_fraction(swarm, 5)
    swarm.disk.delays[act.HashPiece] = 0.5
    have = swarm.torrent.verified
    swarm.feed(ev.Recheck(swarm.name))
    asked = swarm.trace[-1].now
    swarm.run(lambda: swarm.torrent.state is TorrentState.DOWNLOADING, seconds=60)
    assert swarm.torrent.verified & have == have
    while_checking = [
        m
        for step in swarm.trace
        if asked < step.now < swarm.now
        for a in step.actions
        if isinstance(a, act.Send)
        for m in parse(a.data)
    ]
    assert not any(isinstance(m, wire.Request) for m in while_checking)
    swarm.finish()


@pytest.mark.parametrize("kind", [act.HashPiece, act.WriteBlocks])
@pytest.mark.parametrize("villain", [Seed, Corrupter])
def test_a_recheck_while_a_piece_is_hashed_or_written(kind: type, villain: type[Peer]) -> None:
    swarm = Swarm(8 * BLOCK)
    swarm.disk.delays[kind] = 3.0
    swarm.join(villain)
    swarm.run(seconds=1)
    swarm.feed(ev.Recheck(swarm.name))
    honest = swarm.join(Seed, peer_id=b"-PY0000-the honest 1")
    swarm.finish(120)
    swarm.run(seconds=20)
    assert swarm.torrent._context.active.active_count == 0
    assert len(swarm.actions(act.PieceVerified)) <= 4 + 4
    assert honest.blocks_sent <= 8


def test_no_resume_data_is_saved_while_a_recheck_has_not_ended() -> None:
    swarm = Swarm(8 * BLOCK)
    swarm.join(Seed)
    swarm.finish()
    swarm.disk.delays = {act.HashPiece: 60.0, act.StatFiles: 1.0}
    swarm.run(seconds=9.5)  # the save that is due at ten seconds will find the check going on
    swarm.feed(ev.Recheck(swarm.name))
    swarm.run(seconds=30)
    assert not swarm.actions(act.SaveResume)
    swarm.run(seconds=200)
    assert saved(swarm.disk) == 0b1111


def test_a_save_under_way_when_a_recheck_begins_is_not_written() -> None:
    swarm = Swarm(8 * BLOCK)
    swarm.join(Seed)
    swarm.finish()
    swarm.disk.delays = {act.HashPiece: 60.0, act.StatFiles: 1.0}
    swarm.run(seconds=10.5)
    swarm.feed(ev.Recheck(swarm.name))
    swarm.run(seconds=30)
    assert not swarm.actions(act.SaveResume)
