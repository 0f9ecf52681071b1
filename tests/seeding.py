"""A client of our own that seeds in another thread, for whatever is to download from it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio

from torrent_core.metainfo import Metainfo
from transports import Client

LIMIT = 30.0


@contextmanager
def seed(metainfo: Metainfo, folder: Path) -> Iterator[int]:
    """Seed what is in ``folder`` until the block ends; gives the port."""
    port: list[int] = []
    ready, enough = threading.Event(), threading.Event()

    async def serve() -> None:
        async with Client(download_dir=folder, host="127.0.0.1", discovery=None) as client:
            torrent = await client.add(metainfo)
            await torrent.wait_complete()
            port.append(client.port)
            ready.set()
            await anyio.to_thread.run_sync(enough.wait)

    thread = threading.Thread(target=lambda: anyio.run(serve))
    thread.start()
    try:
        assert ready.wait(LIMIT)
        yield port[0]
    finally:
        enough.set()
        thread.join(LIMIT)
