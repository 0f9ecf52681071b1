"""``torrent-core get`` stopped and run again: what was verified is not fetched twice."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from .child import Child
from .libtorrent_peer import LibtorrentPeer, LibtorrentProcess
from .payload import KIB, MIB, Payload, single_file

pytestmark = [pytest.mark.anyio, pytest.mark.real]

LIMIT = 60


@contextmanager
def _get(payload: Payload, into: Path, seeder: LibtorrentPeer, backend: str) -> Iterator[Child]:
    what = ["get", str(payload.torrent), "-o", str(into), "--json", "--no-discovery"]
    how = ["--peer", f"{seeder.host}:{seeder.port}", "--backend", backend]
    child = Child([sys.executable, "-m", "transports.cli", *what, *how])
    try:
        yield child
    finally:
        child.stop()


def _report(line: str) -> dict[str, Any]:
    """One line of ``--json``; whatever else was said counts as no progress."""
    report: dict[str, Any] = json.loads(line) if line.startswith("{") else {}
    return {"progress": 0.0, **report}


async def test_a_download_stopped_at_30_percent_goes_on_in_a_new_process(
    libtorrent: LibtorrentProcess, tmp_path: Path, anyio_backend_name: str
) -> None:
    payload = single_file(tmp_path, 8 * MIB, 64 * KIB)
    into = tmp_path / "got"
    seeder = libtorrent.seeder(payload.torrent, payload.folder, upload_limit=MIB)

    with _get(payload, into, seeder, anyio_backend_name) as first:
        await first.line(lambda line: _report(line)["progress"] >= 0.3, LIMIT)
        first.signal(signal.SIGINT)
        assert await first.end(LIMIT) == 130
        verified = max(_report(line)["progress"] for line in first.lines) * payload.size
    assert 0.3 * payload.size <= verified < payload.size

    # Nothing is in a socket any more once the link is gone, so the counter stands still.
    before = (await seeder.wait("peer_count", at_most=0))["uploaded"]
    await seeder.limit_upload(0)
    with _get(payload, into, seeder, anyio_backend_name) as second:
        assert await second.end(LIMIT) == 0, second.lines
    fetched_again = (await seeder.wait("peer_count", at_most=0))["uploaded"] - before

    assert 0 < fetched_again <= payload.size - verified
    assert payload.differences(into) == []
