"""Memory that is full, pieces longer than it, storage that is slow: nothing in hand is dropped."""

from __future__ import annotations

import pytest

from session_kit import Party, small_memory
from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.accounts import Account
from torrent_core.budget import Budget
from torrent_core.limits import MAX_HASHES_OUT, MAX_WRITES_OUT, MIN_SEGMENTS
from torrent_core.storage import decode_resume
from torrent_core.testing import Honest, SimulatedSwarm
from torrent_core.torrent import Budgets
from torrent_core.types import BlockInfo, StorageFault, TorrentState
from torrent_core.wire import messages as wire
from world import BLOCK
from world_peers import Leaver, Peer, Seed, Silent
from world_swarm import Swarm, answer, failing, stop, unchoked

MIB = 1024 * 1024


def swarm_with(memory: int, total: int, piece: int, **options: object) -> tuple[Swarm, Budget]:
    budget = Budget(memory)
    return Swarm(total, piece, budgets=Budgets(memory=budget), **options), budget  # type: ignore[arg-type]


def peak(swarm: Swarm, budget: Budget, seconds: float = 3600.0) -> int:
    """Run to the end; the most memory that was taken at any step."""
    most = 0

    def over() -> bool:
        nonlocal most
        most = max(most, budget.used)
        return swarm.is_complete

    assert swarm.run(over, seconds=seconds, steps=2_000_000)
    swarm.check_files()
    return most


def stored(swarm: Swarm) -> dict[int, int]:
    """What the resume data on the disk says of pieces that are not verified."""
    assert swarm.disk.resume is not None
    meta = swarm.meta
    return dict(
        decode_resume(swarm.disk.resume, meta.info_hash, meta.geometry, len(meta.files)).partial
    )


class Sleeper(Seed):
    """Answers nothing until it is awake."""

    awake = False

    def on_request(self, block: BlockInfo) -> None:
        if self.awake:
            self.give(block)


def explained(swarm: Swarm) -> str:
    return swarm.torrent.explain(swarm.now).text()


# --- Giving way ---------------------------------------------------------------------------------


def full_of_orphans() -> tuple[Swarm, Budget, list[Peer]]:
    """Memory for four pieces, each begun by a peer that is gone and was alone in having it."""
    swarm, budget = swarm_with(8 * BLOCK, 20 * BLOCK, 2 * BLOCK)
    leavers = [swarm.join(Leaver, have=[index], blocks=1) for index in range(4)]
    swarm.run(seconds=1)
    assert budget.used == budget.limit
    return swarm, budget, leavers


def test_scenario_03_pieces_that_nobody_can_finish_give_their_memory_up() -> None:
    swarm, budget, leavers = full_of_orphans()
    assert not swarm.actions(act.WriteBlocks)
    others = swarm.join(Seed, have=range(4, 10))
    assert swarm.run(lambda: swarm.torrent.verified.bit_count() == 6, seconds=60)
    assert others.blocks_sent == 12
    early = swarm.actions(act.WriteBlocks)[0]
    assert sum(len(data) for _, data in early.chunks) == BLOCK
    rest = swarm.join(Seed)
    assert peak(swarm, budget) <= budget.limit
    assert rest.blocks_sent == 8 - sum(leaver.blocks_sent for leaver in leavers) == 4
    assert budget.used == 0


def test_only_as_much_is_written_early_as_is_needed() -> None:
    swarm, budget, _ = full_of_orphans()
    others = unchoked(swarm, have=range(4, 10))
    assert len(others.asked) == 2
    assert len(swarm.actions(act.WriteBlocks)) == 1
    assert budget.used == budget.limit


def test_what_was_written_early_is_hashed_from_the_files_and_listed_for_a_restart() -> None:
    swarm, _, _ = full_of_orphans()
    swarm.join(Seed, have=range(4, 10))
    swarm.run(seconds=60)
    spilled = stored(swarm)
    assert set(spilled) <= {0, 1, 2, 3}
    assert all(blocks.bit_count() == 1 for blocks in spilled.values())
    assert spilled
    again = Swarm(20 * BLOCK, disk=swarm.disk, resume=swarm.disk.resume)
    seed = again.join(Seed)
    again.finish()
    assert seed.blocks_sent == 8 - len(spilled)
    hashed = [job for job in again.actions(act.HashPiece) if job.data is None]
    assert {job.piece for job in hashed} >= set(spilled)


