"""What TCP networks have in common: dials, incoming connections, and the links of both."""

from __future__ import annotations

import contextlib
import itertools
from typing import Generic, Protocol, TypeVar

import anyio
from anyio.abc import SocketListener, TaskGroup, TaskStatus

from torrent_core.actions import CancelDial, Close, Dial, Send
from torrent_core.events import DialFailed, LinkClosed, LinkOpened
from torrent_core.types import Address, LinkId

from ..faces import Feed, ReceiveInto
from .sockets import close_listeners, describe

ACCEPT_PAUSE = 0.1
"""Seconds to wait when the system refuses an incoming connection, as when no file
descriptor is left (trio: 0.1)."""

Connection = TypeVar("Connection")


class LiveLink(Protocol):
    """One connection in use."""

    detail: str
    """Why it ended; empty for a clean end."""

    def send(self, data: bytes) -> None:
        """Queue bytes; dropped once the link is closing."""
        ...

    def close(self) -> None:
        """Send what is queued, within a bounded time, then end ``run``."""
        ...

    async def run(self) -> None:
        """Move bytes both ways until either side ends the link."""
        ...


class BaseNetwork(Generic[Connection]):
    """Every TCP connection of one driver.  How to connect, accept, move bytes and hang up is
    for the networks that derive from this."""

    def __init__(self, listeners: list[SocketListener]) -> None:
        self._listeners = listeners
        self._feed: Feed
        self._receive_into: ReceiveInto
        self._tasks: TaskGroup
        self._accepting = anyio.CancelScope()
        self._dials: dict[int, anyio.CancelScope] = {}
        self._links: dict[LinkId, LiveLink] = {}
        self._serials = itertools.count(1)
        self._changed = anyio.Event()
        self._closing = False

    # --- What differs ------------------------------------------------------------------------

    async def _connect(self, host: str, port: int) -> Connection:
        """Connect to a host by name or address; raises whatever is wrong with it."""
        raise NotImplementedError

    async def _take(self, listener: SocketListener) -> Connection:
        """The next incoming connection; raises OSError when the system refuses it."""
        raise NotImplementedError

    def _prepare(self, connection: Connection) -> Address | None:
        """Set the connection's options and name its other end; None if that is gone."""
        raise NotImplementedError

    def _link(self, serial: int, connection: Connection) -> LiveLink:
        """The link that moves the connection's bytes."""
        raise NotImplementedError

    async def _hang_up(self, connection: Connection) -> None:
        """Close the connection; raises OSError."""
        raise NotImplementedError

    # --- The face ----------------------------------------------------------------------------

    def attach(self, feed: Feed, receive_into: ReceiveInto) -> None:
        """Answer by ``feed``; ``receive_into`` says where bytes may be put."""
        self._feed = feed
        self._receive_into = receive_into

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

    # --- Connections -------------------------------------------------------------------------

    async def _dial(self, action: Dial, scope: anyio.CancelScope) -> None:
        connection: Connection | None = None
        detail = "cancelled"
        try:
            with scope:
                connection = await self._connect(action.address.host, action.address.port)
        except Exception as error:  # as many kinds as there are absurd addresses
            detail = describe(error)
        finally:
            del self._dials[action.dial_id]
            self._changed.set()
            if connection is None:
                self._feed(DialFailed(action.dial_id, detail))
        if connection is not None:
            await self._serve(connection, action)

    async def _accept(self, listener: SocketListener) -> None:
        with self._accepting:
            while True:
                try:
                    connection = await self._take(listener)
                except OSError:
                    await anyio.sleep(ACCEPT_PAUSE)
                else:
                    self._tasks.start_soon(self._serve, connection)

    async def _serve(self, connection: Connection, dial: Dial | None = None) -> None:
        """One link, from its opening to its single ``LinkClosed``."""
        serial = next(self._serials)
        link = self._links[serial] = self._link(serial, connection)
        fallback = dial.address if dial else Address("", 0)
        dial_id = dial.dial_id if dial else None
        self._feed(LinkOpened(serial, self._prepare(connection) or fallback, dial_id))
        if self._closing:
            link.close()
        try:
            await link.run()
        finally:
            del self._links[serial]
            self._changed.set()
            with anyio.CancelScope(shield=True), contextlib.suppress(OSError):
                await self._hang_up(connection)
            self._feed(LinkClosed(serial, link.detail))
