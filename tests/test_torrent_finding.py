"""A torrent is told of peers: they enter its book, are dialled within bounds, and counted."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.accounts import Account
from torrent_core.candidates import peer_priority
from torrent_core.deadlines import Deadline
from torrent_core.errors import LocalProtocolError
from torrent_core.limits import (
    MAX_HALF_OPEN,
    MAX_PEERS_FOUND,
    MAX_STRANGER_LINKS,
    MIN_LINKS_WANTED,
    STRANGER_REDIAL_BASE,
)
from torrent_core.torrent import TorrentConfig
from torrent_core.types import Address, CloseReason, PeerSource, TorrentState
from torrent_core.wire import extended
from torrent_core.wire import messages as wire
from torrent_core.wire.extended import ExtendedHandshake
from world import BLOCK, make_torrent
from world_peers import Choker, Peer, Seed
from world_swarm import Swarm

A, B = Address("11.0.0.1", 6881), Address("11.0.0.2", 6881)
TELLERS = [source for source in PeerSource if source is not PeerSource.NAMED]


def crowd(count: int) -> tuple[Address, ...]:
    return tuple(Address(f"11.1.{n >> 8}.{n & 255}", 6881) for n in range(count))


def found(swarm: Swarm, source: PeerSource, *peers: Address, detail: str = "") -> list[act.Action]:
    return swarm.feed(ev.PeersFound(swarm.name, source, peers, detail))


def private(**options: object) -> Swarm:
    meta, payload = make_torrent(8 * BLOCK)
    return Swarm(made=(attrs.evolve(meta, private=True), payload), **options)  # type: ignore[arg-type]


def hello(peer: Peer, **fields: object) -> None:
    """The peer's extension handshake."""
    payload = extended.encode(ExtendedHandshake(**fields))  # type: ignore[arg-type]
    peer.say(wire.Extended(0, payload))
    peer.world.run(seconds=3 * peer.latency)


def join_from(swarm: Swarm, host: str, **options: object) -> Peer:
    peer = swarm.make(Peer, extended=True, **options)
    swarm.connect(peer, Address(host, 50_000))
    swarm.run(seconds=3 * peer.latency)
    return peer


# --- Being told ------------------------------------------------------------------------------


@pytest.mark.parametrize("source", list(PeerSource))
def test_new_peers_are_reported_with_their_source_and_dialled(source: PeerSource) -> None:
    swarm = Swarm()
    swarm.black_holes |= {A, B}
    actions = found(swarm, source, A, B, A, detail="where from")
    assert actions == [
        act.PeersLearned(swarm.name, source, 2, "where from"),
        act.Dial(1, A),
        act.Dial(2, B),
    ]
    assert found(swarm, source, A, B) == []
    assert swarm.torrent.status(swarm.now).known[source] == 2


def test_peers_that_cannot_be_are_left_out() -> None:
    swarm = Swarm()
    wrong = [Address("11.0.0.1", 0), Address("0.0.0.0", 1), Address("239.192.152.143", 6771)]
    for source in PeerSource:
        assert found(swarm, source, *wrong, Address("ff02::1", 1), Address("::", 1)) == []
    assert swarm.torrent.next_deadline() is None or not swarm.actions(act.Dial)


def test_one_report_is_read_as_far_as_it_may_go() -> None:
    swarm = Swarm()
    peers = crowd(MAX_PEERS_FOUND + 5)
    swarm.black_holes |= set(peers)
    (learned, *_) = found(swarm, PeerSource.DHT, *peers)
    assert isinstance(learned, act.PeersLearned)
    assert learned.count == MAX_PEERS_FOUND


def test_peers_of_another_torrent_are_refused() -> None:
    swarm = Swarm()
    with pytest.raises(LocalProtocolError):
        swarm.feed(ev.PeersFound(bytes(20), PeerSource.DHT, (A,)))


def test_peers_found_before_the_start_are_dialled_after_it() -> None:
    swarm = Swarm(start=False)
    swarm.black_holes.add(A)
    assert found(swarm, PeerSource.DHT, A) == [act.PeersLearned(swarm.name, PeerSource.DHT, 1)]
    swarm.start()
    assert [dial.address for dial in swarm.actions(act.Dial)] == [A]


