"""``Trackers`` on blocking sockets, one thing after another: for tests against real trackers."""

from __future__ import annotations

import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from itertools import count

from torrent_core.actions import Fetch, Resolve, SendDatagram
from torrent_core.events import DatagramReceived, Fetched, FetchFailed, Resolved, Tick
from torrent_core.trackers import Found, TrackerConfig, TrackerEvent, Trackers
from torrent_core.types import Address, RandomSource, Totals

_LONGEST_WAIT = 20.0


class TrackerDriver:
    """One ``Trackers`` of a peer that listens on ``port``; ``log`` is what it wanted and said.

    Waits of the core are cut to ``patience``, so that a retransmission comes soon."""

    def __init__(self, port: int, random: RandomSource, patience: float = 0.2) -> None:
        ids = count(1)
        self.log: list[Found] = []
        self.trackers = Trackers(
            *(f"-TC0100-{port:012}".encode(), port, random),
            totals=lambda info_hash: Totals(0, 0, 1000),
            config=TrackerConfig(port=port),
            new_id=lambda: next(ids),
        )
        self._patience = patience
        self._now = 0.0
        self._events: list[TrackerEvent] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))

    def close(self) -> None:
        self._socket.close()

    def do(self, step: Callable[[Trackers, float], list[Found]]) -> None:
        """One call, and what it wants."""
        for action in step(self.trackers, self._now):
            self.log.append(action)
            if isinstance(action, Fetch):
                self._events.append(_fetch(action))
            elif isinstance(action, Resolve):
                hosts = {info[4][0] for info in socket.getaddrinfo(action.host, None)}
                self._events.append(Resolved(action.resolve_id, tuple(sorted(map(str, hosts)))))
            elif isinstance(action, SendDatagram) and ":" not in action.address.host:
                self._socket.sendto(action.data, action.address)

    def run_until(self, wanted: Callable[[list[Found]], bool]) -> None:
        """Go on until the log is as ``wanted``.  Raises TimeoutError."""
        end = time.monotonic() + _LONGEST_WAIT
        while not wanted(self.log):
            if time.monotonic() > end:
                raise TimeoutError(f"not so in {_LONGEST_WAIT} s; but: {self.log}")
            self.do(self._step)

    def _step(self, trackers: Trackers, now: float) -> list[Found]:
        """The next event; where none comes, the next deadline."""
        if self._events:
            return trackers.handle(self._events.pop(0), now)
        self._socket.settimeout(self._patience)
        try:
            data, source = self._socket.recvfrom(65536)
        except TimeoutError:
            deadline = trackers.next_deadline()
            self._now = max(now, deadline.when if deadline else now)
            return trackers.handle(Tick(), self._now)
        return trackers.handle(DatagramReceived(Address(*source), data), now)


def _fetch(action: Fetch) -> Fetched | FetchFailed:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(action.url, timeout=_LONGEST_WAIT) as response:
            return Fetched(action.fetch_id, response.status, response.read(action.limit))
    except urllib.error.HTTPError as error:
        with error:
            return Fetched(action.fetch_id, error.code, error.read(action.limit))
    except OSError as error:
        return FetchFailed(action.fetch_id, str(error))
