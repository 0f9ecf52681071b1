"""Whole networks on virtual time: the way in, searches, announces; loss, dead nodes, liars."""

from __future__ import annotations

import pytest

from torrent_core.actions import CloseReason
from torrent_core.dht import DhtConfig
from torrent_core.dht.node_id import fits
from torrent_core.limits import DHT_QUERIES_A_LOOKUP
from torrent_core.testing.dht_liars import Lie
from torrent_core.testing.dht_network import DhtNetwork, DhtWorld
from torrent_core.testing.promises import ImpossibleParameter, PromiseBroken
from torrent_core.types import Address, Family

TORRENT = bytes(range(20))
BOTH = (Family.IPV4, Family.IPV6)


def settled(
    count: int = 1000,
    dead: int = 100,
    latency: float = 0.05,
    jitter: float = 0.0,
    loss: float = 0.0,
) -> DhtNetwork:
    """A network that has run for long."""
    network = DhtNetwork(seed=7, latency=latency, jitter=jitter, loss=loss)
    network.add_many(count)
    network.add_dead(dead)
    network.acquaint()
    return network


def search(world: DhtWorld, port: int | None = None) -> tuple[float, int]:
    """A whole search: its seconds and queries."""
    begin = world.network.clock.now
    world.search(TORRENT, port)
    lookups = [overlay.latest(TORRENT) for overlay in world.dht.overlays.values()]
    assert world.network.run(lambda: not world.is_searching(TORRENT), seconds=60)
    asked = sum(lookup.asked for lookup in lookups if lookup is not None)
    return world.network.clock.now - begin, asked


def address(world: DhtWorld, port: int) -> Address:
    return Address(world.addresses[Family.IPV4].host, port)


@pytest.mark.uncovered
def test_who_announces_in_a_thousand_nodes_is_found_by_another_wherever_it_looks_from() -> None:
    network = settled()
    announcers = network.worlds[:4]
    for number, world in enumerate(announcers):
        seconds, queries = search(world, 4000 + number)
        assert seconds < 5
        assert queries <= DHT_QUERIES_A_LOOKUP
        network.run(seconds=1)
    expected = {address(world, 4000 + number) for number, world in enumerate(announcers)}
    for finder in network.worlds[500:510]:
        seconds, queries = search(finder)
        assert seconds < 5
        assert queries <= DHT_QUERIES_A_LOOKUP
        assert set(finder.found[TORRENT]) == expected


@pytest.mark.long
def test_a_search_in_ten_thousand_nodes_a_tenth_of_them_dead_ends_soon() -> None:
    network = settled(count=9000, dead=1000)
    for number in range(20):
        announcer, finder = network.worlds[100 * number], network.worlds[8999 - 100 * number]
        search(announcer, 4000 + number)
        network.run(seconds=1)
        seconds, queries = search(finder)
        assert seconds < 5
        assert queries <= DHT_QUERIES_A_LOOKUP
        assert address(announcer, 4000 + number) in finder.found[TORRENT]


def test_the_announce_is_kept_by_the_closest_that_live() -> None:
    network = settled()
    search(network.worlds[0], 4000)
    network.run(seconds=1)
    alive = {world.addresses[Family.IPV4]: world for world in network.worlds}
    keeping = [world for world in network.worlds if len(world.dht.servers[Family.IPV4].store)]
    nearest = [
        alive[info.address] for info in network.closest(TORRENT, 20) if info.address in alive
    ]
    assert len(keeping) == 8
    assert set(keeping) <= set(nearest[:10])


@pytest.mark.uncovered
def test_it_works_where_a_tenth_of_the_datagrams_is_lost_and_the_rest_takes_its_time() -> None:
    network = settled(latency=0.05, jitter=0.3, loss=0.1)
    search(network.worlds[0], 4000)
    network.run(seconds=2)
    for finder in network.worlds[500:510]:
        seconds, queries = search(finder)
        assert seconds < 30
        assert queries <= DHT_QUERIES_A_LOOKUP
        network.run(seconds=2)
        assert address(network.worlds[0], 4000) in finder.found[TORRENT]