def test_a_download_from_peers_that_a_tracker_told_of() -> None:
    swarm = Swarm(40 * BLOCK)
    seeds = [swarm.make(Seed, rate=100_000) for _ in range(3)]
    for number, seed in enumerate(seeds):
        swarm.listeners[Address("11.0.0.1", number + 1)] = lambda seed=seed: seed
    dead = Address("11.0.0.1", 4)
    peers = [*swarm.listeners, dead]
    found(swarm, PeerSource.TRACKER, *peers)
    swarm.run(seconds=0.5)
    rows = swarm.torrent.peers(swarm.now)
    assert [row.sources for row in rows] == [(PeerSource.TRACKER,)] * 3
    swarm.finish()
    swarm.run(seconds=10 * STRANGER_REDIAL_BASE)
    dials = [dial.address for dial in swarm.actions(act.Dial)]
    assert dials.count(dead) == 3
    assert len(dials) == 6  # a seed is of no use to a seed


@given(st.sampled_from(TELLERS), st.lists(st.sampled_from(crowd(30)), max_size=40))
def test_whatever_is_told_a_private_torrent_listens_to_its_tracker_and_its_user(
    source: PeerSource, peers: list[Address]
) -> None:
    swarm = private(check_every=0)
    swarm.black_holes |= set(peers)
    actions = found(swarm, source, *peers)
    if source in (PeerSource.TRACKER, PeerSource.MAGNET):
        assert len(actions) == (len(set(peers)) + 1 if peers else 0)
    else:
        assert actions == []
        assert not any(swarm.torrent.status(swarm.now).known.values())


# --- Bounds ----------------------------------------------------------------------------------


def test_dials_are_bounded_and_go_on_as_they_end() -> None:
    swarm = Swarm()
    peers = crowd(100)
    swarm.black_holes |= set(peers)
    found(swarm, PeerSource.TRACKER, *peers)
    assert len(swarm.actions(act.Dial)) == MAX_HALF_OPEN
    swarm.run(seconds=45)
    assert {dial.address for dial in swarm.actions(act.Dial)} == set(peers)


def test_a_torrent_dials_so_many_strangers_and_any_number_of_named_peers() -> None:
    swarm = Swarm(400 * BLOCK, check_every=0)
    many = MAX_STRANGER_LINKS + 20

    def listen_at(address: Address) -> None:
        swarm.listeners[address] = lambda: swarm.make(Choker)

    for address in crowd(many + 5):
        listen_at(address)
    found(swarm, PeerSource.TRACKER, *crowd(many))
    swarm.run(seconds=5)
    assert len(swarm.torrent.peers(swarm.now)) == MAX_STRANGER_LINKS
    deadline = swarm.torrent.next_deadline()
    assert deadline is not None
    assert not deadline.why.startswith("dial")
    for address in crowd(many + 5)[many:]:
        swarm.feed(ev.AddPeer(swarm.name, address))
    swarm.run(seconds=5)
    assert len(swarm.torrent.peers(swarm.now)) == MAX_STRANGER_LINKS + 5
    for number in range(6):
        swarm.lines[f"link {number}"].end()
    swarm.run(seconds=5)
    assert len(swarm.torrent.peers(swarm.now)) == MAX_STRANGER_LINKS


# --- Shortness -------------------------------------------------------------------------------


def test_a_torrent_is_short_of_peers_while_links_are_few_and_nobody_is_left_to_dial() -> None:
    swarm = Swarm(400 * BLOCK, check_every=0, start=False)
    assert not swarm.torrent.is_short_of_peers
    swarm.start()
    assert swarm.torrent.is_short_of_peers
    for number in range(MIN_LINKS_WANTED):
        assert swarm.torrent.is_short_of_peers
        join_from(swarm, f"11.0.1.{number}")
    assert not swarm.torrent.is_short_of_peers
    swarm.lines["link 0"].end()
    assert swarm.torrent.is_short_of_peers


def test_a_torrent_is_not_short_while_dials_are_under_way_or_due() -> None:
    swarm = Swarm()
    swarm.black_holes |= set(crowd(MIN_LINKS_WANTED))
    found(swarm, PeerSource.DHT, *crowd(MIN_LINKS_WANTED))
    assert not swarm.torrent.is_short_of_peers
    swarm.run(seconds=11)
    assert swarm.torrent.is_short_of_peers  # all have been tried
    swarm.now += 2 * STRANGER_REDIAL_BASE
    swarm.torrent._context.now = swarm.now
    assert not swarm.torrent.is_short_of_peers  # and are due again


def test_who_has_everything_or_has_stopped_is_not_short() -> None:
    swarm = Swarm(full=True)
    assert swarm.torrent.state is TorrentState.SEEDING
    assert not swarm.torrent.is_short_of_peers


# --- Those who dialled us ----------------------------------------------------------------------


