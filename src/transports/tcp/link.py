"""One TCP connection: a reader task, a writer task, and how it ended."""

from __future__ import annotations

from collections import deque

import anyio
from anyio.abc import SocketStream

from torrent_core.events import BytesReceived, Sent
from torrent_core.limits import BLOCK_SIZE
from torrent_core.types import LinkId

from ..faces import Feed
from .sockets import describe

RECEIVE_CHUNK = 1000 * 1024
"""Most bytes taken from a stream at once (trio gives as much, asyncio's loops 256 KB): the core
takes up to 64 blocks together, and what an input costs besides is shared by all of them."""

GATHER = 0.002
"""Seconds that more may gather in the kernel after a read that was neither short nor long: of a
fast line a loop that is quicker would get it in bits of 80 KiB, each an input with its price.
Downloads of 1 GiB took an eighth less processor time so, and a little less time.  No more comes
meanwhile than the kernel has room for, which it makes as the line needs it."""

GATHERED = range(BLOCK_SIZE, 128 * 1024)
"""Bytes of such a chunk: more than a block, and less than half of what asyncio's loops give."""

SEND_CHUNK = 128 * 1024
"""Bytes handed to the kernel before ``Sent`` is told: large enough to cost little, small
enough that rates and back-pressure are real (an eighth of the core's send watermark)."""

FLUSH_TIMEOUT = 1.0
"""Seconds that a closing link may take to send what is queued, and that a broken one may
take to deliver what the peer sent before."""


class TcpLink:
    """One connection: what is to be sent, and how it ended."""

    def __init__(self, link: LinkId, stream: SocketStream, feed: Feed) -> None:
        self.detail = ""
        """Why the link ended; empty for a clean end."""
        self._link = link
        self._stream = stream
        self._feed = feed
        self._queue: deque[bytes] = deque()
        self._scope = anyio.CancelScope()
        self._wake = anyio.Event()
        self._closing = False

    def send(self, data: bytes) -> None:
        """Queue bytes; dropped once the link is closing."""
        if not self._closing:
            self._queue.append(data)
            self._wake.set()

    def close(self) -> None:
        """Send what is queued, for ``FLUSH_TIMEOUT`` at most, then end ``run``."""
        if not self._closing:
            self._closing = True
            self._scope.deadline = anyio.current_time() + FLUSH_TIMEOUT
            self._wake.set()

    async def run(self) -> None:
        """Move bytes both ways until either side ends the link."""
        with self._scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._write)
                await self._read()
                tasks.cancel_scope.cancel()

    async def _read(self) -> None:
        try:
            while True:
                if self._received(await self._stream.receive(RECEIVE_CHUNK)) in GATHERED:
                    await anyio.sleep(GATHER)
        except anyio.EndOfStream:
            return
        except (anyio.BrokenResourceError, OSError) as error:
            self.detail = describe(error)

    def _received(self, data: bytes) -> int:
        """Tell of bytes, and forget them before the next are read: their memory, still in the
        processor's cache, then serves for those."""
        self._feed(BytesReceived(self._link, data))
        return len(data)

    async def _write(self) -> None:
        try:
            while self._queue or not self._closing:
                if self._queue:
                    chunk = self._take()
                    await self._stream.send(chunk)
                    self._feed(Sent(self._link, len(chunk)))
                else:
                    self._wake = anyio.Event()
                    await self._wake.wait()
            self._scope.cancel()
        except (anyio.BrokenResourceError, OSError) as error:
            # What the peer sent before it went may still be on its way to the reader.
            self.detail = describe(error)
            self._queue.clear()
            self.close()

    def _take(self) -> bytes:
        """The next bytes to send, joined up to ``SEND_CHUNK``."""
        queue = self._queue
        if len(queue[0]) > SEND_CHUNK:
            head = memoryview(queue.popleft())
            queue.extendleft(
                bytes(head[at : at + SEND_CHUNK])
                for at in reversed(range(0, len(head), SEND_CHUNK))
            )
        parts = [queue.popleft()]
        size = len(parts[0])
        while queue and size + len(queue[0]) <= SEND_CHUNK:
            size += len(queue[0])
            parts.append(queue.popleft())
        return parts[0] if len(parts) == 1 else b"".join(parts)
