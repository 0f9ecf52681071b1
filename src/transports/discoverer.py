"""What discovery wants done, carried out over real networks; each means may be absent."""

from __future__ import annotations

import contextlib

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup, TaskStatus

from torrent_core.actions import (
    SaveNodes,
    SendDatagram,
    SendMulticast,
)

from .faces import Feed
from .http.fetcher import HttpFetcher
from .nodes import NodesFile
from .resolve import Resolver
from .udp.multicast import MulticastSockets
from .udp.sockets import UdpSockets


class NetworkDiscoverer:
    """HTTP, host names, UDP and multicast together, behind the face that a driver wants."""

    def __init__(
        self,
        *,
        datagrams: UdpSockets | None = None,
        multicast: MulticastSockets | None = None,
        nodes: NodesFile | None = None,
        fetcher: HttpFetcher | None = None,
    ) -> None:
        """Without one of the first three, what is to be sent or kept by it is dropped;
        ``fetcher`` is one of our own by default."""
        self._datagrams = datagrams
        self._multicast = multicast
        self._nodes = nodes
        self._fetcher = fetcher or HttpFetcher()
        self._resolver = Resolver()
        self._tasks: TaskGroup
        self._saving = anyio.Lock()
        self._unsaved: bytes | None = None
        self.fetch = self._fetcher.fetch
        self.cancel_fetch = self._fetcher.cancel
        self.resolve = self._resolver.resolve

    def attach(self, feed: Feed) -> None:
        """Answer by ``feed``."""
        self._fetcher.attach(feed)
        self._resolver.attach(feed)
        if self._datagrams is not None:
            self._datagrams.attach(feed)
        if self._multicast is not None:
            self._multicast.attach(feed)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; ``started`` once actions may be carried out."""
        async with anyio.create_task_group() as self._tasks:
            await self._tasks.start(self._fetcher.run)
            await self._tasks.start(self._resolver.run)
            if self._datagrams is not None:
                self._tasks.start_soon(self._datagrams.run)
            if self._multicast is not None:
                self._tasks.start_soon(self._multicast.run)
            task_status.started()
            await anyio.sleep_forever()

    async def aclose(self) -> None:
        """Give fetches up, and wait until what is to be kept is."""
        await self._fetcher.aclose()
        await self._save()

    def send_datagram(self, action: SendDatagram) -> None:
        """Send now or never."""
        if self._datagrams is not None:
            self._datagrams.send(action)

    def send_multicast(self, action: SendMulticast) -> None:
        """Send now or never."""
        if self._multicast is not None:
            self._multicast.send(action)

    def save_nodes(self, action: SaveNodes) -> None:
        """Keep the nodes, on a thread."""
        self._unsaved = action.data
        self._tasks.start_soon(self._save)

    async def _save(self) -> None:
        """Keep what came last, after whatever is being written now."""
        async with self._saving:
            data, self._unsaved = self._unsaved, None
            if data is not None and self._nodes is not None:
                # Nodes that cannot be kept cost a bootstrap, nothing else.
                with contextlib.suppress(OSError):
                    await anyio.to_thread.run_sync(self._nodes.save, data)
