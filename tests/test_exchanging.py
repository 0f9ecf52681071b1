"""Peer exchange between machines and with scripted peers, on virtual time (BEP 11)."""

from __future__ import annotations

from itertools import pairwise

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from test_pex import is_message
from test_torrent_finding import hello, join_from, private
from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.limits import MAX_PEX_MESSAGES, PEX_INTERVAL
from torrent_core.testing import SimulatedSwarm, TorrentWorld
from torrent_core.torrent import TorrentConfig
from torrent_core.torrent.exchanging import OUR_NUMBER
from torrent_core.trace import replay
from torrent_core.types import Address, CloseReason, PeerSource
from torrent_core.wire import extended, pex
from torrent_core.wire import messages as wire
from torrent_core.wire.pex import Contact, PeerExchange
from world import BLOCK
from world_peers import Choker, Peer, Seed
from world_swarm import Swarm

THEIRS = 7
PEX = {b"ut_pex": THEIRS}


def told(peer: Peer) -> list[PeerExchange]:
    """What we told this peer."""
    return [
        pex.decode(message.payload, 1000)
        for message in peer.heard
        if isinstance(message, wire.Extended) and message.ext_id == THEIRS
    ]


def tell(peer: Peer, *added: Contact) -> None:
    payload = pex.encode(PeerExchange(added))
    peer.say(wire.Extended(OUR_NUMBER, payload))
    peer.world.run(seconds=3 * peer.latency)


def offered(peer: Peer) -> dict[bytes, int]:
    """The extensions of our handshake."""
    first = next(m for m in peer.heard if isinstance(m, wire.Extended) and m.ext_id == 0)
    return extended.decode(first.payload).m


# --- Between machines --------------------------------------------------------------------------


def three(**options: object) -> tuple[SimulatedSwarm, list[TorrentWorld]]:
    """A machine that two others know, and ways from all to all."""
    swarm = SimulatedSwarm(64 * BLOCK, keep_steps=None)
    config = TorrentConfig(listen_port=6881, **options)  # type: ignore[arg-type]
    worlds = [swarm.add_torrent(config=config, record=True) for _ in range(3)]
    for one in worlds:
        for other in worlds:
            if one is not other:
                swarm.open_way(one, other)
    first, second, third = worlds
    swarm.connect(second, first)
    swarm.run(seconds=5)
    swarm.connect(third, first)
    return swarm, worlds


def test_a_third_machine_learns_of_a_second_through_the_first() -> None:
    swarm, (first, second, third) = three()
    swarm.run(seconds=PEX_INTERVAL + 5)
    for world in (first, second, third):
        assert len(world.torrent.peers(swarm.now)) == 2
    learned = [report for world in (second, third) for report in world.actions(act.PeersLearned)]
    assert {report.source for report in learned} == {PeerSource.EXCHANGE}
    (row,) = [row for row in third.torrent.peers(swarm.now) if row.address.host == "10.1.0.1"]
    assert PeerSource.EXCHANGE in row.sources
    # It is asked at once, and has nothing else to ask: it takes no minute.
    assert third.torrent.status(swarm.now).known[PeerSource.EXCHANGE] >= 1
    report = replay(third.save_trace())
    assert report.is_equal


def test_the_third_is_told_as_soon_as_it_comes() -> None:
    swarm, (_, _, third) = three()
    swarm.run(seconds=1)
    assert len(third.torrent.peers(swarm.now)) == 2


def test_who_does_not_want_exchange_neither_learns_nor_tells() -> None:
    swarm, worlds = three(exchange_peers=False)
    swarm.run(seconds=5 * PEX_INTERVAL)
    assert [len(world.torrent.peers(swarm.now)) for world in worlds] == [2, 1, 1]
    assert not any(world.actions(act.PeersLearned) for world in worlds)


