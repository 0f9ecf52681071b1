"""What our node answers to others, and what it keeps for them."""

from __future__ import annotations

from random import Random

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dht_kit import TORRENT, V4, Bench, node, node6, packets
from torrent_core import limits
from torrent_core.dht import DhtConfig
from torrent_core.dht.bloom import filter_of
from torrent_core.dht.flood import FloodGate
from torrent_core.dht.storage import PeerStore, StoredPeer
from torrent_core.dht.tokens import Tokens
from torrent_core.types import Address, Family
from torrent_core.wire import krpc
from torrent_core.wire.krpc_values import (
    AnnouncePeer,
    Failure,
    FindNode,
    GetPeers,
    Ping,
    Query,
    Reply,
    Response,
)

ASKER = node(1)
BOTH = (Family.IPV4, Family.IPV6)


def answer(bench: Bench, ask: Ping | FindNode | GetPeers | AnnouncePeer) -> Reply:
    response = bench.ask(ask, ASKER.address)
    assert isinstance(response, Response)
    return response.reply


def announce(bench: Bench, number: int, *, seed: bool = False, **changed: object) -> object:
    """A node announces itself; what it is answered."""
    info = node(number)
    peers = bench.ask(GetPeers(info.node_id, TORRENT), info.address)
    assert isinstance(peers, Response)
    assert peers.reply.token is not None
    ask = AnnouncePeer(info.node_id, TORRENT, 4000, peers.reply.token, seed=seed)
    return bench.ask(attrs.evolve(ask, **changed), info.address)


def test_a_ping_is_answered_with_our_id() -> None:
    bench = Bench()
    own_id = bench.dht.overlays[Family.IPV4].table.own_id
    assert answer(bench, Ping(ASKER.node_id)) == Reply(own_id)


def test_find_node_is_answered_with_the_closest_that_we_know() -> None:
    bench = Bench()
    for n in range(2, 12):
        bench.meet(node(n))
    reply = answer(bench, FindNode(ASKER.node_id, node(5).node_id))
    assert reply.nodes is not None
    assert len(reply.nodes) == limits.DHT_K
    assert reply.nodes[0] == node(5)
    assert reply.nodes6 is None


def test_each_family_is_told_of_as_it_is_wanted() -> None:
    bench = Bench(DhtConfig())
    bench.meet(node(2))
    bench.meet(node6(3))
    assert answer(bench, FindNode(ASKER.node_id, TORRENT)).nodes == (node(2),)
    both = answer(bench, FindNode(ASKER.node_id, TORRENT, BOTH))
    assert (both.nodes, both.nodes6) == ((node(2),), (node6(3),))
    other = answer(bench, GetPeers(ASKER.node_id, TORRENT, (Family.IPV6,)))
    assert (other.nodes, other.nodes6) == (None, (node6(3),))
    over6 = bench.ask(FindNode(node6(9).node_id, TORRENT), node6(9).address)
    assert isinstance(over6, Response)
    assert (over6.reply.nodes, over6.reply.nodes6) == (None, (node6(3),))


def test_who_has_one_family_tells_nothing_of_the_other() -> None:
    reply = answer(Bench(), FindNode(ASKER.node_id, TORRENT, BOTH))
    assert (reply.nodes, reply.nodes6) == ((), None)


def test_an_announced_peer_is_told_to_others() -> None:
    bench = Bench()
    assert answer(bench, GetPeers(ASKER.node_id, TORRENT)).values is None
    assert isinstance(announce(bench, 2), Response)
    assert isinstance(announce(bench, 3, implied=True), Response)
    values = answer(bench, GetPeers(ASKER.node_id, TORRENT)).values
    assert values == (Address(node(2).address.host, 4000), node(3).address)
    assert answer(bench, GetPeers(ASKER.node_id, b"U" * 20)).values is None


def test_a_forged_token_is_refused() -> None:
    bench = Bench()
    refused = announce(bench, 2, token=b"12345678")
    assert isinstance(refused, Failure)
    assert refused.code == 203
    assert answer(bench, GetPeers(ASKER.node_id, TORRENT)).values is None


def test_a_token_of_another_torrent_is_refused() -> None:
    assert isinstance(announce(Bench(), 2, info_hash=b"U" * 20), Failure)


