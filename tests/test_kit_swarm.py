"""Many machines on one clock: they exchange, all is the same twice, and failures tell a story."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.actions import Action
from torrent_core.errors import LocalProtocolError
from torrent_core.testing import (
    Choker,
    Honest,
    Leaver,
    LinkProfile,
    PromiseBroken,
    SimulatedSwarm,
    make_torrent,
    strategies,
)
from torrent_core.testing.payload import BLOCK
from torrent_core.testing.plan import PeerPlan, SwarmPlan
from torrent_core.testing.swarm import _host
from torrent_core.torrent import Torrent, TorrentConfig
from torrent_core.trace import TorrentSetup, replay
from torrent_core.types import RandomSource, TorrentState

FAST = LinkProfile(latency=0.005, down=1e7, up=1e7)


def mixed(seed: int) -> SimulatedSwarm:
    swarm = SimulatedSwarm(
        24 * BLOCK, seed=seed, link=LinkProfile(down=3e5, up=3e5, jitter=0.05, loss=0.05)
    )
    swarm.add_torrent(full=True)
    for _ in range(3):
        swarm.add_torrent()
    swarm.connect_all()
    swarm.add_peer(Leaver, swarm.torrents[2])
    swarm.add_peer(Honest, swarm.torrents[3], dials=True)
    swarm.finish()
    return swarm


def story(swarm: SimulatedSwarm) -> list[str]:
    return [repr(step[:2]) for world in swarm.torrents for step in world.trace]


def test_equal_seeds_make_equal_runs_and_others_do_not() -> None:
    assert story(mixed(5)) == story(mixed(5))
    assert story(mixed(5)) != story(mixed(6))


def test_fifty_real_machines_exchange_what_one_of_them_has() -> None:
    swarm = SimulatedSwarm(8 * BLOCK, 2 * BLOCK, link=FAST, check_every=50)
    for number in range(50):
        swarm.add_torrent(full=number == 0)
    for earlier, world in enumerate(swarm.torrents[1:]):
        for back in {earlier, earlier // 2, max(0, earlier - 3)}:
            swarm.connect(world, swarm.torrents[back])
    swarm.finish(120)
    served = [world.torrent.status(swarm.now).uploaded for world in swarm.torrents]
    assert sum(map(bool, served)) > 5  # not only the first of them served


def test_machines_that_nobody_seeds_cannot_finish_and_say_why() -> None:
    swarm = SimulatedSwarm()
    swarm.add_torrent()
    swarm.add_peer(Choker)
    with pytest.raises(PromiseBroken, match=r"not complete after 30 s.*choke us") as broken:
        swarm.finish(30)
    assert not swarm.run(seconds=1)
    (note,) = broken.value.__notes__
    assert "-> Send link=link 0" in note
    assert "BytesReceived link=link 0 data=68 bytes (HANDSHAKE)" in swarm.timeline(100)


def test_some_of_the_machines_may_be_awaited_alone() -> None:
    swarm = SimulatedSwarm()
    first, _ = swarm.add_torrent(), swarm.add_torrent()
    swarm.add_peer(Honest)
    swarm.finish(torrents=[first])
    assert first.is_complete


def test_a_piece_that_is_verified_and_not_on_the_disk_is_noticed() -> None:
    swarm = SimulatedSwarm()
    world = swarm.add_torrent(full=True)
    world.disk.digest = lambda piece, data: bytes(20)  # type: ignore[method-assign]
    with pytest.raises(PromiseBroken, match="piece 0 is verified and not on the disk"):
        swarm.finish()


def test_addresses_do_not_run_out_unnoticed() -> None:
    assert _host("10.1", 65535) == "10.1.255.255"
    with pytest.raises(ValueError, match="number"):
        _host("10.1", 65536)


class Impatient(Torrent):
    """A machine of one's own."""

    made = 0


def test_a_swarm_takes_machines_of_ones_own_and_records_them() -> None:
    def build(setup: TorrentSetup, random: RandomSource) -> Torrent:
        return Impatient(setup.metainfo, peer_id=setup.peer_id, random=random)

    swarm = SimulatedSwarm()
    world = swarm.add_torrent(build=build, record=True, config=TorrentConfig())
    swarm.add_peer(Honest)
    swarm.finish()
    assert isinstance(world.torrent, Impatient)
    report = replay(world.save_trace())
    assert report.is_equal
    assert report.machine is not None
    assert report.machine.state is TorrentState.SEEDING  # type: ignore[union-attr]


def test_the_past_is_bounded_where_it_is_told_to_be() -> None:
    swarm = SimulatedSwarm(keep_steps=7)
    world = swarm.add_torrent()
    swarm.add_peer(Honest)
    swarm.finish()
    assert len(world.trace) == 7
    assert len(world.actions(act.StateChanged)) == 1


def test_the_accounts_are_looked_at_as_often_as_told(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[float] = []
    monkeypatch.setattr(
        "torrent_core.testing.world.assert_accounted",
        lambda machine, now, steps: looked.append(now),
    )
    counts = []
    for every in (0, 1, 10):
        looked.clear()
        swarm = SimulatedSwarm(check_every=every, keep_steps=None)
        world = swarm.add_torrent()
        swarm.add_peer(Honest)
        swarm.finish()
        counts.append(len(looked))
        steps = len(world.trace)
    assert counts == [0, steps, steps // 10]


def test_a_crash_of_the_machine_bears_the_timeline() -> None:
    class Crashing(Torrent):
        def handle(self, event: ev.Event, now: float) -> list[Action]:
            if isinstance(event, ev.LinkOpened):
                raise RuntimeError("a bug")
            return super().handle(event, now)

    swarm = SimulatedSwarm()
    swarm.add_torrent(
        build=lambda setup, random: Crashing(setup.metainfo, peer_id=setup.peer_id, random=random)
    )
    swarm.add_peer(Honest)
    with pytest.raises(RuntimeError, match="a bug") as crash:
        swarm.run()
    assert "torrent 0  AddPeer" in crash.value.__notes__[0]


# --- Drawn swarms ----------------------------------------------------------------------------


@pytest.mark.uncovered
@settings(max_examples=settings.default.max_examples // 2)
@given(strategies.swarms())
def test_every_swarm_with_honest_peers_completes(plan: SwarmPlan) -> None:
    plan.build().finish(3600)


def test_peers_of_a_plan_come_at_their_time() -> None:
    late = PeerPlan(after=5.0)
    swarm = SwarmPlan(4 * BLOCK, BLOCK, peers=(late,)).build()
    assert len(swarm.peers) == 1
    swarm.run(seconds=6)
    assert len(swarm.peers) == 2


META, _ = make_torrent(5 * BLOCK, 2 * BLOCK)


@given(st.lists(strategies.events(META), max_size=30))
def test_no_event_makes_a_torrent_raise_anything_but_a_local_protocol_error(
    events: list[ev.Event],
) -> None:
    torrent = Torrent(META, peer_id=b"-XX0000-abcdefghijkl", random=Random(1))
    for number, event in enumerate(events):
        before: Any = torrent.explain(number)
        try:
            torrent.handle(event, float(number))
        except LocalProtocolError:
            assert torrent.explain(number) == before


@given(strategies.byte_streams(META))
def test_streams_begin_with_a_handshake_and_come_in_parts(parts: list[bytes]) -> None:
    assert all(parts)
    assert len(b"".join(parts)) >= 68
