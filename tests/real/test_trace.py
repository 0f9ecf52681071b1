"""A download from libtorrent, recorded by one process and run again by others."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from torrent_core.trace import TraceError, replay

from .child import Child
from .command import COMMAND, report
from .libtorrent_peer import LibtorrentPeer, LibtorrentProcess
from .payload import KIB, MIB, Payload, single_file

pytestmark = [pytest.mark.anyio, pytest.mark.real]

LIMIT = 60.0


def recording(payload: Payload, into: Path, seeder: LibtorrentPeer, backend: str) -> Child:
    what = ["get", str(payload.torrent), "-o", str(into), "--json", "--no-discovery"]
    peer = f"--peer={seeder.host}:{seeder.port}"
    trace = f"--trace={into}.trace"
    return Child([*COMMAND, *what, peer, trace, "--backend", backend])


def replayed(trace: Path, *options: str) -> tuple[int, dict[str, Any], str]:
    """Exit status, what it said, and the error."""
    run = subprocess.run(
        [*COMMAND, "replay", str(trace), "--json", *options],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    return run.returncode, json.loads(run.stdout or "{}"), run.stderr


async def test_a_recorded_download_replays_in_another_process(
    libtorrent: LibtorrentProcess, tmp_path: Path, anyio_backend_name: str
) -> None:
    payload = single_file(tmp_path, 8 * MIB, 64 * KIB)
    seeder = libtorrent.seeder(payload.torrent, payload.folder)
    into, trace = tmp_path / "got", tmp_path / "got.trace"
    child = recording(payload, into, seeder, anyio_backend_name)
    try:
        assert await child.end(LIMIT) == 0, child.lines
    finally:
        child.stop()
    assert payload.differences(into) == []

    status, said, error = replayed(trace)
    assert (status, error) == (0, "")
    assert said["equal"]
    assert said["ending"] == "closed"
    assert said["received"] >= payload.size
    assert said["trace_bytes"] == trace.stat().st_size < payload.size / 200

    sound = trace.read_bytes()
    trace.write_bytes(flipped(sound, len(sound) // 2))
    status, said, error = replayed(trace)
    assert (status, said) == (1, {})
    assert "is not a usable trace: damaged (at byte " in error
    for at in (0, 7, 8, len(sound) // 3, len(sound) - 1):
        with pytest.raises(TraceError) as caught:
            replay(flipped(sound, at))
        assert int(caught.value.where.removeprefix("byte ")) <= at


def flipped(data: bytes, at: int) -> bytes:
    """``data`` with one byte changed."""
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


async def test_a_recorded_download_explains_itself_at_any_moment(
    libtorrent: LibtorrentProcess, tmp_path: Path, anyio_backend_name: str
) -> None:
    payload = single_file(tmp_path, 2 * MIB, 64 * KIB)
    seeder = libtorrent.seeder(payload.torrent, payload.folder, upload_limit=MIB)
    into, trace = tmp_path / "got", tmp_path / "got.trace"
    child = recording(payload, into, seeder, anyio_backend_name)
    try:
        assert await child.end(LIMIT) == 0, child.lines
    finally:
        child.stop()
    _, whole, _ = replayed(trace)
    for share in (0.0001, 0.5, 1.0):
        status, said, error = replayed(trace, f"--until={whole['span'] * share}", "--explain")
        assert (status, error) == (0, "")
        (account,) = said["explain"].values()
        assert account["missing_blocks"] == sum(e["blocks"] for e in account["entries"])
        assert all(entry["account"] != "stranded" for entry in account["entries"])
        assert bool(account["missing_blocks"]) == (share < 1.0)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
async def test_the_trace_of_a_process_that_was_stopped_replays(
    number: signal.Signals,
    libtorrent: LibtorrentProcess,
    tmp_path: Path,
    anyio_backend_name: str,
) -> None:
    payload = single_file(tmp_path, 4 * MIB, 64 * KIB)
    seeder = libtorrent.seeder(payload.torrent, payload.folder, upload_limit=MIB)
    child = recording(payload, tmp_path / "got", seeder, anyio_backend_name)
    try:
        await child.line(lambda line: report(line)["progress"] >= 0.4, LIMIT)
        child.signal(number)
        await child.end(LIMIT)
    finally:
        child.stop()

    status, said, error = replayed(tmp_path / "got.trace")
    assert (status, error) == (0, "")
    assert said["equal"]
    assert said["ending"] == ("cut_short" if number == signal.SIGKILL else "closed")
    assert said["received"] > 64 * KIB
