"""Two links between the same two machines: exactly one survives, the same on both sides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.limits import REDIAL_MAX
from torrent_core.testing import LinkProfile, SimulatedSwarm, TorrentWorld
from torrent_core.torrent import TorrentConfig
from torrent_core.types import Address, CloseReason, PeerSource
from world_peers import Peer
from world_swarm import OURS, Swarm

GREATER, LESSER = b"-ZZ" + bytes(17), b"-AA" + bytes(17)
HOUR = 3600.0


def pair(first: bytes, *, ports: bool) -> tuple[SimulatedSwarm, TorrentWorld, TorrentWorld]:
    """Two machines with nothing to give, so that links stay; the first has that peer id."""
    swarm = SimulatedSwarm(keep_steps=None, check_every=0)
    second = LESSER if first == GREATER else GREATER
    one, other = (
        swarm.add_torrent(
            peer_id=peer_id, config=TorrentConfig(listen_port=6881 if ports else None)
        )
        for peer_id in (first, second)
    )
    return swarm, one, other


def live(world: TorrentWorld) -> list[act.LinkReady]:
    lost = {gone.link for gone in world.actions(act.LinkLost)}
    return [ready for ready in world.actions(act.LinkReady) if ready.link not in lost]


def dialled(world: TorrentWorld) -> set[object]:
    """The links that this machine opened."""
    opened = [step.event for step in world.trace if isinstance(step.event, ev.LinkOpened)]
    return {event.link for event in opened if event.dial_id is not None}


latencies = st.floats(0.001, 3.0)


@pytest.mark.uncovered
@given(latencies, latencies, st.floats(0.0, 6.0), st.booleans(), st.booleans())
def test_of_crossed_links_exactly_one_survives_on_both_machines(
    there: float, back: float, later: float, ports: bool, greater_first: bool
) -> None:
    swarm, one, other = pair(GREATER if greater_first else LESSER, ports=ports)
    swarm.connect(one, other, LinkProfile(latency=there))
    swarm.run(seconds=later)
    swarm.connect(other, one, LinkProfile(latency=back))
    swarm.run(seconds=60)
    (mine,), (theirs,) = live(one), live(other)
    assert mine.peer_id == other.torrent._context.peer_id
    assert theirs.peer_id == one.torrent._context.peer_id
    # The two are ends of one link: one side opened it.
    assert (mine.link in dialled(one)) is not (theirs.link in dialled(other))
    before = len(one.actions(act.Dial)) + len(other.actions(act.Dial))
    swarm.run(seconds=HOUR)
    assert live(one) == [mine]
    assert live(other) == [theirs]
    assert len(one.actions(act.Dial)) + len(other.actions(act.Dial)) == before


@given(st.floats(0.001, 3.0), st.booleans())
def test_the_link_of_the_greater_peer_id_stays_where_both_dial_at_once(
    latency: float, greater_first: bool
) -> None:
    swarm, one, other = pair(GREATER if greater_first else LESSER, ports=True)
    profile = LinkProfile(latency=latency)
    swarm.connect(one, other, profile)
    swarm.connect(other, one, profile)
    swarm.run(seconds=60)
    winner, loser = (one, other) if greater_first else (other, one)
    kept = [[ready.link in dialled(world) for ready in live(world)] for world in (winner, loser)]
    assert kept == [[True], [False]]


def test_a_peer_that_dialled_us_and_says_where_it_listens_is_not_dialled() -> None:
    swarm, one, other = pair(GREATER, ports=True)
    swarm.connect(one, other)
    swarm.run(seconds=5)
    swarm.connect(other, one)
    swarm.run(seconds=HOUR)
    assert not other.actions(act.Dial)
    assert len(one.actions(act.Dial)) == 1
    (row,) = other.torrent.peers(swarm.now)
    assert row.sources == (PeerSource.NAMED, PeerSource.INCOMING)


@pytest.mark.parametrize("ours_dialled_first", [True, False])
@pytest.mark.parametrize("peer_id", [GREATER, LESSER])
def test_which_of_two_crossed_links_we_close(peer_id: bytes, ours_dialled_first: bool) -> None:
    swarm = Swarm(100)
    if ours_dialled_first:
        out = swarm.dialled(Peer, peer_id=peer_id, extended=False)
        swarm.run(seconds=1)
        incoming = swarm.join(Peer, peer_id=peer_id)
    else:
        incoming = swarm.join(Peer, peer_id=peer_id)
        out = swarm.dialled(Peer, peer_id=peer_id)
        swarm.run(seconds=1)
    assert LESSER < OURS < GREATER
    assert out.alive == (peer_id == LESSER)
    assert incoming.alive == (peer_id == GREATER)
    assert [close.reason for close in swarm.actions(act.Close)] == [CloseReason.DUPLICATE_PEER]


def test_of_two_links_that_we_opened_the_first_stays_and_neither_is_dialled_again() -> None:
    swarm = Swarm(100)
    one = swarm.dialled(Peer, port=1, peer_id=GREATER, have=[])
    two = swarm.dialled(Peer, port=2, peer_id=GREATER, have=[])
    swarm.run(seconds=1)
    assert (one.alive, two.alive) == (True, False)
    for _ in range(20):
        swarm.run(seconds=60)
        one.say_bytes(bytes(4))
    assert len(swarm.actions(act.Dial)) == 2
    one.leave()
    swarm.run(seconds=1.2)
    again = [dial.address.port for dial in swarm.actions(act.Dial)[2:]]
    assert sorted(again) == [1, 2]


def test_dropping_any_address_of_a_peer_closes_its_link() -> None:
    swarm = Swarm(100)
    one = swarm.dialled(Peer, port=1, peer_id=GREATER, have=[])
    swarm.dialled(Peer, port=2, peer_id=GREATER, have=[])
    swarm.run(seconds=1)
    swarm.feed(ev.DropPeer(swarm.name, Address("192.0.2.1", 2)))
    swarm.run(seconds=0.5)
    assert not one.alive


def test_an_address_that_turned_out_to_be_us_is_never_dialled_again() -> None:
    swarm = Swarm(100)
    swarm.dialled(Peer, port=1, peer_id=OURS)
    swarm.run(seconds=4 * REDIAL_MAX)
    assert [close.reason for close in swarm.actions(act.Close)] == [CloseReason.SELF_CONNECTION]
    swarm.feed(ev.AddPeer(swarm.name, Address("192.0.2.1", 1)))
    found = ev.PeersFound(swarm.name, PeerSource.TRACKER, (Address("192.0.2.1", 1),))
    assert swarm.feed(found) == []
    swarm.run(seconds=4 * REDIAL_MAX)
    assert len(swarm.actions(act.Dial)) == 1