@pytest.mark.parametrize("fault", [StorageFault.DISK_FULL, StorageFault.OTHER])
def test_while_what_must_give_way_cannot_be_written_nothing_in_hand_is_lost(
    fault: StorageFault,
) -> None:
    swarm, budget, leavers = full_of_orphans()
    swarm.disk.fault = lambda action: fault if isinstance(action, act.WriteBlocks) else None
    others = swarm.join(Seed, have=range(4, 10))
    swarm.run(seconds=60)
    assert others.blocks_sent == 0
    assert budget.used == budget.limit
    assert "memory is full with 4 pieces in progress, 1 of them at the disk" in explained(swarm)
    assert "its storage failed, " in explained(swarm)
    swarm.disk.fault = lambda action: None
    others.leave()
    rest = swarm.join(Seed)
    swarm.finish(200)
    assert rest.blocks_sent + sum(leaver.blocks_sent for leaver in leavers) == 20


def test_who_joins_while_a_piece_is_being_written_goes_on_with_it() -> None:
    swarm, _, leavers = full_of_orphans()
    swarm.disk.delays[act.WriteBlocks] = 5.0
    swarm.join(Seed, have=range(4, 10))
    (early,) = swarm.actions(act.WriteBlocks)
    late = swarm.join(Seed, have=[early.piece])
    swarm.run(seconds=1)
    assert late.blocks_sent == 1
    assert swarm.torrent.verified == 0  # it waits for the write that is out
    swarm.run(seconds=30)
    assert swarm.torrent.verified >> early.piece & 1
    assert len([job for job in swarm.actions(act.WriteBlocks) if job.piece == early.piece]) == 2
    assert sum(leaver.blocks_sent for leaver in leavers) == 4


def test_a_piece_begun_that_brought_nothing_gives_way_at_once() -> None:
    swarm, _ = swarm_with(8 * BLOCK, 20 * BLOCK, 2 * BLOCK)
    for index in range(4):
        swarm.join(Leaver, have=[index], blocks=1, rate=1.0).leave()
    swarm.run(seconds=1)
    others = swarm.join(Seed, have=range(4, 10))
    swarm.run(lambda: others.blocks_sent == 12, seconds=60)
    assert others.blocks_sent == 12


def test_silent_links_do_not_keep_memory_from_those_that_deliver() -> None:
    swarm, budget = swarm_with(8 * BLOCK, 20 * BLOCK, 2 * BLOCK)
    silent = [swarm.join(Silent, have=[index], blocks=1) for index in range(4)]
    swarm.run(seconds=40)  # all are being probed
    assert budget.used == budget.limit
    others = swarm.join(Seed, have=range(4, 10))
    assert swarm.run(lambda: others.blocks_sent == 12, seconds=5)
    honest = swarm.join(Seed)
    swarm.finish(60)
    assert honest.blocks_sent == 4
    assert all(one.blocks_sent == 1 for one in silent)


@pytest.mark.uncovered
def test_silent_links_that_recover_take_their_turns_when_memory_is_short() -> None:
    """None of them may starve the others, or the one that is back would never be asked."""
    swarm, _ = swarm_with(8 * BLOCK, 24 * BLOCK, 2 * BLOCK)
    peers = [swarm.join(Sleeper, have=[index]) for index in range(12)]
    swarm.run(seconds=100)
    peers[11].awake = True
    assert swarm.run(lambda: swarm.torrent.verified == 1 << 11, seconds=300)
    for peer in peers:
        peer.awake = True
    swarm.finish(300)


