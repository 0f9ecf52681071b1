"""Scenarios that must end in time: the account of every block holds at every event, and the
finish is measured against what the peers' bandwidth allows."""

from __future__ import annotations

import pytest

from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.limits import LATENESS_UNKNOWN, MAX_PIPELINE
from torrent_core.testing.speech import messages_in, requested, sent
from torrent_core.types import Address, BlockInfo, TorrentState
from torrent_core.wire import messages as wire
from world import BLOCK, KIB
from world_peers import Peer, Rejecter, Seed, Silent
from world_swarm import Swarm

MIB = 1024 * KIB


class CancelIgnorer(Seed):
    """Answers whatever it was ever asked."""

    def on_cancel(self, block: BlockInfo) -> None:
        pass


class Liar(Seed):
    """Says that it has everything, has nothing, and rejects with BEP 6 for ever."""

    def serve(self, block: BlockInfo) -> float:
        self.refuse(block)
        return self.world.now


class Trickle(Seed):
    """One block every five seconds."""

    def serve(self, block: BlockInfo) -> float:
        return self.give(block) + 5.0


def join_all(swarm: Swarm, peers: list[tuple[type[Peer], float]]) -> list[Peer]:
    """Peers of these kinds and rates connect at one moment."""
    made = [swarm.make(kind, rate=rate) for kind, rate in peers]
    for port, peer in enumerate(made, 50_000):
        swarm.connect(peer, Address("192.0.2.9", port))
    return made


def bandwidth_bound(swarm: Swarm, peers: list[Peer]) -> float:
    """Seconds until the payload could be here at the earliest."""
    return len(swarm.payload) / sum(peer.rate for peer in peers)


def received_in_vain(swarm: Swarm, peers: list[Peer]) -> int:
    """Bytes of blocks that peers sent beyond the payload, until the end."""
    return sum(peer.blocks_sent for peer in peers) * BLOCK - len(swarm.payload)


@pytest.mark.uncovered
@pytest.mark.parametrize("fast_first", [True, False])
def test_scenario_09_a_fast_peer_among_nine_slow_ones_is_never_short_of_work(
    fast_first: bool,
) -> None:
    """One of 1 MiB/s and nine of 50 KB/s: within 10 % of the bandwidth bound."""
    swarm = Swarm(8 * MIB, 256 * KIB)
    kinds: list[tuple[type[Peer], float]] = [(Seed, 50_000.0)] * 9
    kinds.insert(0 if fast_first else 9, (Seed, float(MIB)))
    peers = join_all(swarm, kinds)
    fast = max(peers, key=lambda peer: peer.rate)
    idle: list[float] = []

    def over() -> bool:
        rows = [row for row in swarm.torrent.peers(swarm.now) if row.outstanding == 0]
        if fast.their_interest and any(row.address.port == port for row in rows):
            idle.append(swarm.now)
        return swarm.torrent.state is TorrentState.SEEDING

    port = 50_000 + peers.index(fast)
    assert swarm.run(over, seconds=60)
    bound = bandwidth_bound(swarm, peers)
    assert swarm.now <= 1.1 * bound
    # Before the first request and at the very end.
    assert not [when for when in idle if 0.2 < when < 0.95 * bound]
    assert received_in_vain(swarm, peers) <= len(swarm.payload) // 50


@pytest.mark.uncovered
def test_scenario_13_a_slow_peer_that_ignores_cancel_beside_a_quick_one() -> None:
    """30 KiB/s and 1 MiB/s, 16 MiB: what is received and not used stays under 5 %."""
    swarm = Swarm(16 * MIB, 256 * KIB)
    peers = join_all(swarm, [(CancelIgnorer, 30.0 * KIB), (Seed, float(MIB))])

    def over() -> bool:
        for row in swarm.torrent.peers(swarm.now):
            assert row.outstanding <= row.depth <= MAX_PIPELINE
        return swarm.torrent.state is TorrentState.SEEDING

    assert swarm.run(over, seconds=60)
    assert swarm.now <= 1.1 * bandwidth_bound(swarm, peers)
    assert received_in_vain(swarm, peers) < len(swarm.payload) // 20
    assert swarm.torrent.status(swarm.now).wasted < len(swarm.payload) // 20


