"""Simulated links: latency, bandwidth, jitter, loss, and dials without an answer."""

from __future__ import annotations

import math
from random import Random

import pytest

from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.budget import Budget
from torrent_core.testing import (
    Clock,
    Honest,
    Leech,
    LinkProfile,
    PromiseBroken,
    SessionWorld,
    SimulatedSwarm,
    TorrentWorld,
)
from torrent_core.testing.payload import BLOCK, KIB
from torrent_core.torrent import Budgets
from torrent_core.types import Address

RATE = 100 * KIB


def two(total: int = 32 * BLOCK, link: LinkProfile | None = None) -> SimulatedSwarm:
    """A seed, and a leecher that dials it."""
    swarm = SimulatedSwarm(total, link=link)
    swarm.add_torrent(full=True)
    swarm.connect(swarm.add_torrent(), swarm.torrents[0])
    return swarm


def test_bandwidth_and_latency_bound_the_time_of_a_download() -> None:
    total = 64 * BLOCK
    swarm = two(total, LinkProfile(latency=0.05, down=RATE))
    bound = total / RATE
    assert bound < swarm.finish() < 1.05 * bound + 1.0


@pytest.mark.parametrize("one_way", ["down", "up"])
def test_bandwidth_is_of_one_direction(one_way: str) -> None:
    total = 16 * BLOCK
    swarm = two(total, LinkProfile(**{one_way: RATE}))
    slow = total / RATE
    assert (swarm.finish() > slow) is (one_way == "down")


def test_what_a_machine_sends_leaves_block_by_block_where_bandwidth_is_scarce() -> None:
    world = TorrentWorld(16 * BLOCK, full=True)
    leech = world.join(Leech, have=[], profile=LinkProfile(up=RATE), depth=16)
    assert world.run(lambda: leech.complete, seconds=600)
    assert world.now >= 16 * BLOCK / RATE
    counts = [step.event.count for step in world.trace if isinstance(step.event, ev.Sent)]
    assert max(counts) <= BLOCK + 100
    assert sum(counts) >= 16 * BLOCK


def test_jitter_delays_and_keeps_the_order() -> None:
    still, shaken = (LinkProfile(down=RATE, up=RATE, jitter=jitter) for jitter in (0.0, 0.2))
    assert two(link=shaken).finish() > two(link=still).finish()


def test_a_lost_connection_is_made_again() -> None:
    swarm = two(64 * BLOCK, LinkProfile(down=RATE, loss=0.2))
    swarm.finish()
    lost = [e for step in swarm.torrents[1].trace if isinstance(e := step.event, ev.LinkClosed)]
    assert lost
    assert lost[0].detail == "lost"


def test_a_connection_that_is_always_lost_is_lost_at_once() -> None:
    world = TorrentWorld()
    peer = world.join(Honest, profile=LinkProfile(loss=1.0))
    assert not peer.alive
    assert world.now < 0.1


def test_connections_live_as_long_as_the_chance_of_loss_says() -> None:
    random = Random(1)
    lives = [LinkProfile(loss=0.5).lifetime(random) for _ in range(2000)]
    assert sum(life > 1.0 for life in lives) == pytest.approx(1000, abs=100)
    assert LinkProfile().lifetime(random) == math.inf


def test_the_other_end_has_the_directions_exchanged() -> None:
    assert LinkProfile(down=1.0, up=2.0).reversed() == LinkProfile(down=2.0, up=1.0)


def test_a_dial_that_is_never_answered_is_given_up() -> None:
    world = TorrentWorld()
    world.dialled(Honest, profile=LinkProfile(half_open=1.0))
    assert world.run(lambda: bool(world.actions(act.CancelDial)), seconds=60)
    assert not world.run(lambda: bool(world.lines), seconds=60)


def test_where_nothing_is_not_even_a_refusal_comes() -> None:
    world = TorrentWorld()
    hole, wall = Address("192.0.2.5", 1), Address("192.0.2.5", 2)
    world.black_holes.add(hole)
    for address in (hole, wall):
        world.feed(ev.AddPeer(world.name, address))
    world.run(seconds=0.5)
    failed = [s.now for s in world.trace if isinstance(s.event, ev.DialFailed)]
    assert failed == [0.0]
    assert list(world.dials.values()) == [hole]
    world.fail_dial(99)  # that is none
    assert list(world.dials.values()) == [hole]


