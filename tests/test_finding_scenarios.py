"""How a session finds its peers when much fails, whom it tells, and what it says it waits for."""

from __future__ import annotations

import re

import pytest

from finding_kit import HOST, PORT, URL, FindingWorld, discovery
from test_exchanging import PEX, offered, tell
from test_finding import WithNode, dht_world
from test_torrent_finding import hello
from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.limits import ANNOUNCE_JITTER, MAX_ANNOUNCE_RETRY
from torrent_core.lsd import GROUP_IPV4, format_announcement
from torrent_core.types import Address, Family, PeerSource, TorrentState
from torrent_core.wire.messages import Port, encode
from torrent_core.wire.pex import Contact
from tracker_world import good
from world_peers import Seed

HOUR = 3600.0
PEER = Address("192.0.2.1", 7001)
SILENT = "http://silent.example/announce"


def listening(world: FindingWorld, which: int, *addresses: Address) -> None:
    """At each of them is a seed."""
    for address in addresses:
        world.listeners[address] = lambda: world.make(Seed, which)


# --- When much fails -----------------------------------------------------------------------


def test_all_trackers_fail_and_the_dht_saves_the_download() -> None:
    tiers = (("http://refuses.example/a", "http://broken.example/a"), (SILENT, "udp://gone:80/a"))
    world, network = dht_world(trackers=True, world={"tiers": tiers})
    world.trackers["refuses.example"] = lambda fetch: "connection refused"
    world.trackers["broken.example"] = lambda fetch: (500, b"")
    announcer = network.add()
    network.acquaint()
    announcer.search(world.hash(0), 7001)
    world.run(seconds=30)
    listening(world, 0, Address(announcer.addresses[Family.IPV4].host, 7001))
    world.add(0)
    world.finish(0, seconds=60)
    world.run(seconds=60)
    assert {learned.source for learned in world.actions(act.PeersLearned)} == {PeerSource.DHT}
    assert {failed.url for failed in world.actions(act.TrackerFailed)} == {
        url for tier in tiers for url in tier
    }
    assert world.actions(act.TrackerReplied) == []


def test_a_tracker_that_is_dead_for_an_hour_and_then_back_brings_the_peers() -> None:
    world = FindingWorld(discovery(trackers=True))
    world.trackers[HOST] = lambda _: "refused" if world.now < HOUR else good(peers=[PEER])
    listening(world, 0, PEER)
    world.add(0)
    world.run(seconds=HOUR)
    assert world.state(0) is TorrentState.DOWNLOADING
    assert 4 < len(world.actions(act.Fetch)) < 16  # it was not hammered
    world.finish(0, seconds=MAX_ANNOUNCE_RETRY * (1 + ANNOUNCE_JITTER))
    assert world.told()[-2:] == ["started", "completed"]


def test_a_torrent_that_is_removed_once_it_is_complete_has_been_counted() -> None:
    world = FindingWorld(discovery(trackers=True))
    world.trackers[HOST] = lambda _: good(peers=[PEER])
    listening(world, 0, PEER)
    world.add(0)
    world.finish(0)
    world.feed(ev.RemoveTorrent(world.hash(0)))
    assert world.session.is_leaving
    world.run(lambda: not world.session.is_leaving, seconds=2)
    assert world.told() == ["started", "completed", "stopped"]
    assert world.actions(act.CancelFetch) == []


# --- Private torrents ----------------------------------------------------------------------

TEMPTED = Address("198.51.100.1", 7002)
LOCAL = Address("192.0.2.7", 7001)
NODE = 4000


def tempted(which: int) -> FindingWorld:
    """A torrent among peers that tell of others and of their nodes, with every means on."""
    world, _ = dht_world(0, {"dht_port": PORT}, trackers=True, local=True)
    world.trackers[HOST] = lambda _: good(peers=[PEER])
    world.black_holes.update([PEER, TEMPTED, LOCAL])
    world.add(which)
    for host in ("192.0.2.40", "192.0.2.41"):
        peer = world.join(WithNode, which, host=host, extended=True, have=[])
        hello(peer, m=PEX, p=7003)
        peer.say_bytes(encode(Port(NODE)))
        tell(peer, Contact(TEMPTED))
    heard = format_announcement(GROUP_IPV4, LOCAL.port, [world.hash(which)], b"abc")
    world.feed(ev.MulticastReceived(Address(LOCAL.host, 6771), heard))
    world.run(seconds=HOUR)
    world.feed(ev.StopTorrent(world.hash(which)))
    world.run(seconds=60)
    return world


