"""The packets of the DHT (BEP 5, KRPC Protocol; BEP 32, 33, 42 and 43), bytes to values and back.

Strict where bencode is concerned, as nobody builds a packet by hand.  A query whose arguments
make no sense is a ``BadQuery``, since its sender is owed an error; any other packet without
sense is a WireError.  Of an answer, what is optional and makes no sense is left out.
"""

from __future__ import annotations

from collections.abc import Callable

from ..bencode import Encodable, Value
from ..bencode import decode as bdecode
from ..bencode import encode as bencode
from ..errors import BencodeError, WireError
from ..limits import (
    DHT_MAX_TOKEN,
    MAX_KRPC_BYTES,
    MAX_KRPC_DEPTH,
    MAX_KRPC_TEXT,
    MAX_KRPC_TOKENS,
    MAX_KRPC_TRANSACTION,
)
from ..types import Address, Buffer, Family
from .contacts import (
    ID_BYTES,
    NODE_BYTES,
    PEER_BYTES,
    NodeInfo,
    pack_address,
    pack_nodes,
    unpack_address,
    unpack_host,
    unpack_nodes,
)
from .krpc_values import (
    AnnouncePeer,
    Ask,
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

FILTER_BYTES = 256
"""Bytes of a bloom filter (BEP 33)."""

_WANTS = {b"n4": Family.IPV4, b"n6": Family.IPV6}
_WANT_NAMES = {family: name for name, family in _WANTS.items()}

_Fields = dict[bytes, Value]


# --- Values to bytes -----------------------------------------------------------------------


def encode(packet: Packet, version: bytes | None = None) -> bytes:
    """The packet; ``version`` names the client and its version (``v``), or is left out.

    Raises WireError for an address whose host is no literal.
    """
    table: dict[bytes, Encodable] = {b"t": packet.transaction}
    if version is not None:
        table[b"v"] = version
    if isinstance(packet, Query):
        table |= _query_fields(packet)
    else:
        table |= _answer_fields(packet)
    return bencode(table)


def _query_fields(query: Query) -> dict[bytes, Encodable]:
    name, arguments = _ask_fields(query.ask)
    table: dict[bytes, Encodable] = {b"y": b"q", b"q": name, b"a": arguments}
    if query.read_only:
        table[b"ro"] = 1
    return table


def _ask_fields(ask: Ask) -> tuple[bytes, dict[bytes, Encodable]]:
    table: dict[bytes, Encodable] = {b"id": ask.node_id}
    if isinstance(ask, Ping):
        return b"ping", table
    if isinstance(ask, AnnouncePeer):
        return b"announce_peer", table | _announce_fields(ask)
    if ask.want:
        table[b"want"] = [_WANT_NAMES[family] for family in ask.want]
    if isinstance(ask, FindNode):
        return b"find_node", {**table, b"target": ask.target}
    table[b"info_hash"] = ask.info_hash
    for key, flag in ((b"noseed", ask.no_seeds), (b"scrape", ask.scrape)):
        if flag:
            table[key] = 1
    return b"get_peers", table


def _announce_fields(ask: AnnouncePeer) -> dict[bytes, Encodable]:
    table: dict[bytes, Encodable] = {b"info_hash": ask.info_hash, b"token": ask.token}
    table[b"port"] = ask.port
    for key, flag in ((b"implied_port", ask.implied), (b"seed", ask.seed)):
        if flag:
            table[key] = 1
    return table


def _answer_fields(answer: Response | Failure) -> dict[bytes, Encodable]:
    table: dict[bytes, Encodable] = {}
    if answer.seen is not None:
        table[b"ip"] = pack_address(answer.seen)
    if isinstance(answer, Failure):
        return {**table, b"y": b"e", b"e": [answer.code, answer.text]}
    return {**table, b"y": b"r", b"r": _reply_fields(answer.reply)}


def _reply_fields(reply: Reply) -> dict[bytes, Encodable]:
    table: dict[bytes, Encodable] = {b"id": reply.node_id}
    for key, nodes in ((b"nodes", reply.nodes), (b"nodes6", reply.nodes6)):
        if nodes is not None:
            table[key] = pack_nodes(nodes)
    if reply.values is not None:
        table[b"values"] = [pack_address(peer) for peer in reply.values]
    for name, field in (
        (b"token", reply.token),
        (b"BFsd", reply.seed_filter),
        (b"BFpe", reply.peer_filter),
    ):
        if field is not None:
            table[name] = field
    return table


# --- Bytes to values -----------------------------------------------------------------------


def decode(data: Buffer) -> Packet | BadQuery:
    """The one packet that a datagram holds.  Raises WireError for anything else."""
    if len(data) > MAX_KRPC_BYTES:
        raise WireError("a packet that is too long", "packet")
    try:
        table = bdecode(data, max_depth=MAX_KRPC_DEPTH, max_tokens=MAX_KRPC_TOKENS)
    except BencodeError as error:
        raise WireError(f"packet: {error.what}", error.where) from error
    transaction = table.get(b"t") if isinstance(table, dict) else None
    if not isinstance(table, dict) or not isinstance(transaction, bytes):
        raise WireError("a packet without a transaction", "t")
    if len(transaction) > MAX_KRPC_TRANSACTION:
        raise WireError("a transaction that is too long", "t")
    kind = table.get(b"y")
    if kind == b"q":
        return _query(transaction, table)
    if kind == b"r":
        return Response(transaction, _reply(table.get(b"r")), _seen(table.get(b"ip")))
    if kind == b"e":
        return _failure(transaction, table)
    raise WireError("a packet of no known kind", "y")


def _query(transaction: bytes, table: _Fields) -> Query | BadQuery:
    method, arguments = table.get(b"q"), table.get(b"a")
    if not isinstance(method, bytes) or not isinstance(arguments, dict):
        return BadQuery(transaction, ErrorCode.PROTOCOL, "a query without name or arguments")
    reader = _READERS.get(method)
    if reader is None:
        return BadQuery(transaction, ErrorCode.METHOD_UNKNOWN, "unknown method")
    ask = reader(arguments)
    if isinstance(ask, str):
        return BadQuery(transaction, ErrorCode.PROTOCOL, f"no valid {ask}")
    return Query(transaction, ask, read_only=table.get(b"ro") == 1)


def _ping(table: _Fields) -> Ping | str:
    node_id = _id(table, b"id")
    return "id" if node_id is None else Ping(node_id)


def _find_node(table: _Fields) -> FindNode | str:
    node_id, target = _id(table, b"id"), _id(table, b"target")
    if node_id is None:
        return "id"
    if target is None:
        return "target"
    return FindNode(node_id, target, _want(table.get(b"want")))


def _get_peers(table: _Fields) -> GetPeers | str:
    node_id, info_hash = _id(table, b"id"), _id(table, b"info_hash")
    if node_id is None:
        return "id"
    if info_hash is None:
        return "info_hash"
    flags = (table.get(b"noseed") == 1, table.get(b"scrape") == 1)
    return GetPeers(node_id, info_hash, _want(table.get(b"want")), *flags)


def _announce_peer(table: _Fields) -> AnnouncePeer | str:
    node_id, info_hash = _id(table, b"id"), _id(table, b"info_hash")
    if node_id is None:
        return "id"
    if info_hash is None:
        return "info_hash"
    token = table.get(b"token")
    if not isinstance(token, bytes):
        return "token"
    port = table.get(b"port")
    implied = table.get(b"implied_port", 0) != 0
    if not isinstance(port, int) or not 1 <= port <= 0xFFFF:
        if not implied:
            return "port"
        port = 0
    return AnnouncePeer(node_id, info_hash, port, token, implied, table.get(b"seed") == 1)


_READERS: dict[bytes, Callable[[_Fields], Ask | str]] = {
    b"ping": _ping,
    b"find_node": _find_node,
    b"get_peers": _get_peers,
    b"announce_peer": _announce_peer,
}
"""How each query's arguments are read: the query, or the name of what is wrong with it."""


def _id(table: _Fields, key: bytes) -> bytes | None:
    field = table.get(key)
    return field if isinstance(field, bytes) and len(field) == ID_BYTES else None


def _want(field: Value | None) -> tuple[Family, ...]:
    if not isinstance(field, list):
        return ()
    return tuple(family for name, family in _WANTS.items() if name in field)


def _reply(table: Value | None) -> Reply:
    node_id = _id(table, b"id") if isinstance(table, dict) else None
    if not isinstance(table, dict) or node_id is None:
        raise WireError("a response without an id", "r.id")
    return Reply(
        node_id,
        _nodes(table.get(b"nodes"), NODE_BYTES[0]),
        _nodes(table.get(b"nodes6"), NODE_BYTES[1]),
        _values(table.get(b"values")),
        _token(table.get(b"token")),
        _filter(table.get(b"BFsd")),
        _filter(table.get(b"BFpe")),
    )


def _nodes(field: Value | None, size: int) -> tuple[NodeInfo, ...] | None:
    return unpack_nodes(field, size) if isinstance(field, bytes) else None


def _values(field: Value | None) -> tuple[Address, ...] | None:
    if not isinstance(field, list):
        return None
    packed = (item for item in field if isinstance(item, bytes) and len(item) in PEER_BYTES)
    return tuple(peer for peer in map(unpack_address, packed) if peer.port)


def _token(field: Value | None) -> bytes | None:
    return field if isinstance(field, bytes) and len(field) <= DHT_MAX_TOKEN else None


def _filter(field: Value | None) -> bytes | None:
    return field if isinstance(field, bytes) and len(field) == FILTER_BYTES else None


def _seen(field: Value | None) -> Address | None:
    if not isinstance(field, bytes):
        return None
    if len(field) in PEER_BYTES:
        return unpack_address(field)
    return Address(unpack_host(field), 0) if len(field) in (4, 16) else None


def _failure(transaction: bytes, table: _Fields) -> Failure:
    match table.get(b"e"):
        case [int(code), bytes(text), *_]:
            said = text.decode(errors="replace")[:MAX_KRPC_TEXT]
            return Failure(transaction, code, said, _seen(table.get(b"ip")))
    raise WireError("an error without code and text", "e")
