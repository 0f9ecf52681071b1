"""Packets of the DHT: the examples of BEP 5, both ways, and whatever else a datagram may hold."""

from __future__ import annotations

import contextlib
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core import bencode
from torrent_core.errors import WireError
from torrent_core.limits import DHT_MAX_TOKEN, MAX_KRPC_BYTES, MAX_KRPC_TOKENS, MAX_KRPC_TRANSACTION
from torrent_core.types import Address, Family
from torrent_core.wire import krpc
from torrent_core.wire.contacts import NodeInfo, pack_address, unpack_nodes
from torrent_core.wire.krpc_values import (
    AnnouncePeer,
    BadQuery,
    ErrorCode,
    Failure,
    FindNode,
    GetPeers,
    Packet,
    Ping,
    Query,
    Reply,
    Response,
)

ASKER, ANSWERER = b"abcdefghij0123456789", b"mnopqrstuvwxyz123456"

BEP_5: list[tuple[bytes, Packet]] = [
    (
        b"d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee",
        Failure(b"aa", ErrorCode.GENERIC, "A Generic Error Ocurred"),
    ),
    (
        b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe",
        Query(b"aa", Ping(ASKER)),
    ),
    (
        b"d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re",
        Response(b"aa", Reply(ANSWERER)),
    ),
    (
        b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e"
        b"1:q9:find_node1:t2:aa1:y1:qe",
        Query(b"aa", FindNode(ASKER, ANSWERER)),
    ),
    (
        b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e"
        b"1:q9:get_peers1:t2:aa1:y1:qe",
        Query(b"aa", GetPeers(ASKER, ANSWERER)),
    ),
    (
        b"d1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee"
        b"1:t2:aa1:y1:re",
        Response(
            b"aa",
            Reply(
                ASKER,
                values=(
                    Address("97.120.106.101", int.from_bytes(b".u", "big")),
                    Address("105.100.104.116", int.from_bytes(b"nm", "big")),
                ),
                token=b"aoeusnth",
            ),
        ),
    ),
    (
        b"d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz123456"
        b"4:porti6881e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe",
        Query(b"aa", AnnouncePeer(ASKER, ANSWERER, 6881, b"aoeusnth", implied=True)),
    ),
]
"""The example packets of BEP 5 (Errors; DHT Queries), in its order, but for the two below."""

ids = st.binary(min_size=20, max_size=20)
ports = st.integers(1, 0xFFFF)
hosts4 = st.integers(0, 2**32 - 1).map(lambda n: str(IPv4Address(n)))
hosts6 = st.integers(0, 2**128 - 1).map(lambda n: str(IPv6Address(n)))
addresses4, addresses6 = st.builds(Address, hosts4, ports), st.builds(Address, hosts6, ports)
tokens = st.binary(max_size=DHT_MAX_TOKEN)
wants = st.sampled_from([(), (Family.IPV4,), (Family.IPV6,), (Family.IPV4, Family.IPV6)])
transactions = st.binary(max_size=MAX_KRPC_TRANSACTION)
flags = st.booleans()
filters = st.none() | st.binary(min_size=256, max_size=256)
asks = st.one_of(
    st.builds(Ping, ids),
    st.builds(FindNode, ids, ids, wants),
    st.builds(GetPeers, ids, ids, wants, flags, flags),
    st.builds(AnnouncePeer, ids, ids, ports, tokens, flags, flags),
)
seen = st.none() | addresses4 | addresses6


