"""Whole networks on virtual time: the way in, searches, announces; loss, dead nodes, liars."""

from __future__ import annotations

from torrent_core.limits import DHT_QUERIES_A_LOOKUP
from torrent_core.testing.dht_network import DhtNetwork, DhtWorld
from torrent_core.types import Address, Family

TORRENT = bytes(range(20))


def settled(count: int = 1000, dead: int = 100, **more: float) -> DhtNetwork:
    network = DhtNetwork(seed=7, **more)  # type: ignore[arg-type]
    network.add_many(count)
    network.add_dead(dead)
    network.acquaint()
    return network


def search(world: DhtWorld, port: int | None = None) -> tuple[float, int]:
    """A whole search: its seconds and queries."""
    begin, sent = world.network.clock.now, world.sent["query"]
    world.search(TORRENT, port)
    assert world.network.run(lambda: not world.is_searching(TORRENT), seconds=60)
    return world.network.clock.now - begin, world.sent["query"] - sent


def test_who_announces_in_a_thousand_nodes_is_found_by_another() -> None:
    network = settled()
    announcer, finder = network.worlds[0], network.worlds[500]
    seconds, queries = search(announcer, port=4000)
    assert seconds < 5
    assert queries <= DHT_QUERIES_A_LOOKUP + 8
    network.run(seconds=1)
    seconds, queries = search(finder)
    print(seconds, queries)
    assert seconds < 5
    host = announcer.addresses[Family.IPV4].host
    assert list(finder.found[TORRENT]) == [Address(host, 4000)]
