"""One file from the web, for whoever has no machine that asks for it."""

from __future__ import annotations

from typing import cast

import anyio

from torrent_core.actions import Fetch
from torrent_core.events import Event, Fetched, FetchFailed
from torrent_core.limits import MAX_TORRENT_BYTES

from ..errors import FetchRefused
from .fetcher import HttpFetcher

DOWNLOAD_TIMEOUT = 60.0
"""Seconds that a torrent file may take to come (curl has no bound; most are below a MiB)."""

_OK = 200


async def download(url: str, limit: int = MAX_TORRENT_BYTES) -> bytes:
    """The body that an http or https URL leads to, unpacked, of at most ``limit`` bytes.

    Raises FetchRefused with the reason where there is none."""
    answers: list[Fetched | FetchFailed] = []
    answered = anyio.Event()

    def hear(event: Event) -> None:
        answers.append(cast(Fetched | FetchFailed, event))
        answered.set()

    fetcher = HttpFetcher()
    fetcher.attach(hear)
    async with anyio.create_task_group() as tasks:
        await tasks.start(fetcher.run)
        fetcher.fetch(Fetch(1, url, limit, None))
        with anyio.move_on_after(DOWNLOAD_TIMEOUT):
            await answered.wait()
        tasks.cancel_scope.cancel()
    if not answered.is_set():
        raise FetchRefused("no answer in time")
    (answer,) = answers
    if isinstance(answer, FetchFailed):
        raise FetchRefused(answer.detail)
    if answer.status != _OK:
        raise FetchRefused(f"HTTP status {answer.status}")
    return answer.body
