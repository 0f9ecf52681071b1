"""Stopped at any moment: never a wrong byte that counts, and nothing known is fetched twice."""

from __future__ import annotations

import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from torrent_core.limits import MAX_PIPELINE

from .child import Child
from .command import (
    BLOCK,
    bytes_of,
    claimed_pieces,
    getting,
    report,
    resume_data,
    resume_path,
    right_pieces,
    wrong_blocks,
)
from .libtorrent_peer import LibtorrentPeer, LibtorrentProcess
from .payload import KIB, MIB, Payload, single_file

pytestmark = [pytest.mark.anyio, pytest.mark.real]

LIMIT = 120
"""Seconds to wait for any one thing; on an idle machine the longest takes twenty."""

LOOK = 0.002
"""Seconds between looks at the resume file: it is to be caught just saved."""


# --- What must hold after every stop -------------------------------------------------------------


class Progress:
    """One download over many runs: what is right on the disk, and what was sent for it."""

    def __init__(self, payload: Payload, into: Path, seeder: LibtorrentPeer) -> None:
        self.payload = payload
        self.into = into
        self.seeder = seeder
        self.right: set[int] = set()
        self.wasted: list[int] = []
        """For each stop, payload bytes sent to that run of which nothing came on the disk."""
        self._uploaded = 0

    async def judge_stop(self) -> None:
        """After the end of a run: the claims are true, nothing is lost, little was wasted."""
        resume = resume_data(self.payload, self.into)
        right = right_pieces(self.payload, self.into)
        if resume is not None:
            assert claimed_pieces(resume) <= right
            assert wrong_blocks(resume, self.payload, self.into) == []
        assert self.right <= right
        fetched = await self._fetched()
        assert fetched <= self.payload.size - bytes_of(self.payload, self.right)
        self.wasted.append(fetched - bytes_of(self.payload, right - self.right))
        self.right = right

    async def judge_end(self) -> int:
        """After a run that completed: exact, and only what was not right was fetched.

        Returns how many bytes those were.
        """
        fetched = await self._fetched()
        assert fetched <= self.payload.size - bytes_of(self.payload, self.right)
        assert self.payload.differences(self.into) == []
        return fetched

    async def _fetched(self) -> int:
        """Payload bytes sent since the last call; exact once the link is gone."""
        uploaded = int((await self.seeder.wait("peer_count", at_most=0))["uploaded"])
        fetched, self._uploaded = uploaded - self._uploaded, uploaded
        return fetched


# --- Killed: torrent-core get --------------------------------------------------------------------


def _beyond(share: float) -> Callable[[str], bool]:
    return lambda line: report(line)["progress"] >= share


async def _saved_again(path: Path) -> None:
    """Return as soon as the resume file is another than it was."""

    def seen() -> tuple[int, int] | None:
        return (path.stat().st_ino, path.stat().st_mtime_ns) if path.exists() else None

    before = seen()
    with anyio.fail_after(LIMIT):
        while seen() in (before, None):  # noqa: ASYNC110 (it is another process that saves)
            await anyio.sleep(LOOK)


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_get_killed_again_and_again_ends_with_the_right_file(
    libtorrent: LibtorrentProcess, tmp_path: Path, anyio_backend_name: str
) -> None:
    payload = single_file(tmp_path, 24 * MIB, 64 * KIB)
    into = tmp_path / "got"
    rate = MIB
    seeder = libtorrent.seeder(payload.torrent, payload.folder, upload_limit=rate)
    peers = [(seeder.host, seeder.port)]
    progress = Progress(payload, into, seeder)
    rng = random.Random(anyio_backend_name)
    # A share of the progress, or None for just after resume data was saved.
    moments = [0.0, rng.uniform(0.02, 0.1), None, rng.uniform(0.55, 0.6), None]

    for moment in moments:
        with getting(payload, into, peers, backend=anyio_backend_name) as child:
            if moment is None:
                await _saved_again(resume_path(payload, into))
            else:
                await child.line(_beyond(moment), LIMIT)
            child.kill()
        await progress.judge_stop()

    with getting(payload, into, peers, backend=anyio_backend_name) as child:
        assert await child.end(LIMIT) == 0, child.lines
    await progress.judge_end()
    # What was under way: requested blocks, and pieces begun with them.
    assert max(progress.wasted) <= 4 * rate


# --- Killed: a client that saves all the time ----------------------------------------------------

