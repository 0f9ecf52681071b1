"""One ``Dht`` on its own, and the packets that tests exchange with it."""

from __future__ import annotations

from itertools import count
from random import Random

from torrent_core.actions import SendDatagram
from torrent_core.dht import Dht, DhtConfig
from torrent_core.dht.desk import Found
from torrent_core.dht.node_id import make_id
from torrent_core.events import DatagramReceived, PeersFound, Tick
from torrent_core.types import Address, Family
from torrent_core.wire import krpc
from torrent_core.wire.contacts import NodeInfo
from torrent_core.wire.krpc_values import Ask, Failure, Packet, Query, Reply, Response

V4 = DhtConfig(families=(Family.IPV4,))
TORRENT = b"T" * 20
dice = Random(3)


def node(number: int, port: int = 6881, host: str | None = None) -> NodeInfo:
    """A node with an address and an id of its own, that fit each other."""
    host = host or f"50.{number >> 8 & 255}.{number & 255}.7"
    return NodeInfo(make_id(Random(number), host), Address(host, port))


def node6(number: int) -> NodeInfo:
    """The same, on IPv6."""
    host = f"2a00:{number:x}::7"
    return NodeInfo(make_id(Random(number), host), Address(host, 6881))


class Bench:
    """A machine, its time, and all that it wanted so far."""

    def __init__(
        self, config: DhtConfig = V4, saved: bytes | None = None, *, start: bool = True
    ) -> None:
        ids = count(1)
        self.dht = Dht(b"secret", Random(5), config, lambda: next(ids), saved)
        self.now = 1000.0
        self.out: list[Found] = []
        self._answered: set[bytes] = set()
        if start:
            self.keep(self.dht.start(self.now))

    def keep(self, found: list[Found]) -> list[Found]:
        """Remember what a step brought."""
        self.out += found
        return found

    def receive(self, packet: Packet | bytes, source: Address) -> list[Found]:
        """A datagram comes."""
        data = packet if isinstance(packet, bytes) else krpc.encode(packet)
        return self.keep(self.dht.handle(DatagramReceived(source, data), self.now))

    def ask(self, ask: Ask, source: Address, *, read_only: bool = False) -> Response | Failure:
        """Ask the machine something; its answer."""
        found = self.receive(Query(b"tt", ask, read_only), source)
        for packet, address in packets(found):
            if isinstance(packet, Response | Failure):
                assert packet.transaction == b"tt"
                assert packet.seen == source
                assert address == source
                return packet
        raise AssertionError("no answer")

    def asked(self, address: Address) -> list[Query]:
        """All queries to this address so far."""
        return [p for p, to in packets(self.out) if to == address and isinstance(p, Query)]

    def reply(self, info: NodeInfo, seen: Address | None = None, **fields: object) -> list[Found]:
        """The node answers the last query that it was asked."""
        transaction = self.asked(info.address)[-1].transaction
        reply = Reply(info.node_id, **fields)  # type: ignore[arg-type]
        return self.receive(Response(transaction, reply, seen), info.address)

    def answer_all(self, *infos: NodeInfo) -> None:
        """These nodes answer whatever they were asked so far and from now on, with a token."""
        while waiting := [
            (query.transaction, info)
            for info in infos
            for query in self.asked(info.address)
            if query.transaction not in self._answered
        ]:
            for transaction, info in waiting:
                self._answered.add(transaction)
                answer = Response(transaction, Reply(info.node_id, (), token=b"t"))
                self.receive(answer, info.address)

    def meet(self, info: NodeInfo) -> None:
        """The node gets into the table: pinged, and it answers."""
        self.keep(self.dht.add_node(info.address, self.now))
        self.reply(info)

    def wait(self, seconds: float) -> list[Found]:
        """Time passes, each thing at its time."""
        end, found = self.now + seconds, []
        while (deadline := self.dht.next_deadline()) is not None and deadline.when <= end:
            self.now = max(self.now, deadline.when)
            found += self.keep(self.dht.handle(Tick(), self.now))
            after = self.dht.next_deadline()
            assert after is None or after.when > self.now
        self.now = end
        return found

    @property
    def table_size(self) -> int:
        """Nodes in the table of IPv4."""
        return len(self.dht.overlays[Family.IPV4].table)


def packets(found: list[Found]) -> list[tuple[Packet, Address]]:
    """The datagrams among what a step brought, decoded."""
    out = []
    for item in found:
        if isinstance(item, SendDatagram):
            packet = krpc.decode(item.data)
            assert isinstance(packet, Query | Response | Failure)
            out.append((packet, item.address))
    return out


def peers(found: list[Found]) -> list[Address]:
    """The peers among what a step brought."""
    return [peer for item in found if isinstance(item, PeersFound) for peer in item.peers]