def test_a_payload_spreads_over_a_chain_that_exchange_closes() -> None:
    swarm = SimulatedSwarm(64 * BLOCK)
    config = TorrentConfig(listen_port=6881)
    for number in range(6):
        swarm.add_torrent(config=config, full=number == 0)
    for one in swarm.torrents:
        for other in swarm.torrents:
            if one is not other:
                swarm.open_way(one, other)
    for one, other in pairwise(swarm.torrents):
        swarm.connect(one, other)
    swarm.run(seconds=0.2)
    swarm.finish(600)


# --- Telling -----------------------------------------------------------------------------------


def talker(swarm: Swarm, host: str, **fields: object) -> Peer:
    """A peer that wants to be told."""
    peer = join_from(swarm, host, have=[])
    hello(peer, m=PEX, **fields)
    return peer


def test_a_peer_is_told_of_the_others_and_of_changes_once_a_minute() -> None:
    swarm = Swarm()
    one = talker(swarm, "11.0.0.1", p=1001)
    assert told(one) == []
    two = talker(swarm, "11.0.0.2", p=1002)
    assert told(two) == [PeerExchange((Contact(Address("11.0.0.1", 1001)),))]
    swarm.run(seconds=PEX_INTERVAL)
    assert told(one) == [PeerExchange((Contact(Address("11.0.0.2", 1002)),))]
    two.leave()
    swarm.run(seconds=PEX_INTERVAL)
    assert told(one)[1:] == [PeerExchange((), (Address("11.0.0.2", 1002),))]
    swarm.run(seconds=1)
    assert len(told(one)) == 2


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=12))
def test_no_peer_is_told_more_often_than_once_a_minute(moves: list[tuple[float, bool]]) -> None:
    swarm = Swarm(check_every=0)
    watcher = talker(swarm, "11.0.0.1", p=1001)
    others: list[Peer] = []
    for number, (pause, joins) in enumerate(moves):
        swarm.run(seconds=pause)
        if joins or not others:
            others.append(talker(swarm, f"11.0.1.{number}", p=1000 + number))
        else:
            others.pop().leave()
        for peer in (watcher, *others):
            peer.say_bytes(bytes(4))  # or it would be idle for too long
    swarm.run(seconds=2 * PEX_INTERVAL)
    times = [when for when, send in swarm.timed(act.Send) if _tells(send)]
    assert len(times) == len(told(watcher))
    gaps = [after - before for before, after in pairwise(times)]
    assert all(gap >= PEX_INTERVAL - 1e-6 for gap in gaps)
    known: set[Address] = set()
    for message in told(watcher):
        known |= {contact.address for contact in message.added}
        known -= set(message.dropped)
    assert all(peer.alive for peer in others)
    assert len(known) == len(others)


def _tells(send: act.Send) -> bool:
    """Whether it is a message of ours to the first link."""
    return send.link == "link 0" and bytes([20, THEIRS]) in send.data


def test_flags_say_who_is_a_seed_and_whom_we_could_dial() -> None:
    swarm = Swarm(400 * BLOCK)
    swarm.dialled(Choker, port=1)
    swarm.run(seconds=1)
    seed = join_from(swarm, "192.168.0.2")
    hello(seed, p=1002)
    idle = join_from(swarm, "192.168.0.3", have=[])
    hello(idle, p=1003, upload_only=True)
    swarm.dialled(Choker, port=4, have=[0])
    swarm.run(seconds=1)
    watcher = talker(swarm, "192.168.0.9")
    (message,) = told(watcher)
    assert message.added == (
        Contact(Address("192.0.2.1", 1), pex.IS_SEED | pex.IS_REACHABLE),
        Contact(Address("192.168.0.2", 1002), pex.IS_SEED),
        Contact(Address("192.168.0.3", 1003), pex.IS_SEED),
        Contact(Address("192.0.2.1", 4), pex.IS_REACHABLE),
    )