@pytest.mark.parametrize("lie", list(Lie))
def test_a_fifth_of_liars_spoils_no_search(lie: Lie) -> None:
    network = DhtNetwork(seed=7)
    network.add_many(200)
    for _ in range(50):
        network.add_liar(lie)
    network.acquaint()
    announcer, finder = network.worlds[0], network.worlds[150]
    search(announcer, 4000)
    network.run(seconds=2)
    seconds, queries = search(finder)
    assert seconds < 30
    assert queries <= DHT_QUERIES_A_LOOKUP
    found = finder.found[TORRENT]
    assert address(announcer, 4000) in found
    assert all(peer.port for peer in found)
    assert not any(peer.host.startswith(("127.", "192.168.")) for peer in found)
    router = announcer.addresses[Family.IPV4]
    newcomer = network.add(DhtConfig(routers=(router,), families=(Family.IPV4,)))
    network.run(seconds=20)
    assert newcomer.dht.overlays[Family.IPV4].is_ready
    search(newcomer)
    assert address(announcer, 4000) in newcomer.found[TORRENT]


@pytest.mark.uncovered
def test_newcomers_find_their_way_in_by_one_router_and_find_each_other() -> None:
    network = DhtNetwork(seed=3)
    router = network.add()
    network.names["router.example"] = (router.addresses[Family.IPV4].host,)
    config = DhtConfig(routers=(Address("router.example", 6881),), families=(Family.IPV4,))
    for _ in range(100):
        network.add(config)
        network.run(seconds=2)
    network.run(seconds=60)
    sizes = [len(world.dht.overlays[Family.IPV4].table) for world in network.worlds[1:]]
    assert min(sizes) >= 20
    search(network.worlds[10], 4000)
    network.run(seconds=2)
    for finder in network.worlds[80:90]:
        search(finder)
        assert list(finder.found[TORRENT]) == [address(network.worlds[10], 4000)]


def test_a_node_that_does_not_know_where_it_is_learns_it_and_takes_a_fitting_id() -> None:
    network = DhtNetwork(seed=3)
    router = network.add_many(60)[0]
    network.acquaint()
    config = DhtConfig(routers=(router.addresses[Family.IPV4],), families=(Family.IPV4,))
    world = network.add(config, settled=False)
    network.run(seconds=30)
    overlay = world.dht.overlays[Family.IPV4]
    host = world.addresses[Family.IPV4].host
    assert overlay.host == host
    assert fits(overlay.table.own_id, host)
    assert len(overlay.table) >= 8
    search(world, 4000)
    network.run(seconds=2)
    search(network.worlds[30])
    assert address(world, 4000) in network.worlds[30].found[TORRENT]


def test_ipv6_is_found_through_ipv4() -> None:
    network = DhtNetwork(seed=3)
    router = network.add(families=BOTH)
    insiders = DhtConfig(routers=tuple(router.addresses.values()))
    config = DhtConfig(routers=(router.addresses[Family.IPV4],))
    for number in range(30):
        network.add(insiders if number < 3 else config, families=BOTH)
        network.run(seconds=3)
    network.run(seconds=30)
    announcer, finder = network.worlds[5], network.worlds[25]
    search(announcer, 4000)
    network.run(seconds=2)
    search(finder)
    expected = {Address(place.host, 4000) for place in announcer.addresses.values()}
    assert set(finder.found[TORRENT]) == expected