def told_at_once(swarm: Swarm, giver: str, holder: str) -> int:
    """Blocks that ``giver`` brought while ``holder`` was asked for them, each of them
    cancelled in the very step."""
    out: set[BlockInfo] = set()
    count = 0
    for step in swarm.trace:
        if isinstance(step.event, ev.BytesReceived):
            said = [m for m in messages_in(step.event.data) if isinstance(m, wire.Piece)]
            came = {BlockInfo(m.index, m.begin, len(m.data)) for m in said}
            if step.event.link == giver:
                assert cancelled(step.actions, holder) >= came & out
                count += len(came & out)
            out -= came
        out -= cancelled(step.actions, holder)
        out |= requested(step.actions, holder)
    return count


def cancelled(actions: list[act.Action], link: str) -> set[BlockInfo]:
    """The blocks that these actions ask one link for no longer."""
    said = [m for m in sent(actions, link) if isinstance(m, wire.Cancel)]
    return {BlockInfo(m.index, m.begin, m.length) for m in said}


@pytest.mark.uncovered
@pytest.mark.parametrize("skipped", [False, True])
@pytest.mark.parametrize("slow_rate", [2.0 * KIB, 10.0 * KIB])
def test_scenario_14_the_last_blocks_of_a_slow_peer_are_asked_of_a_quick_one(
    slow_rate: float, skipped: bool
) -> None:
    """Asked of another within one event of its being idle; the holder is told at once."""
    wanted = 4 * MIB
    files = [wanted, 4 * MIB] if skipped else [wanted]
    swarm = Swarm(sum(files), 256 * KIB, files=files, priorities=(1, 0) if skipped else None)
    slow, quick = join_all(swarm, [(Seed, slow_rate), (Seed, float(MIB))])
    idle: list[float] = []

    def over() -> bool:
        if [row.outstanding > 0 for row in swarm.torrent.peers(swarm.now)] == [True, False]:
            idle.append(swarm.now)
        return swarm.is_complete

    swarm.run(lambda: bool(quick.asked), seconds=1)
    assert swarm.run(over, seconds=60)
    assert not idle
    bound = wanted / (MIB + slow_rate)
    assert swarm.now <= 1.1 * bound
    assert (slow.blocks_sent + quick.blocks_sent) * BLOCK <= wanted + 2 * BLOCK
    swarm.run(seconds=0.1)
    assert told_at_once(swarm, "link 1", "link 0") > 0
    assert any(isinstance(message, wire.Cancel) for message in slow.heard)
    asked_when = [
        step.now for step in swarm.trace for a in step.actions if isinstance(a, act.BlocksReleased)
    ]
    assert not asked_when  # nothing had to time out for it


def test_scenario_14_pieces_that_are_being_hashed_do_not_put_it_off() -> None:
    swarm = Swarm(4 * MIB, 256 * KIB)
    swarm.disk.delays[act.HashPiece] = 3.0
    slow, quick = join_all(swarm, [(Seed, 2.0 * KIB), (Seed, float(MIB))])
    assert swarm.run(lambda: swarm.torrent.state is TorrentState.SEEDING, seconds=60)
    assert swarm.now <= 1.1 * bandwidth_bound(swarm, [slow, quick]) + 3.0


@pytest.mark.uncovered
@pytest.mark.parametrize("villain", [Liar, Rejecter, Silent, Trickle])
def test_scenario_18_the_blocks_of_a_peer_that_does_not_deliver_move_on_in_bounded_time(
    villain: type[Peer],
) -> None:
    """It comes first and holds blocks; beside an honest peer the finish hardly suffers."""
    swarm = Swarm(4 * MIB, 256 * KIB)
    swarm.join(villain)
    honest = swarm.join(Seed, rate=float(MIB))
    began = swarm.now
    assert swarm.run(lambda: swarm.torrent.state is TorrentState.SEEDING, seconds=60)
    bound = len(swarm.payload) / MIB
    assert swarm.now - began <= 1.1 * bound + 0.2
    assert honest.blocks_sent * BLOCK >= len(swarm.payload) - 4 * BLOCK


@pytest.mark.parametrize("villain", [Liar, Rejecter, Silent, Trickle])
def test_scenario_18_without_an_idle_peer_to_help_a_deadline_moves_them_on(
    villain: type[Peer],
) -> None:
    """The honest peer comes only when everything has been asked of the other."""
    swarm = Swarm(2 * BLOCK)
    swarm.join(villain)
    swarm.run(seconds=LATENESS_UNKNOWN)
    swarm.join(Seed, rate=float(MIB))
    swarm.finish(1.0)
