"""A DHT of thousands of nodes on virtual time: latency, loss, dead nodes and liars.

    network = DhtNetwork(latency=0.05, seed=7)
    network.add_many(1000)
    network.add_dead(100)
    network.acquaint()
    world = network.worlds[0]
    world.search(INFO_HASH, port=6881)
    network.run(seconds=10)
    world.found[INFO_HASH]

Deterministic: equal arguments make equal runs.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from itertools import count
from random import Random

from ..actions import Resolve, SaveNodes, SendDatagram
from ..dht import Dht, DhtConfig
from ..dht.desk import Found
from ..dht.node_id import ID_BITS, make_id, number
from ..dht.persist import Saved
from ..dht.persist import encode as encode_saved
from ..errors import WireError
from ..events import DatagramReceived, PeersFound, Resolved, Tick
from ..limits import DHT_K, MAX_KRPC_REPLY
from ..types import Address, Family, InfoHash
from ..wire import krpc
from ..wire.contacts import NodeInfo
from ..wire.krpc_values import Query
from .clock import Clock
from .dht_liars import Lie, answers
from .promises import PromiseBroken, duration, expect

PORT = 6881
"""Where every node listens."""

STEPS = 50_000_000
"""Steps of one run: a network of thousands takes many."""


class DhtWorld:
    """One ``Dht`` and its surroundings; asserts what it owes after every step."""

    def __init__(
        self, network: DhtNetwork, dht: Dht, addresses: dict[Family, Address], name: str
    ) -> None:
        self.network = network
        self.dht = dht
        self.addresses = addresses
        """Where it is reached."""
        self.name = name
        self.found: dict[InfoHash, dict[Address, None]] = {}
        """Peers by torrent, in the order in which they were found."""
        self.saved: bytes | None = None
        """The latest SaveNodes."""
        self.sent: Counter[str] = Counter()
        """Datagrams by kind: query or answer."""
        self.number = network.clock.add(self)
        """By which the clock knows it."""

    # --- What a test does -------------------------------------------------------------------

    def start(self) -> None:
        """Take part from now on."""
        self.carry_out(self.dht.start(self.network.clock.now))

    def stop(self) -> None:
        """Take part no longer."""
        self.carry_out(self.dht.stop(self.network.clock.now))

    def search(self, info_hash: InfoHash, port: int | None = None, **more: bool) -> None:
        """Look for peers of a torrent, and announce ``port`` if given."""
        now = self.network.clock.now
        self.carry_out(self.dht.search(info_hash, port, now, **more))

    def is_searching(self, info_hash: InfoHash) -> bool:
        """Whether a search is under way."""
        return any(info_hash in overlay.searches for overlay in self.dht.overlays.values())

    def receive(self, data: bytes, source: Address) -> None:
        """A datagram comes."""
        self.carry_out(self.dht.handle(DatagramReceived(source, data), self.network.clock.now))

    # --- What the clock wants ----------------------------------------------------------------

    def due(self) -> float | None:
        """When a Tick is owed."""
        deadline = self.dht.next_deadline()
        return None if deadline is None else deadline.when

    def tick(self) -> None:
        """Nothing but time."""
        now = self.network.clock.now
        self.carry_out(self.dht.handle(Tick(), now))
        due = self.due()
        expect(due is None or due > now, "{} is due again at {} s already", self.name, now)

    # --- What is wanted ------------------------------------------------------------------------

    def carry_out(self, wanted: list[Found]) -> None:
        """Do what a step of the machine brought."""
        for found in wanted:
            if isinstance(found, SendDatagram):
                expect(len(found.data) <= MAX_KRPC_REPLY, "{} sent too long a packet", self.name)
                self.sent["query" if found.data.endswith(b"1:y1:qe") else "answer"] += 1
                self.network.send(self, found)
            elif isinstance(found, PeersFound):
                self.found.setdefault(found.torrent, {}).update(dict.fromkeys(found.peers))
            elif isinstance(found, SaveNodes):
                self.saved = found.data
            elif isinstance(found, Resolve):
                self.network.resolve(self, found)
            else:
                raise PromiseBroken(f"{self.name} wants {found}")
        self.network.clock.stir(self.number)


class DhtNetwork:
    """Nodes, and the datagrams between them.

    ``latency`` and ``jitter`` are seconds one way, the jitter at most so much more; ``loss``
    is the share of datagrams that vanish.
    """

    def __init__(
        self, *, latency: float = 0.05, jitter: float = 0.0, loss: float = 0.0, seed: int = 0
    ) -> None:
        self.clock = Clock()
        self.latency = duration("latency", latency)
        self.jitter = duration("jitter", jitter)
        self.loss = loss
        self.worlds: list[DhtWorld] = []
        self.names: dict[str, tuple[str, ...]] = {}
        """Addresses of host names; others are not known."""
        self.delivered = 0
        """Datagrams that came to somebody."""
        self._random = Random(seed)
        self._ids = self.clock.ids
        self._hosts = count(1)
        self._listeners: dict[Address, Callable[[bytes, Address], object]] = {}
        self._known: dict[Family, list[NodeInfo]] = {family: [] for family in Family}

    # --- Who is there ---------------------------------------------------------------------------

    def new_address(self, family: Family = Family.IPV4) -> Address:
        """A public address that nobody else has."""
        # An odd factor maps numbers to numbers, none twice, and scatters them.
        scattered = next(self._hosts) * 0x9E3779B1
        if family is Family.IPV6:
            return Address(str(IPv6Address(0x2A << 120 | scattered % 2**56 << 64 | 7)), PORT)
        return Address(str(IPv4Address((40 << 24) + scattered % 2**29)), PORT)

    def add(
        self,
        config: DhtConfig | None = None,
        *,
        saved: bytes | None = None,
        families: tuple[Family, ...] = (Family.IPV4,),
        settled: bool = True,
        start: bool = True,
    ) -> DhtWorld:
        """A node.  ``settled``: it knows its address from an earlier run, and has an id that
        fits; ``saved`` is what that run left."""
        addresses = {family: self.new_address(family) for family in families}
        ids = {f: make_id(self._random, address.host) for f, address in addresses.items()}
        if saved is None and settled:
            saved = encode_saved({family: Saved(ids[family]) for family in families})
        dht = Dht(
            self._random.randbytes(16),
            Random(self._random.getrandbits(64)),
            config or DhtConfig(families=families),
            lambda: next(self._ids),
            saved,
        )
        world = DhtWorld(self, dht, addresses, f"node {len(self.worlds)}")
        self.worlds.append(world)
        for family, address in addresses.items():
            self._listeners[address] = world.receive
            if settled:
                self._known[family].append(NodeInfo(ids[family], address))
        if start:
            world.start()
        return world

    def add_many(self, number: int, config: DhtConfig | None = None) -> list[DhtWorld]:
        """So many nodes in the DHT of IPv4."""
        return [self.add(config) for _ in range(number)]

    def add_dead(self, number: int) -> None:
        """Nodes that others know and that are gone."""
        for _ in range(number):
            address = self.new_address()
            self._listeners[address] = _ignore
            self._known[Family.IPV4].append(NodeInfo(make_id(self._random, address.host), address))

    def kill(self, world: DhtWorld) -> None:
        """A node hears nothing any more, and nobody hears it."""
        for address in world.addresses.values():
            self._listeners[address] = _ignore
        world.dht.stop(self.clock.now)
        self.clock.stir(world.number)

    def add_liar(self, lie: Lie) -> NodeInfo:
        """A node that answers every query by this lie."""
        address = self.new_address()
        info = NodeInfo(make_id(self._random, address.host), address)
        self._known[Family.IPV4].append(info)

        def receive(data: bytes, source: Address) -> None:
            try:
                packet = krpc.decode(data)
            except WireError:
                return
            if isinstance(packet, Query):
                for sender, answer in answers(lie, packet, info, source, self._random):
                    self._carry(answer, sender, source)

        self._listeners[address] = receive
        return info

    def acquaint(self) -> None:
        """Fill every table as years of running would: a few nodes of each distance, dead ones
        and liars among them."""
        for family, nodes in self._known.items():
            nodes = sorted(nodes)
            keys = [number(node.node_id) for node in nodes]
            for world in self.worlds:
                overlay = world.dht.overlays.get(family)
                if overlay is not None:
                    known = self._neighbours(overlay.table.own_key, nodes, keys)
                    overlay.adopt(known, self.clock.now)
                    self.clock.stir(world.number)

    def _neighbours(self, own: int, nodes: list[NodeInfo], keys: list[int]) -> list[NodeInfo]:
        found: list[NodeInfo] = []
        for shared in range(ID_BITS):
            rest = ID_BITS - shared
            low = own >> rest << rest
            begin, end = bisect_left(keys, low), bisect_left(keys, low + (1 << rest))
            if end - begin <= DHT_K:
                return found + nodes[begin:end]
            # The half of this range that we are not in.
            half = (own >> rest - 1 ^ 1) << rest - 1
            begin, end = bisect_left(keys, half), bisect_left(keys, half + (1 << rest - 1))
            some = range(begin, end)
            found += [nodes[at] for at in self._random.sample(some, min(DHT_K, len(some)))]
        raise AssertionError("two nodes have one id")  # pragma: no cover

    # --- What happens ----------------------------------------------------------------------------

    def send(self, world: DhtWorld, datagram: SendDatagram) -> None:
        """A node sends a datagram, from its address of the same family."""
        family = Family.IPV6 if ":" in datagram.address.host else Family.IPV4
        source = world.addresses.get(family)
        if source is not None:
            self._carry(datagram.data, source, datagram.address)

    def inject(self, data: bytes, source: Address, to: Address) -> None:
        """Somebody sends this, in whose name he likes."""
        self._carry(data, source, to)

    def _carry(self, data: bytes, source: Address, to: Address) -> None:
        if self._random.random() < self.loss:
            return
        delay = self.latency + self.jitter * self._random.random()
        self.clock.at(self.clock.now + delay, lambda: self._deliver(data, source, to))

    def _deliver(self, data: bytes, source: Address, to: Address) -> None:
        listener = self._listeners.get(to)
        if listener is not None:
            self.delivered += 1
            listener(data, source)

    def resolve(self, world: DhtWorld, action: Resolve) -> None:
        """Answer a Resolve after one latency."""
        answer = Resolved(action.resolve_id, self.names.get(action.host, ()))
        now = self.clock.now + self.latency
        self.clock.at(now, lambda: world.carry_out(world.dht.handle(answer, self.clock.now)))

    def run(self, until: Callable[[], bool] = lambda: False, *, seconds: float = math.inf) -> bool:
        """Go on until ``until()``, for ``seconds`` at most; whether ``until()`` was met."""
        return self.clock.run(until, seconds=seconds, steps=STEPS)

    def closest(self, target: bytes, most: int = DHT_K) -> list[NodeInfo]:
        """Who is closest to ``target`` of all that are or were there."""
        key = number(target)
        nodes = self._known[Family.IPV4]
        return sorted(nodes, key=lambda info: number(info.node_id) ^ key)[:most]


def _ignore(data: bytes, source: Address) -> None:
    """Nobody is there."""
