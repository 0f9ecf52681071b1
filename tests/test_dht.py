"""The machine as its owner sees it: beginning, searching, saving, and what it refuses."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dht_kit import TORRENT, V4, Bench, node, node6, packets, peers
from torrent_core import bencode, limits
from torrent_core.actions import Resolve, SaveNodes
from torrent_core.deadlines import Deadline
from torrent_core.dht import ROUTERS, Dht, DhtConfig, SwarmSize, persist
from torrent_core.dht.bloom import filter_of
from torrent_core.dht.node_id import fits
from torrent_core.dht.outside import OutsideAddress
from torrent_core.dht.persist import Saved
from torrent_core.dht.transactions import Transactions
from torrent_core.errors import LocalProtocolError
from torrent_core.events import DatagramReceived, Resolved, Tick
from torrent_core.types import Address, Family
from torrent_core.wire.contacts import NodeInfo
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

HALF = limits.DHT_SHORT_TIMEOUT / 2
ROUTER = Address("51.1.1.1", 6881)


def ready(*nodes: NodeInfo) -> Bench:
    """A machine that has found its way in, by the first of these nodes, and knows them all."""
    bench = Bench()
    for info in nodes:
        bench.meet(info)
    for info in nodes:
        while any(isinstance(query.ask, FindNode) for query in bench.asked(info.address)):
            bench.reply(info, nodes=())
            break
    bench.wait(0.0)
    assert bench.dht.overlays[Family.IPV4].is_ready
    return bench


def crowded() -> tuple[Bench, list[NodeInfo]]:
    """A machine that knows nodes enough, which have answered, and these."""
    nodes = [node(n) for n in range(1, limits.DHT_K + 1)]
    bench = Bench()
    for info in nodes:
        bench.keep(bench.dht.add_node(info.address, bench.now))
    bench.answer_all(*nodes)
    bench.wait(2 * limits.DHT_BOOTSTRAP_RETRY)
    bench.answer_all(*nodes)
    return bench, nodes


# --- The way in --------------------------------------------------------------------------------


def test_routers_are_resolved_and_asked_for_the_way_to_our_id() -> None:
    bench = Bench(DhtConfig(routers=(Address("router.example", 6881),)))
    (action,) = bench.out
    assert action == Resolve(1, "router.example")
    assert bench.dht.owns(1)
    hosts = ("51.1.1.1", "2a00:51::1", "nonsense", "0.0.0.0")
    bench.keep(bench.dht.handle(Resolved(1, hosts), bench.now))
    assert not bench.dht.owns(1)
    for family, host in ((Family.IPV4, "51.1.1.1"), (Family.IPV6, "2a00:51::1")):
        own_id = bench.dht.overlays[family].table.own_id
        (query,) = bench.asked(Address(host, 6881))
        both = (Family.IPV4, Family.IPV6)
        assert query.ask == FindNode(own_id, own_id, both)


def test_ipv4_inside_of_ipv6_is_what_a_socket_of_both_families_calls_ipv4() -> None:
    bench = Bench(DhtConfig())
    bench.keep(bench.dht.add_node(Address("::ffff:50.0.1.7", 6881), bench.now))
    (query,) = bench.asked(Address("50.0.1.7", 6881))
    answer = Response(query.transaction, Reply(node(1).node_id))
    bench.receive(answer, Address("::ffff:50.0.1.7", 6881))
    assert bench.table_size == 1
    told = NodeInfo(node6(2).node_id, Address("::ffff:50.0.2.7", 6881))
    bench.reply(node(1), nodes=(), nodes6=(told,))
    assert not bench.asked(Address("50.0.2.7", 6881))


def test_a_literal_router_needs_no_resolver_and_may_come_later() -> None:
    bench = Bench(start=False)
    assert bench.dht.add_router("51.1.1.1", 6881, bench.now) == []
    assert bench.dht.add_router("51.1.1.1", 6881, bench.now) == []
    bench.keep(bench.dht.start(bench.now))
    assert len(bench.asked(ROUTER)) == 1
    bench.keep(bench.dht.add_router("51.1.1.2", 6881, bench.now))
    assert len(bench.asked(Address("51.1.1.2", 6881))) == 1
    bench.keep(bench.dht.add_router("name.example", 6881, bench.now))
    bench.keep(bench.dht.add_router("2a00::1", 6881, bench.now))
    assert isinstance(bench.out[-1], Resolve)


def test_there_are_so_many_routers_at_most() -> None:
    bench = Bench()
    for n in range(30):
        bench.keep(bench.dht.add_router(f"51.1.1.{n}", 6881, bench.now))
    bench.wait(100)
    asked = [n for n in range(30) if bench.asked(Address(f"51.1.1.{n}", 6881))]
    assert len(asked) == limits.DHT_ROUTERS
    hosts = tuple(f"52.1.1.{n}" for n in range(5))
    bench = Bench(DhtConfig(routers=(Address("a.example", 1), Address("b.example", 1))))
    bench.keep(bench.dht.handle(Resolved(1, hosts * 4), bench.now))
    bench.keep(bench.dht.handle(Resolved(2, tuple(f"53.1.1.{n}" for n in range(30))), bench.now))
    assert sum(bool(bench.asked(Address(f"53.1.1.{n}", 1))) for n in range(30)) <= 16


def test_a_silent_router_is_tried_again_ever_more_rarely_and_resolved_anew() -> None:
    bench = Bench(DhtConfig(routers=(Address("r.example", 1), ROUTER), families=V4.families))
    bench.keep(bench.dht.handle(Resolved(1, ()), bench.now))
    bench.wait(3600)
    tries = len(bench.asked(ROUTER))
    assert 10 <= tries <= 20
    # The second was never answered, and so there is no third.
    assert sum(isinstance(item, Resolve) for item in bench.out) == 2
    bench = Bench(DhtConfig(routers=(Address("r.example", 1),), families=V4.families))
    for _ in range(5):
        resolves = [item for item in bench.out if isinstance(item, Resolve)]
        bench.keep(bench.dht.handle(Resolved(resolves[-1].resolve_id, ()), bench.now))
        bench.wait(300)
    assert len([item for item in bench.out if isinstance(item, Resolve)]) == 6


def test_a_port_message_is_a_way_in() -> None:
    bench = Bench()
    bench.meet(node(1))
    assert isinstance(bench.asked(node(1).address)[1].ask, FindNode)
    bench.reply(node(1), nodes=(node(2), node(3)))
    assert isinstance(bench.asked(node(3).address)[0].ask, FindNode)


def test_saved_nodes_are_a_way_in_and_the_id_is_kept() -> None:
    bench = ready(node(1), node(2))
    (saved,) = bench.dht.stop(bench.now)
    assert isinstance(saved, SaveNodes)
    own_id = persist.decode(saved.data)[Family.IPV4].node_id
    again = Bench(saved=saved.data)
    assert again.dht.overlays[Family.IPV4].table.own_id == own_id
    assert isinstance(again.asked(node(1).address)[0].ask, FindNode)
    assert isinstance(again.asked(node(2).address)[0].ask, FindNode)


def test_nodes_that_were_not_reached_are_not_forgotten_by_saving() -> None:
    saved = persist.encode({Family.IPV4: Saved(None, (node(1), node(2)))})
    bench = Bench(saved=saved)
    bench.wait(100)
    (action,) = bench.dht.stop(bench.now)
    assert isinstance(action, SaveNodes)
    assert persist.decode(action.data)[Family.IPV4].nodes == (node(1), node(2))


def test_nodes_are_saved_every_ten_minutes_and_nothing_is_lost_by_a_kill() -> None:
    bench = ready(node(1))
    found = bench.wait(limits.DHT_SAVE_INTERVAL)
    (action,) = [item for item in found if isinstance(item, SaveNodes)]
    assert persist.decode(action.data)[Family.IPV4].nodes == (node(1),)


def test_a_restarted_machine_goes_on_with_what_it_saved() -> None:
    bench = ready(node(1))
    bench.dht.stop(bench.now)
    assert bench.dht.next_deadline() is None
    assert bench.dht.stop(bench.now) == []
    bench.out.clear()
    bench.keep(bench.dht.start(bench.now))
    assert isinstance(bench.asked(node(1).address)[0].ask, FindNode)


def test_the_other_dht_tells_of_nodes_while_one_is_empty() -> None:
    bench = Bench(DhtConfig())
    bench.meet(node(1))
    far = NodeInfo(b"L" * 20, Address("::1", 1))
    bench.reply(node(1), nodes=(), nodes6=(node6(2), far))
    assert isinstance(bench.asked(node6(2).address)[0].ask, FindNode)
    assert not bench.asked(far.address)
    # And the other way round.
    bench = Bench(DhtConfig())
    bench.meet(node6(1))
    bench.reply(node6(1), nodes=(node(2),), nodes6=())
    assert isinstance(bench.asked(node(2).address)[0].ask, FindNode)


def test_once_it_has_nodes_enough_the_other_dht_is_not_listened_to() -> None:
    bench = Bench(DhtConfig())
    for n in range(1, 9):
        bench.meet(node(n))
    bench.meet(node6(1))
    bench.reply(node6(1), nodes=(node(50),), nodes6=())
    assert not bench.asked(node(50).address)


def test_leads_are_bounded() -> None:
    bench = Bench(DhtConfig())
    overlay = bench.dht.overlays[Family.IPV6]
    for n in range(limits.DHT_LEADS + 50):
        overlay.offer(node6(n + 1), bench.now)
    assert len(overlay.saved().nodes) == limits.DHT_LEADS


def test_after_an_outage_everybody_is_tried_again() -> None:
    bench = ready(node(1), node(2))
    bench.wait(limits.DHT_GOOD_SECONDS + limits.DHT_TIMEOUT + 1)  # a refresh meets silence
    bench.wait(limits.DHT_GOOD_SECONDS + limits.DHT_TIMEOUT + 1)
    assert not bench.dht.overlays[Family.IPV4].is_ready
    before = len(bench.asked(node(1).address))
    bench.wait(limits.DHT_MAX_BOOTSTRAP_RETRY)
    assert len(bench.asked(node(1).address)) > before
    bench.reply(node(1), nodes=())
    bench.wait(limits.DHT_TIMEOUT)
    assert bench.dht.overlays[Family.IPV4].is_ready


def test_a_node_that_answers_with_errors_is_there_but_no_way_in() -> None:
    bench = Bench()
    bench.meet(node(1))
    transaction = bench.asked(node(1).address)[-1].transaction
    bench.receive(Failure(transaction, 202, "no"), node(1).address)
    assert bench.table_size == 1
    found = bench.wait(2 * limits.DHT_BOOTSTRAP_RETRY)
    assert any(to == node(1).address for _, to in packets(found))


# --- Strangers ---------------------------------------------------------------------------------


def test_who_asks_is_pinged_and_let_in_when_it_answers() -> None:
    bench = Bench()
    bench.ask(Ping(node(1).node_id), node(1).address)
    assert bench.table_size == 0
    assert bench.asked(node(1).address)[0].ask == Ping(bench.dht.overlays[Family.IPV4].table.own_id)
    bench.reply(node(1))
    assert bench.table_size == 1
    before = len(bench.asked(node(1).address))
    bench.ask(Ping(node(1).node_id), node(1).address)
    assert len(bench.asked(node(1).address)) == before


def test_a_read_only_asker_is_answered_and_left_alone() -> None:
    bench = Bench()
    bench.ask(Ping(node(1).node_id), node(1).address, read_only=True)
    assert bench.asked(node(1).address) == []


@pytest.mark.uncovered
def test_many_strangers_are_not_all_pinged() -> None:
    bench = Bench()
    for n in range(1, 200):
        bench.ask(Ping(node(n).node_id), node(n).address)
    pinged = [n for n in range(1, 200) if bench.asked(node(n).address)]
    assert len(pinged) == limits.DHT_PINGS
    bench.wait(limits.DHT_TIMEOUT)
    bench.ask(Ping(node(300).node_id), node(300).address)
    assert bench.asked(node(300).address)


def test_a_stranger_of_no_use_is_not_pinged() -> None:
    bench = Bench()
    bench.meet(node(1))
    again = NodeInfo(b"x" * 20, Address(node(1).address.host, 7000))
    bench.ask(Ping(again.node_id), again.address)
    assert bench.asked(again.address) == []


@pytest.mark.parametrize(
    "source",
    [Address("50.0.9.7", 6882), Address("50.0.9.8", 6881), Address("2a00::1", 6881)],
)
def test_an_answer_from_another_address_is_ignored(source: Address) -> None:
    bench = Bench(DhtConfig())
    bench.keep(bench.dht.add_node(Address("50.0.9.7", 6881), bench.now))
    (query,) = bench.asked(Address("50.0.9.7", 6881))
    assert bench.receive(Response(query.transaction, Reply(b"x" * 20)), source) == []
    assert bench.table_size == 0


def test_an_answer_with_another_transaction_is_ignored_and_so_is_a_second_one() -> None:
    bench = Bench()
    bench.keep(bench.dht.add_node(node(1).address, bench.now))
    (query,) = bench.asked(node(1).address)
    forged = bytes(byte ^ 1 for byte in query.transaction)
    bench.receive(Response(forged, Reply(node(1).node_id)), node(1).address)
    assert bench.table_size == 0
    bench.reply(node(1))
    bench.receive(Response(query.transaction, Reply(node(2).node_id)), node(1).address)
    assert bench.dht.overlays[Family.IPV4].table.knows(node(1))


@pytest.mark.parametrize(
    "address", [Address("nonsense", 1), Address("0.0.0.0", 1), Address("50.1.1.1", 0)]
)
def test_a_datagram_from_nowhere_is_ignored(address: Address) -> None:
    bench = Bench()
    data = b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"
    assert bench.dht.handle(DatagramReceived(address, data), bench.now) == []


def test_what_is_no_packet_is_ignored_and_so_is_a_family_that_we_are_not_in() -> None:
    bench = Bench()
    assert bench.receive(b"hello", node(1).address) == []
    assert bench.receive(Query(b"tt", Ping(b"x" * 20)), node6(1).address) == []
    assert bench.dht.add_node(node6(1).address, bench.now) == []


def test_an_answer_under_another_name_costs_the_name_and_brings_the_new_one() -> None:
    bench = ready(node(1))
    bench.keep(bench.dht.search(TORRENT, None, bench.now))
    renamed = NodeInfo(b"n" * 20, node(1).address)
    bench.reply(renamed, values=(Address("60.1.1.1", 1),))
    table = bench.dht.overlays[Family.IPV4].table
    assert table.knows(renamed)
    assert not table.knows(node(1))
    assert peers(bench.out) == []


# --- Searches -------------------------------------------------------------------------------------


def test_a_search_tells_of_peers_and_announces_us() -> None:
    bench = ready(node(1), node(2))
    bench.keep(bench.dht.search(TORRENT, 4000, bench.now, seed=True))
    own_id = bench.dht.overlays[Family.IPV4].table.own_id
    assert bench.asked(node(1).address)[-1].ask == GetPeers(own_id, TORRENT)
    found = bench.reply(node(1), values=(Address("60.1.1.1", 1),), token=b"one")
    assert peers(found) == [Address("60.1.1.1", 1)]
    bench.reply(node(2), token=b"two", nodes=(node(1),))
    for info, token in ((node(1), b"one"), (node(2), b"two")):
        ask = bench.asked(info.address)[-1].ask
        assert ask == AnnouncePeer(own_id, TORRENT, 4000, token, seed=True)
        bench.reply(info)


def test_without_a_port_nothing_is_announced() -> None:
    bench = ready(node(1))
    bench.keep(bench.dht.search(TORRENT, None, bench.now))
    bench.reply(node(1), token=b"one")
    assert isinstance(bench.asked(node(1).address)[-1].ask, GetPeers)


def test_a_search_that_enough_answered_is_repeated_every_fifteen_minutes() -> None:
    bench, nodes = crowded()
    bench.keep(bench.dht.search(TORRENT, None, bench.now))
    begin = bench.now
    bench.answer_all(*nodes)
    assert bench.dht.due(TORRENT) == Deadline(begin + 900.0, "a search in the DHT")


def test_a_search_is_repeated_until_it_is_forgotten() -> None:
    bench = ready(node(1))
    bench.keep(bench.dht.search(TORRENT, None, bench.now))
    bench.reply(node(1))
    bench.meet(node(1))
    count = len(bench.asked(node(1).address))
    bench.wait(limits.DHT_SEARCH_INTERVAL)
    asks = [query.ask for query in bench.asked(node(1).address)[count:]]
    assert any(isinstance(ask, GetPeers) for ask in asks)
    bench.dht.forget(TORRENT)
    bench.dht.forget(TORRENT)
    assert bench.dht.due(TORRENT) is None
    count = len(bench.asked(node(1).address))
    bench.meet(node(1))
    bench.wait(3 * limits.DHT_SEARCH_INTERVAL)
    later = [query.ask for query in bench.asked(node(1).address)[count:]]
    assert not any(isinstance(ask, GetPeers) for ask in later)


def test_answers_to_a_forgotten_search_are_of_no_use() -> None:
    bench = ready(node(1), node(2))
    bench.keep(bench.dht.search(TORRENT, 4000, bench.now))
    bench.dht.forget(TORRENT)
    found = bench.reply(node(1), values=(Address("60.1.1.1", 1),), token=b"t")
    found += bench.wait(HALF)
    found += bench.reply(node(2), values=(Address("60.1.1.1", 1),), token=b"t")
    assert found == []


def test_a_late_answer_still_tells_of_peers() -> None:
    bench = ready(node(1), node(2))
    bench.keep(bench.dht.search(TORRENT, None, bench.now))
    bench.reply(node(1))
    bench.wait(limits.DHT_SHORT_TIMEOUT)
    assert TORRENT not in bench.dht.overlays[Family.IPV4].searches
    assert peers(bench.reply(node(2), values=(Address("60.1.1.1", 1),))) == [Address("60.1.1.1", 1)]


def test_asking_again_looks_again_but_not_within_a_minute() -> None:
    bench, nodes = crowded()
    bench.keep(bench.dht.search(TORRENT, None, bench.now))
    begin = bench.now
    bench.answer_all(*nodes)
    bench.keep(bench.dht.search(TORRENT, 4000, bench.now))
    assert bench.dht.due(TORRENT) == Deadline(begin + 60.0, "a search in the DHT")
    bench.wait(60.0)
    bench.answer_all(*nodes)
    assert isinstance(bench.asked(node(1).address)[-1].ask, AnnouncePeer)
    bench.wait(100.0)
    bench.out.clear()
    bench.keep(bench.dht.search(TORRENT, None, bench.now))
    bench.answer_all(*nodes)
    assert isinstance(bench.asked(node(1).address)[-1].ask, GetPeers)


def test_a_search_under_way_names_the_answer_that_it_waits_for() -> None:
    bench = ready(node(1))
    bench.keep(bench.dht.search(TORRENT, None, bench.now))
    expected = Deadline(bench.now + limits.DHT_SHORT_TIMEOUT, "a search in the DHT")
    assert bench.dht.due(TORRENT) == expected
    assert bench.dht.next_deadline() == Deadline(expected.when, "an answer of a DHT node")


def test_a_dht_that_is_never_reached_keeps_nobody_waiting() -> None:
    bench = Bench(DhtConfig())
    bench.meet(node(1))
    bench.reply(node(1), nodes=())
    bench.wait(limits.DHT_TIMEOUT)
    bench.keep(bench.dht.search(TORRENT, None, bench.now))
    bench.reply(node(1), nodes=())
    bench.answer_all(node(1))
    due = Deadline(bench.now + limits.DHT_SEARCH_RETRY, "a search in the DHT")
    assert bench.dht.due(TORRENT) == due


def test_who_is_in_line_waits_for_an_answer_to_the_others() -> None:
    bench = ready(node(1))
    for n in range(limits.DHT_LOOKUPS + 1):
        bench.keep(bench.dht.search(bytes([n]) * 20, None, bench.now))
    due = bench.dht.due(bytes([limits.DHT_LOOKUPS]) * 20)
    assert due == Deadline(bench.now + limits.DHT_SHORT_TIMEOUT, "a search in the DHT")


def test_a_search_that_nobody_answers_is_tried_again_in_a_minute() -> None:
    bench, nodes = crowded()
    bench.keep(bench.dht.search(TORRENT, None, bench.now))
    begin = bench.now
    bench.wait(limits.DHT_SHORT_TIMEOUT * len(nodes))
    due = bench.dht.due(TORRENT)
    assert due is not None
    assert begin + 60 <= due.when <= begin + 60 + limits.DHT_SHORT_TIMEOUT * len(nodes)
    bench.wait(60.0)
    bench.answer_all(*nodes)
    asked = [q for q in bench.asked(node(1).address) if isinstance(q.ask, GetPeers)]
    assert len(asked) == 2


def test_a_search_waits_for_the_way_in() -> None:
    bench = Bench()
    bench.keep(bench.dht.search(TORRENT, None, bench.now))
    assert bench.dht.due(TORRENT) == Deadline(
        bench.now + limits.DHT_BOOTSTRAP_RETRY,
        "a search in the DHT, which has not answered yet",
    )
    bench.meet(node(1))
    found = bench.reply(node(1), nodes=())
    assert [packet.ask for packet, _ in packets(found) if isinstance(packet, Query)] == [
        GetPeers(bench.dht.overlays[Family.IPV4].table.own_id, TORRENT)
    ]


def test_a_thousand_torrents_are_looked_for_a_few_at_a_time() -> None:
    bench = ready(node(1))
    torrents = [n.to_bytes(20, "big") for n in range(1000)]
    for torrent in torrents:
        bench.keep(bench.dht.search(torrent, None, bench.now))
    overlay = bench.dht.overlays[Family.IPV4]
    assert list(overlay.searches) == torrents[: limits.DHT_LOOKUPS]
    assert overlay.in_flight == limits.DHT_LOOKUPS
    bench.dht.forget(torrents[limits.DHT_LOOKUPS])
    while overlay.searches:
        assert len(overlay.searches) <= limits.DHT_LOOKUPS
        assert overlay.in_flight <= limits.DHT_LOOKUPS + 1
        for query in bench.asked(node(1).address):
            bench.receive(Response(query.transaction, Reply(node(1).node_id)), node(1).address)
        del bench.out[: -limits.DHT_LOOKUPS]
    assert overlay.latest(torrents[-1]) is not None
    assert overlay.latest(torrents[limits.DHT_LOOKUPS]) is None


def test_a_torrent_that_is_due_while_it_is_looked_for_is_not_looked_for_twice() -> None:
    bench = ready(node(1), node(2))
    bench.keep(bench.dht.search(TORRENT, None, bench.now))
    searches = bench.dht.overlays[Family.IPV4].searches
    under_way = searches[TORRENT]
    bench.now += 60.0  # nobody called at the deadlines: the machine slept
    bench.keep(bench.dht.search(TORRENT, None, bench.now))
    assert searches[TORRENT] is under_way


def test_scrapes_are_counted_over_all_that_answer() -> None:
    bench = ready(node(1), node(2))
    assert bench.dht.swarm_size(TORRENT) is None
    bench.keep(bench.dht.search(TORRENT, None, bench.now, scrape=True))
    ask = bench.asked(node(1).address)[-1].ask
    assert isinstance(ask, GetPeers)
    assert ask.scrape
    seeds, others = [f"60.1.1.{n}" for n in range(40)], [f"61.1.1.{n}" for n in range(20)]
    bench.reply(node(1), seed_filter=filter_of(seeds[:30]), peer_filter=filter_of(others[:15]))
    bench.reply(node(2), seed_filter=filter_of(seeds[20:]), peer_filter=filter_of(others[5:]))
    size = bench.dht.swarm_size(TORRENT)
    assert isinstance(size, SwarmSize)
    assert size.seeds == pytest.approx(40, abs=2)
    assert size.peers == pytest.approx(20, abs=2)


# --- Where we are ---------------------------------------------------------------------------------


def test_when_enough_nodes_agree_on_our_address_we_take_an_id_that_fits() -> None:
    bench = Bench()
    overlay = bench.dht.overlays[Family.IPV4]
    former, seen = overlay.table.own_id, Address("77.1.2.3", 5)
    for n in range(1, limits.DHT_VOTES_NEEDED + 1):
        assert overlay.table.own_id == former
        bench.keep(bench.dht.add_node(node(n).address, bench.now))
        bench.reply(node(n), seen=seen)
    assert overlay.host == "77.1.2.3"
    assert overlay.table.own_id != former
    assert fits(overlay.table.own_id, "77.1.2.3")
    assert bench.table_size == limits.DHT_VOTES_NEEDED
    last = bench.asked(node(1).address)[-1].ask
    assert last == FindNode(overlay.table.own_id, overlay.table.own_id)


def test_our_id_stays_where_it_fits_already() -> None:
    outside = OutsideAddress()
    assert not outside.vote(node(1).address, Address("nonsense", 1))
    assert not outside.vote(node(1).address, Address("2a00::1", 1))
    bench = Bench()
    own_id = bench.dht.overlays[Family.IPV4].table.own_id
    for n in range(1, 10):
        bench.keep(bench.dht.add_node(node(n).address, bench.now))
        bench.reply(node(n), seen=Address("192.168.1.7", 5))
    assert bench.dht.overlays[Family.IPV4].table.own_id == own_id


def test_liars_about_our_address_must_be_more_than_half() -> None:
    outside = OutsideAddress()
    for n in range(limits.DHT_VOTES):
        liar = n % 2 == 1
        outside.vote(node(n + 1).address, Address("66.6.6.6" if liar else f"77.1.1.{n}", 1))
    assert outside.host is None
    same = [outside.vote(node(2).address, Address("66.6.6.6", 1)) for _ in range(50)]
    assert not any(same)
    changes = [outside.vote(node(n + 1000).address, Address("77.7.7.7", 1)) for n in range(40)]
    assert outside.host == "77.7.7.7"
    assert sum(changes) == 1


def test_bad_nodes_are_left_behind_with_the_former_id() -> None:
    bench = ready(node(1), node(2))
    overlay = bench.dht.overlays[Family.IPV4]
    for _ in range(2):
        overlay.table.failed(node(1), bench.now)
    for n in range(10, 10 + limits.DHT_VOTES_NEEDED):
        bench.keep(bench.dht.add_node(node(n).address, bench.now))
        bench.reply(node(n), seen=Address("77.1.2.3", 5))
    assert not overlay.table.knows(node(1))
    assert overlay.table.knows(node(2))


def test_we_are_no_peer_of_ours() -> None:
    bench = ready(*[node(n) for n in range(1, 7)])
    for n in range(1, 7):
        bench.keep(bench.dht.add_node(node(n).address, bench.now))
        bench.reply(node(n), seen=Address("77.1.2.3", 5))
    for n in range(1, 7):  # the way in, once more
        if isinstance(bench.asked(node(n).address)[-1].ask, FindNode):
            bench.reply(node(n), nodes=())
    bench.wait(limits.DHT_TIMEOUT)
    bench.keep(bench.dht.search(TORRENT, 4000, bench.now))
    asked = next(
        n for n in range(1, 7) if isinstance(bench.asked(node(n).address)[-1].ask, GetPeers)
    )
    ours, other = Address("77.1.2.3", 4000), Address("77.1.2.3", 4001)
    assert peers(bench.reply(node(asked), values=(ours, other))) == [other]
    assert peers(bench.reply(node(asked), values=(ours,))) == []


# --- The caller -----------------------------------------------------------------------------


def test_what_the_caller_does_wrong_is_refused_and_changes_nothing() -> None:
    with pytest.raises(LocalProtocolError, match="secret"):
        Dht(b"", Random(1), V4, lambda: 1)
    bench = Bench(start=False)
    for call in (
        lambda: bench.dht.search(TORRENT, None, 0.0),
        lambda: bench.dht.add_node(node(1).address, 0.0),
    ):
        with pytest.raises(LocalProtocolError, match="does not run"):
            call()
    bench.keep(bench.dht.start(bench.now))
    before = bench.dht.next_deadline()
    for call in (
        lambda: bench.dht.start(bench.now),
        lambda: bench.dht.search(b"short", None, bench.now),
        lambda: bench.dht.search(TORRENT, 0, bench.now),
        lambda: bench.dht.add_node(Address("example.org", 1), bench.now),
        lambda: bench.dht.add_node(Address("50.1.1.1", 0), bench.now),
        lambda: bench.dht.add_router("example.org", 70000, bench.now),
        lambda: bench.dht.handle(Resolved(99, ()), bench.now),
    ):
        with pytest.raises(LocalProtocolError):
            call()
    assert bench.dht.next_deadline() == before
    assert bench.out == []


def test_a_machine_that_does_not_run_ignores_what_comes() -> None:
    bench = Bench(DhtConfig(routers=(Address("r.example", 1),)))
    bench.dht.stop(bench.now)
    assert bench.receive(Query(b"tt", Ping(b"x" * 20)), node(1).address) == []
    assert bench.dht.handle(Resolved(1, ("51.1.1.1",)), bench.now) == []
    assert bench.dht.handle(Tick(), bench.now) == []
    assert bench.dht.due(TORRENT) is None


def test_time_that_goes_backwards_stands_still() -> None:
    bench = ready(node(1))
    bench.keep(bench.dht.handle(Tick(), bench.now))
    bench.keep(bench.dht.search(TORRENT, None, 5.0))
    due = bench.dht.due(TORRENT)
    assert due is not None
    assert due.when == bench.now + limits.DHT_SHORT_TIMEOUT


def test_a_router_that_is_not_needed_is_kept_for_later() -> None:
    bench, _ = crowded()
    bench.keep(bench.dht.add_router("51.1.1.1", 6881, bench.now))
    assert bench.asked(ROUTER) == []


class Stuck:
    """Dice that show the same twice before they go on."""

    def __init__(self) -> None:
        self.shown = [7, 7, 8]

    def getrandbits(self, k: int, /) -> int:
        return self.shown.pop(0)

    def random(self) -> float:
        return 0.0


def test_two_queries_that_are_out_never_have_the_same_transaction() -> None:
    transactions = Transactions(Stuck())
    first = transactions.begin(node(1).address, b"", None, 0.0)
    second = transactions.begin(node(2).address, b"", None, 0.0)
    assert (first, second) == (b"\0\0\0\7", b"\0\0\0\x08")
    assert len(transactions) == 2


def test_the_well_known_routers_have_names_and_ports() -> None:
    assert all(0 < router.port < 65536 and "." in router.host for router in ROUTERS)


# --- What is kept over a restart -------------------------------------------------------------


keys = st.sampled_from([b"id", b"nodes", b"id6", b"nodes6"])
fields = st.dictionaries(keys, st.binary(max_size=90) | st.integers(0, 9))
odd_states = fields.map(bencode.encode) | st.lists(st.integers(0, 9)).map(bencode.encode)


@given(st.binary(max_size=60) | odd_states)
def test_saved_nodes_that_make_no_sense_are_ignored(data: bytes) -> None:
    bench = Bench(DhtConfig(), saved=data)
    for overlay in bench.dht.overlays.values():
        assert len(overlay.table.own_id) == 20


infos4 = st.integers(1, 10**4).map(node)
infos6 = st.integers(1, 10**4).map(node6)


own_ids = st.binary(min_size=20, max_size=20)


@given(st.lists(infos4, max_size=20), st.lists(infos6, max_size=20), own_ids)
def test_what_is_saved_is_loaded(four: list[NodeInfo], six: list[NodeInfo], own: bytes) -> None:
    parts = {Family.IPV4: Saved(own, tuple(four)), Family.IPV6: Saved(None, tuple(six))}
    assert persist.decode(persist.encode(parts)) == parts


def test_nodes_of_the_wrong_kind_are_left_out_and_there_is_a_bound() -> None:
    many = tuple(node(n) for n in range(limits.DHT_LEADS + 9))
    odd = NodeInfo(b"o" * 20, Address("224.0.0.1", 1))
    data = persist.encode({Family.IPV4: Saved(b"i" * 20, (odd, *many))})
    assert persist.decode(data)[Family.IPV4] == Saved(b"i" * 20, many[: limits.DHT_LEADS - 1])
    assert persist.decode(None)[Family.IPV6] == Saved()