@pytest.mark.uncovered
def test_a_late_block_of_a_piece_that_gave_way_needs_memory_to_spare() -> None:
    swarm, budget = swarm_with(8 * BLOCK, 20 * BLOCK, 2 * BLOCK)
    late = [swarm.join(Sleeper, have=[index], fast=False) for index in range(4)]
    swarm.run(seconds=40)
    swarm.disk.delays[act.HashPiece] = 1000.0
    swarm.join(Seed, have=range(4, 10))
    swarm.run(seconds=1)
    assert not budget.room
    for peer in late:
        peer.give(BlockInfo(min(peer.have), 0, BLOCK))
    swarm.run(seconds=0.1)
    assert [waste.why for waste in swarm.actions(act.DataWasted)] == ["came too late"] * 4
    assert all(line.open for line in swarm.lines.values())
    swarm.disk.delays.clear()
    swarm.run(seconds=1500)
    for peer in late:
        peer.awake = True
        peer.give(BlockInfo(min(peer.have), BLOCK, BLOCK))
    swarm.finish(300)
    assert len(swarm.actions(act.DataWasted)) == 4


# --- Several torrents ---------------------------------------------------------------------------


def test_what_one_torrent_cannot_finish_gives_way_to_another() -> None:
    party = Party(20 * BLOCK, 40 * BLOCK, config=small_memory(8))
    party.add(0, 1)
    for index in range(4):
        party.join(Leaver, 0, have=[index], blocks=1)
    party.run(seconds=1)
    memory = party.session._budgets.memory
    assert memory.used == memory.limit
    party.store[1].delays = {act.HashPiece: 10.0}
    seed = party.join(Seed, 1)
    party.run(seconds=1)
    assert seed.blocks_sent > MIN_SEGMENTS * 2
    assert memory.used <= memory.limit + MIN_SEGMENTS * 2 * BLOCK
    party.finish(1, seconds=600)
    again = party.join(Seed, 0)
    party.finish(0, seconds=60)
    assert again.blocks_sent == 16
    assert memory.used == 0


def test_a_torrent_that_is_giving_way_is_not_asked_for_more_until_it_has() -> None:
    party = Party(20 * BLOCK, 40 * BLOCK, 40 * BLOCK, config=small_memory(8))
    party.add(0, 1, 2)
    for index in range(4):
        party.join(Leaver, 0, have=[index], blocks=1)
    party.run(seconds=1)
    party.store[0].delays = {act.WriteBlocks: 5.0}
    for which in (1, 2):
        party.store[which].delays = {act.HashPiece: 20.0}
        party.join(Seed, which)
    party.run(seconds=1)
    name = party.metas[0].info_hash
    assert len([job for job in party.actions(act.WriteBlocks) if job.torrent == name]) == 1
    party.run(seconds=10)
    assert len([job for job in party.actions(act.WriteBlocks) if job.torrent == name]) > 1
    party.finish(1, 2, seconds=1000)


# --- Pieces longer than memory ------------------------------------------------------------------


def test_scenario_12_a_piece_of_16_mib_from_one_slow_peer_is_downloaded_once() -> None:
    swarm, budget = swarm_with(16 * MIB, 16 * MIB, 16 * MIB)
    seed = swarm.join(Seed, rate=100 * 1024)
    most = peak(swarm, budget)
    assert swarm.now < 16 * MIB / (100 * 1024) * 1.02
    assert seed.blocks_sent == 1024
    assert most <= MIB  # of 16 in the piece
    (job,) = swarm.actions(act.HashPiece)
    assert job.data is None
    assert len(swarm.actions(act.WriteBlocks)) == 64


@pytest.mark.uncovered
@pytest.mark.parametrize("memory", [0, BLOCK, 40 * BLOCK])
def test_a_piece_far_longer_than_memory_still_downloads(memory: int) -> None:
    swarm, budget = swarm_with(memory, 400 * BLOCK + 100, 300 * BLOCK)
    seeds = [swarm.join(Seed, rate=1_000_000) for _ in range(3)]
    most = peak(swarm, budget)
    assert most <= max(memory, MIN_SEGMENTS * BLOCK)
    assert sum(seed.blocks_sent for seed in seeds) < 401 * 1.1


