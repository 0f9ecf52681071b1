"""Plain TCP by anyio: dials, incoming connections, and the links that come of them."""

from __future__ import annotations

import contextlib
import itertools

import anyio
from anyio.abc import SocketListener, SocketStream, TaskGroup, TaskStatus

from torrent_core.actions import CancelDial, Close, Dial, Send
from torrent_core.events import DialFailed, LinkClosed, LinkOpened
from torrent_core.types import Address, LinkId

from ..faces import Feed
from .link import TcpLink
from .sockets import close_listeners, describe, prepare

ACCEPT_PAUSE = 0.1
"""Seconds to wait when the system refuses an incoming connection, as when no file
descriptor is left (trio: 0.1)."""


class TcpNetwork:
    """Every TCP connection of one driver."""

    def __init__(self, listeners: list[SocketListener]) -> None:
        self._listeners = listeners
        self._feed: Feed
        self._tasks: TaskGroup
        self._accepting = anyio.CancelScope()
        self._dials: dict[int, anyio.CancelScope] = {}
        self._links: dict[LinkId, TcpLink] = {}
        self._serials = itertools.count(1)
        self._changed = anyio.Event()
        self._closing = False

    def attach(self, feed: Feed) -> None:
        """Answer by ``feed``."""
        self._feed = feed

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Accept and serve until cancelled; ``started`` once actions may be carried out."""
        try:
            async with anyio.create_task_group() as self._tasks:
                for listener in self._listeners:
                    self._tasks.start_soon(self._accept, listener)
                task_status.started()
                await anyio.sleep_forever()
        finally:
            await close_listeners(self._listeners)

    async def aclose(self) -> None:
        """Take no more connections, give up dials, close every link and wait for the last."""
        self._closing = True
        self._accepting.cancel()
        for scope in list(self._dials.values()):
            scope.cancel()
        for link in list(self._links.values()):
            link.close()
        while self._links or self._dials:
            self._changed = anyio.Event()
            await self._changed.wait()

    def dial(self, action: Dial) -> None:
        """Start to connect."""
        scope = self._dials[action.dial_id] = anyio.CancelScope()
        self._tasks.start_soon(self._dial, action, scope)

    def cancel_dial(self, action: CancelDial) -> None:
        """Give up a connection attempt; no effect if it is answered already."""
        scope = self._dials.get(action.dial_id)
        if scope is not None:
            scope.cancel()

    def send(self, action: Send) -> None:
        """Queue bytes; no effect if the link is gone."""
        link = self._links.get(action.link)
        if link is not None:
            link.send(action.data)

    def close(self, action: Close) -> None:
        """Flush and close; no effect if the link is gone."""
        link = self._links.get(action.link)
        if link is not None:
            link.close()

    async def _dial(self, action: Dial, scope: anyio.CancelScope) -> None:
        stream: SocketStream | None = None
        detail = "cancelled"
        try:
            with scope:
                stream = await anyio.connect_tcp(action.address.host, action.address.port)
        except Exception as error:  # as many kinds as there are absurd addresses
            detail = describe(error)
        finally:
            del self._dials[action.dial_id]
            self._changed.set()
            if stream is None:
                self._feed(DialFailed(action.dial_id, detail))
        if stream is not None:
            await self._serve(stream, action)

    async def _accept(self, listener: SocketListener) -> None:
        with self._accepting:
            while True:
                try:
                    stream = await listener.accept()
                except OSError:
                    await anyio.sleep(ACCEPT_PAUSE)
                else:
                    self._tasks.start_soon(self._serve, stream)

    async def _serve(self, stream: SocketStream, dial: Dial | None = None) -> None:
        """One link, from its opening to its single ``LinkClosed``."""
        serial = next(self._serials)
        link = self._links[serial] = TcpLink(serial, stream, self._feed)
        fallback = dial.address if dial else Address("", 0)
        dial_id = dial.dial_id if dial else None
        self._feed(LinkOpened(serial, prepare(stream) or fallback, dial_id))
        if self._closing:
            link.close()
        try:
            await link.run()
        finally:
            del self._links[serial]
            self._changed.set()
            with anyio.CancelScope(shield=True), contextlib.suppress(OSError):
                await stream.aclose()
            self._feed(LinkClosed(serial, link.detail))
