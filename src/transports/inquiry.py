"""One part of discovery at work by itself, for who wants an answer and has no torrent."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Generic, Protocol, TypeVar

import anyio

from torrent_core.deadlines import Deadline
from torrent_core.discovery import Found
from torrent_core.events import Event, Tick

from .discoverer import NetworkDiscoverer
from .driver import carried_by
from .udp import UdpSockets, open_sockets


class Part(Protocol):
    """``Trackers`` or ``Dht``."""

    @property
    def handle(self) -> Callable[[Any, float], list[Found]]: ...

    def next_deadline(self) -> Deadline | None: ...


P = TypeVar("P", bound=Part)


class Inquiry(Generic[P]):
    """``part`` on the network; each thing that it says is given to ``tell``."""

    def __init__(
        self, part: P, discoverer: NetworkDiscoverer, tell: Callable[[Found], None]
    ) -> None:
        self.part = part
        self._tell = tell
        self._carry = carried_by(discoverer)
        self._changed = anyio.Event()
        discoverer.attach(self._feed)

    def do(self, step: Callable[[P, float], list[Found]]) -> None:
        """Call the part, and carry out what follows."""
        for found in step(self.part, time.monotonic()):
            self._carry.get(type(found), self._tell)(found)
        self._changed.set()

    def _feed(self, event: Event) -> None:
        self.do(lambda part, now: part.handle(event, now))

    async def until(self, condition: Callable[[P], bool]) -> None:
        """Go on until ``condition`` holds of the part."""
        while not condition(self.part):
            self._changed = anyio.Event()
            deadline = self.part.next_deadline()
            delay = math.inf if deadline is None else deadline.when - time.monotonic()
            with anyio.move_on_after(delay):
                await self._changed.wait()
            if delay <= 0 or not self._changed.is_set():
                self._feed(Tick())


@asynccontextmanager
async def inquiring(
    part: P, tell: Callable[[Found], None], host: str | None = None
) -> AsyncIterator[Inquiry[P]]:
    """``part`` with a UDP port of its own and all else that it needs, for the block.

    Raises OSError if there is no port to be had."""
    discoverer = NetworkDiscoverer(datagrams=UdpSockets(await open_sockets(host, 0)))
    inquiry = Inquiry(part, discoverer, tell)
    async with anyio.create_task_group() as tasks:
        await tasks.start(discoverer.run)
        try:
            yield inquiry
        finally:
            with anyio.CancelScope(shield=True):
                await discoverer.aclose()
            tasks.cancel_scope.cancel()