def lists(of: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.none() | st.lists(of, max_size=9).map(tuple)


packets: st.SearchStrategy[Packet] = st.one_of(
    st.builds(Query, transactions, asks, flags),
    st.builds(
        Response,
        transactions,
        st.builds(
            Reply,
            ids,
            lists(st.builds(NodeInfo, ids, addresses4)),
            lists(st.builds(NodeInfo, ids, addresses6)),
            lists(addresses4 | addresses6),
            st.none() | tokens,
            filters,
            filters,
        ),
        seen,
    ),
    st.builds(Failure, transactions, st.integers(0, 999), st.text(max_size=20), seen),
)


@given(packets, st.none() | st.just(b"TC01"))
def test_what_is_encoded_decodes_to_the_same(packet: Packet, version: bytes | None) -> None:
    assert krpc.decode(krpc.encode(packet, version)) == packet


@pytest.mark.parametrize(("data", "packet"), BEP_5)
def test_the_examples_of_bep_5_are_read_and_written(data: bytes, packet: Packet) -> None:
    assert krpc.decode(data) == packet
    assert krpc.encode(packet) == data


@pytest.mark.parametrize(
    ("data", "reply"),
    [
        (
            b"d1:rd2:id20:0123456789abcdefghij5:nodes9:def456...e1:t2:aa1:y1:re",
            Reply(b"0123456789abcdefghij", nodes=()),
        ),
        (
            b"d1:rd2:id20:abcdefghij01234567895:nodes9:def456...5:token8:aoeusnthe1:t2:aa1:y1:re",
            Reply(ASKER, nodes=(), token=b"aoeusnth"),
        ),
    ],
)
def test_examples_of_bep_5_whose_nodes_are_symbolic_are_read(data: bytes, reply: Reply) -> None:
    assert krpc.decode(data) == Response(b"aa", reply)


leaves = st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=40)
keys = st.sampled_from(
    [
        b"id",
        b"target",
        b"info_hash",
        b"token",
        b"port",
        b"implied_port",
        b"want",
        b"nodes",
        b"nodes6",
        b"values",
        b"BFsd",
        b"BFpe",
        b"seed",
        b"scrape",
        b"noseed",
    ]
)
odd = st.recursive(
    leaves | ids,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=8,
)
tables = st.fixed_dictionaries(
    {b"t": st.binary(max_size=4) | odd, b"y": st.sampled_from([b"q", b"r", b"e", b"x"]) | odd},
    optional={
        b"q": st.sampled_from([b"ping", b"find_node", b"get_peers", b"announce_peer", b"put"]),
        b"a": st.dictionaries(keys, odd | ids, max_size=6) | odd,
        b"r": st.dictionaries(keys, odd | ids, max_size=6) | odd,
        b"e": st.lists(odd, max_size=3) | odd,
        b"ip": odd,
        b"ro": odd,
    },
)


@given(st.binary(max_size=80) | tables.map(bencode.encode) | odd.map(bencode.encode))
def test_any_datagram_gives_a_packet_or_a_wire_error(data: bytes) -> None:
    try:
        packet = krpc.decode(data)
    except WireError:
        return
    if not isinstance(packet, BadQuery):
        assert krpc.decode(krpc.encode(packet)) == packet


@given(packets, st.data())
def test_a_packet_with_one_byte_changed_gives_a_packet_or_a_wire_error(
    packet: Packet, data: st.DataObject
) -> None:
    raw = bytearray(krpc.encode(packet))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(WireError):
        krpc.decode(raw)


def query(name: object = b"ping", arguments: object = None, **more: object) -> bytes:
    fields = {"t": b"aa", "y": b"q", "q": name, "a": arguments, **more}
    return bencode.encode({k: v for k, v in fields.items() if v is not None})  # type: ignore[arg-type,misc]


FULL = {b"id": ASKER, b"target": ASKER, b"info_hash": ASKER, b"token": b"x", b"port": 6881}


def without(key: bytes, **changed: object) -> dict[bytes, object]:
    table: dict[bytes, object] = {k: v for k, v in FULL.items() if k != key}
    return table | {k.encode(): v for k, v in changed.items()}


@pytest.mark.parametrize(
    ("data", "code", "text"),
    [
        (query(None, FULL), ErrorCode.PROTOCOL, "a query without name or arguments"),
        (query(b"ping", [1]), ErrorCode.PROTOCOL, "a query without name or arguments"),
        (query(b"put", FULL), ErrorCode.METHOD_UNKNOWN, "unknown method"),
        (query(b"ping", {}), ErrorCode.PROTOCOL, "no valid id"),
        (query(b"find_node", without(b"id")), ErrorCode.PROTOCOL, "no valid id"),
        (query(b"find_node", without(b"target")), ErrorCode.PROTOCOL, "no valid target"),
        (query(b"get_peers", without(b"id")), ErrorCode.PROTOCOL, "no valid id"),
        (query(b"get_peers", without(b"info_hash")), ErrorCode.PROTOCOL, "no valid info_hash"),
        (query(b"announce_peer", without(b"id")), ErrorCode.PROTOCOL, "no valid id"),
        (query(b"announce_peer", without(b"info_hash")), ErrorCode.PROTOCOL, "no valid info_hash"),
        (query(b"announce_peer", without(b"token")), ErrorCode.PROTOCOL, "no valid token"),
        (query(b"announce_peer", without(b"port")), ErrorCode.PROTOCOL, "no valid port"),
        (query(b"announce_peer", without(b"port", port=0)), ErrorCode.PROTOCOL, "no valid port"),
        (query(b"announce_peer", without(b"", port=65536)), ErrorCode.PROTOCOL, "no valid port"),
    ],
)
def test_a_query_without_sense_says_what_its_sender_is_owed(
    data: bytes, code: ErrorCode, text: str
) -> None:
    assert krpc.decode(data) == BadQuery(b"aa", code, text)