def test_who_is_local_is_not_told_to_strangers_nor_who_has_no_known_address() -> None:
    swarm = Swarm()
    hello(join_from(swarm, "192.168.0.2", have=[]), p=1002)
    hello(join_from(swarm, "11.0.0.3", have=[]), p=1003)
    join_from(swarm, "11.0.0.4", have=[])  # nobody knows where it listens
    named = Address("peer.example", 1)
    swarm.listeners[named] = lambda: swarm.make(Choker)
    swarm.feed(ev.AddPeer(swarm.name, named))
    swarm.run(seconds=1)
    public, local = talker(swarm, "11.0.0.9"), talker(swarm, "192.168.0.9")
    assert [contact.address.host for contact in told(public)[0].added] == ["11.0.0.3"]
    hosts = [contact.address.host for contact in told(local)[0].added]
    assert hosts == ["192.168.0.2", "11.0.0.3"]


def test_a_peer_may_switch_the_extension_off_and_on_again() -> None:
    swarm = Swarm()
    one = talker(swarm, "11.0.0.1", p=1001)
    hello(one, m={b"ut_pex": 0})
    hello(one, m={b"ut_metadata": 3})  # says nothing of it
    talker(swarm, "11.0.0.2", p=1002)
    swarm.run(seconds=2 * PEX_INTERVAL)
    assert told(one) == []
    hello(one, m=PEX)
    hello(one, m=PEX)
    assert len(told(one)) == 1


def test_a_torrent_that_has_stopped_tells_nobody() -> None:
    swarm = Swarm()
    talker(swarm, "11.0.0.1", p=1001)
    swarm.feed(ev.StopTorrent(swarm.name))
    swarm.run(seconds=5)
    assert swarm.torrent.next_deadline() is None


# --- Being told --------------------------------------------------------------------------------


def test_peers_that_a_peer_tells_of_are_dialled_and_seeds_are_known_as_such() -> None:
    swarm = Swarm(4 * BLOCK)
    peer = join_from(swarm, "11.0.0.1")
    hello(peer, p=1)
    seed, leech = Address("11.0.0.2", 2), Address("11.0.0.3", 3)
    swarm.listeners[seed] = lambda: swarm.make(Seed)
    tell(peer, Contact(seed, pex.IS_SEED), Contact(leech))
    assert swarm.actions(act.PeersLearned) == [
        act.PeersLearned(swarm.name, PeerSource.EXCHANGE, 2, "11.0.0.1:50000")
    ]
    swarm.finish()
    swarm.run(seconds=1000)
    dials = [dial.address for dial in swarm.actions(act.Dial)]
    assert dials.count(seed) == 1
    assert dials.count(leech) == 3


def test_a_complete_torrent_does_not_dial_those_who_are_said_to_be_seeds() -> None:
    swarm = Swarm(4 * BLOCK, full=True)
    peer = join_from(swarm, "11.0.0.1", have=[])
    swarm.black_holes |= {Address("11.0.0.2", 2), Address("11.0.0.3", 3)}
    tell(peer, Contact(Address("11.0.0.2", 2), pex.IS_SEED), Contact(Address("11.0.0.3", 3)))
    swarm.run(seconds=1)
    hosts = {dial.address.host for dial in swarm.actions(act.Dial)}
    assert "11.0.0.3" in hosts
    swarm.run(seconds=1000)
    again = [dial.address.host for dial in swarm.actions(act.Dial)]
    assert again.count("11.0.0.2") == 0


def test_a_peer_that_floods_us_is_closed() -> None:
    swarm = Swarm()
    peer = join_from(swarm, "11.0.0.1", have=[])
    for number in range(MAX_PEX_MESSAGES):
        tell(peer, Contact(Address(f"11.0.1.{number}", 1)))
    assert peer.alive
    (learned,) = swarm.actions(act.PeersLearned)
    assert learned.count == 1
    tell(peer, Contact(Address("11.0.2.1", 1)))
    assert [close.reason for close in swarm.actions(act.Close)] == [CloseReason.PROTOCOL_ERROR]