def test_a_long_piece_whose_peers_leave_again_and_again_is_downloaded_once() -> None:
    swarm, budget = swarm_with(64 * BLOCK, 256 * BLOCK, 256 * BLOCK)
    peers = []
    while not swarm.is_complete:
        peers.append(swarm.join(Leaver, blocks=10, rate=200_000))
        swarm.run(lambda: peers[-1].line is None or not peers[-1].alive, seconds=30)
        assert len(peers) < 40
    assert sum(peer.blocks_sent for peer in peers) == 256
    assert budget.used == 0


def test_a_kill_in_the_midst_of_a_long_piece_costs_only_what_came_since_the_last_save() -> None:
    swarm, _ = swarm_with(MIB, 256 * BLOCK, 256 * BLOCK)
    first = swarm.join(Seed, rate=100_000)
    swarm.run(seconds=25)
    saved = stored(swarm)[0].bit_count()
    assert first.blocks_sent * 0.7 < saved < first.blocks_sent
    again = Swarm(256 * BLOCK, 256 * BLOCK, disk=swarm.disk, resume=swarm.disk.resume)
    seed = again.join(Seed)
    again.finish()
    assert seed.blocks_sent == 256 - saved


def test_scenario_28_a_long_piece_on_a_failing_disk_keeps_all_it_has_and_recovers() -> None:
    swarm, budget = swarm_with(MIB, 256 * BLOCK, 256 * BLOCK)
    swarm.disk.fault = failing(act.WriteBlocks, 1)
    seed = swarm.join(Seed, rate=400_000)
    swarm.run(seconds=2)
    (trouble,) = swarm.actions(act.StorageTrouble)
    assert trouble.retry_at is not None
    full_until = swarm.now + 60.0
    swarm.disk.fault = lambda action: (
        StorageFault.DISK_FULL
        if isinstance(action, act.WriteBlocks) and swarm.now < full_until
        else None
    )
    swarm.run(seconds=55)
    assert budget.used == budget.limit
    assert f"{MIB // 1024} of {MIB // 1024} KiB taken" in explained(swarm)
    assert not swarm.actions(act.PieceVerified)
    swarm.finish(300)
    assert seed.blocks_sent == 256


def test_a_long_piece_that_fails_its_hash_starts_over() -> None:
    swarm, budget = swarm_with(MIB, 128 * BLOCK, 128 * BLOCK)
    spoiled = failing(act.WriteBlocks, 0)
    swarm.disk.fault = spoiled
    swarm.join(Seed, rate=1_000_000)
    assert swarm.run(lambda: swarm.disk.writes > 20, seconds=60)
    content = swarm.disk.files[0]
    assert content is not None
    content[0] ^= 0xFF  # behind our back
    swarm.finish(60)
    assert len(swarm.actions(act.PieceFailed)) == 1
    assert not [close for close in swarm.actions(act.Close) if "hash" in close.reason.value]
    assert budget.used == 0


def test_a_piece_whose_blocks_and_segments_come_in_one_input_is_written_once() -> None:
    swarm, _ = swarm_with(0, 2 * BLOCK, 2 * BLOCK)
    peer = unchoked(swarm)
    assert len(peer.asked) == 2
    peer.say(*[wire.Piece(one.piece, one.begin, peer.block(one)) for one in peer.asked])
    swarm.finish(1)
    (job,) = swarm.actions(act.WriteBlocks)
    assert sum(len(data) for _, data in job.chunks) == 2 * BLOCK


def test_a_piece_that_starts_over_while_it_is_written_waits_for_that() -> None:
    """An older write that came last would spoil a newer one."""
    swarm, _ = swarm_with(MIB, 128 * BLOCK, 128 * BLOCK)
    first = swarm.join(Seed, rate=1_000_000)
    assert swarm.run(lambda: swarm.disk.writes > 20, seconds=60)
    content = swarm.disk.files[0]
    assert content is not None
    content[0] ^= 0xFF  # behind our back
    assert swarm.run(lambda: bool(swarm.actions(act.PieceFailed)), seconds=60)
    swarm.disk.delays[act.WriteBlocks] = 5.0
    sent = first.blocks_sent
    swarm.run(lambda: first.blocks_sent > sent + 20, seconds=60)
    first.leave()  # who alone was asked for the piece since
    swarm.run(seconds=0.1)
    assert "starts over once its last write is over" in explained(swarm)
    swarm.join(Seed, rate=1_000_000)
    swarm.finish(300)
    assert len(swarm.actions(act.PieceFailed)) == 1


