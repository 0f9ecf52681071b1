"""What the tests of the adapters of discovery share: what was told, and a small web server."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
from anyio.abc import SocketAttribute, SocketStream

from transport_kit import PATIENCE


class Told:
    """A feed that keeps its events."""

    def __init__(self) -> None:
        self.events: list[object] = []
        self._changed = anyio.Event()

    def __call__(self, event: object) -> None:
        self.events.append(event)
        self._changed.set()

    async def until(self, count: int) -> list[object]:
        """Wait until so many events have come, and no more than that have."""
        with anyio.fail_after(PATIENCE):
            while len(self.events) < count:
                self._changed = anyio.Event()
                await self._changed.wait()
        assert len(self.events) == count
        return self.events


class Web:
    """A server that answers each request by a function of the path, and keeps the requests."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.requests: list[bytes] = []

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


Answer = Callable[[str, SocketStream], Awaitable[None]]


@asynccontextmanager
async def web(answer: Answer, host: str = "127.0.0.1") -> AsyncIterator[Web]:
    """A web server on loopback."""
    listener = await anyio.create_tcp_listener(local_host=host)
    server = Web(listener.extra(SocketAttribute.local_port))

    async def serve(stream: SocketStream) -> None:
        async with stream:
            head = b""
            while b"\r\n\r\n" not in head:
                try:
                    head += await stream.receive()
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    return  # it did not like where it came to
            server.requests.append(head)
            # It may hang up when it has heard enough.
            with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                await answer(head.split(b" ", 2)[1].decode(), stream)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield server
        tasks.cancel_scope.cancel()
    await listener.aclose()


def response(body: bytes = b"", *headers: str, status: str = "200 OK") -> bytes:
    """The bytes of an HTTP response."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body
