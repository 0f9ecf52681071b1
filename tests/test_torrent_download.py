"""A torrent that downloads: nothing stalls, whatever the peers do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer_kit import parse
from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.budget import Budget
from torrent_core.limits import LATENESS_FLOOR, LATENESS_UNKNOWN, MAX_PIPELINE
from torrent_core.pieces import ActivePieceConfig
from torrent_core.pieces.pace import pipeline_depth
from torrent_core.torrent import Budgets, TorrentConfig
from torrent_core.types import BlockInfo, CloseReason, ReleaseCause, TorrentState
from torrent_core.wire import ExtendedHandshake, extended
from torrent_core.wire import messages as wire
from world import BLOCK, KIB
from world_peers import Choker, Corrupter, Leaver, Leech, Peer, Rejecter, Seed, Silent, Swarm

FIRST = pipeline_depth(0.0)
"""Requests out on a link whose rate is not known."""


def sent(actions: list[act.Action], link: str) -> list[wire.Message]:
    """What these actions tell one link."""
    data = b"".join(a.data for a in actions if isinstance(a, act.Send) and a.link == link)
    return list(parse(data))


def requested(actions: list[act.Action], link: str) -> set[BlockInfo]:
    """The blocks that these actions ask of one link."""
    return {
        BlockInfo(m.index, m.begin, m.length)
        for m in sent(actions, link)
        if isinstance(m, wire.Request)
    }


def of(actions: list[act.Action], kind: type) -> list:
    return [action for action in actions if isinstance(action, kind)]


def unchoked(swarm: Swarm, kind: type[Peer] = Peer, **options: object) -> Peer:
    """A peer that unchokes us and answers nothing by itself."""
    peer = swarm.join(kind, **options)
    peer.unchoke()
    swarm.run(seconds=3 * peer.latency)
    return peer


def answer(swarm: Swarm, peer: Peer, count: int = 1000) -> None:
    """The peer answers its oldest requests."""
    for block in list(peer.asked)[:count]:
        peer.give(block)
    swarm.run(seconds=3 * peer.latency)


# --- The plain way ---------------------------------------------------------------------------


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
    swarm = Swarm(total, piece_length)
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


# --- Peers that leave, choke or fall silent --------------------------------------------------


def owner_and_idle(*, fast: bool = True) -> tuple[Swarm, Peer, Peer]:
    """One peer was asked for all of piece 0; another has it too and nothing to do.

    A third has piece 1 and chokes us, so that end-game is not on.
    """
    swarm = Swarm(4 * BLOCK)
    swarm.join(Choker, have=[1])
    owner = unchoked(swarm, have=[0], fast=fast)
    idle = unchoked(swarm, have=[0])
    assert len(owner.asked) == 2
    assert not idle.asked
    return swarm, owner, idle


def test_what_was_asked_of_a_peer_that_leaves_is_asked_of_others_in_the_same_step() -> None:
    swarm, owner, _ = owner_and_idle()
    held = set(owner.asked)
    actions = swarm.feed(ev.LinkClosed("link 1", "reset"))
    (released,) = of(actions, act.BlocksReleased)
    assert (released.link, released.cause) == ("link 1", ReleaseCause.DISCONNECTED)
    (again,) = of(actions, act.BlocksReassigned)
    assert set(released.blocks) == set(again.blocks) == held
    assert requested(actions, "link 2") == held
    (lost,) = of(actions, act.LinkLost)
    assert (lost.reason, lost.detail) == (CloseReason.CONNECTION_FAILED, "reset")


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
    swarm, owner, _ = owner_and_idle()
    held = set(owner.asked)
    due = next(iter(owner.asked.values())) - owner.latency + LATENESS_UNKNOWN
    swarm.run(lambda: bool(swarm.actions(act.BlocksReleased)), seconds=30)
    assert swarm.now == pytest.approx(due)
    now, event, actions = swarm.trace[-1]
    assert (now, event) == (swarm.now, ev.Tick())
    (released,) = of(actions, act.BlocksReleased)
    assert released.cause is ReleaseCause.SNUBBED
    assert set(released.blocks) == held == requested(actions, "link 2")
    assert sum(isinstance(m, wire.Cancel) for m in sent(actions, "link 1")) == len(held)
    row = next(row for row in swarm.torrent.peers(swarm.now) if row.link == "link 1")
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


def test_a_large_piece_from_one_slow_peer_is_downloaded_once() -> None:
    swarm = Swarm(16 * 1024 * KIB, 16 * 1024 * KIB)
    seed = swarm.join(Seed, rate=100 * KIB, chunk=8 * KIB)
    swarm.finish()
    assert seed.blocks_sent == 1024
    assert swarm.torrent.status(swarm.now).wasted == 0
    assert not swarm.actions(act.BlocksReleased)


# --- Depth -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "low", "high"),
    [(160 * KIB, 27, 33), (10_000_000, MAX_PIPELINE, MAX_PIPELINE)],
)
def test_depth_follows_the_rate(rate: float, low: int, high: int) -> None:
    seconds = 20 if rate < 1e6 else 3
    swarm = Swarm(int(rate * seconds) // BLOCK * BLOCK, 64 * BLOCK)
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


# --- End-game ----------------------------------------------------------------------------------


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


# --- Late, doubled and unasked blocks ----------------------------------------------------------


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


def test_a_peer_that_delivers_and_breaks_the_protocol_in_one_breath_leaves_no_clock_behind() -> None:
    swarm = Swarm(8 * BLOCK)
    peer = unchoked(swarm)
    for block in list(peer.asked):
        del peer.asked[block]
        peer.blocks_sent += 1
    data = b"".join(
        wire.encode(wire.Piece(block.piece, block.begin, peer.block(block)))
        for block in requested([a for s in swarm.trace for a in s.actions], "link 0")
    )
    peer.say_bytes(data + b"\xff" * 4)
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


# --- Corruption --------------------------------------------------------------------------------


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
    assert all(close.link != "link 1" or close.reason is CloseReason.BOTH_SEEDS
               for close in swarm.actions(act.Close))  # fmt: skip


# --- Backlogs and memory -------------------------------------------------------------------------


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


def test_a_piece_larger_than_all_memory_still_downloads() -> None:
    config = TorrentConfig(active=ActivePieceConfig(max_buffered_bytes=BLOCK))
    swarm = Swarm(20 * BLOCK, 4 * BLOCK, config=config, budgets=Budgets(memory=Budget(BLOCK)))
    swarm.join(Seed, rate=1_000_000)
    swarm.finish()


# --- Refusals --------------------------------------------------------------------------------------


def test_a_peer_that_rejects_for_ever_is_asked_ever_less() -> None:
    swarm = Swarm(64 * BLOCK)
    peer = swarm.join(Rejecter)
    swarm.run(seconds=600)
    asked = sum(isinstance(m, wire.Request) for m in peer.heard)
    assert 16 <= asked < 400
    swarm.join(Seed)
    swarm.finish(5)


def test_a_peer_that_answers_all_but_one_block_does_not_hold_up_the_end() -> None:
    class AllButOne(Seed):
        def serve(self, block: BlockInfo) -> float:
            if block == BlockInfo(1, 0, BLOCK):
                self.refuse(block)
                return self.world.now
            return super().serve(block)

    swarm = Swarm(8 * BLOCK)
    miser = swarm.join(AllButOne)
    swarm.run(seconds=30)
    assert swarm.torrent.verified == 0b1101
    assert sum(isinstance(m, wire.Request) for m in miser.heard) < 20
    swarm.join(Seed)
    swarm.finish(5)


# --- Interest and HAVE -------------------------------------------------------------------------


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


# --- Availability ------------------------------------------------------------------------------


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


# --- Priorities ----------------------------------------------------------------------------------


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


Moment = Callable[[Swarm], bool]


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
