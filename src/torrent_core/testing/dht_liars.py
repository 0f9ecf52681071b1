"""Nodes of the DHT that do harm: one kind of answer each, to whatever they are asked."""

from __future__ import annotations

from enum import Enum
from random import Random

from .. import bencode
from ..types import Address
from ..wire import krpc
from ..wire.contacts import ID_BYTES, NodeInfo, pack_address
from ..wire.krpc_values import Failure, FindNode, GetPeers, Query, Reply, Response

PEERS_CLAIMED = 450
"""Peers that a boaster names in one packet, about as many as a packet may have."""


class Lie(Enum):
    """What a liar answers; the value is what it does."""

    CROWD = "names nodes right beside the target, where nobody is"
    GARBAGE = "sends what is no packet"
    ELSEWHERE = "answers from another address"
    FORGED = "answers with a transaction of its own"
    BOAST = "names hundreds of peers, with port 0 and twice the same among them"
    MIRROR = "sends the asker to the asker"
    LOCAL = "sends the asker into his own network"
    TWICE = "answers, and answers again"
    OTHER_ID = "answers under another id each time"
    REFUSE = "answers with an error"


Sent = list[tuple[Address, bytes]]
"""Datagrams, each with the address that it comes from."""


def answers(lie: Lie, query: Query, own: NodeInfo, asker: Address, random: Random) -> Sent:
    """What a liar at ``own`` sends back."""
    me = own.address
    target = _target(query)
    reply = Reply(own.node_id, token=b"liar")
    if lie is Lie.GARBAGE:
        return [(me, random.randbytes(random.randrange(200)))]
    if lie is Lie.REFUSE:
        return [(me, krpc.encode(Failure(query.transaction, 202, "no")))]
    if lie is Lie.FORGED:
        return [(me, krpc.encode(Response(random.randbytes(4), reply)))]
    if lie is Lie.BOAST:
        return [(me, _boast(query, own, random))]
    if lie is Lie.CROWD:
        nodes = tuple(_beside(target, random) for _ in range(16))
        reply = Reply(own.node_id, nodes, token=b"liar")
    elif lie is Lie.MIRROR:
        nodes = (NodeInfo(query.ask.node_id, asker), NodeInfo(target, asker))
        reply = Reply(own.node_id, nodes, values=(asker,), token=b"liar")
    elif lie is Lie.LOCAL:
        nodes = tuple(NodeInfo(random.randbytes(20), Address("127.0.0.1", p)) for p in (1, 80))
        reply = Reply(own.node_id, nodes, values=(Address("192.168.1.1", 80),), token=b"liar")
    elif lie is Lie.OTHER_ID:
        reply = Reply(random.randbytes(ID_BYTES), token=b"liar")
    answer = krpc.encode(Response(query.transaction, reply))
    if lie is Lie.ELSEWHERE:
        return [(Address(me.host, me.port + 1), answer), (Address("99.99.99.99", 9), answer)]
    return [(me, answer)] * (2 if lie is Lie.TWICE else 1)


def _target(query: Query) -> bytes:
    if isinstance(query.ask, FindNode):
        return query.ask.target
    return query.ask.info_hash if isinstance(query.ask, GetPeers) else query.ask.node_id


def _beside(target: bytes, random: Random) -> NodeInfo:
    node_id = target[:16] + random.randbytes(4)
    host = f"{random.randrange(40, 100)}.{random.randrange(256)}.{random.randrange(256)}.1"
    return NodeInfo(node_id, Address(host, 6881))


def _boast(query: Query, own: NodeInfo, random: Random) -> bytes:
    host = f"33.{random.randrange(256)}.{random.randrange(256)}"
    peers: list[bencode.Encodable] = [
        pack_address(Address(f"{host}.{n % 225}", n % 225)) for n in range(PEERS_CLAIMED)
    ]
    table: bencode.Encodable = {b"id": own.node_id, b"token": b"liar", b"values": peers}
    return bencode.encode({"t": query.transaction, "y": b"r", "r": table})