def test_a_token_that_another_host_was_given_is_refused() -> None:
    bench = Bench()
    token = answer(bench, GetPeers(ASKER.node_id, TORRENT)).token
    assert token is not None
    thief = node(2)
    assert isinstance(
        bench.ask(AnnouncePeer(thief.node_id, TORRENT, 1, token), thief.address), Failure
    )


def test_a_token_is_good_for_five_minutes_and_for_ten_at_most() -> None:
    tokens = Tokens(b"secret")
    token = tokens.make("50.1.1.1", TORRENT, 299.0)
    assert tokens.is_good(token, "50.1.1.1", TORRENT, 599.0)
    assert not tokens.is_good(token, "50.1.1.1", TORRENT, 600.0)
    assert not Tokens(b"other").is_good(token, "50.1.1.1", TORRENT, 299.0)
    assert tokens.make("50.1.1.1", TORRENT, -1.0) != token


def test_a_query_without_sense_is_answered_by_an_error() -> None:
    bench = Bench()
    found = bench.receive(b"d1:ade1:q3:put1:t2:aa1:y1:qe", ASKER.address)
    assert packets(found) == [(Failure(b"aa", 204, "unknown method", ASKER.address), ASKER.address)]


def test_a_read_only_node_answers_nothing_and_says_so_when_it_asks() -> None:
    bench = Bench(DhtConfig(families=V4.families, read_only=True))
    assert bench.receive(Query(b"tt", Ping(ASKER.node_id)), ASKER.address) == []
    bench.meet(node(2))
    assert bench.asked(node(2).address)[0].read_only


def test_no_packet_is_longer_than_bep_32_allows_however_much_is_asked_for() -> None:
    bench = Bench(DhtConfig())
    for n in range(2, 12):
        bench.meet(node(n))
        bench.meet(node6(n))
    for n in range(20, 220):
        announce(bench, n, seed=n % 2 == 0)
    bench.now += 60.0
    asks = [
        GetPeers(ASKER.node_id, TORRENT, want, scrape=scrape)
        for want in ((), BOTH)
        for scrape in (False, True)
    ]
    counts = []
    for ask in asks:
        found = bench.receive(Query(bytes(32), ask), ASKER.address)
        ((packet, _),) = [item for item in packets(found) if isinstance(item[0], Response)]
        assert isinstance(packet, Response)
        assert len(krpc.encode(packet, b"TC01")) <= limits.MAX_KRPC_REPLY
        counts.append(len(packet.reply.values or ()))
    assert counts[0] > 60
    assert all(count >= 15 for count in counts)


def test_a_scrape_is_answered_with_filters_of_seeds_and_others() -> None:
    bench = Bench(DhtConfig())
    announce(bench, 2, seed=True)
    announce(bench, 3)
    reply = answer(bench, GetPeers(ASKER.node_id, TORRENT, BOTH, scrape=True))
    assert reply.seed_filter == filter_of([node(2).address.host])
    assert reply.peer_filter == filter_of([node(3).address.host])
    assert (reply.nodes, reply.nodes6) == ((), None)
    unknown = answer(bench, GetPeers(ASKER.node_id, b"U" * 20, scrape=True))
    assert unknown.seed_filter is None


def test_seeds_are_left_out_where_they_are_not_wanted() -> None:
    bench = Bench()
    announce(bench, 2, seed=True)
    announce(bench, 3)
    values = answer(bench, GetPeers(ASKER.node_id, TORRENT, no_seeds=True)).values
    assert values == (Address(node(3).address.host, 4000),)


# --- Asking too much -------------------------------------------------------------------------


def test_who_asks_too_much_is_not_answered_until_it_has_been_quiet() -> None:
    bench = Bench()
    ping = Query(b"tt", Ping(ASKER.node_id), read_only=True)
    answered = sum(bool(bench.receive(ping, ASKER.address)) for _ in range(200))
    assert answered == limits.DHT_BURST
    assert bench.receive(Query(b"tt", Ping(node(2).node_id)), node(2).address)
    bench.now += 1.0
    answered = sum(bool(bench.receive(ping, ASKER.address)) for _ in range(200))
    assert answered == limits.DHT_QUERY_RATE


