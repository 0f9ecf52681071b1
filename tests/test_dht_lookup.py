"""One lookup: whom it asks, what it believes, and when it ends."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from dht_kit import node
from torrent_core.dht.lookup import Aim, Lookup
from torrent_core.dht.node_id import number
from torrent_core.limits import (
    DHT_ALPHA,
    DHT_CANDIDATES,
    DHT_K,
    DHT_NODES_A_REPLY,
    DHT_PEERS_A_SEARCH,
    DHT_QUERIES_A_LOOKUP,
)
from torrent_core.types import Address
from torrent_core.wire.contacts import NodeInfo
from torrent_core.wire.krpc_values import Reply

TARGET, OWN = b"T" * 20, b"O" * 20


def lookup(*nodes: NodeInfo) -> Lookup:
    made = Lookup(Aim.PEERS, TARGET, OWN)
    for info in nodes:
        made.suggest(info)
    return made


def by_distance(nodes: list[NodeInfo]) -> list[NodeInfo]:
    return sorted(nodes, key=lambda info: number(info.node_id) ^ number(TARGET))


def take_all(made: Lookup) -> list[NodeInfo]:
    return list(iter(made.take_next, None))


def reply(made: Lookup, info: NodeInfo, *nodes: NodeInfo, **fields: object) -> list[Address]:
    return made.replied(info, Reply(info.node_id, **fields), nodes)  # type: ignore[arg-type]


NODES = by_distance([node(n) for n in range(40)])


def test_the_closest_are_asked_first_and_only_so_many_at_once() -> None:
    made = lookup(*reversed(NODES))
    assert take_all(made) == NODES[:DHT_ALPHA]
    made.slow(NODES[0])
    assert take_all(made) == [NODES[DHT_ALPHA]]
    made.failed(NODES[1], was_slow=False)
    assert take_all(made) == [NODES[DHT_ALPHA + 1]]


def test_it_ends_when_the_k_closest_have_answered() -> None:
    made = lookup(*NODES)
    asked = []
    while (info := made.take_next()) is not None:
        asked.append(info)
        reply(made, info)
    assert asked == NODES[:DHT_K]
    assert made.check_end()
    assert made.replies == made.asked == DHT_K
    assert made.take_next() is None
    assert not made.check_end()


def test_it_ends_at_once_without_anybody_to_ask() -> None:
    assert lookup().check_end()


def test_who_is_slow_is_not_waited_for_but_heard() -> None:
    made = lookup(NODES[0], NODES[1])
    take_all(made)
    made.slow(NODES[0])
    assert not made.check_end()
    reply(made, NODES[1])
    assert made.check_end()
    assert reply(made, NODES[0], values=(Address("60.1.1.1", 1),)) == [Address("60.1.1.1", 1)]
    assert made.in_flight == 0


def test_nodes_that_answers_tell_of_are_asked() -> None:
    made = lookup(NODES[30])
    assert take_all(made) == [NODES[30]]
    reply(made, NODES[30], NODES[3], NODES[1], NodeInfo(OWN, Address("60.1.1.1", 1)))
    assert take_all(made) == [NODES[1], NODES[3]]


def test_a_node_whose_id_does_not_fit_its_address_cannot_end_a_lookup() -> None:
    crowd = [NodeInfo(TARGET[:19] + bytes([n]), Address(f"61.1.1.{n}", 6881)) for n in range(1, 20)]
    made = lookup(*crowd, *NODES[:10])
    asked = []
    while (info := made.take_next()) is not None:
        asked.append(info)
        reply(made, info, token=b"t")
    assert asked == by_distance(crowd) + NODES[:DHT_K]
    assert [info for info, _ in made.holders()] == NODES[:DHT_K]


def test_who_has_no_better_announces_to_those_that_do_not_fit() -> None:
    misfit = NodeInfo(TARGET[:19] + b"x", Address("61.1.1.1", 1))
    made = lookup(misfit, NODES[0], NODES[1])
    take_all(made)
    reply(made, misfit, token=b"a")
    reply(made, NODES[0], token=b"b")
    reply(made, NODES[1])
    assert made.holders() == [(NODES[0], b"b"), (misfit, b"a")]


def test_nobody_is_asked_twice_nor_two_of_one_place() -> None:
    twin = NodeInfo(NODES[1].node_id[:19] + b"?", NODES[1].address)
    renamed = NodeInfo(NODES[0].node_id, Address("61.1.1.1", 1))
    made = lookup(NODES[0], NODES[0], renamed, NODES[1], twin)
    assert take_all(made) == [NODES[0], NODES[1]]


def test_an_answer_under_another_name_counts_for_nothing() -> None:
    made = lookup(NODES[0])
    take_all(made)
    other = Reply(NODES[1].node_id, values=(Address("60.1.1.1", 1),), token=b"t")
    assert made.replied(NODES[0], other, (NODES[2],)) == []
    assert (made.replies, made.holders()) == (0, [])
    assert made.check_end()


def test_far_nodes_do_not_tell_of_near_ones() -> None:
    made = lookup(NODES[0])
    take_all(made)
    near = Address("192.168.1.1", 80)
    told = reply(made, NODES[0], NodeInfo(NODES[1].node_id, near), values=(near,))
    assert told == []
    assert made.take_next() is None


def test_peers_are_told_once_and_there_is_a_bound() -> None:
    made = lookup(NODES[0], NODES[1])
    take_all(made)
    many = tuple(Address(f"60.{n >> 8}.{n & 255}.1", 1) for n in range(DHT_PEERS_A_SEARCH + 50))
    assert reply(made, NODES[0], values=(many[0], many[0], many[1])) == list(many[:2])
    assert reply(made, NODES[1], values=many) == list(many[2:DHT_PEERS_A_SEARCH])


def test_a_reply_may_name_so_many_nodes() -> None:
    made = lookup(NODES[39])
    take_all(made)
    reply(made, NODES[39], *[node(n) for n in range(100, 100 + 2 * DHT_NODES_A_REPLY)])
    asked = []
    while (info := made.take_next()) is not None:
        made.failed(info, was_slow=False)
        asked.append(info)
    assert len(asked) == DHT_NODES_A_REPLY


def test_closer_nodes_displace_farther_ones_that_were_not_asked() -> None:
    many = by_distance([node(n) for n in range(DHT_CANDIDATES + 20)])
    made = lookup(*many[20:])
    first = made.take_next()
    assert first == many[20]
    for info in many[:20]:
        made.suggest(info)
    made.suggest(many[-1])  # it had to go, and comes too late
    asked = []
    while (info := made.take_next()) is not None:
        made.failed(info, was_slow=False)
        asked.append(info)
    assert asked == many[:20] + many[21:DHT_CANDIDATES]


def test_routers_are_asked_when_nobody_else_is_left() -> None:
    router = Address("61.1.1.1", 1)
    made = lookup(NODES[0])
    made.suggest_router(router)
    assert take_all(made) == [NODES[0], NodeInfo(b"", router)]
    made.failed(NODES[0], was_slow=False)
    assert not made.check_end()
    made.router_replied(NodeInfo(b"R" * 20, router), (NODES[1],), was_slow=False)
    assert made.replies == 1
    assert take_all(made) == [NODES[1]]
    reply(made, NODES[1])
    assert made.check_end()


def test_routers_may_be_slow_or_silent_like_others() -> None:
    routers = [Address(f"61.1.1.{n}", 1) for n in range(3)]
    made = lookup()
    for router in routers:
        made.suggest_router(router)
    take_all(made)
    for router in routers[:2]:
        made.slow(NodeInfo(b"", router))
    made.failed(NodeInfo(b"", routers[0]), was_slow=True)
    made.failed(NodeInfo(b"", routers[2]), was_slow=False)
    assert made.in_flight == 0
    made.router_replied(NodeInfo(b"R" * 20, routers[1]), (NODES[0],), was_slow=True)
    assert take_all(made) == [NODES[0]]


def test_an_endless_crowd_costs_so_many_queries() -> None:
    made, random = lookup(NODES[0]), Random(1)
    while not made.check_end():
        for info in take_all(made):
            fresh = [
                NodeInfo(
                    TARGET[:12] + random.randbytes(8),
                    Address(f"62.{random.randrange(256)}.{random.randrange(256)}.1", 1),
                )
                for _ in range(16)
            ]
            reply(made, info, *fresh)
    assert made.asked == DHT_QUERIES_A_LOOKUP


def test_the_last_queries_are_waited_for() -> None:
    made = lookup(*[node(n) for n in range(DHT_CANDIDATES)])
    while made.asked < DHT_QUERIES_A_LOOKUP:
        info = made.take_next()
        assert info is not None
        if made.asked < DHT_QUERIES_A_LOOKUP:
            made.failed(info, was_slow=False)
    assert not made.check_end()
    assert made.take_next() is None
    made.suggest(NodeInfo(TARGET, Address("61.1.1.1", 1)))
    made.slow(info)
    assert made.check_end()


answers = st.sampled_from(["reply", "fail", "slow", "other"])


@given(st.lists(st.tuples(answers, st.integers(0, 200), st.integers(0, 200)), max_size=300))
def test_every_lookup_ends_and_asks_nobody_twice(script: list[tuple[str, int, int]]) -> None:
    made, out, asked = lookup(node(0), node(1)), [], []
    moves = iter(script)
    for _ in range(1000):
        fresh = take_all(made)
        asked += fresh
        out += fresh
        assert 0 <= made.in_flight <= DHT_ALPHA
        if made.check_end():
            break
        what, one, other = next(moves, ("fail", 0, 0))
        info = out.pop(one % len(out))
        if what == "reply":
            reply(made, info, node(one), node(other))
        elif what == "slow":
            made.slow(info)
        elif what == "other":
            made.replied(info, Reply(node(one + 500).node_id), ())
        else:
            made.failed(info, was_slow=False)
    assert made.ended
    assert len(set(asked)) == len(asked) <= DHT_QUERIES_A_LOOKUP