def test_two_hours_of_a_network_in_which_nodes_come_and_go() -> None:
    network = settled(40, 5)
    announcer, finder = network.worlds[0], network.worlds[35]
    announcer.search(TORRENT, 4000)
    for round_ in range(6):
        network.kill(network.worlds[10 + round_])
        newcomer = network.add(DhtConfig(routers=(announcer.addresses[Family.IPV4],)))
        network.run(seconds=1200)
        assert newcomer.dht.overlays[Family.IPV4].is_ready
    finder.found.clear()
    search(finder)
    assert address(announcer, 4000) in finder.found[TORRENT]
    queries = [world.sent["query"] for world in network.worlds[20:30]]
    assert max(queries) / (6 * 1200) < 1  # one a second at most, all in all
    assert all(
        overlay.in_flight < 100 for w in network.worlds for overlay in w.dht.overlays.values()
    )


@pytest.mark.uncovered
def test_after_an_outage_of_an_hour_a_node_is_there_again() -> None:
    network = settled(30, 0)
    world = network.worlds[0]
    network.loss = 1.0
    network.run(seconds=3600)
    assert not world.dht.overlays[Family.IPV4].is_ready
    network.loss = 0.0
    network.run(seconds=600)
    assert world.dht.overlays[Family.IPV4].is_ready
    search(world, 4000)


def test_equal_arguments_make_equal_runs() -> None:
    def run() -> tuple[int, float, list[Address]]:
        network = settled(100, 10, jitter=0.05, loss=0.05)
        search(network.worlds[0], 4000)
        search(network.worlds[50])
        return network.delivered, network.clock.now, list(network.worlds[50].found.get(TORRENT, ()))

    assert run() == run()


# --- The simulator itself ----------------------------------------------------------------------


def test_what_a_machine_must_not_want_is_noticed() -> None:
    world = DhtNetwork().add()
    with pytest.raises(PromiseBroken, match="wants"):
        world.carry_out([CloseReason.BANNED])  # type: ignore[list-item]


def test_a_latency_that_cannot_be_is_refused() -> None:
    with pytest.raises(ImpossibleParameter):
        DhtNetwork(latency=-1.0)


def test_a_node_that_stops_is_silent_and_has_saved_what_it_knew() -> None:
    network = settled(20, 0)
    world = network.worlds[0]
    world.stop()
    assert world.saved is not None
    assert world.due() is None
    again = network.add(saved=world.saved)
    network.run(seconds=5)
    assert len(again.dht.overlays[Family.IPV4].table) >= 8


def test_who_has_no_address_of_a_family_sends_nothing_there() -> None:
    network = DhtNetwork()
    world = network.add(DhtConfig(routers=(Address("2a00::1", 1),)))
    assert world.sent["query"] == 1
    network.run(seconds=1)
    assert network.delivered == 0


def test_a_liar_answers_queries_and_nothing_else_to_whom_they_claim_to_be_from() -> None:
    network = DhtNetwork()
    world, liar = network.add(), network.add_liar(Lie.TWICE)
    target = world.addresses[Family.IPV4]
    for data in (b"noise", b"d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re"):
        network.inject(data, target, liar.address)
    network.run(seconds=1)
    assert network.delivered == 2
    network.inject(
        b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe", target, liar.address
    )
    network.run(seconds=1)
    assert network.delivered == 5


def test_a_node_may_be_started_later() -> None:
    network = DhtNetwork()
    world = network.add(start=False)
    network.add()
    network.acquaint()
    assert world.due() is None
    world.start()
    assert world.due() is not None


def test_a_search_is_under_way_until_it_has_ended_and_not_where_nobody_is_reached() -> None:
    network = DhtNetwork()
    network.add_many(20)
    network.acquaint()
    router = next(iter(network.worlds[0].addresses.values()))
    named = Address("router.example", router.port)
    network.names["router.example"] = (router.host,)
    world = network.add(DhtConfig(routers=(named,), families=BOTH), families=BOTH, settled=False)
    world.search(TORRENT)
    assert world.dht.is_searching(TORRENT)  # once the name is known
    assert network.run(lambda: not world.dht.is_searching(TORRENT), seconds=30)
    assert world.dht.overlays[Family.IPV4].is_ready
    assert not world.dht.overlays[Family.IPV6].is_ready
    assert world.sent["query"] > 5