def test_a_block_that_is_arriving_in_a_piece_that_gives_way_is_dropped() -> None:
    swarm, budget = swarm_with(8 * BLOCK, 20 * BLOCK, 2 * BLOCK)
    slow = [swarm.join(Sleeper, have=[index], fast=False) for index in range(4)]
    swarm.run(seconds=40)
    for peer in slow:
        block = BlockInfo(min(peer.have), 0, BLOCK)
        peer.say_bytes(wire.encode(wire.Piece(block.piece, 0, peer.block(block)))[:-1])
    swarm.run(seconds=0.1)
    assert budget.used == budget.limit
    others = swarm.join(Seed, have=range(4, 10))
    assert swarm.run(lambda: others.blocks_sent == 12, seconds=5)
    for peer in slow:
        peer.say_bytes(peer.block(BlockInfo(min(peer.have), 0, BLOCK))[-1:])
    swarm.run(seconds=0.1)
    assert "came too late" in {waste.why for waste in swarm.actions(act.DataWasted)}
    swarm.join(Seed)
    swarm.finish(300)


# --- Changing one's mind while writes are out -----------------------------------------------------


def half_written(delay: float = 5.0) -> tuple[Swarm, Peer]:
    """A long piece of the first of two files, with writes out that take their time."""
    swarm, _ = swarm_with(MIB, 160 * BLOCK, 80 * BLOCK, files=[80 * BLOCK, 80 * BLOCK])
    swarm.disk.delays[act.WriteBlocks] = delay
    peer = unchoked(swarm, have=[0])
    answer(swarm, peer, 2)
    assert swarm.actions(act.WriteBlocks)
    return swarm, peer


def test_a_piece_that_is_not_wanted_any_longer_stays_until_its_writes_are_over() -> None:
    swarm, _ = half_written()
    swarm.feed(ev.SetPriorities(swarm.name, (0, 1)))
    swarm.run(seconds=1)
    active = swarm.torrent._context.active
    assert active.has(0)
    assert not active.links[1].out
    swarm.run(seconds=10)
    assert not active.has(0)
    assert active.memory.held == 0


def test_a_piece_that_is_wanted_again_while_its_writes_are_out_goes_on() -> None:
    swarm, peer = half_written()
    before = peer.blocks_sent
    swarm.feed(ev.SetPriorities(swarm.name, (0, 1)))
    swarm.feed(ev.SetPriorities(swarm.name, (1, 1)))
    assert "no longer wanted, once its last write is over" in explained(swarm)
    swarm.run(seconds=6)
    seed = swarm.join(Seed)
    swarm.finish(60)
    assert before + seed.blocks_sent >= 160
    assert before + seed.blocks_sent < 165


def test_a_stop_waits_for_the_writes_and_forgets_nothing() -> None:
    swarm, peer = half_written()
    stop(swarm)
    assert stored(swarm)[0].bit_count() == peer.blocks_sent
    assert swarm.torrent._context.active.memory.held == 0


def test_a_stop_on_a_failing_disk_ends_and_loses_only_what_could_not_be_written() -> None:
    swarm, _ = half_written()
    swarm.disk.fault = failing(act.WriteBlocks, 1000, StorageFault.DISK_FULL)
    stop(swarm)
    assert stored(swarm) == {}
    assert swarm.actions(act.StorageTrouble)[-1].retry_at is None
    assert swarm.torrent._context.active.memory.held == 0


# --- The backlog ----------------------------------------------------------------------------------


