"""Plain TCP on an asyncio loop, without streams: what ``TcpNetwork`` does, for less.

The loop says that a socket can be read, and one call takes what there is into a buffer that
never changes: nothing is allocated, no page is touched for the first time, no task is woken.
What is to be sent goes to the kernel at once, as far as it takes it.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from itertools import islice

import anyio
from anyio.abc import SocketAttribute, SocketListener

from torrent_core.events import BytesPlaced, BytesReceived, Sent
from torrent_core.limits import BLOCK_SIZE
from torrent_core.types import Address, LinkId

from ..faces import Feed, ReceiveInto
from .base import BaseNetwork, LiveLink
from .dialling import connect
from .link import FLUSH_TIMEOUT, GATHER
from .sockets import describe, prepare_socket

RECEIVE_BUFFER = 1024 * 1024
"""Most bytes taken from a socket at once.  What an input costs besides its blocks is then
shared by 64 of them; with 256 KiB a download took 16 % more processor time, with 512 KiB 4 %.
Other links wait for some 2 ms meanwhile."""

GATHERED = range(BLOCK_SIZE, RECEIVE_BUFFER // 2)
"""Bytes of a read after which more may gather: more than a block, and less than half of the
buffer."""

SENT_AT_ONCE = 16 * 1024
"""Bytes handed to the kernel of which ``Sent`` is told at once: a block of payload, which
rates and back-pressure are about."""

SENT_DELAY = 0.05
"""Seconds that ``Sent`` of fewer bytes, such as requests, may wait for more."""

MAX_PARTS = 64
"""Buffers handed to the kernel in one call (IOV_MAX is 1024)."""


class LoopNetwork(BaseNetwork[socket.socket]):
    """Every TCP connection of one driver, on the running asyncio loop."""

    def __init__(self, listeners: list[SocketListener]) -> None:
        super().__init__(listeners)
        self._buffer = memoryview(bytearray(RECEIVE_BUFFER))

    async def _connect(self, host: str, port: int) -> socket.socket:
        return await connect(host, port)

    async def _take(self, listener: SocketListener) -> socket.socket:
        raw = listener.extra(SocketAttribute.raw_socket)
        while True:
            try:
                taken, _ = raw.accept()
            except BlockingIOError:
                # The loop's own sock_accept, cancelled in the moment that a connection comes,
                # takes it all the same, and complains that nobody waits for it any longer.
                await anyio.wait_readable(raw)
            else:
                taken.setblocking(False)
                return taken

    def _prepare(self, connection: socket.socket) -> Address | None:
        return prepare_socket(connection)

    def _link(self, serial: int, connection: socket.socket) -> LiveLink:
        return LoopLink(serial, connection, self._feed, self._receive_into, self._buffer)

    async def _hang_up(self, connection: socket.socket) -> None:
        try:
            connection.shutdown(socket.SHUT_WR)
        finally:
            connection.close()


class LoopLink:
    """One connection; ``buffer`` is shared with other links, since each is done with it
    before the next one reads."""

    def __init__(
        self,
        link: LinkId,
        connection: socket.socket,
        feed: Feed,
        receive_into: ReceiveInto,
        buffer: memoryview,
    ) -> None:
        self.detail = ""
        """Why the link ended; empty for a clean end."""
        self._link = link
        self._socket = connection
        self._feed = feed
        self._receive_into = receive_into
        self._last = 0  # bytes that the last read gave
        self._buffer = buffer
        self._loop = asyncio.get_running_loop()
        self._gathering: asyncio.TimerHandle | None = None
        self._queue: deque[memoryview] = deque()
        self._blocked = False  # the loop says when the kernel takes more
        self._untold = 0
        self._telling: asyncio.TimerHandle | None = None
        self._ending: asyncio.TimerHandle | None = None
        self._closing = False
        self._over = asyncio.Event()

    def send(self, data: bytes) -> None:
        """Hand bytes to the kernel, or queue them; dropped once the link is closing."""
        if not self._closing:
            self._queue.append(memoryview(data))
            if not self._blocked:
                self._flush()

    def close(self) -> None:
        """Send what is queued, for ``FLUSH_TIMEOUT`` at most, then end ``run``."""
        if self._queue:
            self._end_later()
        else:
            self._closing = True
            self._over.set()

    async def run(self) -> None:
        """Move bytes both ways until either side ends the link."""
        self._loop.add_reader(self._socket, self._readable)
        try:
            await self._over.wait()
        finally:
            if self._gathering is not None:
                self._gathering.cancel()
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            if self._ending is not None:
                self._ending.cancel()
            self._tell()

    # --- In ----------------------------------------------------------------------------------

    def _readable(self) -> None:
        """Read what there is; then do not look before more has gathered, or for more at all."""
        gathers = self._read() in GATHERED and not self._over.is_set()
        if gathers and self._gathering is None:
            self._loop.remove_reader(self._socket)
        elif not gathers and self._gathering is not None:
            self._loop.add_reader(self._socket, self._readable)
        self._gathering = self._loop.call_later(GATHER, self._readable) if gathers else None

    def _read(self) -> int:
        """Read once; returns how much that was."""
        # To find places costs by the block: not for many more than are likely to be filled.
        most = min(2 * self._last, RECEIVE_BUFFER)
        places = self._receive_into(self._link, most) if most else []
        try:
            if places:
                self._last = self._socket.recvmsg_into(places)[0]
            else:
                self._last = self._socket.recv_into(self._buffer)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            self.detail = self.detail or describe(error)
            self._over.set()
            return 0
        if not self._last:
            self._over.set()
        elif places:
            self._feed(BytesPlaced(self._link, self._last))
        else:
            self._feed(BytesReceived(self._link, self._buffer[: self._last]))
        return self._last

    # --- Out ---------------------------------------------------------------------------------

    def _flush(self) -> None:
        """Hand over what the kernel takes; the loop calls again when it takes more."""
        try:
            while self._queue:
                self._untold += self._send_some()
        except (BlockingIOError, InterruptedError):
            self._watch()
        except OSError as error:
            self._fail(error)
        else:
            self._watch_no_more()
        self._account()

    def _send_some(self) -> int:
        queue = self._queue
        count = sent = self._socket.sendmsg(list(islice(queue, MAX_PARTS)))
        while queue and count >= len(queue[0]):
            count -= len(queue.popleft())
        if count:
            queue[0] = queue[0][count:]
        return sent

    def _watch(self) -> None:
        if not self._blocked:
            self._blocked = True
            self._loop.add_writer(self._socket, self._flush)

    def _watch_no_more(self) -> None:
        if self._blocked:
            self._blocked = False
            self._loop.remove_writer(self._socket)
        if self._closing:
            self._over.set()

    def _fail(self, error: OSError) -> None:
        """What the peer sent before it went may still be there to be read."""
        self.detail = describe(error)
        self._queue.clear()
        self._watch_no_more()
        self._end_later()

    def _end_later(self) -> None:
        if not self._closing:
            self._closing = True
            self._ending = self._loop.call_later(FLUSH_TIMEOUT, self._over.set)

    def _account(self) -> None:
        """Tell of bytes that have left: at once, or with those that soon follow."""
        if self._untold >= SENT_AT_ONCE:
            self._tell()
        elif self._untold and self._telling is None:
            self._telling = self._loop.call_later(SENT_DELAY, self._tell)

    def _tell(self) -> None:
        count, self._untold = self._untold, 0
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        if count:
            self._feed(Sent(self._link, count))
