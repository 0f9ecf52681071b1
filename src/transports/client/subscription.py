"""Reports for whoever listens: a slow reader loses the oldest and never blocks the engine."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Collection
from typing import TypeAlias

import anyio

from torrent_core.actions import Report

from .dials import PeerUnreachable

EVENT_BACKLOG = 10_000
"""Reports kept for one reader (libtorrent: alert_queue_size 2000; ours are per piece and
a reader that draws a screen may sleep a second)."""

ClientReport: TypeAlias = Report | PeerUnreachable
"""What a client tells."""


class EventStream:
    """An endless ``async for`` over reports, until the client closes.  One reader each.

    Reports of ``unhurried`` kinds wake nobody: they come with the next one that does, or when
    half of the backlog is full.
    """

    def __init__(
        self, backlog: int = EVENT_BACKLOG, unhurried: Collection[type[ClientReport]] = ()
    ) -> None:
        self.lost = 0
        """Reports that this reader was too slow for."""
        self._queue: deque[ClientReport] = deque(maxlen=backlog)
        self._unhurried = frozenset(unhurried)
        self._patience = backlog // 2
        self._wake = anyio.Event()
        self._closed = False

    def push(self, report: ClientReport) -> None:
        """Add a report, in place of the oldest where the backlog is full."""
        self.lost += len(self._queue) == self._queue.maxlen
        self._queue.append(report)
        if type(report) not in self._unhurried or len(self._queue) > self._patience:
            self._wake.set()

    def close(self) -> None:
        """Let the reader finish what is queued, then end."""
        self._closed = True
        self._wake.set()

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> ClientReport:
        while not self._queue:
            if self._closed:
                raise StopAsyncIteration
            self._wake = anyio.Event()
            await self._wake.wait()
        return self._queue.popleft()


class Subscriptions:
    """The streams that somebody still holds."""

    def __init__(self) -> None:
        # Not a WeakSet: to walk one costs more than to tell its one member, some times a piece.
        self._streams: list[weakref.ref[EventStream]] = []
        self._closed = False

    def open(self, unhurried: Collection[type[ClientReport]] = ()) -> EventStream:
        """A stream of the reports from now on; it ends by being let go of."""
        stream = EventStream(unhurried=unhurried)
        if self._closed:
            stream.close()
        self._streams.append(weakref.ref(stream, self._streams.remove))
        return stream

    def publish(self, report: ClientReport) -> None:
        """Give a report to every stream."""
        for stream in self._held():
            stream.push(report)

    def close(self) -> None:
        """End every stream, and those that are opened later at once."""
        self._closed = True
        for stream in self._held():
            stream.close()

    def _held(self) -> list[EventStream]:
        """Those that are there now; one may go meanwhile."""
        return [stream for held in self._streams if (stream := held()) is not None]
