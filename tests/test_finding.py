"""A session and its discovery: who is announced when, and who is told of whom."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finding_kit import HOST, PORT, SECRET, URL, FindingWorld, discovery
from magnet_kit import Teller
from torrent_core import actions as act
from torrent_core import bencode
from torrent_core import events as ev
from torrent_core.discovery import DiscoveryConfig
from torrent_core.errors import LocalProtocolError
from torrent_core.limits import MIN_ANNOUNCE_INTERVAL, STOP_ANNOUNCE_TIMEOUT
from torrent_core.link import RESERVED_WITH_DHT
from torrent_core.lsd import GROUP_IPV4, format_announcement
from torrent_core.metainfo import MagnetLink, Metainfo, parse_torrent
from torrent_core.session import Session, SessionConfig
from torrent_core.testing import Disk
from torrent_core.testing.dht_network import DhtNetwork
from torrent_core.torrent import TorrentConfig
from torrent_core.trace import replay
from torrent_core.types import Address, CloseReason, Family, PeerSource, TorrentState
from torrent_core.wire.handshake import Handshake
from torrent_core.wire.messages import Port, encode
from tracker_world import good, query
from world_peers import Leech, Seed
from world_swarm import OURS

PEER = Address("192.0.2.1", 7001)
OUTWARD = (act.Fetch, act.SendDatagram, act.SendMulticast, act.Resolve)

# --- Trackers ------------------------------------------------------------------------------


def test_a_torrent_is_downloaded_with_what_its_tracker_tells() -> None:
    world = FindingWorld(discovery(trackers=True))
    world.trackers[HOST] = lambda fetch: good(peers=[PEER])
    seed = world.make(Seed, 0)
    world.listeners[PEER] = lambda: seed
    world.add(0)
    world.finish(0)
    assert world.told()[:2] == ["started", "completed"]
    first, last = (query(world.actions(act.Fetch)[at]) for at in (0, 1))
    assert first["port"] == str(PORT)
    assert first["left"] == str(world.metas[0].total_length)
    assert (last["left"], last["downloaded"]) == ("0", str(world.metas[0].total_length))
    assert world.actions(act.PeersLearned)[0].source is PeerSource.TRACKER


def test_a_torrent_is_announced_once_its_files_are_checked() -> None:
    world = FindingWorld(discovery(trackers=True))
    world.store[0].manual = True
    world.add(0)
    world.run(seconds=60)
    assert world.told() == []
    world.answer(world.store[0])
    world.settle()
    assert world.told() == ["started"]


def test_a_seed_is_announced_and_never_as_completed_though_it_is_checked_again() -> None:
    world = FindingWorld(discovery(trackers=True))
    world.trackers[HOST] = lambda fetch: good(peers=[])
    world.store[0].fill(world.payloads[0])
    world.add(0)
    world.run(seconds=1)
    assert query(world.actions(act.Fetch)[0])["left"] == "0"
    world.feed(ev.Recheck(world.hash(0)))
    world.run(seconds=30)
    assert world.state(0) is TorrentState.SEEDING
    assert world.told() == ["started"]


def test_what_is_wanted_is_complete_long_before_the_torrent_is() -> None:
    """BEP 3: ``completed`` is for whole torrents."""
    world = FindingWorld(discovery(trackers=True))
    world.trackers[HOST] = lambda fetch: good(peers=[])
    world.add(0)
    world.run(seconds=1)
    world.feed(ev.SetPriorities(world.hash(0), (0,)))
    assert world.state(0) is TorrentState.SEEDING
    world.run(seconds=1)
    assert world.told() == ["started"]


def test_a_torrent_short_of_peers_asks_again_as_soon_as_it_may() -> None:
    world = FindingWorld(discovery(trackers=True))
    world.trackers[HOST] = lambda fetch: good(peers=[], interval=3600, min_interval=120)
    world.add(0)
    world.run(seconds=1000)
    times = [when for when, _ in world.timed(act.Fetch)]
    assert len(times) > 5
    assert all(b - a >= MIN_ANNOUNCE_INTERVAL for a, b in pairwise(times))


def test_a_torrent_that_has_peers_left_to_dial_asks_at_the_tracker_s_interval() -> None:
    world = FindingWorld(discovery(trackers=True))
    crowd = [Address(f"192.0.2.{n}", 7000) for n in range(1, 60)]
    world.black_holes.update(crowd)
    world.trackers[HOST] = lambda fetch: good(peers=crowd, interval=3600, min_interval=60)
    world.add(0)
    world.run(seconds=10)
    for number in range(25):
        world.join(Leech, 0, host=f"198.51.100.{number}")
    world.run(seconds=90)
    assert world.told() == ["started"]


def test_removing_a_torrent_takes_leave_of_the_tracker_within_its_bound() -> None:
    world = FindingWorld(discovery(trackers=True))
    world.trackers[HOST] = lambda fetch: None if "stopped" in fetch.url else good(peers=[])
    world.add(0)
    world.run(seconds=1)
    assert not world.session.is_leaving
    world.feed(ev.RemoveTorrent(world.hash(0)))
    world.settle()
    assert world.state(0) is None
    assert world.session.is_leaving
    world.run(seconds=STOP_ANNOUNCE_TIMEOUT)
    assert not world.session.is_leaving
    assert world.told() == ["started", "stopped"]
    assert world.session.next_deadline() is None


def test_stopping_and_starting_again_is_announced_both_times() -> None:
    world = FindingWorld(discovery(trackers=True))
    world.trackers[HOST] = lambda fetch: good(peers=[])
    world.add(0)
    world.run(seconds=1)
    world.feed(ev.StopTorrent(world.hash(0)))
    world.settle()
    world.feed(ev.StartTorrent(world.hash(0)))
    world.run(seconds=1)
    assert world.told() == ["started", "stopped", "started"]


def test_the_account_names_the_next_announce() -> None:
    world = FindingWorld(discovery(trackers=True))
    world.trackers[HOST] = lambda fetch: "refused"
    world.add(0)
    world.run(seconds=1)
    explanation = world.session.explain_one(world.hash(0), world.now)
    assert f"announce to {URL}" in [what for _, what in explanation.scheduled]
    assert explanation.text() in str(world.session.explain(world.now))


def test_what_trackers_see_of_us_is_told_to_the_torrent() -> None:
    """BEP 24."""
    world = FindingWorld(discovery(trackers=True))
    seen = {"external ip": bytes([203, 0, 113, 5])}
    world.trackers[HOST] = lambda fetch: good(peers=[], **seen)
    world.add(0)
    world.run(seconds=1)
    assert (URL, 4) in votes(world, 0)


def votes(world: FindingWorld, which: int) -> dict[tuple[str, int], str]:
    """Who told a torrent its own address, over which family."""
    torrent = world.session.torrents.get(world.hash(which))
    assert torrent is not None
    return torrent._finding._external._votes


# --- The DHT -------------------------------------------------------------------------------


def dht_world(
    check_every: int = 1, world: dict[str, Any] | None = None, **more: object
) -> tuple[FindingWorld, DhtNetwork]:
    """A session in a DHT of 30 nodes; ``world`` is for it, the rest for its discovery."""
    network = DhtNetwork()
    network.add_many(30)
    network.acquaint()
    router = next(iter(network.worlds[0].addresses.values()))
    policy = discovery(dht=True, routers=(router,), **more)
    made = FindingWorld(policy, network=network, check_every=check_every, **(world or {}))
    return made, network


def test_two_sessions_meet_in_the_dht() -> None:
    world, network = dht_world()
    announcer = network.add()
    network.acquaint()
    announcer.search(world.hash(0), 7001)
    world.run(seconds=30)
    seed = world.make(Seed, 0)
    world.listeners[Address(announcer.addresses[Family.IPV4].host, 7001)] = lambda: seed
    world.add(0)
    world.finish(0)
    assert world.actions(act.PeersLearned)[0].source is PeerSource.DHT
    world.run(seconds=30)
    announcer.search(world.hash(0), 7001)
    world.run(seconds=90)
    assert Address(world.address.host, PORT) in announcer.found[world.hash(0)]


@pytest.mark.uncovered
def test_the_dht_is_entered_with_the_first_torrent_and_its_nodes_saved_after_the_last() -> None:
    world, _ = dht_world()
    world.run(seconds=60)
    assert world.of(OUTWARD) == []
    world.add(0)
    assert world.of(OUTWARD)
    world.run(seconds=60)
    world.feed(ev.StopTorrent(world.hash(0)))
    saved = world.actions(act.SaveNodes)[-1].data
    quiet_since = world.now + 0.001
    world.run(seconds=3600)
    assert not [when for when, _ in world.timed(act.SendDatagram, quiet_since)]
    again, _ = dht_world(nodes=saved)
    again.session.handle(ev.AddTorrent(again.metas[0]), 0.0)
    assert saved  # a session begins with it


def test_a_router_is_looked_up_by_name() -> None:
    network = DhtNetwork()
    network.add_many(10)
    network.acquaint()
    router = next(iter(network.worlds[0].addresses.values()))
    policy = discovery(dht=True, routers=(Address("router.example", router.port),))
    world = FindingWorld(policy, network=network)
    world.names["router.example"] = (router.host,)
    world.add(0)
    world.run(seconds=10)
    assert [ask.host for ask in world.actions(act.Resolve)] == ["router.example"]
    assert len({sent.address for sent in world.actions(act.SendDatagram)}) > 5


def test_a_peer_s_port_message_leads_into_the_dht_once() -> None:
    """BEP 5, PORT."""
    world = FindingWorld(discovery(dht=True), dht_port=PORT)
    world.add(0, 1)
    for which in (0, 1):
        peer = world.join(Leech, which, host=f"198.51.100.{which + 1}")
        for port in (4000, 4001):
            peer.say_bytes(encode(Port(port)))
    world.run(seconds=1)
    asked = {sent.address for sent in world.actions(act.SendDatagram)}
    assert asked == {Address("198.51.100.1", 4000)}


def test_a_peer_s_node_is_of_no_interest_once_the_torrent_stops() -> None:
    world = FindingWorld(discovery(dht=True))
    world.session._finder.node_seen(world.hash(0), Address("198.51.100.1", 4000))
    world.add(0)
    world.session._finder.node_seen(world.hash(0), Address("198.51.100.1", 4000))
    world.feed(ev.StopTorrent(world.hash(0)))
    world.run(seconds=5)
    assert world.actions(act.SendDatagram) == []


def test_the_dht_s_word_on_our_address_is_told_to_torrents_old_and_new() -> None:
    world, _ = dht_world()
    world.add(0)
    world.run(seconds=60)
    assert votes(world, 0)["the DHT", 4] == world.address.host
    world.add(1)
    assert votes(world, 1)["the DHT", 4] == world.address.host


# --- The local network ---------------------------------------------------------------------


def test_peers_of_the_local_network_are_found_and_told() -> None:
    world = FindingWorld(discovery(local=True))
    world.add(0)
    sent = world.actions(act.SendMulticast)
    assert [one.group for one in sent] == [GROUP_IPV4]
    seed = world.make(Seed, 0)
    world.listeners[Address("192.0.2.7", 7001)] = lambda: seed
    heard = format_announcement(GROUP_IPV4, 7001, [world.hash(0)], b"abc")
    world.feed(ev.MulticastReceived(Address("192.0.2.7", 6771), heard))
    world.finish(0)
    assert world.actions(act.PeersLearned)[0].source is PeerSource.LOCAL


# --- Private torrents ----------------------------------------------------------------------


@given(st.permutations(["start", "seed", "port", "heard", "recheck", "stop", "again", "remove"]))
def test_a_private_torrent_leaks_nothing(order: list[str]) -> None:
    """BEP 27: its tracker alone, whatever happens and in whatever order."""
    world = FindingWorld(discovery(trackers=True, dht=True, local=True))
    world.trackers[HOST] = lambda fetch: good(peers=[PEER])
    seed = world.make(Seed, 1)
    world.listeners[PEER] = lambda: seed
    world.add(1)
    name = world.hash(1)
    peer = world.join(Leech, 1)
    heard = format_announcement(GROUP_IPV4, 7001, [name], b"abc")
    running = {TorrentState.DOWNLOADING, TorrentState.SEEDING}
    for what in order:
        if what == "port" and peer.alive:
            peer.say_bytes(encode(Port(4000)))
        elif what == "heard":
            world.feed(ev.MulticastReceived(Address("192.0.2.7", 6771), heard))
        elif what == "recheck" and world.state(1) in running:
            world.feed(ev.Recheck(name))
        elif what == "stop" and world.state(1) in running:
            world.feed(ev.StopTorrent(name))
        elif what == "again" and world.state(1) is TorrentState.STOPPED:
            world.feed(ev.StartTorrent(name))
        elif what == "remove" and world.state(1) is not None:
            world.feed(ev.RemoveTorrent(name))
        world.run(seconds=40)
    assert world.actions(act.Fetch)
    assert not world.of((act.SendDatagram, act.SendMulticast, act.Resolve))
    sources = {learned.source for learned in world.actions(act.PeersLearned)}
    assert sources <= {PeerSource.TRACKER}
    hellos = [one.data for one in world.actions(act.Send) if one.data[1:9] == b"BitTorre"]
    assert hellos
    assert not any(data[27] & 1 or b"ut_pex" in data for data in hellos)


def test_a_private_torrent_beside_a_public_one_is_nobody_else_s_business() -> None:
    world, _ = dht_world(trackers=True, local=True)
    world.add(0, 1)
    world.run(seconds=1000)
    for sent in world.of((act.SendDatagram, act.SendMulticast)):
        assert world.hash(1) not in sent.data  # type: ignore[union-attr]
        assert world.hash(1).hex().encode() not in sent.data  # type: ignore[union-attr]
    world.feed(ev.StopTorrent(world.hash(0)))
    assert world.actions(act.SaveNodes)  # with the last public torrent, the DHT is left


def turned_private(world: FindingWorld) -> Metainfo:
    """Torrent 0 is private, as its metadata say; returns it."""
    info = {**bencode.decode(world.metas[0].info), b"private": 1}  # type: ignore[dict-item]
    meta = parse_torrent(bencode.encode({"info": info}))
    world.metas[0], world.store[0] = meta, Disk(meta)
    world.disks[meta.info_hash] = world.store[0]
    return meta


def test_a_magnet_that_turns_out_private_is_its_tracker_s_alone_from_then_on() -> None:
    world = FindingWorld(discovery(trackers=True, dht=True, local=True))
    world.trackers[HOST] = lambda fetch: good(peers=[])
    meta = turned_private(world)
    teller = world.make(Teller, 0)
    world.listeners[PEER] = lambda: teller
    world.feed(ev.AddMagnet(MagnetLink(meta.info_hash, trackers=(URL,), peers=(PEER,))))
    assert len(world.actions(act.SendMulticast)) == 1
    assert world.session.next_deadline()
    world.finish(0)
    assert len(world.actions(act.SaveNodes)) == 1
    world.run(seconds=1000)
    assert len(world.actions(act.SendMulticast)) == 1
    assert world.actions(act.SendDatagram) == []
    assert world.told()[0] == "started"
    assert len(world.told()) > 1


def test_who_was_found_elsewhere_is_left_when_a_magnet_turns_out_private() -> None:
    """BEP 27: but for those who dialled us, and may have us from the tracker."""
    known, silent, idle, linked = (Address(f"192.0.2.{n}", 7001) for n in range(2, 6))
    world = FindingWorld(discovery(trackers=True))
    world.trackers[HOST] = lambda fetch: good(peers=[known])
    meta = turned_private(world)
    world.black_holes.update((known, silent))
    world.listeners[linked] = lambda: world.make(Teller, 0, mute=True)
    world.listeners[PEER] = lambda: world.make(Teller, 0)
    world.feed(ev.AddMagnet(MagnetLink(meta.info_hash, trackers=(URL,))))
    world.feed(ev.PeersFound(meta.info_hash, PeerSource.DHT, (silent, idle, linked)))
    visitor = world.join(Teller, 0, host="192.0.2.9", mute=True)
    world.run(seconds=1)
    dialled = {dial.address: dial.dial_id for dial in world.actions(act.Dial)}
    assert set(dialled) == {known, silent, idle, linked}
    world.feed(ev.AddPeer(meta.info_hash, PEER))
    assert world.run(lambda: meta.info_hash in world.session.torrents, seconds=1)
    assert [each.dial_id for each in world.actions(act.CancelDial)] == [dialled[silent]]
    closes = [(each.reason, each.detail) for each in world.actions(act.Close)]
    assert closes == [(CloseReason.DROPPED, "the torrent is private")]
    assert visitor.alive
    resolved = world.now
    world.finish(0)
    world.run(seconds=4000)
    assert {dial.address for dial in world.actions(act.Dial, resolved)} <= {known, PEER}


# --- The contract --------------------------------------------------------------------------


def test_without_discovery_nothing_is_sent_and_strange_datagrams_are_ignored() -> None:
    world = FindingWorld(None)
    world.add(0)
    assert world.feed(ev.DatagramReceived(PEER, b"anything")) == []
    assert world.feed(ev.MulticastReceived(PEER, b"anything")) == []
    world.run(seconds=1000)
    assert world.of(OUTWARD) == []
    assert not world.session.is_leaving


@pytest.mark.parametrize("event", [ev.FetchFailed(1, "x"), ev.Resolved(1, ())])
def test_answers_that_nobody_waits_for_are_the_caller_s_mistake(event: ev.Event) -> None:
    world = FindingWorld(discovery(trackers=True, dht=True))
    with pytest.raises(LocalProtocolError):
        world.session.handle(event, 5.0)
    assert world.session.next_deadline() is None


@pytest.mark.parametrize("part", ["trackers", "local"])
def test_who_is_told_where_we_listen_needs_that_we_do(part: str) -> None:
    config = SessionConfig(discovery=discovery(**{part: True}))
    with pytest.raises(LocalProtocolError, match="where we listen"):
        Session(OURS, Random(0), config)
    Session(OURS, Random(0), SessionConfig(discovery=discovery(dht=True)))


def test_settings_that_cannot_be_are_refused_and_secrets_are_not_shown() -> None:
    with pytest.raises(LocalProtocolError, match="secret"):
        DiscoveryConfig(b"short")
    with pytest.raises(LocalProtocolError, match="family"):
        DiscoveryConfig(SECRET, families=())
    assert repr(SECRET) not in repr(DiscoveryConfig(SECRET))


class WithNode(Leech):
    def handshake(self) -> Handshake:
        return attrs.evolve(super().handshake(), reserved=RESERVED_WITH_DHT)


def test_our_node_is_told_to_peers_that_have_one_unless_the_torrent_is_private() -> None:
    world = FindingWorld(discovery(dht=True), dht_port=4321)
    world.add(0, 1)
    world.join(WithNode, 0)
    world.join(Leech, 0)
    world.join(WithNode, 1)
    told = [one.link for one in world.actions(act.Send) if encode(Port(4321)) in one.data]
    assert told == ["link 0"]


# --- Traces --------------------------------------------------------------------------------


def test_a_session_with_tracker_dht_and_local_network_replays() -> None:
    world, _ = dht_world(trackers=True, local=True, nodes=b"de", check_every=0)
    chunks = world.record()
    world.trackers[HOST] = lambda fetch: good(peers=[PEER])
    seed = world.make(Seed, 0)
    world.listeners[PEER] = lambda: seed
    world.add(0)
    world.finish(0)
    world.run(seconds=600)
    world.feed(ev.RemoveTorrent(world.hash(0)))
    world.run(seconds=10)
    assert world.of((act.SaveNodes,))
    world.machine.close()  # type: ignore[attr-defined]
    report = replay(b"".join(chunks), strict=True)
    assert report.is_equal, report.divergence
    assert isinstance(report.machine, Session)
    assert report.machine.config == world.session.config
    policy = attrs.evolve(world.session.config.torrent, listen_port=PORT)
    assert policy == TorrentConfig(listen_port=PORT)
