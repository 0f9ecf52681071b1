"""A real swarm on loopback TCP, with faults, downloaded through the public ``Client``.

Two honest seeds are clients like any other, each behind a throttle, so that the transfer
lasts long enough for something to go wrong in the middle of it.  Three faulty seeds serve a
little and then leave, fall silent, or choke for ever.  ``run_demo`` says what each of them
did and, from the core's own reports, who was asked instead.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from torrent_core.classes import frozen
from torrent_core.limits import BLOCK_SIZE
from torrent_core.metainfo import Metainfo, TorrentBuilder, choose_piece_length

from ..client.client import Client
from ..client.handle import TorrentHandle
from ..client.subscription import EventStream
from ..disk.hashing import PieceReader, SourceFile, digests
from .ledger import Ledger
from .peers import Fault, FaultySeed, Throttle

HOST = "127.0.0.1"
HONEST_SEEDS = 2

TRANSFER_SECONDS = 6.0
"""What the honest seeds alone would need.  A silent peer is found out after two seconds or
so, and the payload must not be complete by then."""

FAULT_SECONDS = 1.0
"""A faulty seed serves its share for so long."""

FAULT_SHARE = 64
"""A faulty seed serves one block in so many, and at least ``LEAST_SERVED``."""

LEAST_SERVED = 4

LEAST_PIECE = 64 * 1024
"""Pieces of several blocks, so that a fault leaves pieces half done."""

LIMIT_SECONDS = 60.0
"""A demo that is not done by then has failed."""

CHUNK = 1024 * 1024

OnStatus = Callable[[TorrentHandle], None]


@frozen
class DemoReport:
    """How the demo went."""

    verified: bool
    """Every piece of the download matches the torrent, hashed afresh from disk."""
    size: int
    seconds: float
    seeds: tuple[str, ...]
    """What each seed did, a line each."""
    requests: tuple[str, ...]
    """What was asked again, of whom, after whom, and why."""
    missing: tuple[str, ...]
    """Faults that should have happened and did not; empty in a good run."""

    @property
    def good(self) -> bool:
        """The download is right although everything went wrong that should."""
        return self.verified and not self.missing


async def run_demo(folder: Path, size: int, seed: int, on_status: OnStatus) -> DemoReport:
    """Run the whole demo inside ``folder``, which is empty; ``size`` is in bytes.

    The same ``seed`` makes the same payload and the same choices.  ``on_status`` is called
    several times a second while the download runs.  Raises TimeoutError when it takes more
    than ``LIMIT_SECONDS``.
    """
    source = folder / "seed"
    target = folder / "download"
    metainfo = await anyio.to_thread.run_sync(make_payload, source, size, seed)
    with anyio.fail_after(LIMIT_SECONDS):
        async with AsyncExitStack() as stack:
            group = await stack.enter_async_context(anyio.create_task_group())
            swarm = Swarm(metainfo, source)
            await swarm.start(stack, group)
            async with Client(
                target, host=HOST, discovery=None, random=random.Random(seed)
            ) as client:
                ledger = Ledger(swarm.names)
                began = anyio.current_time()
                await _download(client, swarm, ledger, on_status)
                seconds = anyio.current_time() - began
            seeds = tuple(swarm.story(began))
            group.cancel_scope.cancel()
    verified = await anyio.to_thread.run_sync(is_complete, metainfo, target)
    return DemoReport(
        verified=verified,
        size=size,
        seconds=seconds,
        seeds=seeds,
        requests=tuple(ledger.lines()),
        missing=tuple(missing_faults(swarm.faulty, ledger)),
    )


async def _download(client: Client, swarm: Swarm, ledger: Ledger, on_status: OnStatus) -> None:
    async with anyio.create_task_group() as group:
        told = anyio.Event()
        group.start_soon(_collect, client.events(), ledger, told)
        torrent = await client.add(swarm.metainfo)
        for port in swarm.names:
            torrent.add_peer(HOST, port)
        group.start_soon(_show, torrent, on_status)
        await torrent.wait_complete()
        await told.wait()
        on_status(torrent)
        group.cancel_scope.cancel()


async def _collect(reports: EventStream, ledger: Ledger, told: anyio.Event) -> None:
    async for report in reports:
        ledger.take(report)
        if ledger.completed:
            told.set()


async def _show(torrent: TorrentHandle, on_status: OnStatus) -> None:
    while True:
        on_status(torrent)
        await anyio.sleep(0.2)


class Swarm:
    """The five seeds, running in a task group; ``names`` are theirs by port."""

    def __init__(self, metainfo: Metainfo, source: Path) -> None:
        self.metainfo = metainfo
        self.names: dict[int, str] = {}
        self._source = source
        self.faulty: list[FaultySeed] = []
        self._honest: list[tuple[Throttle, TorrentHandle]] = []

    async def start(self, stack: AsyncExitStack, group: TaskGroup) -> None:
        """Start every seed; they end with ``stack`` and ``group``."""
        for number in range(1, HONEST_SEEDS + 1):
            seeding = self._seeding(f"resume-{number}")
            client, torrent = await stack.enter_async_context(seeding)
            rate = self.metainfo.total_length / TRANSFER_SECONDS / HONEST_SEEDS
            throttle = Throttle(f"honest-{number}", client.port, rate)
            self._honest.append((throttle, torrent))
            self.names[await group.start(throttle.serve)] = throttle.name
        blocks = self.metainfo.total_length // BLOCK_SIZE
        quota = max(LEAST_SERVED, blocks // FAULT_SHARE)
        payload = self._reader()
        for fault in Fault:
            faulty = FaultySeed(fault, self.metainfo, payload, quota, FAULT_SECONDS / quota)
            self.faulty.append(faulty)
            self.names[await group.start(faulty.serve)] = faulty.name

    @asynccontextmanager
    async def _seeding(self, resume: str) -> AsyncIterator[tuple[Client, TorrentHandle]]:
        resume_dir = self._source.parent / resume
        async with Client(self._source, host=HOST, discovery=None, resume_dir=resume_dir) as client:
            torrent = await client.add(self.metainfo)
            await torrent.wait_complete()
            yield client, torrent

    def _reader(self) -> Callable[[int, int], bytes]:
        """Reads payload by offset and length; the payload is one file."""
        path = self._source.joinpath(*self.metainfo.files[0].path)

        def read(offset: int, length: int) -> bytes:
            with path.open("rb", buffering=0) as file:
                file.seek(offset)
                return file.read(length)

        return read

    def story(self, began: float) -> list[str]:
        """What each seed did, the honest ones first."""
        lines = [throttle.story(torrent.status.uploaded) for throttle, torrent in self._honest]
        return lines + [faulty.story(began) for faulty in self.faulty]


def missing_faults(seeds: Iterable[FaultySeed], ledger: Ledger) -> list[str]:
    """Faults that did not happen, or left no request to ask again."""
    lines = []
    for seed in seeds:
        if seed.failed_at is None:
            lines.append(f"{seed.name} never came to its fault")
        elif not ledger.released_by(seed.name):
            lines.append(f"no request to {seed.name} was asked again")
    return lines


def make_payload(folder: Path, size: int, seed: int) -> Metainfo:
    """Write ``size`` random but repeatable bytes and return their torrent."""
    folder.mkdir(parents=True)
    name = f"demo-{seed}.bin"
    builder = TorrentBuilder(
        name,
        [((name,), size)],
        single_file=True,
        piece_length=max(choose_piece_length(size), LEAST_PIECE),
        created_by="torrent-core demo",
    )
    source = random.Random(seed)
    with (folder / name).open("wb") as file:
        for start in range(0, size, CHUNK):
            data = source.randbytes(min(CHUNK, size - start))
            builder.update(data)
            file.write(data)
    return builder.finish()


def is_complete(metainfo: Metainfo, folder: Path) -> bool:
    """Whether every piece below ``folder`` matches its hash, read back from disk."""
    files = [SourceFile(folder.joinpath(*entry.path), entry.length) for entry in metainfo.files]
    return all(
        digest.sha1 == metainfo.piece_hash(digest.piece)
        for digest in digests(PieceReader(files, metainfo.piece_length))
    )
