"""All UDP trackers of a session: who resolves, who waits for a datagram, who is due."""

from __future__ import annotations

from collections.abc import Callable

from ..addresses import literal
from ..deadlines import Deadlines
from ..registry import Registry
from ..types import Address, Family
from ..wire.udp_tracker import transaction_of
from .udp import HostKey, Question, Wires
from .udphost import UdpHost
from .values import Job


class UdpHosts:
    """One ``UdpHost`` for each (host, port), for as long as it is of use."""

    __slots__ = ("_due", "_families", "_hosts", "_new_id", "_resolves", "_wires")

    def __init__(
        self, families: tuple[Family, ...], wires: Wires, new_id: Callable[[], int]
    ) -> None:
        self._families = families
        self._wires = wires
        self._new_id = new_id
        self._hosts: Registry[HostKey, UdpHost] = Registry(self._open)
        self._due: Deadlines[HostKey] = Deadlines()
        self._resolves: dict[int, UdpHost] = {}

    def start(self, job: Job, question: Question, now: float) -> None:
        """Ask the tracker of this job; its name may have to be resolved first."""
        job.parts = 1
        host = self._hosts.get_or_create(_key(job))
        host.ask(job, question, now)
        if host.must_resolve and host.resolve_id is None:
            resolve_id = self._new_id()
            self._resolves[resolve_id] = host
            host.resolve(resolve_id)
        self._review(host, now)

    def cancel(self, job: Job, now: float) -> None:
        """Nobody waits for this job any longer."""
        host = self._hosts.get_or_create(_key(job))
        host.forget(job)
        self._review(host, now)

    def resolved(self, resolve_id: int, hosts: tuple[str, ...], now: float) -> None:
        """A name was resolved, or not."""
        host = self._resolves.pop(resolve_id)
        host.resolved(hosts, now)
        self._review(host, now)

    def takes(self, address: Address, data: bytes) -> bool:
        """Whether somebody waits for this datagram."""
        waiting = self._wires.waiting
        return bool(waiting) and (_canonical(address), transaction_of(data)) in waiting

    def datagram(self, address: Address, data: bytes, now: float) -> None:
        """A datagram came; without effect if nobody waits for it."""
        transaction = transaction_of(data)
        if transaction is None or not self.takes(address, data):
            return
        channel = self._wires.waiting[_canonical(address), transaction]
        channel.handle(transaction, data, now)
        self._review(self._hosts.get_or_create(channel.tracker), now)

    def tick(self, now: float) -> None:
        """Do what is due."""
        while (key := self._due.pop_due(now)) is not None:
            host = self._hosts.get_or_create(key)
            host.tick(now)
            self._review(host, now)

    def due(self) -> float | None:
        """When ``tick`` has something to do."""
        return self._due.next_at()

    def __contains__(self, resolve_id: int) -> bool:
        return resolve_id in self._resolves

    def __len__(self) -> int:
        return len(self._hosts)

    def _open(self, key: HostKey) -> UdpHost:
        return UdpHost(key, self._families, self._wires)

    def _review(self, host: UdpHost, now: float) -> None:
        """Something happened at this tracker: when is it due, or is it of no more use?"""
        if host.is_idle(now):
            self._due.clear(host.key)
            self._hosts.remove(host.key)
        else:
            self._due.put(host.key, host.due())


def _key(job: Job) -> HostKey:
    return HostKey(job.url.host, job.url.port)


def _canonical(address: Address) -> Address:
    """The same address in the one form in which we write it."""
    host = literal(address.host)
    return address if host is None else Address(str(host), address.port)