def test_hashes_and_writes_out_are_bounded_and_the_rest_waits_in_order() -> None:
    swarm, _ = swarm_with(16 * MIB, 200 * BLOCK, BLOCK)
    swarm.disk.manual = True
    swarm.join(Seed)
    swarm.run(seconds=20)
    kinds = [type(action) for action in swarm.disk.pending]
    assert kinds.count(act.HashPiece) == MAX_HASHES_OUT
    assert f"queued behind a bounded backlog ({MAX_HASHES_OUT} hashes are out)" in explained(swarm)
    order = []
    while swarm.disk.pending:
        action = swarm.disk.pending[0]
        order.append((type(action), getattr(action, "piece", None)))
        swarm.answer(swarm.disk)
        for kind, limit in ((act.HashPiece, MAX_HASHES_OUT), (act.WriteBlocks, MAX_WRITES_OUT)):
            assert sum(isinstance(one, kind) for one in swarm.disk.pending) <= limit
    hashed = [piece for kind, piece in order if kind is act.HashPiece]
    written = [piece for kind, piece in order if kind is act.WriteBlocks]
    assert hashed == written
    assert sorted(hashed) == list(range(200))
    assert swarm.torrent.state is TorrentState.SEEDING


def test_what_waits_for_its_turn_is_received_and_says_so() -> None:
    swarm, _ = swarm_with(16 * MIB, 100 * BLOCK, BLOCK)
    swarm.disk.delays[act.WriteBlocks] = 30.0
    swarm.join(Seed)
    swarm.run(seconds=10)
    entries = swarm.torrent.explain(swarm.now).entries
    assert {entry.account for entry in entries} == {Account.RECEIVED}
    assert f"({MAX_WRITES_OUT} writes are out)" in explained(swarm)
    assert len(swarm.actions(act.WriteBlocks)) == MAX_WRITES_OUT
    swarm.finish(200)


def test_scenario_06_the_network_goes_on_to_the_budget_while_storage_stalls() -> None:
    """Hashing takes 10 s a piece; then the disk stalls for a minute."""
    swarm, budget = swarm_with(16 * 2 * BLOCK, 200 * BLOCK, 2 * BLOCK)
    swarm.disk.delays[act.HashPiece] = 10.0
    seed = swarm.join(Seed, rate=2_000_000)
    swarm.run(seconds=5)
    assert budget.used == budget.limit
    assert seed.blocks_sent == 32
    assert "memory is full with 16 pieces in progress, 16 of them at the disk" in explained(swarm)
    swarm.run(lambda: swarm.torrent.verified.bit_count() >= 20, seconds=60)
    swarm.disk.stalled_until = swarm.now + 60.0
    sent = seed.blocks_sent
    swarm.run(seconds=55)
    assert budget.used == budget.limit
    assert seed.blocks_sent <= sent + 32
    swarm.disk.delays.clear()
    assert peak(swarm, budget, 200) <= budget.limit
    assert seed.blocks_sent == 200
    assert len(swarm.actions(act.PieceVerified)) == 100
    assert budget.used == 0


@pytest.mark.uncovered
def test_many_fast_peers_share_the_memory_and_are_all_kept_busy() -> None:
    """A few of them once held all of it with their deep pipelines, and the others idled."""
    swarm = SimulatedSwarm(96 * MIB, MIB // 4, seed=1, check_every=200)
    leecher = swarm.add_torrent()
    for _ in range(37):
        swarm.add_peer(Honest, to=leecher, rate=2 * MIB, latency=0.02)
    assert swarm.finish() < 1.25 * 96 / (37 * 2)
    assert leecher.torrent.status(swarm.clock.now).wasted == 0


def test_stored_blocks_whose_file_is_gone_are_fetched_again() -> None:
    """The hash from the files would fail for ever; nobody is blamed for what they lost."""
    swarm, _ = swarm_with(MIB, 160 * BLOCK, 80 * BLOCK)
    seed = swarm.join(Seed, rate=400_000)
    swarm.disk.fault = failing(act.HashPiece, 1)
    assert swarm.run(lambda: bool(swarm.actions(act.StorageTrouble)), seconds=60)
    swarm.disk.files[0] = bytearray()
    swarm.finish(60.0)
    assert 160 < seed.blocks_sent <= 2 * 160
    assert not swarm.actions(act.PeerBanned)
    assert not swarm.actions(act.PieceFailed)
