"""The packets of the DHT as values; ``krpc`` turns them into bytes and back."""

from __future__ import annotations

from enum import IntEnum
from typing import TypeAlias

from ..classes import frozen
from ..types import Address, Family, InfoHash
from .contacts import NodeInfo


class ErrorCode(IntEnum):
    """Why a query is not served (BEP 5, Errors)."""

    GENERIC = 201
    SERVER = 202
    PROTOCOL = 203
    METHOD_UNKNOWN = 204


@frozen
class Ping:
    """BEP 5, ping.  ``node_id`` is the sender's, here and below."""

    node_id: bytes


@frozen
class FindNode:
    """BEP 5, find_node; ``want`` (BEP 32) is empty for the family it is sent by."""

    node_id: bytes
    target: bytes
    want: tuple[Family, ...] = ()


@frozen
class GetPeers:
    """BEP 5, get_peers; ``no_seeds`` and ``scrape`` are BEP 33's."""

    node_id: bytes
    info_hash: InfoHash
    want: tuple[Family, ...] = ()
    no_seeds: bool = False
    scrape: bool = False


@frozen
class AnnouncePeer:
    """BEP 5, announce_peer: the sender's host takes part in this torrent, at ``port``, or, if
    that is ``implied``, at the port it sends from.  ``seed`` is BEP 33's."""

    node_id: bytes
    info_hash: InfoHash
    port: int
    """1 to 65535; 0 where it is implied and not given."""
    token: bytes
    implied: bool = False
    seed: bool = False


Ask: TypeAlias = Ping | FindNode | GetPeers | AnnouncePeer


@frozen
class Query:
    """Asks for something; who is ``read_only`` (BEP 43) answers nothing himself."""

    transaction: bytes
    ask: Ask
    read_only: bool = False


@frozen
class BadQuery:
    """A query that nobody can serve: what a ``Failure`` would say of it."""

    transaction: bytes
    code: ErrorCode
    text: str


@frozen
class Reply:
    """What a response holds: a field for everything that any of the queries asks for."""

    node_id: bytes
    """The sender's."""
    nodes: tuple[NodeInfo, ...] | None = None
    """IPv4 nodes close to the target."""
    nodes6: tuple[NodeInfo, ...] | None = None
    """IPv6 nodes close to the target (BEP 32)."""
    values: tuple[Address, ...] | None = None
    """Peers."""
    token: bytes | None = None
    """What an announce to this node must repeat."""
    seed_filter: bytes | None = None
    """Bloom filter of the hosts of seeds, 256 bytes (BEP 33, BFsd)."""
    peer_filter: bytes | None = None
    """Bloom filter of the hosts of other peers, 256 bytes (BEP 33, BFpe)."""


@frozen
class Response:
    """Answers a query.  ``seen`` is the asker's address as the sender sees it (BEP 42, ip);
    its port is 0 where it is left out."""

    transaction: bytes
    reply: Reply
    seen: Address | None = None


@frozen
class Failure:
    """Answers a query that could not be served."""

    transaction: bytes
    code: int
    text: str
    seen: Address | None = None


Packet: TypeAlias = Query | Response | Failure
