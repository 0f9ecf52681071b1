"""One UDP tracker, (host, port): its name is resolved, and it is asked over each family."""

from __future__ import annotations

from ..actions import Resolve
from ..addresses import literal
from ..limits import RESOLVE_TIMEOUT
from ..registry import Registry
from ..types import Address, Family
from .udp import HostKey, Question, UdpChannel, Wires
from .values import Failure, Job


class UdpHost:
    """Channels to the addresses of one tracker.

    A name is resolved when it is first needed, and again once an address was silent: another
    may have taken its place.  ``resolve_id`` is the ``Resolve`` that is out, if one is.
    """

    __slots__ = (
        "_addresses",
        "_channels",
        "_families",
        "_patience",
        "_unresolved",
        "_wires",
        "key",
        "resolve_id",
    )

    def __init__(self, key: HostKey, families: tuple[Family, ...], wires: Wires) -> None:
        self.key = key
        self.resolve_id: int | None = None
        self._families = families
        self._wires = wires
        self._addresses = self._usable((key.host,))
        self._channels: Registry[Address, UdpChannel] = Registry(self._open)
        self._unresolved: dict[Job, Question] = {}
        self._patience: float | None = None
        """When those that wait for the name are told that it was in vain."""

    @property
    def must_resolve(self) -> bool:
        """Whether the name is to be resolved before anything is asked."""
        return not self._addresses

    def resolve(self, resolve_id: int) -> None:
        """Ask for the addresses of the name."""
        self.resolve_id = resolve_id
        self._wires.actions.append(Resolve(resolve_id, self.key.host))

    def ask(self, job: Job, question: Question, now: float) -> None:
        """Ask each family that the tracker has; a part of the job for each."""
        if self._addresses:
            self._ask_all(job, question, now)
            return
        if self._patience is None:
            self._patience = now + RESOLVE_TIMEOUT
        self._unresolved[job] = question

    def resolved(self, hosts: tuple[str, ...], now: float) -> None:
        """The answer to ``resolve``: those of the literals that can be used count."""
        self.resolve_id = None
        self._addresses = self._usable(hosts)
        for job, question in self._take_unresolved():
            if self._addresses:
                self._ask_all(job, question, now)
            else:
                self._wires.settle(job, Failure("its name has no address that can be used"))

    def forget(self, job: Job) -> None:
        """Nobody wants to know of this job any longer."""
        self._unresolved.pop(job, None)
        if not self._unresolved:
            self._patience = None
        for channel in self._channels:
            channel.forget(job)

    def tick(self, now: float) -> None:
        """Do what is due."""
        if self._patience is not None and self._patience <= now:
            for job, _ in self._take_unresolved():
                self._wires.settle(job, Failure("its name could not be resolved in time"))
        for channel in self._channels.active:
            channel.tick(now)
            if channel.is_silent:
                channel.is_silent = False
                self._addresses = self._usable((self.key.host,))
            if channel.is_idle(now):
                self._channels.remove(channel.address)

    def due(self) -> float | None:
        """When ``tick`` has something to do."""
        moments = [channel.due() for channel in self._channels]
        return min((when for when in (self._patience, *moments) if when is not None), default=None)

    def is_idle(self, now: float) -> bool:
        """Whether nothing would be lost with this object."""
        waits = self.resolve_id is not None or self._unresolved
        return not waits and all(channel.is_idle(now) for channel in self._channels)

    def _ask_all(self, job: Job, question: Question, now: float) -> None:
        """A scrape is the same over each family, so the first does."""
        addresses = self._addresses if job.event is not None else self._addresses[:1]
        job.parts += len(addresses) - 1
        for address in addresses:
            self._channels.get_or_create(address).ask(job, question, now)

    def _take_unresolved(self) -> list[tuple[Job, Question]]:
        self._patience = None
        waiting = list(self._unresolved.items())
        self._unresolved.clear()
        return waiting

    def _usable(self, hosts: tuple[str, ...]) -> tuple[Address, ...]:
        """The first address of each of our families."""
        first: dict[Family, Address] = {}
        for host in hosts:
            address = literal(host)
            if address is not None and not (address.is_unspecified or address.is_multicast):
                family = Family(address.version)
                first.setdefault(family, Address(str(address), self.key.port))
        return tuple(first[family] for family in self._families if family in first)

    def _open(self, address: Address) -> UdpChannel:
        return UdpChannel(self.key, address, self._wires)
