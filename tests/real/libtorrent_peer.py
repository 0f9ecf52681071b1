"""libtorrent as a counterpart, in child processes: a crash in it fails one test, no more.

Everything waits with a deadline, and the one who waits is told what the status was.
"""

from __future__ import annotations

import json
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import attrs
from anyio import to_thread

from .child import Child

CALL_LIMIT = 20.0
"""Seconds any command but a wait may take."""

WAIT_LIMIT = 30.0
"""Seconds a wait may take where the test says nothing else."""


class LibtorrentRefused(Exception):
    """The child process could not do it; the text is its reason."""


class LibtorrentProcess:
    """One child process, with any number of libtorrent sessions in it."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("libtorrent_child.py")
        self._child = Child([sys.executable, str(script)])
        self._lock = threading.Lock()
        self._next = 0

    def call(self, command: str, *, limit: float = CALL_LIMIT, **arguments: object) -> Any:
        """Ask the child and wait at most ``limit`` seconds for what it answers.

        Raises LibtorrentRefused with its reason, and ChildEnded if the process is gone.
        """
        with self._lock:
            self._next += 1
            number = self._next
            self._child.say(json.dumps({"id": number, "command": command, **arguments}))
        mine = f'{{"id": {number},'
        reply = json.loads(self._child.wait_line(lambda line: line.startswith(mine), limit))
        if "error" in reply:
            raise LibtorrentRefused(reply["error"])
        return reply["result"]

    async def ask(self, command: str, *, limit: float = CALL_LIMIT, **arguments: object) -> Any:
        """``call`` on a worker thread, so that the event loop goes on."""
        call = partial(self.call, command, limit=limit, **arguments)
        return await to_thread.run_sync(call, abandon_on_cancel=True)

    def seeder(
        self,
        torrent: Path,
        folder: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        upload_limit: int = 0,
        **settings: object,
    ) -> LibtorrentPeer:
        """A new session that has everything; ``upload_limit`` in bytes a second, 0 is none;
        ``settings`` as libtorrent calls them."""
        return self._open(torrent, folder, host, port, True, upload_limit, settings)

    def leecher(
        self,
        torrent: Path,
        folder: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        **settings: object,
    ) -> LibtorrentPeer:
        """A new session that stores what it gets under ``folder``."""
        return self._open(torrent, folder, host, port, False, 0, settings)

    def seeker(self, magnet: str, folder: Path, *, host: str = "127.0.0.1") -> LibtorrentPeer:
        """A new session that has only a magnet link, and stores what it gets under ``folder``."""
        opened = self.call("seek", magnet=magnet, folder=str(folder), host=host)
        return LibtorrentPeer(self, opened["session"], host, opened["port"])

    def _open(
        self,
        torrent: Path,
        folder: Path,
        host: str,
        port: int,
        seed: bool,
        upload_limit: int,
        settings: dict[str, object],
    ) -> LibtorrentPeer:
        opened = self.call(
            "open",
            torrent=str(torrent),
            folder=str(folder),
            host=host,
            port=port,
            seed=seed,
            upload_limit=upload_limit,
            settings=settings,
        )
        return LibtorrentPeer(self, opened["session"], host, opened["port"])

    def kill(self) -> None:
        """End the process as a crash would; its connections end with it."""
        self._child.kill()

    def stop(self) -> None:
        """End the process, however it is, and give back what it held."""
        self._child.stop()


@attrs.frozen
class LibtorrentPeer:
    """One session with one torrent."""

    process: LibtorrentProcess
    session: int
    host: str
    port: int

    async def status(self) -> dict[str, Any]:
        """progress, pieces, seeding, peer_count, uploaded, downloaded (payload bytes), peers."""
        status: dict[str, Any] = await self.process.ask("status", session=self.session)
        return status

    async def wait(
        self,
        key: str,
        *,
        at_least: float | None = None,
        at_most: float | None = None,
        within: float = WAIT_LIMIT,
    ) -> dict[str, Any]:
        """The first status in which ``key`` is within the bounds."""
        status: dict[str, Any] = await self.process.ask(
            "wait",
            limit=within + CALL_LIMIT,
            session=self.session,
            key=key,
            at_least=at_least,
            at_most=at_most,
            within=within,
        )
        return status

    async def connect(self, host: str, port: int) -> None:
        """Dial a peer."""
        await self.process.ask("connect", session=self.session, host=host, port=port)

    async def meet(self, host: str, port: int) -> None:
        """Tell its node of the DHT of another."""
        await self.process.ask("meet", session=self.session, host=host, port=port)

    async def limit_upload(self, rate: int) -> None:
        """Bytes a second from now on; 0 is no limit."""
        await self.process.ask("limit_upload", session=self.session, rate=rate)

    async def close(self) -> None:
        """End the session and with it its connections."""
        await self.process.ask("close", session=self.session)