def sent(world: FindingWorld) -> bytes:
    return b"".join(one.data for one in world.actions(act.Send))


@pytest.mark.uncovered
def test_a_private_torrent_leaks_nothing_to_peers_that_ask_for_it() -> None:
    """BEP 27, asserted on every action that was taken."""
    world = tempted(1)
    assert not world.of((act.SendDatagram, act.SendMulticast, act.Resolve, act.SaveNodes))
    assert {dial.address for dial in world.actions(act.Dial)} == {PEER}
    assert {fetch.url.partition("?")[0] for fetch in world.actions(act.Fetch)} == {URL}
    assert {learned.source for learned in world.actions(act.PeersLearned)} == {PeerSource.TRACKER}
    assert b"ut_pex" not in sent(world)
    assert encode(Port(PORT)) not in sent(world)


@pytest.mark.uncovered
def test_the_same_peers_learn_of_a_public_torrent_by_every_means() -> None:
    world = tempted(0)
    assert {dial.address for dial in world.actions(act.Dial)} >= {PEER, TEMPTED, LOCAL}
    asked = {datagram.address for datagram in world.actions(act.SendDatagram)}
    assert Address("192.0.2.40", NODE) in asked
    assert world.actions(act.SendMulticast)
    assert b"ut_pex" in sent(world)
    assert encode(Port(PORT)) in sent(world)


# --- What blocks that nobody has wait for --------------------------------------------------


def account(world: FindingWorld) -> str:
    """Why nothing comes, in words; every block is one that nobody has."""
    return world.session.explain_one(world.hash(0), world.now).text()


MISSING = "4 blocks in 2 pieces are missing. All of them wait: no connected peer has them. "


def test_the_account_says_which_tracker_is_asked_when() -> None:
    world = FindingWorld(discovery(trackers=True))
    world.trackers[HOST] = lambda _: good(peers=[], interval=1800, min_interval=900)
    world.add(0)
    world.run(seconds=1)
    assert account(world) == MISSING + f"Next: announce to {URL}, in 899.1 s."


def test_the_account_says_when_the_dht_is_searched() -> None:
    world, _ = dht_world()
    world.add(0)
    nobody = "a search in the DHT, which has not answered yet"
    assert account(world) == MISSING + f"Next: {nobody}, in 1.0 s."
    world.run(seconds=30)
    wanted = re.escape(MISSING) + r"Next: a search in the DHT, in \d+\.\d s\."
    assert re.fullmatch(wanted, account(world))


def test_the_account_says_when_the_local_network_is_told() -> None:
    world = FindingWorld(discovery(local=True))
    world.add(0)
    world.run(seconds=1)
    assert account(world) == MISSING + "Next: announce on the local network, in 299.0 s."


def test_the_account_says_with_whom_peers_are_exchanged_when() -> None:
    world = FindingWorld(discovery(), check_every=0)
    world.add(0)
    peer = world.join(WithNode, 0, host="192.0.2.40", extended=True, have=[])
    hello(peer, m=PEX, p=7003)
    world.join(WithNode, 0, host="192.0.2.41", extended=True, have=[])
    assert offered(peer)
    assert account(world) == MISSING + "Next: exchange peers with 192.0.2.40:50000, in 59.9 s."


def test_the_account_says_all_that_is_due_each_with_its_moment() -> None:
    world, network = dht_world(trackers=True, local=True)
    network.add()
    network.acquaint()
    world.trackers[HOST] = lambda _: good(peers=[PEER])
    world.add(0)
    peer = world.join(WithNode, 0, host="192.0.2.40", extended=True, have=[])
    hello(peer, m=PEX, p=7003)
    world.run(seconds=2)
    said = account(world).removeprefix(MISSING)
    kinds = [
        r"dial 192\.0\.2\.1:7001, in 5\d\.\d s",
        r"exchange peers with 192\.0\.2\.40:50000, in 5\d\.\d s",
        r"announce on the local network, in 29\d\.\d s",
        rf"announce to {re.escape(URL)}, in 29\d\.\d s",
        r"a search in the DHT, in 89\d\.\d s",
    ]
    assert re.fullmatch(rf"Next: {'; then '.join(kinds)}\.", said), said


def test_without_any_means_the_account_says_that_nobody_is_looked_for() -> None:
    world = FindingWorld(discovery())
    world.add(0)
    assert account(world) == MISSING + "Nothing is scheduled that would find another supplier."
