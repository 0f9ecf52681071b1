"""Host names, looked up on a thread."""

from __future__ import annotations

import socket

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup, TaskStatus

from torrent_core.actions import Resolve
from torrent_core.events import Resolved

from .faces import Feed

MAX_LOOKUPS = 8
"""Host names looked up at once, each on a thread; the others wait (anyio's own threads are 40,
and the disk must not wait for them)."""

MAX_ADDRESSES = 16
"""Addresses kept of one host name."""


class Resolver:
    """Every lookup of one driver."""

    def __init__(self) -> None:
        self._feed: Feed
        self._tasks: TaskGroup
        self._threads = anyio.CapacityLimiter(MAX_LOOKUPS)

    def attach(self, feed: Feed) -> None:
        """Answer by ``feed``."""
        self._feed = feed

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Look up until cancelled; ``started`` once actions may be carried out."""
        async with anyio.create_task_group() as self._tasks:
            task_status.started()
            await anyio.sleep_forever()

    def resolve(self, action: Resolve) -> None:
        """Start to look a name up."""
        self._tasks.start_soon(self._resolve, action)

    async def _resolve(self, action: Resolve) -> None:
        hosts: tuple[str, ...] = ()
        try:
            hosts = await anyio.to_thread.run_sync(
                look_up, action.host, limiter=self._threads, abandon_on_cancel=True
            )
        finally:
            self._feed(Resolved(action.resolve_id, hosts))


def look_up(host: str) -> tuple[str, ...]:
    """The addresses of ``host``, IPv4 and IPv6, in the system's order; none for no host.

    Blocks."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except (OSError, ValueError):  # no such host; no name at all
        return ()
    hosts = dict.fromkeys(str(name[0]) for _, _, _, _, name in found)
    return tuple(hosts)[:MAX_ADDRESSES]
