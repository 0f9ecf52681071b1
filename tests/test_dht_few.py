"""A DHT of few nodes: people at home, an island, a test.  Whoever can be reached is used."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dht_kit import TORRENT, V4, Bench, node
from torrent_core import limits
from torrent_core.dht import DhtConfig
from torrent_core.dht.overlay import Overlay
from torrent_core.testing.dht_network import DhtNetwork, DhtWorld
from torrent_core.types import Address, Family
from torrent_core.wire.contacts import NodeInfo
from torrent_core.wire.krpc_values import FindNode, GetPeers, Ping, Query

ROUTER = NodeInfo(b"R" * 20, Address("51.1.1.1", 6881))
ROUTED = DhtConfig(routers=(ROUTER.address,), families=V4.families)


def place(world: DhtWorld) -> Address:
    return world.addresses[Family.IPV4]


def overlay(world: DhtWorld) -> Overlay:
    return world.dht.overlays[Family.IPV4]


def peer(world: DhtWorld, number: int) -> Address:
    return Address(place(world).host, 4000 + number)


def enter(world: DhtWorld, number: int, *routers: DhtWorld) -> None:
    """Start with these as routers, and seed the torrent."""
    now = world.network.clock.now
    for router in routers:
        world.dht.add_router(*ends(place(router)), now)
    world.start()
    world.search(TORRENT, 4000 + number)


def ends(address: Address) -> tuple[str, int]:
    return address.host, address.port


def strangers(network: DhtNetwork, count: int) -> list[DhtWorld]:
    return [network.add(V4, start=False, settled=False) for _ in range(count)]


def all_found(worlds: list[DhtWorld]) -> bool:
    """Whether each has found all others."""
    return all(
        peer(other, number) in world.found.get(TORRENT, {})
        for world in worlds
        for number, other in enumerate(worlds)
        if other is not world
    )


# --- Networks ---------------------------------------------------------------------------------


def test_two_that_are_each_others_routers_find_each_other() -> None:
    network = DhtNetwork()
    one, other = strangers(network, 2)
    enter(one, 0, other)
    enter(other, 1, one)
    assert network.run(lambda: all_found([one, other]), seconds=15)
    assert len(overlay(one).table) == len(overlay(other).table) == 1


def test_a_router_that_starts_twenty_seconds_later_is_found_soon() -> None:
    network = DhtNetwork()
    one, other = strangers(network, 2)
    enter(one, 0, other)
    network.run(seconds=20)
    enter(other, 1, one)
    assert network.run(lambda: all_found([one, other]), seconds=15)


def test_a_router_that_knows_nobody_is_asked_again_once_it_is_there() -> None:
    network = DhtNetwork()
    one, other = strangers(network, 2)
    enter(one, 0, other)
    network.run(seconds=20)
    other.start()
    assert network.run(lambda: bool(overlay(one).table), seconds=25)
    network.run(seconds=1)
    assert len(overlay(other).table) == 1  # who asks and answers is known
    assert len(other.dht.servers[Family.IPV4].store) == 1  # and announces


def test_what_was_announced_to_a_router_alone_is_found_by_a_third() -> None:
    network = DhtNetwork()
    router, one, other = strangers(network, 3)
    router.start()
    enter(one, 0, router)
    network.run(seconds=5)
    other.dht.add_router(*ends(place(router)), network.clock.now)
    other.start()
    other.search(TORRENT)
    assert network.run(lambda: peer(one, 0) in other.found.get(TORRENT, {}), seconds=5)


def test_what_was_announced_before_we_looked_is_found_too() -> None:
    network = DhtNetwork()
    router, one = strangers(network, 2)
    router.start()
    enter(one, 0, router)
    network.run(seconds=5)
    router.search(TORRENT)
    assert list(router.found[TORRENT]) == [peer(one, 0)]


def test_who_has_been_alone_for_hours_looks_again_once_somebody_comes() -> None:
    network = DhtNetwork()
    one, other = strangers(network, 2)
    enter(one, 0)
    network.run(seconds=4 * 3600)
    enter(other, 1, one)
    assert network.run(lambda: all_found([one, other]), seconds=15)


@pytest.mark.uncovered
@pytest.mark.parametrize("count", range(2, 9))
@pytest.mark.parametrize("forwards", [True, False])
def test_a_few_in_a_line_find_each_other(count: int, forwards: bool) -> None:
    network = DhtNetwork()
    worlds = strangers(network, count)
    turns = list(range(count))
    for number in turns if forwards else reversed(turns):
        enter(worlds[number], number, *worlds[max(0, number - 1) : number])
    assert network.run(lambda: all_found(worlds), seconds=60)


@pytest.mark.uncovered
@settings(max_examples=30, deadline=None)
@given(st.data())
def test_however_few_come_one_after_another_all_find_each_other(data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 8))
    network = DhtNetwork(seed=data.draw(st.integers(0, 99)), jitter=0.1)
    worlds = strangers(network, count)
    for number, world in enumerate(worlds):
        network.run(seconds=data.draw(st.floats(0, 200)))
        # Each names somebody who came before; the first two name each other.
        router = 1 - number if number < 2 else data.draw(st.integers(0, number - 1))
        enter(world, number, worlds[router])
    assert network.run(lambda: all_found(worlds), seconds=60)


def test_few_that_know_each_other_leave_each_other_alone() -> None:
    network = DhtNetwork()
    worlds = strangers(network, 3)
    for number, world in enumerate(worlds):
        enter(world, number, worlds[number - 1])
    network.run(seconds=2 * 3600)
    before = network.delivered
    network.run(seconds=3600)
    assert (network.delivered - before) / 3600 < 0.1


def test_a_router_is_left_alone_once_there_are_others_enough() -> None:
    network = DhtNetwork(seed=3)
    network.add_many(60)
    network.acquaint()
    router = network.worlds[0]
    world = network.add(DhtConfig(routers=(place(router),), families=V4.families))
    network.run(seconds=30)
    assert len(overlay(world).table) >= limits.DHT_K
    assert place(router) not in [known.info.address for known in overlay(world).table.nodes()]


# --- One machine -------------------------------------------------------------------------------


def routed() -> Bench:
    """A machine whose router answered, and knew nobody."""
    bench = Bench(ROUTED)
    bench.reply(ROUTER, nodes=())
    assert bench.table_size == 1
    return bench


def test_a_router_is_in_the_table_until_eight_others_are() -> None:
    bench = routed()
    for n in range(1, limits.DHT_K):
        bench.meet(node(n))
    assert bench.table_size == limits.DHT_K
    table = bench.dht.overlays[Family.IPV4].table
    assert table.knows(ROUTER)
    bench.meet(node(limits.DHT_K))
    assert not table.knows(ROUTER)
    assert bench.table_size == limits.DHT_K
    bench.receive(Query(b"tt", Ping(ROUTER.node_id)), ROUTER.address)
    assert not any(isinstance(query.ask, Ping) for query in bench.asked(ROUTER.address))
    bench.keep(bench.dht.add_node(ROUTER.address, bench.now))
    bench.reply(ROUTER)
    assert not table.knows(ROUTER)


def test_a_router_that_asks_us_is_pinged_while_there_are_few() -> None:
    bench = Bench(ROUTED)
    bench.wait(20)
    assert bench.table_size == 0
    bench.receive(Query(b"tt", Ping(ROUTER.node_id)), ROUTER.address)
    assert isinstance(bench.asked(ROUTER.address)[-1].ask, Ping)
    bench.reply(ROUTER)
    assert bench.table_size == 1
    bench.wait(limits.DHT_BOOTSTRAP_RETRY)
    assert isinstance(bench.asked(ROUTER.address)[-1].ask, FindNode)


def test_a_search_asks_the_router_that_is_all_we_have() -> None:
    bench = routed()
    bench.keep(bench.dht.search(TORRENT, 4000, bench.now))
    assert isinstance(bench.asked(ROUTER.address)[-1].ask, GetPeers)


def searches(bench: Bench, seconds: float) -> list[float]:
    """When a search began, of a machine whose only node answers and knows nobody."""
    begins, end = [], bench.now + seconds
    while bench.now < end:
        seen = len(bench.asked(ROUTER.address))
        due = bench.dht.next_deadline()
        assert due is not None
        bench.wait(max(0.0, due.when - bench.now))
        bench.answer_all(ROUTER)
        asks = [query.ask for query in bench.asked(ROUTER.address)[seen:]]
        begins += [bench.now for ask in asks if isinstance(ask, GetPeers)]
    return begins


def test_a_search_that_asked_few_is_repeated_after_five_seconds_and_ever_more_rarely() -> None:
    bench = routed()
    begin = bench.now
    bench.keep(bench.dht.search(TORRENT, None, bench.now))
    bench.answer_all(ROUTER)
    due = bench.dht.due(TORRENT)
    assert due is not None
    assert (due.when, due.why) == (begin + limits.DHT_SEARCH_RETRY, "a search in the DHT")
    begins = [begin, *searches(bench, 2 * 3600)]
    pauses = [later - earlier for earlier, later in pairwise(begins)]
    assert pauses[:3] == pytest.approx([5.0, 10.0, 20.0], abs=2.0)
    assert max(pauses) == pytest.approx(limits.DHT_SEARCH_INTERVAL, abs=2.0)
    assert len(pauses) < 20


def test_strangers_that_come_and_go_do_not_make_us_begin_more_often_than_every_five_seconds() -> (
    None
):
    bench = routed()
    for n in range(60):  # one place, and another name each second
        stranger = NodeInfo(node(n).node_id, node(1).address)
        bench.keep(bench.dht.add_node(stranger.address, bench.now))
        bench.reply(stranger)
        bench.wait(1.0)
    begun = [query for query in bench.asked(ROUTER.address) if isinstance(query.ask, FindNode)]
    assert len(begun) <= 60 / limits.DHT_BOOTSTRAP_RETRY + 2


def test_why_a_torrent_waits_tells_whether_anybody_has_answered() -> None:
    bench = Bench(ROUTED)
    bench.keep(bench.dht.search(TORRENT, None, bench.now))
    due = bench.dht.due(TORRENT)
    assert due is not None
    assert due.why == "a search in the DHT, which has not answered yet"
    bench.reply(ROUTER, nodes=())
    due = bench.dht.due(TORRENT)
    assert due is not None
    assert due.why == "a search in the DHT"
