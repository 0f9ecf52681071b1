"""The demo's cast: scripted seeds that fail on purpose, and a throttle for honest ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from enum import Enum

import anyio
from anyio.abc import (
    ByteStream,
    SocketAttribute,
    SocketListener,
    SocketStream,
    TaskGroup,
    TaskStatus,
)
from anyio.streams.buffered import BufferedByteReceiveStream

from torrent_core.bitfield import to_wire
from torrent_core.errors import WireError
from torrent_core.limits import BLOCK_SIZE
from torrent_core.metainfo import Metainfo
from torrent_core.wire import handshake, messages

from ..tcp.sockets import open_listeners

HOST = "127.0.0.1"

BROKEN = (
    anyio.EndOfStream,
    anyio.IncompleteRead,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    OSError,
)
"""All the ways in which a connection ends."""

Handler = Callable[[SocketStream], Awaitable[None]]
ReadPayload = Callable[[int, int], bytes]


async def listen(handler: Handler, task_status: TaskStatus[int], closed: anyio.Event) -> None:
    """Accept on a free loopback port, which is the task's start value, until ``closed``."""
    [listener] = await open_listeners(HOST, 0)
    async with listener, anyio.create_task_group() as group:
        task_status.started(listener.extra(SocketAttribute.local_port))
        group.start_soon(_admit, listener, handler, group)
        await closed.wait()
        group.cancel_scope.cancel()


async def _admit(listener: SocketListener, handler: Handler, group: TaskGroup) -> None:
    """Accept when there is somebody to accept: asyncio, cancelled in the moment that one comes,
    else takes him all the same, and complains that nobody waits for him any longer."""
    while True:
        await anyio.wait_readable(listener.extra(SocketAttribute.raw_socket))
        group.start_soon(_attend, await listener.accept(), handler)


async def _attend(stream: SocketStream, handler: Handler) -> None:
    async with stream:
        await handler(stream)


class Fault(Enum):
    """How a faulty seed fails; the value is its name."""

    LEAVES = "leaver"
    FALLS_SILENT = "silent"
    CHOKES = "choker"


_DEEDS = {
    Fault.LEAVES: "left without a word",
    Fault.FALLS_SILENT: "fell silent",
    Fault.CHOKES: "choked for ever",
}
"""How many requests that left open only the downloader knows: some were still on their way."""


def served_line(name: str, count: int) -> str:
    """What a seed has served, payload alone; ``count`` in bytes."""
    return f"{name}: served {count / BLOCK_SIZE:.0f} blocks ({count / 2**20:.1f} MiB)"