def test_all_together_are_not_answered_more_than_so_often() -> None:
    gate = FloodGate(0.0)
    admitted = sum(gate.admits(node(n).address, 0.0) for n in range(2000))
    assert admitted == limits.DHT_TOTAL_BURST
    assert gate.admits(node(3000).address, 1.0)


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 2)), max_size=200))
def test_over_any_time_the_credit_bounds_what_is_admitted(script: list[tuple[int, float]]) -> None:
    gate, now, counts = FloodGate(0.0), 0.0, [0] * 4
    for asker, passed in script:
        now += passed
        counts[asker] += gate.admits(node(asker).address, now)
    most = limits.DHT_BURST + limits.DHT_QUERY_RATE * now
    assert all(count <= most for count in counts)


# --- The store -------------------------------------------------------------------------------


def stored(number: int, port: int = 1) -> StoredPeer:
    return StoredPeer(Address(f"60.{number >> 16}.{number >> 8 & 255}.{number & 255}", port), False)


def everyone(store: PeerStore, torrent: bytes = TORRENT) -> list[Address]:
    return store.sample(torrent, 10**6, False, Random(1))


def test_a_host_has_one_entry_the_latest() -> None:
    store = PeerStore()
    store.add(TORRENT, stored(1, 1), 0.0)
    store.add(TORRENT, stored(2, 1), 0.0)
    store.add(TORRENT, stored(1, 2), 0.0)
    assert everyone(store) == [stored(2, 1).address, stored(1, 2).address]
    assert (len(store), store.torrent_count) == (2, 1)


def test_what_is_not_announced_again_is_forgotten() -> None:
    store = PeerStore()
    store.add(TORRENT, stored(1), 0.0)
    store.add(TORRENT, stored(2), 0.0)
    store.add(TORRENT, stored(1), 10.0)
    store.expire(limits.DHT_STORED_SECONDS)
    assert everyone(store) == [stored(1).address]
    store.expire(limits.DHT_STORED_SECONDS + 10)
    assert everyone(store) == []
    assert (len(store), store.torrent_count) == (0, 0)


def test_a_torrent_keeps_the_latest_so_many() -> None:
    store = PeerStore()
    for n in range(limits.DHT_STORED_PEERS + 5):
        store.add(TORRENT, stored(n), float(n) / 1000)
    assert len(store) == limits.DHT_STORED_PEERS
    assert everyone(store)[0] == stored(5).address


def test_of_too_many_torrents_the_one_goes_that_was_announced_longest_ago() -> None:
    store = PeerStore()
    names = [n.to_bytes(20, "big") for n in range(limits.DHT_STORED_TORRENTS + 1)]
    for name in [*names[:2], names[0], *names[2:]]:
        store.add(name, stored(1), 0.0)
    assert store.torrent_count == limits.DHT_STORED_TORRENTS
    assert everyone(store, names[1]) == []
    assert everyone(store, names[0]) != []


def test_there_is_a_bound_for_all_torrents_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torrent_core.dht.storage.DHT_STORED_TOTAL", 10)
    store = PeerStore()
    for n in range(20):
        store.add(bytes(19) + bytes([n % 4]), stored(n), 0.0)
        assert len(store) <= 10
    assert sum(len(everyone(store, bytes(19) + bytes([n]))) for n in range(4)) == 10
    # The one peer of the oldest torrent may be what makes room for that very torrent.
    for n in range(10):
        store.add(bytes(19) + bytes([100 + n]), stored(n), 0.0)
    store.add(bytes(19) + bytes([100]), stored(99), 0.0)
    assert len(store) == 10


@given(st.integers(0, 30), st.integers(0, 30), st.integers())
def test_a_sample_is_so_many_peers_none_twice(count: int, known: int, seed: int) -> None:
    store = PeerStore()
    for n in range(known):
        store.add(TORRENT, stored(n), 0.0)
    sample = store.sample(TORRENT, count, False, Random(seed))
    assert len(sample) == len(set(sample)) == min(count, known)
    assert set(sample) <= {stored(n).address for n in range(known)}


def test_every_peer_is_drawn_now_and_then() -> None:
    store = PeerStore()
    for n in range(5):
        store.add(TORRENT, stored(n), 0.0)
    random = Random(1)
    drawn = {peer for _ in range(100) for peer in store.sample(TORRENT, 1, False, random)}
    assert len(drawn) == 5
