"""Scripted machines and small torrents for the tests of the transports."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import anyio

from torrent_core.actions import Action
from torrent_core.deadlines import Deadline
from torrent_core.events import BytesReceived, Event
from torrent_core.geometry import Geometry
from torrent_core.metainfo import FileEntry, Metainfo
from torrent_core.types import LinkId
from transports.driver import Driver
from transports.tcp import make_network
from transports.tcp.base import BaseNetwork
from transports.tcp.sockets import local_port, open_listeners

PATIENCE = 20.0
"""Seconds after which a test gives up; reached only when something is broken."""


class Script:
    """A machine that records what it is fed and answers by a function."""

    def __init__(self, react: Callable[[Event], Iterable[Action]] = lambda event: ()) -> None:
        self.react = react
        self.events: list[Event] = []
        self.deadline: Deadline | None = None
        self._changed = anyio.Event()

    def handle(self, event: Event, now: float, /) -> list[Action]:
        self.events.append(kept(event))
        self._changed.set()
        return list(self.react(event))

    def next_deadline(self) -> Deadline | None:
        return self.deadline

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if type(event) is kind]

    @property
    def received(self) -> bytes:
        return b"".join(bytes(event.data) for event in self.of(BytesReceived))

    async def until(self, met: Callable[[], object]) -> None:
        """Wait until ``met`` is true of what has happened."""
        with anyio.fail_after(PATIENCE):
            while not met():
                self._changed = anyio.Event()
                await self._changed.wait()


def kept(event: Event) -> Event:
    """The event as it may be kept: a payload is only there while it is handled."""
    if type(event) is BytesReceived:
        return BytesReceived(event.link, bytes(event.data))
    return event


def nowhere(link: LinkId, most: int) -> list[memoryview]:
    """A machine that does not care where bytes are read to."""
    return []


class NoDisk:
    """A disk for machines that ask nothing of it."""

    def attach(self, feed, report):
        pass

    def submit(self, action):
        raise AssertionError(f"{action} was not expected")


class NoNetwork:
    """A network that keeps what it is asked for."""

    def __init__(self):
        self.asked: list[Action] = []
        self.dial = self.cancel_dial = self.send = self.close = self.asked.append

    def attach(self, feed, receive_into):
        self.feed = feed


class Node:
    """A scripted machine with real sockets."""

    def __init__(self, script: Script, driver: Driver, network: BaseNetwork, port: int) -> None:
        self.script = script
        self.driver = driver
        self.network = network
        self.port = port


@asynccontextmanager
async def node(
    react: Callable[[Event], Iterable[Action]] = lambda event: (),
    make: Callable[..., BaseNetwork] = make_network,
) -> AsyncIterator[Node]:
    """A listening node on loopback, closed at the end as a client closes it."""
    script = Script(react)
    listeners = await open_listeners("127.0.0.1", 0)
    network = make(listeners)
    driver = Driver(script, anyio.current_time, NoDisk(), network)
    async with anyio.create_task_group() as tasks:
        await tasks.start(network.run)
        tasks.start_soon(driver.run)
        yield Node(script, driver, network, local_port(listeners))
        with anyio.fail_after(PATIENCE):
            await network.aclose()
        tasks.cancel_scope.cancel()


def torrent(
    files: Iterable[tuple[str, int]] = (("a", 70_000),),
    *,
    piece_length: int = 32_768,
    pads: Iterable[int] = (),
    payload: bytes | None = None,
) -> Metainfo:
    """A torrent of these files; its hashes are those of ``payload`` where it is given."""
    entries, offset = [], 0
    for index, (path, length) in enumerate(files):
        pad = index in tuple(pads)
        entries.append(
            FileEntry(path=tuple(path.split("/")), length=length, offset=offset, pad=pad)
        )
        offset += length
    geometry = Geometry(offset, piece_length)
    data = bytes(offset) if payload is None else payload
    hashes = b"".join(
        hashlib.sha1(data[at : at + piece_length]).digest() for at in range(0, offset, piece_length)
    )
    return Metainfo(
        info_hash=hashlib.sha1(repr(entries).encode() + hashes).digest(),
        name="torrent",
        geometry=geometry,
        piece_hashes=hashes,
        files=tuple(entries),
        multi_file=len(entries) > 1,
        private=False,
        trackers=(),
        comment="",
        created_by="",
        creation_date=None,
        source="",
        info=b"de",
    )
