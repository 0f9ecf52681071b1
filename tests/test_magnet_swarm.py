"""Magnets among others: peers of peers, crossed links, real machines, traces."""

from __future__ import annotations

from random import Random

from magnet_kit import Fair, Teller
from metadata_kit import content
from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.accounts import Explanations
from torrent_core.limits import MAX_PEX_MESSAGES
from torrent_core.magnet import Magnet
from torrent_core.metainfo import MagnetLink
from torrent_core.session import Session, SessionConfig
from torrent_core.testing import (
    Line,
    LinkProfile,
    SimulatedSwarm,
    SparseDisk,
    TorrentWorld,
    World,
)
from torrent_core.testing.swarm import _Bridge
from torrent_core.testing.torrent_world import OURS, listen
from torrent_core.torrent import TorrentConfig
from torrent_core.trace import Recorder, SessionSetup, replay
from torrent_core.types import Address, CloseReason, PeerSource, TorrentState
from torrent_core.wire import messages as wire
from torrent_core.wire import metadata as meta
from torrent_core.wire import pex
from torrent_core.wire.pex import Contact
from world import BLOCK

# --- Peers of peers ------------------------------------------------------------------------------


def told_of(*addresses: Address) -> wire.Message:
    contacts = tuple(Contact(address, 0) for address in addresses)
    return wire.Extended(pex.OUR_ID, pex.encode(pex.PeerExchange(contacts)))


def test_peers_of_which_others_tell_are_dialled() -> None:
    fair = Fair()
    fair.seek()
    knows = fair.join(Teller, 0, size=0, have=())
    has = fair.make(Teller, 0)
    knows.say(told_of(listen(fair, has, 5)))
    fair.finish_it()
    assert [(report.source, report.count) for report in fair.actions(act.PeersLearned)] == [
        (PeerSource.EXCHANGE, 1)
    ]
    assert knows.hellos[0].m == {meta.NAME: meta.OUR_ID, pex.NAME: pex.OUR_ID}


def test_who_tells_all_the_time_is_left() -> None:
    fair = Fair()
    fair.seek()
    knows = fair.join(Teller, 0, size=0)
    for _ in range(MAX_PEX_MESSAGES + 1):
        knows.say(told_of())
    fair.run(seconds=1.0)
    assert fair.closes() == [CloseReason.PROTOCOL_ERROR]


def test_who_tells_nonsense_is_left() -> None:
    fair = Fair()
    fair.seek()
    fair.join(Teller, 0, size=0).say(wire.Extended(pex.OUR_ID, b"nonsense"))
    fair.run(seconds=1.0)
    assert fair.closes() == [CloseReason.PROTOCOL_ERROR]


def test_without_exchange_it_is_neither_offered_nor_listened_to() -> None:
    fair = Fair(config=SessionConfig(torrent=TorrentConfig(exchange_peers=False)))
    fair.seek()
    knows = fair.join(Teller, 0, size=0)
    knows.say(told_of(Address("192.0.2.1", 5)), wire.Extended(99, b"x"))
    fair.run(seconds=1.0)
    assert knows.hellos[0].m == {meta.NAME: meta.OUR_ID}
    assert not fair.actions(act.Dial)


def test_a_peer_that_dialled_us_is_known_by_where_it_listens() -> None:
    fair = Fair()
    fair.seek()
    peer = fair.join(Teller, 0, mute=True, host="11.0.0.1")
    peer.say_hello(p=7000)
    fair.run(seconds=0.1)
    magnet = fair.session.magnets.get(fair.name)
    assert magnet is not None
    assert magnet.status(fair.now).known[PeerSource.INCOMING] == 1
    assert magnet.peers(fair.now)[0].sources == (PeerSource.INCOMING,)
    fair.feed(ev.DropPeer(fair.name, Address("11.0.0.1", 7000)))
    assert fair.closes() == [CloseReason.DROPPED]