def test_messages_of_other_extensions_are_ignored() -> None:
    swarm = Swarm()
    peer = join_from(swarm, "11.0.0.1", have=[])
    payload = pex.encode(PeerExchange((Contact(Address("11.0.1.1", 1)),)))
    peer.say(wire.Extended(OUR_NUMBER + 99, payload))
    swarm.run(seconds=1)
    assert peer.alive
    assert not swarm.actions(act.PeersLearned)


@given(st.binary(max_size=60) | st.just(b"d5:added6:\1\2\3\4\0\0e"))
def test_what_is_no_message_ends_the_link_as_in_libtorrent(payload: bytes) -> None:
    swarm = Swarm(check_every=0)
    peer = join_from(swarm, "11.0.0.1", have=[])
    peer.say(wire.Extended(OUR_NUMBER, payload))
    swarm.run(seconds=1)
    assert not swarm.actions(act.PeersLearned)
    assert peer.alive is is_message(payload)
    expected = [] if peer.alive else [CloseReason.PROTOCOL_ERROR]
    assert [close.reason for close in swarm.actions(act.Close)] == expected


# --- Private torrents --------------------------------------------------------------------------


@given(st.booleans(), st.integers(1, 255))
def test_a_private_torrent_never_offers_sends_or_takes_it(full: bool, number: int) -> None:
    swarm = private(full=full, check_every=0)
    peers = []
    for at in range(3):
        peer = join_from(swarm, f"11.0.0.{at}", have=[])
        hello(peer, m={b"ut_pex": number}, p=1000 + at)
        peers.append(peer)
    payload = pex.encode(PeerExchange((Contact(Address("11.0.1.1", 1)),)))
    for _ in range(2 * MAX_PEX_MESSAGES):
        peers[0].say(wire.Extended(OUR_NUMBER, payload))
    swarm.run(seconds=2 * PEX_INTERVAL)
    for peer in peers:
        assert peer.alive
        assert b"ut_pex" not in offered(peer)
        assert all(m.ext_id == 0 for m in peer.heard if isinstance(m, wire.Extended))
    for forbidden in (act.PeersLearned, act.Dial):
        assert not swarm.actions(forbidden)


def test_others_do_offer_it() -> None:
    swarm = Swarm()
    assert offered(join_from(swarm, "11.0.0.1"))[b"ut_pex"] == OUR_NUMBER
    silent = Swarm(config=TorrentConfig(exchange_peers=False))
    assert b"ut_pex" not in offered(join_from(silent, "11.0.0.1"))


# --- Accounts ----------------------------------------------------------------------------------


def test_the_next_exchange_is_named_where_nobody_has_the_blocks() -> None:
    swarm = Swarm()
    talker(swarm, "11.0.0.1")
    other = join_from(swarm, "11.0.0.2", have=[])
    tell(other, Contact(Address("0.0.0.0", 1)))  # it tells, and does not want to be told
    explained = swarm.torrent.explain(swarm.now)
    ((when, why),) = explained.scheduled
    assert why == "exchange peers with 11.0.0.1:50000"
    assert swarm.now < when <= swarm.now + PEX_INTERVAL
    deadline = swarm.torrent.next_deadline()
    assert deadline is not None
    assert deadline.when <= when


def test_a_trace_can_say_whether_peers_are_exchanged() -> None:
    for wanted in (True, False):
        swarm = Swarm(config=attrs.evolve(TorrentConfig(), exchange_peers=wanted), record=True)
        join_from(swarm, "11.0.0.1")
        assert replay(swarm.save_trace()).is_equal


@pytest.mark.parametrize("port", [None, 6881])
def test_a_link_that_is_lost_leaves_nothing_behind(port: int | None) -> None:
    swarm = Swarm()
    peer = talker(swarm, "11.0.0.1", p=port)
    peer.leave("reset")
    swarm.run(seconds=1000)
    assert not swarm.torrent._exchanging._with
