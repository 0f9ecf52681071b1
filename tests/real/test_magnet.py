"""Metadata exchanged with libtorrent (BEP 9), and the torrent after it, in both directions."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from torrent_core import MagnetLink, parse_magnet, parse_torrent
from torrent_core.actions import LinkReady, Report
from torrent_core.types import Address
from transports import Client

from .libtorrent_peer import LibtorrentProcess
from .payload import KIB, MIB, Payload, multi_file, single_file

pytestmark = [pytest.mark.anyio, pytest.mark.real]

LIMIT = 60


async def _resolve(payload: Payload, into: Path, peer: Address) -> list[Report]:
    """Download from the one peer that a magnet link names; returns what was reported."""
    meta = parse_torrent(payload.torrent.read_bytes())
    link = parse_magnet(str(MagnetLink(meta.info_hash, peers=(peer,))))
    reports: list[Report] = []
    async with Client(download_dir=into, host="127.0.0.1", port=0) as client:
        client.driver.subscribe(reports.append)
        torrent = await client.add(link)
        with anyio.fail_after(LIMIT):
            await torrent.wait_complete()
    return reports


@pytest.mark.parametrize("piece_length", [16 * KIB, 256 * KIB])
async def test_a_magnet_with_one_peer_is_resolved_and_downloaded_from_libtorrent(
    piece_length: int, libtorrent: LibtorrentProcess, tmp_path: Path
) -> None:
    # With the shorter pieces the metadata has several pieces itself.
    payload = single_file(tmp_path, 40 * MIB if piece_length == 16 * KIB else MIB, piece_length)
    seeder = libtorrent.seeder(payload.torrent, payload.folder)
    reports = await _resolve(payload, tmp_path / "got", Address(seeder.host, seeder.port))
    assert payload.differences(tmp_path / "got") == []
    assert len([report for report in reports if isinstance(report, LinkReady)]) == 1


async def test_libtorrent_resolves_a_magnet_from_us_alone(
    libtorrent: LibtorrentProcess, tmp_path: Path
) -> None:
    payload = multi_file(tmp_path, {"a": 1_000_000, "b/c": 2_000_001}, 16 * KIB)
    meta = parse_torrent(payload.torrent.read_bytes())
    async with Client(download_dir=payload.folder, host="127.0.0.1", port=0) as client:
        torrent = await client.add(payload.torrent)
        with anyio.fail_after(LIMIT):
            await torrent.wait_complete()
            link = MagnetLink(meta.info_hash, peers=(Address("127.0.0.1", client.port),))
            leecher = libtorrent.seeker(str(link), tmp_path / "got", host="127.0.1.1")
            await leecher.wait("seeding", at_least=1)
    assert payload.differences(tmp_path / "got") == []
