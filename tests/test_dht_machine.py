"""Any order of events, from hostile nodes above all: nothing raises, everything is bounded,
every search ends, and what is told of peers makes sense."""

from __future__ import annotations

from itertools import count
from random import Random

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dht_kit import node, node6
from torrent_core import limits
from torrent_core.actions import Resolve, SaveNodes, SendDatagram
from torrent_core.dht import Dht, DhtConfig, persist
from torrent_core.dht.desk import Found
from torrent_core.dht.hosts import family_of
from torrent_core.events import DatagramReceived, PeersFound, Resolved, Tick
from torrent_core.types import Address, Family
from torrent_core.wire import krpc
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

TORRENTS = [bytes([n]) * 20 for n in range(4)]
ODD = [
    NodeInfo(b"o" * 20, Address("127.0.0.1", 80)),
    NodeInfo(b"p" * 20, Address("224.0.0.1", 80)),
    NodeInfo(TORRENTS[0], Address("66.6.6.6", 1)),
]
nodes4 = st.integers(1, 60).map(node) | st.sampled_from(ODD)
nodes6 = st.integers(1, 20).map(node6)
nodes = nodes4 | nodes6
torrents = st.sampled_from(TORRENTS)
families = st.sampled_from([(), (Family.IPV4,), (Family.IPV4, Family.IPV6)])
seen = st.none() | st.integers(1, 2).map(lambda n: Address(f"77.1.1.{n}", 5))
tokens = st.none() | st.binary(max_size=8)
filters = st.none() | st.binary(min_size=256, max_size=256)
replies = st.builds(
    Reply,
    st.just(b""),
    st.none() | st.lists(nodes4, max_size=40).map(tuple),
    st.none() | st.lists(nodes6, max_size=10).map(tuple),
    st.none() | st.lists(nodes.map(lambda info: info.address), max_size=20).map(tuple),
    tokens,
    filters,
    filters,
)