def test_of_two_links_that_crossed_the_one_of_the_greater_peer_id_stays() -> None:
    for greater in (True, False):
        fair = Fair()
        peer_id = b"-ZZ0000-" + 12 * b"z" if greater else b"-AA0000-" + 12 * b"a"
        dialled = fair.make(Teller, 0, peer_id=peer_id, mute=True)
        fair.seek(listen(fair, dialled, 5))
        fair.run(seconds=1.0)
        incoming = fair.join(Teller, 0, peer_id=peer_id, mute=True)
        fair.run(seconds=0.1)
        assert fair.closes() == [CloseReason.DUPLICATE_PEER]
        assert (dialled.alive, incoming.alive) == (not greater, greater)


def test_a_link_to_ourselves_is_not_dialled_again() -> None:
    fair = Fair()
    ourselves = fair.make(Teller, 0, peer_id=OURS)
    fair.seek(listen(fair, ourselves, 5))
    fair.run(seconds=600.0)
    assert fair.closes() == [CloseReason.SELF_CONNECTION]
    assert ourselves.links == 1


def test_it_says_when_it_is_short_of_peers_and_learns_where_it_is() -> None:
    name = bytes(20)
    magnet = Magnet(MagnetLink(name), peer_id=OURS, random=Random(1))
    assert not magnet.is_short_of_peers
    magnet.handle(ev.StartTorrent(name), 0.0)
    assert magnet.is_short_of_peers
    for teller in range(9):
        magnet.seen_at("8.8.8.8", f"11.0.0.{teller}")
    assert magnet._finding._external.hosts == ("8.8.8.8",)


# --- With real machines, and again ---------------------------------------------------------------


def bridge(swarm: SimulatedSwarm, seeker: World, other: TorrentWorld, host: str) -> Address:
    """Let ``seeker`` reach ``other`` by dialling; returns where."""
    address = Address(host, 6881)

    def accept(line: Line) -> Line:
        back = _Bridge(LinkProfile())
        back.far = line
        return other.connect(back, Address("11.9.9.9", 50_000 + next(swarm.clock.ids)))

    seeker.listeners[address] = lambda: _Bridge(LinkProfile(), accept)
    return address


def test_a_magnet_among_real_torrents_is_resolved_and_downloaded_on_the_links_it_has() -> None:
    swarm = SimulatedSwarm(64 * BLOCK)
    disk = SparseDisk(swarm.meta, swarm.payload)
    session = Session(b"-TC0000-seeker......", Random(3))
    world = World(session, disk, clock=swarm.clock, name="seeker")
    addresses = []
    for number in range(3):
        torrent = swarm.add_torrent(full=number < 2)
        addresses.append(bridge(swarm, world, torrent, f"11.0.0.{number + 1}"))
    world.feed(ev.AddMagnet(MagnetLink(swarm.meta.info_hash, peers=tuple(addresses))))

    def done() -> bool:
        torrent = session.torrents.get(swarm.meta.info_hash)
        each = [torrent, swarm.torrents[2].torrent]
        return all(one is not None and one.state is TorrentState.SEEDING for one in each)

    assert swarm.run(done, seconds=600.0)
    assert all(disk.holds(piece) for piece in range(swarm.meta.piece_count))
    # None was lost but for want of anything to do, and none was opened a second time.
    assert len(world.lines) == 3
    reasons = {lost.reason for lost in world.actions(act.LinkLost)}
    assert reasons <= {CloseReason.BOTH_SEEDS, CloseReason.REMOTE_CLOSED}


class RecordedSession(Recorder[Session]):
    """A recorder that the world can ask for its accounts."""

    def explain(self, now: float) -> Explanations:
        return self.machine.explain(now)


def test_a_session_with_a_magnet_is_recorded_and_replayed_to_the_byte() -> None:
    chunks: list[bytes] = []
    fair = Fair()
    recorder = RecordedSession(SessionSetup(OURS), Random(5), chunks.append)
    fair.machine, fair.session = recorder, recorder.machine
    peers = [fair.make(Teller, 0), fair.make(Teller, 0, info=content(700))]
    where = [listen(fair, peer, 5 + at) for at, peer in enumerate(peers)]
    fair.seek(*where, name="x", only=((0, 1),))
    fair.finish_it()
    recorder.close()
    report = replay(b"".join(chunks), strict=True)
    assert report.is_equal
    assert isinstance(report.machine, Session)
    torrent = report.machine.torrents.get(fair.name)
    assert torrent is not None
    assert torrent.state is TorrentState.SEEDING
