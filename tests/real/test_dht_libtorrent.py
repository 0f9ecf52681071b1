"""Our DHT among libtorrent's, on loopback addresses: each finds what the other announced."""

from __future__ import annotations

import importlib.util
import json
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest

from torrent_core.actions import SendDatagram
from torrent_core.dht import Dht, DhtConfig
from torrent_core.dht.desk import Found
from torrent_core.events import DatagramReceived, PeersFound, Tick
from torrent_core.types import Address, Family

from .child import Child

pytestmark = pytest.mark.real

NODES = 12
LIMIT = 30.0
OURS, THEIRS = bytes(range(20)), bytes(range(100, 120))


class Swarm:
    """The libtorrent sessions of one child process."""

    def __init__(self) -> None:
        self.child = Child(
            [sys.executable, str(Path(__file__).with_name("libtorrent_dht_child.py"))]
        )
        self._numbers = count(1)

    def call(self, command: str, **arguments: object) -> Any:
        number = next(self._numbers)
        self.child.say(json.dumps({"id": number, "command": command, **arguments}))
        mine = f'{{"id": {number},'
        reply = json.loads(self.child.wait_line(lambda line: line.startswith(mine), LIMIT))
        assert "error" not in reply, reply
        return reply["result"]


class Loop:
    """A ``Dht`` on a plain UDP socket, run by a thread of its own."""

    def __init__(self, host: str) -> None:
        ids = count(1)
        config = DhtConfig(families=(Family.IPV4,))
        self.dht = Dht(secrets.token_bytes(16), Random(1), config, lambda: next(ids))
        self.found: dict[bytes, set[Address]] = {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.address = Address(*self.socket.getsockname())
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._closed = False
        self.do(lambda now: self.dht.start(now))
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def do(self, step: Callable[[float], list[Found]]) -> None:
        """One step of the machine, and what it wants."""
        with self._lock:
            for found in step(time.monotonic()):
                if isinstance(found, SendDatagram):
                    self.socket.sendto(found.data, found.address)
                elif isinstance(found, PeersFound):
                    self.found.setdefault(found.torrent, set()).update(found.peers)
            self._changed.notify_all()

    def wait(self, condition: Callable[[], bool]) -> bool:
        """Whether it came true within the limit."""
        with self._lock:
            return self._changed.wait_for(condition, LIMIT)

    def _run(self) -> None:
        while not self._closed:
            with self._lock:
                deadline = self.dht.next_deadline()
            assert deadline is not None
            # A step of the other thread may bring the deadline forward: look twice a second.
            self.socket.settimeout(min(0.5, max(0.001, deadline.when - time.monotonic())))
            try:
                data, source = self.socket.recvfrom(65536)
            except TimeoutError:
                self.do(lambda now: self.dht.handle(Tick(), now))
            else:
                event = DatagramReceived(Address(*source), data)
                self.do(lambda now, event=event: self.dht.handle(event, now))  # type: ignore[misc]

    def close(self) -> None:
        self._closed = True
        self._thread.join(LIMIT)
        self.socket.close()


@pytest.fixture
def swarm() -> Iterator[Swarm]:
    if importlib.util.find_spec("libtorrent") is None:
        pytest.skip("libtorrent is not installed (it has no wheel for this platform)")
    made = Swarm()
    yield made
    made.child.stop()


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop("127.0.99.1")
    yield made
    made.close()


@pytest.mark.timeout(180)
def test_each_finds_what_the_other_announced(swarm: Swarm, loop: Loop, tmp_path: Path) -> None:
    theirs = []
    for number in range(1, NODES + 1):
        host = f"127.0.{number}.1"
        theirs.append(Address(host, swarm.call("open", host=host)["port"]))
    for number in range(1, NODES):
        swarm.call("meet", session=number, host=theirs[0].host, port=theirs[0].port)
    # They announce; we know one of them, and find the others and the peer.
    swarm.call("take_part", session=3, torrent=THEIRS.hex(), folder=str(tmp_path))
    loop.do(lambda now: loop.dht.add_node(theirs[0], now))
    table = loop.dht.overlays[Family.IPV4].table
    assert loop.wait(lambda: len(table) >= NODES // 2), len(table)
    deadline = time.monotonic() + LIMIT
    while not loop.found.get(THEIRS) and time.monotonic() < deadline:
        loop.do(lambda now: loop.dht.search(THEIRS, None, now))
        loop.wait(lambda: THEIRS not in loop.dht.overlays[Family.IPV4].searches)
        loop.dht.forget(THEIRS)
    assert loop.found[THEIRS] == {theirs[3]}
    # We announce; they find us.
    loop.do(lambda now: loop.dht.search(OURS, 4000, now))
    assert loop.wait(lambda: OURS not in loop.dht.overlays[Family.IPV4].searches)
    deadline = time.monotonic() + LIMIT
    seen: list[list[object]] = []
    while not seen and time.monotonic() < deadline:
        seen = swarm.call("look", session=NODES - 1, torrent=OURS.hex())
    assert seen == [[loop.address.host, 4000]]