class DhtMachine(RuleBasedStateMachine):
    """A ``Dht`` whose whole neighbourhood is drawn by hypothesis."""

    def __init__(self) -> None:
        super().__init__()
        ids = count(1)
        config = DhtConfig(routers=(Address("router.example", 6881), Address("51.1.1.1", 1)))
        self.dht = Dht(b"secret", Random(1), config, lambda: next(ids))
        self.now = 0.0
        self.queries: list[tuple[Query, Address]] = []
        self.resolves: list[int] = []
        self.wanted: dict[bytes, None] = {}
        self.keep(self.dht.start(self.now))

    def keep(self, found: list[Found]) -> None:
        for item in found:
            if isinstance(item, PeersFound):
                assert item.torrent in self.wanted
                assert all(family_of(peer) for peer in item.peers)
            elif isinstance(item, Resolve):
                self.resolves.append(item.resolve_id)
            elif isinstance(item, SaveNodes):
                assert persist.encode(persist.decode(item.data)) == item.data
            else:
                assert isinstance(item, SendDatagram)
                assert len(item.data) <= limits.MAX_KRPC_REPLY
                assert family_of(item.address) is not None
                packet = krpc.decode(item.data)
                if isinstance(packet, Query):
                    self.queries.append((packet, item.address))
        del self.queries[:-300]

    def receive(self, data: bytes, source: Address) -> None:
        self.keep(self.dht.handle(DatagramReceived(source, data), self.now))

    # --- The caller ---------------------------------------------------------------------------

    @rule(torrent=torrents, port=st.none() | st.integers(1, 9), scrape=st.booleans())
    def search(self, torrent: bytes, port: int | None, scrape: bool) -> None:
        if self.dht.is_running:
            self.wanted[torrent] = None
            self.keep(self.dht.search(torrent, port, self.now, scrape=scrape))

    @rule(torrent=torrents)
    def forget(self, torrent: bytes) -> None:
        self.dht.forget(torrent)
        self.wanted.pop(torrent, None)

    @rule(info=nodes)
    def hear_of(self, info: NodeInfo) -> None:
        if self.dht.is_running and family_of(info.address) is not None:
            self.keep(self.dht.add_node(info.address, self.now))

    @rule()
    def restart(self) -> None:
        self.keep(self.dht.stop(self.now))
        assert self.dht.next_deadline() is None
        self.wanted.clear()
        self.keep(self.dht.start(self.now))

    @rule(hosts=st.lists(st.sampled_from(["51.1.1.2", "2a00::9", "bad", "0.0.0.0"])).map(tuple))
    def resolved(self, hosts: tuple[str, ...]) -> None:
        if self.resolves:
            self.keep(self.dht.handle(Resolved(self.resolves.pop(), hosts), self.now))

    # --- The network --------------------------------------------------------------------------

    @rule(which=st.integers(0, 30), reply=replies, seen=seen, honest=st.booleans())
    def answer(self, which: int, reply: Reply, seen: Address | None, honest: bool) -> None:
        if not self.queries:
            return
        query, address = self.queries[-1 - which % len(self.queries)]
        names = [info.node_id for info in map(node, range(1, 61)) if info.address == address]
        name = names[0] if honest and names else bytes([which]) * 20
        fields = {a: getattr(reply, a) for a in ("nodes", "nodes6", "values", "token")}
        made = Reply(name, **fields, seed_filter=reply.seed_filter, peer_filter=reply.peer_filter)
        self.receive(krpc.encode(Response(query.transaction, made, seen)), address)

    @rule(which=st.integers(0, 30), source=nodes)
    def answer_from_elsewhere(self, which: int, source: NodeInfo) -> None:
        if self.queries:
            query, _ = self.queries[-1 - which % len(self.queries)]
            reply = Reply(source.node_id)
            self.receive(krpc.encode(Response(query.transaction, reply)), source.address)

    @rule(which=st.integers(0, 30))
    def refuse(self, which: int) -> None:
        if self.queries:
            query, address = self.queries[-1 - which % len(self.queries)]
            self.receive(krpc.encode(Failure(query.transaction, 202, "no")), address)

    @rule(
        source=nodes,
        kind=st.sampled_from(["ping", "find", "get", "announce"]),
        torrent=torrents,
        want=families,
        flag=st.booleans(),
        times=st.sampled_from([1, 1, 1, 60]),
    )
    def asked(
        self,
        source: NodeInfo,
        kind: str,
        torrent: bytes,
        want: tuple[Family, ...],
        flag: bool,
        times: int,
    ) -> None:
        ask = {
            "ping": Ping(source.node_id),
            "find": FindNode(source.node_id, torrent, want),
            "get": GetPeers(source.node_id, torrent, want, scrape=flag),
            "announce": AnnouncePeer(source.node_id, torrent, 1, b"forged"),
        }[kind]
        for _ in range(times):
            self.receive(krpc.encode(Query(b"tt", ask, flag)), source.address)

    @rule(data=st.binary(max_size=60), source=nodes)
    def noise(self, data: bytes, source: NodeInfo) -> None:
        self.receive(data, source.address)

    # --- Time ---------------------------------------------------------------------------------

    @rule(steps=st.integers(1, 30))
    def wait_in_time(self, steps: int) -> None:
        for _ in range(steps):
            deadline = self.dht.next_deadline()
            assert deadline is not None
            self.now = max(self.now, deadline.when)
            self.keep(self.dht.handle(Tick(), self.now))
            after = self.dht.next_deadline()
            assert after is not None
            assert after.when > self.now

    @rule(seconds=st.floats(-10, 5000))
    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.keep(self.dht.handle(Tick(), self.now))

    @rule()
    def silence_ends_every_search(self) -> None:
        patience = self.now + limits.DHT_QUERIES_A_LOOKUP * limits.DHT_TIMEOUT
        overlays = self.dht.overlays.values()
        under_way = [lookup for overlay in overlays for lookup in overlay.searches.values()]
        while not all(lookup.ended for lookup in under_way):
            assert self.now < patience
            self.wait_in_time(1)

    # --- What must hold ---------------------------------------------------------------------

    @invariant()
    def everything_is_bounded(self) -> None:
        for overlay in self.dht.overlays.values():
            lookups = limits.DHT_LOOKUPS + 2
            most = limits.DHT_PINGS + 2 * lookups * limits.DHT_QUERIES_A_LOOKUP
            assert overlay.in_flight <= most
            assert len(overlay.searches) <= limits.DHT_LOOKUPS
            assert len(overlay.table) <= limits.DHT_K * overlay.table.bucket_count
            for lookup in overlay.searches.values():
                assert lookup.asked <= limits.DHT_QUERIES_A_LOOKUP
                assert len(lookup.peers) <= limits.DHT_PEERS_A_SEARCH
        for server in self.dht.servers.values():
            assert len(server.store) == 0  # nobody ever had a token of ours

    @invariant()
    def what_is_looked_for_says_what_comes_next(self) -> None:
        for torrent in TORRENTS:
            due = self.dht.due(torrent)
            assert (due is not None) == (torrent in self.wanted)
            deadline = self.dht.next_deadline()
            assert due is None or (deadline is not None and deadline.when <= due.when)
            size = self.dht.swarm_size(torrent)
            assert size is None or min(size.seeds, size.peers) >= 0


TestDhtMachine = pytest.mark.uncovered(DhtMachine.TestCase)
