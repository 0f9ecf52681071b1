"""A torrent that downloads: every shape, as fast as it goes, within its memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core import actions as act
from torrent_core.budget import Budget
from torrent_core.limits import (
    MAX_PIPELINE,
)
from torrent_core.pieces import ActivePieceConfig
from torrent_core.torrent import Budgets, TorrentConfig
from torrent_core.types import TorrentState
from torrent_core.wire import ExtendedHandshake, extended
from torrent_core.wire import messages as wire
from world import BLOCK, KIB
from world_peers import Peer, Seed
from world_swarm import (
    FIRST,
    Swarm,
    answer,
    unchoked,
)

SELDOM = 50
"""Steps between looks at the accounts where a thousand blocks are missing: scenario 24 looks
after every step of such a torrent, and what is shown here is something else."""

# --- The plain way ------------------------------------------------------------------------------


@pytest.mark.uncovered
@pytest.mark.parametrize(
    ("total", "piece_length"),
    [
        (1, BLOCK),
        (BLOCK, BLOCK),
        (BLOCK + 1, BLOCK),
        (5 * BLOCK, 4 * BLOCK),
        (7 * BLOCK - 5, 2 * BLOCK + 100),
        (90_000, 1000),
        (16 * 1024 * KIB + BLOCK, 16 * 1024 * KIB),
    ],
)
@pytest.mark.parametrize("chunk", [0, 10_000])
def test_every_shape_of_torrent_downloads(total: int, piece_length: int, chunk: int) -> None:
    swarm = Swarm(total, piece_length, check_every=SELDOM if total > 100 * BLOCK else 1)
    seed = swarm.join(Seed, chunk=chunk)
    swarm.finish()
    assert swarm.torrent.status(swarm.now).wasted == 0
    assert seed.blocks_sent == sum(
        swarm.meta.geometry.block_count(i) for i in range(swarm.meta.piece_count)
    )
    assert swarm.disk.files[0] == swarm.payload


def test_files_of_no_bytes_are_made_and_files_share_pieces() -> None:
    swarm = Swarm(100_000, 2 * BLOCK, files=[0, 10, 50_000, 0, 49_990, 0])
    swarm.join(Seed)
    swarm.finish()
    assert [len(data) for data in swarm.disk.files if data is not None] == [
        0, 10, 50_000, 0, 49_990, 0,
    ]  # fmt: skip
    assert b"".join(bytes(data or b"") for data in swarm.disk.files) == swarm.payload


def test_reports_tell_the_story_in_order() -> None:
    swarm = Swarm(2 * BLOCK)
    swarm.join(Seed)
    swarm.finish()
    reports = [
        type(action).__name__
        for step in swarm.trace
        for action in step.actions
        if not isinstance(action, act.Send)
    ]
    assert reports == [
        "StateChanged", "StatFiles", "StateChanged", "LinkReady", "HashPiece", "WriteBlocks",
        "PieceVerified", "TorrentCompleted", "StateChanged", "Close", "LinkLost",
    ]  # fmt: skip
    status = swarm.torrent.status(swarm.now)
    assert (status.progress, status.downloaded, status.eta) == (1.0, 2 * BLOCK, 0.0)


@given(st.integers(1, 12), st.integers(1, 6))
def test_one_peer_is_asked_for_its_depth_or_all_that_is_left(total: int, per_piece: int) -> None:
    swarm = Swarm(total * BLOCK, per_piece * BLOCK)
    peer = unchoked(swarm)
    assert len(peer.asked) == min(FIRST, total)
    while peer.asked:
        left = total - peer.blocks_sent
        assert len(peer.asked) <= left
        before = len(peer.asked)
        answer(swarm, peer, 1)
        assert len(peer.asked) >= min(before, left - 1)
    swarm.finish()


def test_status_and_peers_while_it_runs() -> None:
    swarm = Swarm(4 * BLOCK, config=TorrentConfig(listen_port=6881))
    peer = unchoked(swarm, fast=False, extended=True)
    hello = ExtendedHandshake(v="Other 1.0", reqq=1)
    peer.say(wire.Extended(0, extended.encode(hello)))
    answer(swarm, peer, 1)
    (row,) = swarm.torrent.peers(swarm.now)
    assert (row.client, row.progress, row.snubbed) == ("Other 1.0", 1.0, False)
    assert row.am_interested
    assert not row.peer_choking
    assert row.downloaded == BLOCK
    assert row.outstanding == len(peer.asked)
    status = swarm.torrent.status(swarm.now)
    assert status.state is TorrentState.DOWNLOADING
    assert (status.progress, status.peers, status.wanted_left) == (0.0, 1, 4 * BLOCK)
    assert status.eta is not None
    assert status.eta > 0
    theirs = next(m for m in peer.heard if isinstance(m, wire.Extended))
    assert extended.decode(theirs.payload).p == 6881


def test_without_a_rate_there_is_no_time_left_to_tell() -> None:
    assert Swarm().torrent.status(0.0).eta is None


# --- Depth --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "low", "high"),
    [(160 * KIB, 27, 33), (10_000_000, MAX_PIPELINE, MAX_PIPELINE)],
)
def test_depth_follows_the_rate(rate: float, low: int, high: int) -> None:
    seconds = 20 if rate < 1e6 else 3
    swarm = Swarm(int(rate * seconds) // BLOCK * BLOCK, 64 * BLOCK, check_every=SELDOM)
    swarm.join(Seed, rate=rate)
    most = 0

    def over() -> bool:
        nonlocal most
        for row in swarm.torrent.peers(swarm.now):
            assert row.outstanding <= row.depth <= MAX_PIPELINE
            most = max(most, row.depth)
        return swarm.torrent.state is TorrentState.SEEDING

    swarm.run(over)
    assert low <= most <= high


@pytest.mark.parametrize("wait", [0.0, 5.0])
def test_a_fast_link_is_at_its_depth_after_a_few_round_trips_however_late_it_unchokes(
    wait: float,
) -> None:
    """It once asked for two blocks a round trip until its rate had been measured."""

    class Late(Seed):
        def on_interested(self) -> None:
            self.world.at(self.world.now + wait, self.unchoke)

    rate, latency = 10_000_000, 0.05
    swarm = Swarm(16 * 1024 * KIB, 256 * KIB, check_every=SELDOM)
    swarm.join(Late, rate=rate, latency=latency)
    swarm.finish()
    round_trips = (swarm.now - wait - len(swarm.payload) / rate) / (2 * latency)
    assert round_trips <= 7


@pytest.mark.uncovered
@pytest.mark.parametrize(("reqq", "most"), [(1, 1), (5, 5), (0, 9), (-5, 9), (2**32 + 1, 9)])
def test_the_queue_a_peer_admits_only_lowers_the_depth(reqq: int, most: int) -> None:
    swarm = Swarm(200 * BLOCK)
    peer = swarm.join(Peer, extended=True)
    peer.say(wire.Extended(0, b"d4:reqqi%dee" % reqq))
    peer.unchoke()
    swarm.run(seconds=0.1)
    for _ in range(40):
        assert 0 < len(peer.asked) <= (reqq if most < 9 else MAX_PIPELINE)
        answer(swarm, peer, 3)
    assert (len(peer.asked) >= 9) == (most >= 9)


# --- End-game -----------------------------------------------------------------------------------


@pytest.mark.parametrize("priorities", [None, (1, 0)])
def test_the_last_block_on_a_slow_peer_is_asked_of_another_and_cancelled_on_arrival(
    priorities: tuple[int, ...] | None,
) -> None:
    swarm = Swarm(6 * BLOCK, files=[4 * BLOCK, 2 * BLOCK], priorities=priorities)
    slow, quick = unchoked(swarm), unchoked(swarm)
    while quick.asked:
        answer(swarm, quick)
        if swarm.torrent.state is TorrentState.SEEDING:
            break
    swarm.finish(1.0)
    swarm.run(seconds=0.1)
    assert any(isinstance(m, wire.Cancel) for m in slow.heard)
    assert not slow.asked
    assert slow.blocks_sent == 0


# --- Backlogs and memory ------------------------------------------------------------------------


def test_slow_hashing_and_a_stalled_disk_bound_the_backlog_and_lose_nothing() -> None:
    memory = Budget(6 * 2 * BLOCK)
    swarm = Swarm(40 * BLOCK, budgets=Budgets(memory=memory))
    swarm.disk.delays = {act.HashPiece: 10.0, act.WriteBlocks: 60.0}
    seed = swarm.join(Seed)

    def over() -> bool:
        assert memory.used <= memory.limit
        return swarm.torrent.state is TorrentState.SEEDING

    swarm.run(lambda: seed.blocks_sent >= 12, seconds=5)
    swarm.run(seconds=5)
    assert memory.used == memory.limit  # the network went on as far as memory goes
    assert swarm.run(over)
    assert len(swarm.actions(act.HashPiece)) == len(swarm.actions(act.WriteBlocks)) == 20
    assert seed.blocks_sent == 40
    assert memory.used == 0


def test_a_torrent_on_its_own_keeps_to_the_memory_that_its_configuration_allows() -> None:
    active = ActivePieceConfig(max_buffered_bytes=8 * BLOCK)
    swarm = Swarm(40 * BLOCK, config=TorrentConfig(active=active))
    swarm.disk.delays[act.HashPiece] = 60.0
    seed = swarm.join(Seed)
    swarm.run(seconds=5)
    assert seed.blocks_sent == 8


def test_a_piece_larger_than_all_memory_still_downloads() -> None:
    config = TorrentConfig(active=ActivePieceConfig(max_buffered_bytes=BLOCK))
    swarm = Swarm(20 * BLOCK, 4 * BLOCK, config=config, budgets=Budgets(memory=Budget(BLOCK)))
    swarm.join(Seed, rate=1_000_000)
    swarm.finish()