def test_actions_are_found_by_kind_and_time() -> None:
    world = TorrentWorld()
    world.join(Honest)
    world.finish()
    times = [now for now, _ in world.timed(act.PieceVerified)]
    assert len(times) == 4
    assert len(world.actions(act.PieceVerified, since=times[-1] + 1.0)) == 0


def test_a_dial_that_was_given_up_does_not_become_a_link() -> None:
    world = TorrentWorld()
    peer = world.dialled(Honest, latency=60.0)
    world.run(seconds=100)
    assert not peer.alive
    assert not world.lines


def test_a_world_may_share_budgets() -> None:
    world = TorrentWorld(16 * BLOCK, budgets=Budgets(memory=Budget(4 * BLOCK)))
    world.join(Honest)
    world.finish()


def test_half_open_connects_are_tried_again_until_one_is_answered() -> None:
    swarm = two(link=LinkProfile(half_open=0.5))
    swarm.finish()


def test_a_link_on_which_nothing_leaves_tells_of_it_when_it_does() -> None:
    world = TorrentWorld(full=True)
    leech = world.join(Leech, have=[], profile=LinkProfile(up=RATE))
    line = leech.line
    assert line is not None
    line.stuck = True
    world.run(seconds=5)
    sent = sum(isinstance(step.event, ev.Sent) for step in world.trace)
    assert line.unsent
    line.stuck = False
    line.flush()
    assert not line.unsent
    assert sum(isinstance(step.event, ev.Sent) for step in world.trace) == sent + 1


def test_bytes_for_a_link_that_is_closed_go_nowhere() -> None:
    world = TorrentWorld()
    peer = world.join(Honest, latency=0.5)
    line = peer.line
    assert line is not None
    peer.say_bytes(b"late")
    line.end()
    line.end()
    world.run(seconds=5)
    assert not peer.alive
    peer.received(b"nobody listens")


# --- Time ------------------------------------------------------------------------------------


def test_what_is_due_happens_in_order_of_time_then_of_calls() -> None:
    clock = Clock(10.0)
    seen: list[str] = []
    clock.at(12.0, lambda: seen.append("later"))
    clock.at(11.0, lambda: seen.append("first"))
    clock.at(11.0, lambda: seen.append("second"))
    clock.at(0.0, lambda: seen.append("past"))
    assert not clock.run(seconds=1.5)
    assert seen == ["past", "first", "second"]
    assert clock.now == 11.5
    clock.run()
    assert (seen[-1], clock.now) == ("later", 12.0)


def test_a_clock_that_was_put_forward_does_not_go_back() -> None:
    clock = Clock()
    clock.at(1.0, lambda: None)
    clock.now = 5.0
    clock.settle()
    assert clock.now == 5.0


def test_a_run_without_an_end_is_noticed() -> None:
    world = TorrentWorld()

    def again() -> None:
        world.at(world.now, again)

    again()
    with pytest.raises(PromiseBroken, match="no end after 100 steps") as broken:
        world.run(steps=100)
    assert "StartTorrent" in broken.value.__notes__[0]


def test_what_happens_inside_a_run_is_told_once() -> None:
    world = TorrentWorld()

    def fail() -> None:
        raise PromiseBroken("on purpose")

    world.at(1.0, lambda: world.clock.run(seconds=2.0))
    world.at(2.0, fail)
    with pytest.raises(PromiseBroken, match="on purpose") as broken:
        world.run()
    assert len(broken.value.__notes__) == 1


def test_a_deadline_that_stays_due_is_noticed() -> None:
    world = TorrentWorld(check_every=0)
    world.join(Honest)
    due = world.machine.next_deadline()
    assert due is not None
    world.machine.next_deadline = lambda: due  # type: ignore[method-assign]
    with pytest.raises(PromiseBroken, match="is still due"):
        world.run(seconds=3600)


# --- A session -------------------------------------------------------------------------------


def test_a_session_of_two_torrents_completes_both() -> None:
    world = SessionWorld(4 * BLOCK, 8 * BLOCK)
    world.add(0, 1)
    world.join(Honest, 0)
    world.dialled(Honest, 1, port=1)
    world.finish(0, 1)
    assert world.state(0) is world.state(1)
    assert world.closes()


def test_a_session_says_which_torrent_it_has_not() -> None:
    world = SessionWorld(BLOCK)
    assert world.state(0) is None
    with pytest.raises(PromiseBroken, match="not complete"):
        world.finish(0, seconds=1)