EAGER = """
import os, signal, sys, threading
import anyio
from torrent_core import SessionConfig, TorrentConfig
from transports import Client

async def main(torrent, into, host, port, pieces, delay):
    left = int(pieces)
    config = SessionConfig(torrent=TorrentConfig(resume_interval=0.02))
    async with Client(into, host="127.0.0.1", discovery=None, config=config) as client:
        reports = client.events()
        handle = await client.add(torrent)
        handle.add_peer(host, int(port))
        async for report in reports:
            if type(report).__name__ == "TorrentCompleted":
                return
            left -= type(report).__name__ == "PieceVerified"
            if left == 0:
                left = -1
                kill = os.getpid(), signal.SIGKILL
                threading.Timer(float(delay), os.kill, kill).start()

anyio.run(main, *sys.argv[2:], backend=sys.argv[1])
"""
"""Kills itself, from another thread, soon after so many pieces: nobody who waits for what it
says could be as quick on a busy machine."""


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_a_client_that_saves_fifty_times_a_second_may_be_killed_at_any_of_them(
    libtorrent: LibtorrentProcess, tmp_path: Path, anyio_backend_name: str
) -> None:
    payload = single_file(tmp_path, 8 * MIB, 32 * KIB)
    into = tmp_path / "got"
    seeder = libtorrent.seeder(payload.torrent, payload.folder, upload_limit=8 * MIB)
    progress = Progress(payload, into, seeder)
    rng = random.Random(anyio_backend_name)
    where = [str(payload.torrent), str(into), seeder.host, str(seeder.port)]
    kills = 0

    while len(progress.right) < payload.size // payload.piece_length - 20:
        moment = [str(rng.randint(1, 20)), str(rng.uniform(0.0, 0.01))]
        child = Child([sys.executable, "-c", EAGER, anyio_backend_name, *where, *moment])
        try:
            assert await child.end(LIMIT) == -signal.SIGKILL, child.lines
        finally:
            child.stop()
        await progress.judge_stop()
        kills += 1

    assert kills >= 5
    with getting(payload, into, [(seeder.host, seeder.port)], backend=anyio_backend_name) as child:
        assert await child.end(LIMIT) == 0, child.lines
    await progress.judge_end()
    assert max(progress.wasted) <= MAX_PIPELINE * BLOCK


# --- Interrupted ---------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_get_interrupted_at_several_moments_loses_no_block_that_came(
    libtorrent: LibtorrentProcess, tmp_path: Path, anyio_backend_name: str
) -> None:
    payload = single_file(tmp_path, 8 * MIB, 256 * KIB)
    into = tmp_path / "got"
    # What is left after the last moment takes three seconds: nobody is to be late for it.
    seeder = libtorrent.seeder(payload.torrent, payload.folder, upload_limit=MIB)
    peers = [(seeder.host, seeder.port)]
    progress = Progress(payload, into, seeder)
    rng = random.Random(anyio_backend_name)
    kept = 0

    for share in sorted(rng.uniform(0.05, 0.6) for _ in range(4)):
        with getting(payload, into, peers, backend=anyio_backend_name) as child:
            await child.line(_beyond(share), LIMIT)
            child.signal(rng.choice([signal.SIGINT, signal.SIGTERM]))
            assert await child.end(LIMIT) == 130
            assert child.lines[-1] == "interrupted; resume data is saved\n"
        await progress.judge_stop()
        resume = resume_data(payload, into)
        assert resume is not None
        assert claimed_pieces(resume) == progress.right
        kept = sum(blocks.bit_count() for _, blocks in resume.partial) * BLOCK

    missing = payload.size - bytes_of(payload, progress.right) - kept
    with getting(payload, into, peers, backend=anyio_backend_name) as child:
        assert await child.end(LIMIT) == 0, child.lines
    assert await progress.judge_end() <= missing


# --- Resume data that is not what was saved ------------------------------------------------------


def _cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _zeroed(data: bytes) -> bytes:
    return bytes(len(data))


def _scribbled(data: bytes) -> bytes:
    return random.Random(1).randbytes(len(data))


def _foreign(data: bytes) -> bytes:
    """The resume data of another torrent, whose info-hash is all that differs."""
    at = data.index(b"9:info-hash20:") + len(b"9:info-hash20:")
    return data[:at] + bytes(20) + data[at + 20 :]


def _boasting(data: bytes) -> bytes:
    """The same with every piece called verified, as a few bits that flipped would do."""
    head, _, tail = data.partition(b"8:verified")
    length, _, bits = tail.partition(b":")
    return head + b"8:verified" + length + b":" + b"\xff" * int(length) + bits[int(length) :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut short": _cut,
    "empty": lambda _: b"",
    "zeros": _zeroed,
    "scribbled over": _scribbled,
    "of another torrent": _foreign,
    "boasting": _boasting,
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_damaged_resume_data_is_a_warning_and_what_is_right_is_found_by_hashing(
    damage: str, libtorrent: LibtorrentProcess, tmp_path: Path, anyio_backend_name: str
) -> None:
    # Whole bytes of bits, so that boasting leaves no spare bit set.
    payload = single_file(tmp_path, 2 * MIB, 32 * KIB)
    into = tmp_path / "got"
    seeder = libtorrent.seeder(payload.torrent, payload.folder, upload_limit=MIB)
    peers = [(seeder.host, seeder.port)]
    progress = Progress(payload, into, seeder)
    with getting(payload, into, peers, backend=anyio_backend_name) as first:
        await first.line(_beyond(0.2), LIMIT)
        first.signal(signal.SIGINT)
        assert await first.end(LIMIT) == 130
    await progress.judge_stop()
    saved = resume_path(payload, into)
    saved.write_bytes(DAMAGES[damage](saved.read_bytes()))

    await seeder.limit_upload(0)
    with getting(payload, into, peers, backend=anyio_backend_name) as second:
        assert await second.end(LIMIT) == 0, second.lines
    warnings = [said for said in map(report, second.lines) if said["event"] == "warning"]
    assert len(warnings) == 1
    assert warnings[0]["message"].startswith("resume data ignored, everything is checked: ")
    await progress.judge_end()