class FaultySeed:
    """Serves ``quota`` blocks, one each ``interval`` seconds, and then fails as it must.

    It fails only while requests are waiting, so that there is something to ask again.  It
    speaks plain BEP 3: there, CHOKE voids what was asked.
    """

    def __init__(
        self,
        fault: Fault,
        metainfo: Metainfo,
        read: ReadPayload,
        quota: int,
        interval: float,
    ) -> None:
        self.name = fault.value
        self.failed = anyio.Event()
        self.failed_at: float | None = None
        self._fault = fault
        self._metainfo = metainfo
        self._read = read
        self._quota = quota
        self._interval = interval
        self._served = 0
        self._closed = anyio.Event()

    async def serve(self, *, task_status: TaskStatus[int]) -> None:
        """Listen until cancelled or gone; started with the port."""
        await listen(self._talk, task_status, self._closed)

    def story(self, began: float) -> str:
        """What it did, in one line."""
        served = served_line(self.name, self._served * BLOCK_SIZE)
        if self.failed_at is None:
            return served
        return f"{served}, {_DEEDS[self._fault]} {self.failed_at - began:.1f} s after the start"

    async def _talk(self, stream: SocketStream) -> None:
        queue: deque[messages.Request] = deque()
        try:
            async with stream, anyio.create_task_group() as group:
                reader = BufferedByteReceiveStream(stream)
                await self._greet(reader, stream)
                group.start_soon(self._answer, stream, queue)
                while True:
                    await self._hear(await _receive(reader), stream, queue)
        except* (*BROKEN, WireError):
            pass  # the client may leave whenever it likes

    async def _greet(self, reader: BufferedByteReceiveStream, stream: ByteStream) -> None:
        await reader.receive_exactly(handshake.HANDSHAKE_LENGTH)
        peer_id = f"-XX0000-{self.name:*<12}".encode()
        hello = handshake.Handshake(self._metainfo.info_hash, peer_id, bytes(8))
        geometry = self._metainfo.geometry
        pieces = to_wire(geometry.all_pieces, geometry.piece_count)
        await stream.send(handshake.encode(hello) + messages.encode(messages.Bitfield(pieces)))

    async def _hear(
        self, message: messages.Message, stream: ByteStream, queue: deque[messages.Request]
    ) -> None:
        match message:
            case messages.Interested() if self.failed_at is None:
                await stream.send(messages.encode(messages.Unchoke()))
            case messages.Request():
                queue.append(message)
            case messages.Cancel(index, begin, length):
                request = messages.Request(index, begin, length)
                if request in queue:
                    queue.remove(request)

    async def _answer(self, stream: SocketStream, queue: deque[messages.Request]) -> None:
        while self.failed_at is None:
            await anyio.sleep(self._interval)
            if not queue:
                continue
            if self._served >= self._quota:
                await self._fail(stream)
            else:
                await stream.send(messages.encode(self._block(queue.popleft())))
                self._served += 1

    async def _fail(self, stream: SocketStream) -> None:
        self.failed_at = anyio.current_time()
        self.failed.set()
        if self._fault is Fault.LEAVES:
            self._closed.set()
            await stream.aclose()
        elif self._fault is Fault.CHOKES:
            await stream.send(messages.encode(messages.Choke()))

    def _block(self, request: messages.Request) -> messages.Piece:
        offset = request.index * self._metainfo.piece_length + request.begin
        return messages.Piece(request.index, request.begin, self._read(offset, request.length))


async def _receive(reader: BufferedByteReceiveStream) -> messages.Message:
    (length,) = messages.PREFIX.unpack(await reader.receive_exactly(messages.PREFIX.size))
    body = await reader.receive_exactly(length) if length else b""
    return messages.decode(body)


class Throttle:
    """Stands before an honest seed and lets through so many bytes a second."""

    def __init__(self, name: str, port: int, rate: float) -> None:
        self.name = name
        self._port = port
        self._rate = rate
        self._free_at = 0.0

    async def serve(self, *, task_status: TaskStatus[int]) -> None:
        """Listen until cancelled; started with the port."""
        await listen(self._relay, task_status, anyio.Event())

    def story(self, uploaded: int) -> str:
        """What the seed behind it did, in one line; ``uploaded`` in bytes of payload."""
        held = f"held at {self._rate / 2**20:.1f} MiB/s"
        return f"{served_line(self.name, uploaded)}, {held}"

    async def _relay(self, client: SocketStream) -> None:
        try:
            async with (
                client,  # closed as well if the seed cannot be reached
                await anyio.connect_tcp(HOST, self._port) as seed,
                anyio.create_task_group() as group,
            ):
                group.start_soon(self._pump, client, seed, self._pass_freely, group.cancel_scope)
                group.start_soon(self._pump, seed, client, self._pass_slowly, group.cancel_scope)
        except* BROKEN:
            pass  # either side may leave whenever it likes

    async def _pump(
        self,
        source: SocketStream,
        sink: SocketStream,
        admit: Callable[[int], Awaitable[None]],
        scope: anyio.CancelScope,
    ) -> None:
        async for data in source:
            await admit(len(data))
            await sink.send(data)
        scope.cancel()

    async def _pass_freely(self, count: int) -> None:
        return None

    async def _pass_slowly(self, count: int) -> None:
        await anyio.sleep_until(self.due(count, anyio.current_time()))

    def due(self, count: int, now: float) -> float:
        """Admit ``count`` bytes; the result is when they may pass."""
        self._free_at = max(now, self._free_at) + count / self._rate
        return self._free_at
