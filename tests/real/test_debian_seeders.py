"""``Client`` fetches from aria2 and from Transmission."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from transports import Client

from .debian_peers import DebianSeeder
from .payload import KIB, MIB, Payload, multi_file, single_file

pytestmark = [pytest.mark.anyio, pytest.mark.real]

LIMIT = 90
"""Seconds; Transmission lets us wait for its next choking round, up to ten."""


async def _fetch(payload: Payload, into: Path, seeder: DebianSeeder) -> None:
    async with Client(download_dir=into, host="127.0.0.1", discovery=None, port=0) as client:
        torrent = await client.add(payload.torrent)
        torrent.add_peer(seeder.host, seeder.port)
        with anyio.fail_after(LIMIT):
            await torrent.wait_complete()
    assert payload.differences(into) == []


async def test_a_file_arrives_whole_from_a_debian_seeder(
    debian_seeder: Callable[[Payload], DebianSeeder], tmp_path: Path
) -> None:
    payload = single_file(tmp_path, 4 * MIB, 64 * KIB)
    await _fetch(payload, tmp_path / "got", debian_seeder(payload))


async def test_many_files_arrive_whole_from_a_debian_seeder(
    debian_seeder: Callable[[Payload], DebianSeeder], tmp_path: Path
) -> None:
    payload = multi_file(tmp_path, {"a": 300_000, "empty": 0, "b/c": 17, "b/d": 70_001}, 32 * KIB)
    await _fetch(payload, tmp_path / "got", debian_seeder(payload))