def test_a_peer_that_dialled_us_is_dialled_where_it_listens_once_its_link_is_gone() -> None:
    swarm = Swarm()
    peer = join_from(swarm, "11.0.0.7")
    hello(peer, p=51413)
    hello(peer, p=51414)  # one place is enough
    (row,) = swarm.torrent.peers(swarm.now)
    assert row.sources == (PeerSource.INCOMING,)
    assert swarm.torrent.status(swarm.now).known[PeerSource.INCOMING] == 1
    peer.leave()
    swarm.run(seconds=2 * STRANGER_REDIAL_BASE)
    (dial, *_) = swarm.actions(act.Dial)
    assert dial.address == Address("11.0.0.7", 51413)


def test_a_private_torrent_does_not_dial_those_who_dialled_it() -> None:
    swarm = private()
    peer = join_from(swarm, "11.0.0.7")
    hello(peer, p=51413)
    peer.leave()
    swarm.run(seconds=2 * STRANGER_REDIAL_BASE)
    assert not swarm.actions(act.Dial)


def test_a_peer_of_which_the_tracker_told_may_dial_us_first() -> None:
    swarm = private(start=False)
    found(swarm, PeerSource.TRACKER, Address("11.0.0.7", 51413))
    swarm.start()
    peer = join_from(swarm, "11.0.0.7", latency=0.0)
    swarm.settle()
    swarm.run(seconds=STRANGER_REDIAL_BASE / 2)  # the dial has failed
    dials = len(swarm.actions(act.Dial))
    hello(peer, p=51413)
    (row,) = swarm.torrent.peers(swarm.now)
    assert row.sources == (PeerSource.TRACKER, PeerSource.INCOMING)
    swarm.run(seconds=60)
    assert len(swarm.actions(act.Dial)) == dials


# --- Where we are ------------------------------------------------------------------------------


def test_our_own_address_is_learned_from_peers_and_not_dialled() -> None:
    swarm = Swarm(config=TorrentConfig(listen_port=6881))
    for number in (1, 2):
        peer = join_from(swarm, f"11.0.0.{number}")
        hello(peer, yourip=bytes([11, 9, 9, 9]))
    ours, other = Address("11.9.9.9", 6881), Address("11.9.9.9", 6882)
    swarm.black_holes.add(other)
    actions = found(swarm, PeerSource.TRACKER, ours, other)
    assert [a.address for a in actions if isinstance(a, act.Dial)] == [other]


def test_strangers_are_dialled_in_the_order_of_bep_40_once_we_know_our_address() -> None:
    swarm = Swarm()
    peers = crowd(20)
    swarm.black_holes |= set(peers)
    swarm.torrent.seen_at("11.9.9.9", "http://tracker.example/announce")
    swarm.torrent.seen_at("11.9.9.9", "udp://tracker.example:1/announce")
    actions = found(swarm, PeerSource.TRACKER, *peers)
    order = [a.address for a in actions if isinstance(a, act.Dial)]
    ours = Address("11.9.9.9", 0)
    assert order == sorted(peers, key=lambda peer: -(peer_priority(ours, peer) or 0))


def test_a_peer_is_told_its_own_address() -> None:
    swarm = Swarm()
    peer = join_from(swarm, "11.0.0.7")
    theirs = next(m for m in peer.heard if isinstance(m, wire.Extended))
    assert extended.decode(theirs.payload).yourip == bytes([11, 0, 0, 7])


# --- Accounts ----------------------------------------------------------------------------------


def test_what_others_do_next_to_find_peers_is_in_the_report() -> None:
    swarm = Swarm()
    due = Deadline(swarm.now + 12.0, "announce to http://tracker.example/announce")
    explained = swarm.torrent.explain(swarm.now, [due])
    assert {entry.account for entry in explained.entries} == {Account.NOBODY}
    assert explained.scheduled == (tuple(due),)
    assert explained.text().endswith(
        "Next: announce to http://tracker.example/announce, in 12.0 s."
    )
    found(swarm, PeerSource.TRACKER, A)
    swarm.run(seconds=1)
    swarm.black_holes.add(A)
    explained = swarm.torrent.explain(swarm.now, [due])
    assert [why for _, why in explained.scheduled] == [due.why, f"dial {A}"]


def test_links_to_strangers_end_like_others() -> None:
    swarm = Swarm()
    swarm.listeners[A] = lambda: swarm.make(Peer)
    found(swarm, PeerSource.DHT, A)
    swarm.run(seconds=1)
    swarm.feed(ev.DropPeer(swarm.name, A))
    swarm.run(seconds=1)
    assert [close.reason for close in swarm.actions(act.Close)] == [CloseReason.DROPPED]
    assert found(swarm, PeerSource.DHT, A) == []
