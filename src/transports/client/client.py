"""A BitTorrent client in one object: the pure core, with sockets, files, clock and entropy.

async with Client(download_dir="downloads") as client:
    torrent = await client.add("some.torrent")
    torrent.add_peer("192.0.2.7", 6881)
    await torrent.wait_complete()
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Collection, Iterable
from random import Random
from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio
import anyio.to_thread
import attrs
from anyio.abc import SocketListener, TaskGroup, TaskStatus

from torrent_core import Session, SessionConfig
from torrent_core.actions import Report, Warned
from torrent_core.errors import LocalProtocolError
from torrent_core.events import AddMagnet, AddTorrent, StopTorrent
from torrent_core.metainfo import MagnetLink
from torrent_core.types import InfoHash, RandomSource, TorrentState

from ..disk.resumefile import RESUME_FOLDER, load_resume
from ..disk.workers import Disk
from ..driver import Driver
from ..errors import CannotListen, ClientClosed, DuplicateTorrent
from ..faces import Clock, Machine
from ..tcp import make_network
from ..tcp.sockets import close_listeners, describe, local_port, open_listeners
from .dials import DialWatch
from .discovery import NOWHERE, PeerDiscovery
from .handle import TorrentHandle
from .means import means
from .place import Place
from .source import PathName, Source, load
from .subscription import ClientReport, EventStream, Subscriptions

if TYPE_CHECKING:
    from ..tracefile import Recording

STOP_TIMEOUT = 10.0
"""Seconds that leaving a client may take: torrents stopped, resume data saved, links closed."""

PEER_ID_PREFIX = b"-TC0100-"
"""Who we are, as BEP 20 has it: torrent-core 0.1.0."""


class Client:
    """Torrents, and what they need to run.  An async context manager, entered once.

    ``port`` 0 takes a free one; ``host`` None listens on all interfaces, IPv4 and IPv6.
    ``resume_dir`` holds resume data in place of ``.torrent-core`` in each download folder;
    ``preallocate`` reserves disk space when a file is first written.  ``clock`` (seconds,
    monotonic), ``random`` and ``peer_id`` are for those who want to repeat a run; ``trace`` is
    a file that it is recorded in, for ``torrent_core.trace.replay``.

    ``discovery`` says how peers are found; None: only those that are named, or dial us.
    ``state_dir`` keeps nodes of the DHT from one run to the next; None keeps none.

    Entering it raises CannotListen, an OSError, if the port is not to be had, and OSError for
    a trace that cannot be begun.  Leaving it stops the torrents, which trackers are told, in
    at most ``STOP_TIMEOUT`` seconds.  A bug in the core or an adapter ends the client with that
    exception.
    """

    port: int
    """The port that peers may dial, once entered."""

    def __init__(
        self,
        download_dir: PathName,
        port: int = 0,
        host: str | None = None,
        *,
        discovery: PeerDiscovery | None = PeerDiscovery(),  # noqa: B008 - it is frozen
        state_dir: PathName | None = None,
        resume_dir: PathName | None = None,
        preallocate: bool = False,
        config: SessionConfig | None = None,
        clock: Clock = time.monotonic,
        random: RandomSource | None = None,
        peer_id: bytes | None = None,
        trace: PathName | None = None,
    ) -> None:
        self.download_dir = os.path.abspath(download_dir)
        self.resume_dir = None if resume_dir is None else os.path.abspath(resume_dir)
        self.peer_id = peer_id or PEER_ID_PREFIX + secrets.token_bytes(12)
        self._host = host
        self._wanted_port = port
        self._preallocate = preallocate
        self._config = config or SessionConfig()
        state = None if state_dir is None else os.path.abspath(state_dir)
        self._means = means(discovery or NOWHERE, host, state)
        self._clock = clock
        self._random = random or Random(secrets.randbits(256))
        self._trace = trace
        self._recording: Recording | None = None
        self._torrents: dict[InfoHash, TorrentHandle] = {}
        self._subscriptions = Subscriptions()
        self._entered = False
        self._running = False

    @property
    def torrents(self) -> list[TorrentHandle]:
        """Every torrent of this client, oldest first."""
        return list(self._torrents.values())

    def events(self, *, unhurried: Collection[type[ClientReport]] = ()) -> EventStream:
        """The core's reports from now on, and ``PeerUnreachable`` for each dial that failed;
        ends with the client.  Any number may listen.

        Reports of ``unhurried`` kinds are there in their place, but wake nobody: a reader who
        counts pieces with the next report of another kind need not be woken for each."""
        return self._subscriptions.open(unhurried)

    async def add(
        self,
        source: Source,
        *,
        download_dir: PathName | None = None,
        resume: bool = True,
        priorities: Iterable[int] | None = None,
        hold: bool = False,
    ) -> TorrentHandle:
        """Take a torrent in and start it.

        ``source`` is the path of a torrent file, an http or https URL of one, its bytes, or
        what is in it; or a magnet link, as text or as what it says.  Of that, peers are asked
        for the metadata first, which ``TorrentHandle.wait_metadata`` waits for.

        Without ``resume``, what an earlier run saved is not believed, and what is on disk
        hashed.  ``priorities`` has one entry per file, 0 (skip) or 1; a magnet link says
        itself what is wanted.  With ``hold``, no file is looked at or touched before
        ``TorrentHandle.release``.

        Raises OSError for a path that cannot be read, FetchRefused for a URL that leads to
        nothing, MetainfoError or BencodeError for a malformed torrent, InvalidMagnet for a
        malformed link, DuplicateTorrent, LocalProtocolError for bad priorities and for
        priorities of a magnet link, ClientClosed.
        """
        what = await load(source)
        self._check_running()
        if isinstance(what, MagnetLink) and priorities is not None:
            raise LocalProtocolError("a magnet link says itself which files are wanted")
        if what.info_hash in self._torrents:
            raise DuplicateTorrent(what.name or what.info_hash.hex())
        place = self._place(what.info_hash, download_dir)
        handle = TorrentHandle(
            what, place, self.session, self.driver, self._disk, self._forget, hold=hold
        )
        self._torrents[what.info_hash] = handle
        try:
            saved = await self._load_resume(what.info_hash, place) if resume else None
            self._check_running()
            if isinstance(what, MagnetLink):
                self.driver.command(AddMagnet(what, saved))
            else:
                wanted = None if priorities is None else tuple(priorities)
                self.driver.command(AddTorrent(what, saved, wanted))
        except BaseException:
            self._forget(handle)
            raise
        return handle

    async def __aenter__(self) -> Self:
        if self._entered:
            raise ClientClosed("a client is entered once")
        self._entered = True
        listeners = await self._listen()
        self.port = local_port(listeners)
        try:
            machine = self._make_session(await self._settled_config(listeners))
        except BaseException:
            await close_listeners(listeners)
            self._means.close()
            raise
        self._network = make_network(listeners)
        self._disk = Disk(preallocate=self._preallocate)
        network = DialWatch(self._network, self._subscriptions.publish)
        self._discoverer = self._means.discoverer()
        self.driver = Driver(machine, self._clock, self._disk, network, self._discoverer)
        self.driver.subscribe(self._dispatch)
        self._quit = anyio.Event()
        self._tasks: TaskGroup = anyio.create_task_group()
        await self._tasks.__aenter__()
        with anyio.CancelScope(shield=True):
            await self._tasks.start(self._engine)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        try:
            await self._shut_down()
        finally:
            self._quit.set()
            self._subscriptions.close()
        try:
            return await self._tasks.__aexit__(kind, error, trace)
        except BaseExceptionGroup as group:
            inner = sole(group)
            if inner is error:
                return False
            raise inner from inner.__cause__

    async def _listen(self) -> list[SocketListener]:
        try:
            return await open_listeners(self._host, self._wanted_port)
        except OSError as error:
            raise CannotListen(self._wanted_port, error.errno, describe(error)) from error

    async def _settled_config(self, listeners: list[SocketListener]) -> SessionConfig:
        """What was wanted, and what has come of it: ports, nodes, secrets."""
        policy = attrs.evolve(self._config.torrent, listen_port=self.port)
        return await self._means.open(listeners, attrs.evolve(self._config, torrent=policy))

    def _make_session(self, config: SessionConfig) -> Machine:
        """The session as the driver is to see it."""
        if self._trace is None:
            self.session = Session(peer_id=self.peer_id, random=self._random, config=config)
            return self.session
        # Few record, and all the others need not wait until this is loaded.
        from torrent_core.trace import SessionSetup

        from ..tracefile import Recording

        setup = SessionSetup(self.peer_id, config)
        self._recording = Recording(self._trace, setup, self._random, self._trace_failed)
        self.session = self._recording.recorder.machine
        return self._recording.recorder

    async def _engine(self, *, task_status: TaskStatus[None]) -> None:
        """Every task of the client.  Shielded, so that a client that is cancelled can still
        close its links and save its resume data."""
        with anyio.CancelScope(shield=True):
            try:
                async with anyio.create_task_group() as tasks:
                    await tasks.start(self._network.run)
                    if self._discoverer is not None:
                        await tasks.start(self._discoverer.run)
                    tasks.start_soon(self._disk.run)
                    tasks.start_soon(self.driver.run)
                    if self._recording is not None:
                        tasks.start_soon(self._recording.run)
                    self._running = True
                    task_status.started()
                    await self._quit.wait()
                    tasks.cancel_scope.cancel()
            finally:
                self._running = False
                self.driver.close()
                self._means.close()
                try:
                    await self._disk.aclose()
                finally:
                    if self._recording is not None:
                        self._recording.close()

    async def _shut_down(self) -> None:
        """Stop every torrent and close every link, within ``STOP_TIMEOUT``."""
        with anyio.move_on_after(STOP_TIMEOUT, shield=True):
            if self._running and self.driver.failure is None:
                for handle in self.torrents:
                    if handle.state not in (TorrentState.STOPPING, TorrentState.STOPPED):
                        self.driver.command(StopTorrent(handle.info_hash))
                for handle in self.torrents:
                    await handle.stop()
                if self._discoverer is not None:
                    await self.driver.until(lambda: not self.session.is_leaving)
                await self._network.aclose()
                if self._discoverer is not None:
                    await self._discoverer.aclose()

    def _place(self, info_hash: InfoHash, download_dir: PathName | None) -> Place:
        folder = os.path.abspath(download_dir or self.download_dir)
        resume_dir = self.resume_dir or os.path.join(folder, RESUME_FOLDER)
        return Place(folder, os.path.join(resume_dir, f"{info_hash.hex()}.resume"))

    async def _load_resume(self, info_hash: InfoHash, place: Place) -> bytes | None:
        try:
            return await anyio.to_thread.run_sync(load_resume, place.resume_path)
        except OSError as error:
            self.driver.report(Warned(info_hash, f"resume data not read: {error}"))
            return None

    def _forget(self, handle: TorrentHandle) -> None:
        if self._torrents.get(handle.info_hash) is handle:
            del self._torrents[handle.info_hash]
            handle.forgotten()

    def _dispatch(self, report: Report) -> None:
        handle = self._torrents.get(report.torrent)
        if handle is not None:
            handle.notice(report)
        self._subscriptions.publish(report)

    def _trace_failed(self, error: OSError) -> None:
        for info_hash in self._torrents:
            self.driver.report(Warned(info_hash, f"the trace ends here: {error}"))

    def _check_running(self) -> None:
        if not self._running:
            raise ClientClosed("the client is not open")


def sole(error: BaseException) -> BaseException:
    """What a group holds, if that is one exception only; else the group itself."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