def test_a_port_is_not_needed_where_it_is_implied() -> None:
    packet = krpc.decode(query(b"announce_peer", without(b"port", implied_port=1)))
    assert packet == Query(b"aa", AnnouncePeer(ASKER, ASKER, 0, b"x", implied=True))


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "packet: the end comes too early"),
        (b"i1e", "a packet without a transaction"),
        (b"de", "a packet without a transaction"),
        (b"d1:ti1e1:y1:qe", "a packet without a transaction"),
        (b"d1:t2:aae", "a packet of no known kind"),
        (b"d1:rd2:id2:nge1:t2:aa1:y1:re", "a response without an id"),
        (b"d1:rle1:t2:aa1:y1:re", "a response without an id"),
        (b"d1:eli201ee1:t2:aa1:y1:ee", "an error without code and text"),
        (b"d1:y1:q1:t2:aae", "packet: keys out of order, or twice the same"),
        (b"d1:t" + b"l" * 10 + b"e" * 10 + b"1:y1:qe", "packet: too many levels"),
        (b"d1:tl" + b"le" * MAX_KRPC_TOKENS + b"ee", "packet: too many values"),
        (b"d1:t33:" + bytes(33) + b"1:y1:qe", "a transaction that is too long"),
        (b"d1:t5000:" + bytes(5000) + b"e", "a packet that is too long"),
    ],
)
def test_what_is_no_packet_is_refused_with_the_reason(data: bytes, what: str) -> None:
    with pytest.raises(WireError) as caught:
        krpc.decode(data)
    assert caught.value.what == what


def response(**fields: object) -> Response:
    table = {
        "t": b"aa",
        "y": b"r",
        "r": {b"id": ASKER} | {k.encode(): v for k, v in fields.items()},
    }
    packet = krpc.decode(bencode.encode(table))  # type: ignore[arg-type]
    assert isinstance(packet, Response)
    return packet


def test_port_0_and_odd_entries_are_left_out_of_a_reply() -> None:
    good4, good6 = Address("192.0.2.1", 1), Address("2001:db8::1", 2)
    values = [pack_address(good4), b"odd", 7, pack_address(good6), b"\x01\x02\x03\x04\x00\x00"]
    assert response(values=values).reply.values == (good4, good6)
    nodes = ASKER + pack_address(good4) + ASKER + bytes(6) + b"rest"
    assert response(nodes=nodes).reply.nodes == (NodeInfo(ASKER, good4),)
    assert unpack_nodes(ASKER + pack_address(good6), 38) == (NodeInfo(ASKER, good6),)


def test_optional_fields_without_sense_are_left_out() -> None:
    odd = {"nodes": 1, "nodes6": [], "values": b"", "BFsd": bytes(255), "BFpe": 3}
    assert response(**odd, token=bytes(DHT_MAX_TOKEN + 1)).reply == Reply(ASKER)


@pytest.mark.parametrize(
    ("ip", "seen"),
    [
        (b"\xc0\x00\x02\x01\x1a\xe1", Address("192.0.2.1", 6881)),
        (b"\xc0\x00\x02\x01", Address("192.0.2.1", 0)),
        (bytes(15) + b"\x01", Address("::1", 0)),
        (b"odd", None),
        (1, None),
    ],
)
def test_the_senders_view_of_our_address_is_read_in_every_common_form(
    ip: bytes | int, seen: Address | None
) -> None:
    table = {"t": b"aa", "y": b"r", "r": {"id": ASKER}, "ip": ip}
    packet = krpc.decode(bencode.encode(table))  # type: ignore[arg-type]
    assert isinstance(packet, Response)
    assert packet.seen == seen


def test_wants_that_nobody_knows_are_ignored() -> None:
    packet = krpc.decode(query(b"find_node", without(b"", want=[b"n9", b"n6", 1])))
    assert packet == Query(b"aa", FindNode(ASKER, ASKER, (Family.IPV6,)))


def test_an_error_text_is_cut_and_need_not_be_utf_8() -> None:
    packet = krpc.decode(bencode.encode({"t": b"aa", "y": b"e", "e": [201, b"\xff" * 900, b"z"]}))
    assert isinstance(packet, Failure)
    assert packet.text == "\ufffd" * 128


def test_a_host_name_cannot_be_packed() -> None:
    with pytest.raises(WireError, match="not a literal address"):
        krpc.encode(Response(b"aa", Reply(ASKER), seen=Address("example.org", 1)))


def test_the_longest_packet_is_a_packet() -> None:
    empty = b"d1:rd2:id20:mnopqrstuvwxyz1234561:x4000:e1:t2:aa1:y1:re"
    filled = empty.replace(b"1:x4000:", b"1:x4000:" + bytes(4000))
    assert len(filled) <= MAX_KRPC_BYTES
    assert krpc.decode(filled) == Response(b"aa", Reply(ANSWERER))
