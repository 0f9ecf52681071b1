"""The routing tables over a restart: nodes to begin with, and the ids that they know us by.

Whatever of it makes no sense is left out: it costs a slower start, nothing else.
"""

from __future__ import annotations

from ..bencode import Encodable
from ..bencode import decode as bdecode
from ..bencode import encode as bencode
from ..classes import frozen
from ..errors import BencodeError
from ..limits import DHT_LEADS
from ..types import Family
from ..wire.contacts import ID_BYTES, NODE_BYTES, NodeInfo, pack_nodes, unpack_nodes
from .hosts import family_of

_KEYS = {Family.IPV4: (b"id", b"nodes"), Family.IPV6: (b"id6", b"nodes6")}
_SIZES = {Family.IPV4: NODE_BYTES[0], Family.IPV6: NODE_BYTES[1]}


@frozen
class Saved:
    """What is kept of one DHT."""

    node_id: bytes | None = None
    nodes: tuple[NodeInfo, ...] = ()


def encode(saved: dict[Family, Saved]) -> bytes:
    """What ``SaveNodes`` carries."""
    table: dict[bytes, Encodable] = {}
    for family, part in saved.items():
        id_key, nodes_key = _KEYS[family]
        if part.node_id is not None:
            table[id_key] = part.node_id
        table[nodes_key] = pack_nodes(part.nodes[:DHT_LEADS])
    return bencode(table)


def decode(data: bytes | None) -> dict[Family, Saved]:
    """What was kept, as far as it makes sense; nothing raises."""
    try:
        table = bdecode(data or b"de", strict=False)
    except BencodeError:
        table = {}
    if not isinstance(table, dict):
        table = {}
    return {
        family: _part(table.get(keys[0]), table.get(keys[1]), family)
        for family, keys in _KEYS.items()
    }


def _part(node_id: object, nodes: object, family: Family) -> Saved:
    own = node_id if isinstance(node_id, bytes) and len(node_id) == ID_BYTES else None
    packed = nodes[: DHT_LEADS * _SIZES[family]] if isinstance(nodes, bytes) else b""
    found = unpack_nodes(packed, _SIZES[family])
    return Saved(own, tuple(node for node in found if family_of(node.address) is family))
