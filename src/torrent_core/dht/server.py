"""Answers what other nodes ask (BEP 5, DHT Queries; BEP 32, 33 and 42)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import attrs

from ..events import PeersFound
from ..limits import DHT_K, DHT_VALUES_A_REPLY, MAX_KRPC_REPLY
from ..types import Address, Family, InfoHash, PeerSource
from ..wire import krpc
from ..wire.contacts import NodeInfo
from ..wire.krpc_values import (
    AnnouncePeer,
    BadQuery,
    ErrorCode,
    Failure,
    FindNode,
    GetPeers,
    Query,
    Reply,
    Response,
)
from .desk import VERSION, Desk
from .flood import FloodGate
from .overlay import Overlay
from .searches import Searches
from .storage import PeerStore, StoredPeer
from .tokens import Tokens

_VALUE_BYTES = {Family.IPV4: 6 + 2, Family.IPV6: 18 + 3}
"""What one peer takes in a reply, its length before it."""

_Refusal: TypeAlias = tuple[ErrorCode, str]


class Server:
    """For one of the two DHTs: what is announced over IPv4 stays in the DHT of IPv4."""

    __slots__ = ("_desk", "_family", "_gate", "_overlays", "_searches", "_tokens", "store")

    def __init__(
        self,
        desk: Desk,
        family: Family,
        overlays: Mapping[Family, Overlay],
        tokens: Tokens,
        searches: Searches,
        now: float,
    ) -> None:
        self._desk = desk
        self._family = family
        self._overlays = overlays
        self._tokens = tokens
        self._searches = searches
        self._gate = FloodGate(now)
        self.store = PeerStore()
        """What was announced to us."""

    def answer(self, query: Query | BadQuery, source: Address, now: float) -> bool:
        """Answer, unless ``source`` asks too much; whether it was answered."""
        if not self._gate.admits(source, now):
            return False
        result = self._serve(query, source, now)
        if isinstance(result, Reply):
            self._desk.send(Response(query.transaction, result, seen=source), source)
        else:
            code, text = result
            self._desk.send(Failure(query.transaction, code, text, seen=source), source)
        return True

    def _serve(self, query: Query | BadQuery, source: Address, now: float) -> Reply | _Refusal:
        if isinstance(query, BadQuery):
            return query.code, query.text
        ask = query.ask
        reply = Reply(self._overlays[self._family].table.own_id)
        if isinstance(ask, GetPeers):
            return self._peers(reply, query.transaction, ask, source, now)
        if isinstance(ask, FindNode):
            return self._with_nodes(reply, ask.target, ask.want or (self._family,))
        if isinstance(ask, AnnouncePeer) and not self._store(ask, source, now):
            return ErrorCode.PROTOCOL, "the token is not yours, or too old"
        return reply

    def _store(self, ask: AnnouncePeer, source: Address, now: float) -> bool:
        if not self._tokens.is_good(ask.token, source.host, ask.info_hash, now):
            return False
        port = source.port if ask.implied else ask.port
        peer = Address(source.host, port)
        self.store.add(ask.info_hash, StoredPeer(peer, ask.seed), now)
        if self._searches.is_wanted(ask.info_hash):
            self._desk.emit(PeersFound(ask.info_hash, PeerSource.DHT, (peer,)))
        return True

    def tell(self, info_hash: InfoHash, now: float) -> None:
        """Tell of the peers of a torrent that were announced to us: we do not ask ourselves, and
        where few meet nobody else may know of them."""
        self.store.expire(now)
        peers = self.store.sample(info_hash, DHT_VALUES_A_REPLY, False, self._desk.random)
        if peers:
            self._desk.emit(PeersFound(info_hash, PeerSource.DHT, tuple(peers)))

    def _peers(
        self, reply: Reply, transaction: bytes, ask: GetPeers, source: Address, now: float
    ) -> Reply:
        self.store.expire(now)
        filters = self.store.filters(ask.info_hash) if ask.scrape else None
        want = ask.want or (self._family,)
        if filters is not None:
            # Both lists of nodes beside both filters would not fit a packet (BEP 33).
            want = (self._family,)
            reply = attrs.evolve(reply, seed_filter=filters[0], peer_filter=filters[1])
        token = self._tokens.make(source.host, ask.info_hash, now)
        reply = self._with_nodes(attrs.evolve(reply, token=token), ask.info_hash, want)
        bare = Response(transaction, attrs.evolve(reply, values=()), seen=source)
        room = MAX_KRPC_REPLY - len(krpc.encode(bare, VERSION))
        most = min(DHT_VALUES_A_REPLY, room // _VALUE_BYTES[self._family])
        peers = self.store.sample(ask.info_hash, most, ask.no_seeds, self._desk.random)
        return attrs.evolve(reply, values=tuple(peers)) if peers else reply

    def _with_nodes(self, reply: Reply, target: bytes, want: tuple[Family, ...]) -> Reply:
        return attrs.evolve(
            reply,
            nodes=self._closest(Family.IPV4, target, want),
            nodes6=self._closest(Family.IPV6, target, want),
        )

    def _closest(
        self, family: Family, target: bytes, want: tuple[Family, ...]
    ) -> tuple[NodeInfo, ...] | None:
        overlay = self._overlays.get(family)
        if family not in want or overlay is None:
            return None
        return tuple(overlay.table.closest(target, DHT_K, sure=True))
