"""Peer exchange with libtorrent: a third client learns of a second through the first."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from torrent_core import PeerStatus
from torrent_core.types import PeerSource
from transports import Client, PeerDiscovery, TorrentHandle

from .libtorrent_peer import LibtorrentProcess
from .payload import KIB, MIB, single_file

pytestmark = [pytest.mark.anyio, pytest.mark.real]

PEX = PeerDiscovery(trackers=False, dht=False, lsd=False)
LIMIT = 60
SLOW = 32 * KIB
"""So that nobody is complete before the test is over."""


async def _row(torrent: TorrentHandle, host: str) -> PeerStatus:
    """The link to the peer at that address, once there is one."""
    with anyio.fail_after(LIMIT):
        while True:
            for row in torrent.peers:
                if row.address.host == host:
                    return row
            await anyio.sleep(0.05)
    raise AssertionError("not reached")


async def test_we_learn_of_a_second_peer_through_a_first(
    libtorrent: LibtorrentProcess, tmp_path: Path
) -> None:
    payload = single_file(tmp_path, 8 * MIB, 64 * KIB)
    first = libtorrent.leecher(payload.torrent, tmp_path / "first", host="127.0.1.1")
    second = libtorrent.seeder(payload.torrent, payload.folder, host="127.0.2.1", upload_limit=SLOW)
    await first.connect(second.host, second.port)
    await second.wait("peer_count", at_least=1)
    async with Client(
        download_dir=tmp_path / "got", host="127.0.3.1", discovery=PEX, port=0
    ) as client:
        torrent = await client.add(payload.torrent)
        torrent.add_peer(first.host, first.port)
        row = await _row(torrent, second.host)
        assert row.sources == (PeerSource.EXCHANGE,)
        assert row.address.port == second.port


async def test_libtorrent_learns_of_a_second_peer_through_us(
    libtorrent: LibtorrentProcess, tmp_path: Path
) -> None:
    payload = single_file(tmp_path, 8 * MIB, 64 * KIB)
    second = libtorrent.seeder(payload.torrent, payload.folder, host="127.0.2.1", upload_limit=SLOW)
    third = libtorrent.leecher(payload.torrent, tmp_path / "third", host="127.0.3.1")
    async with Client(
        download_dir=tmp_path / "got", host="127.0.1.1", discovery=PEX, port=0
    ) as client:
        torrent = await client.add(payload.torrent)
        torrent.add_peer(second.host, second.port)
        await _row(torrent, second.host)
        await third.connect("127.0.1.1", client.port)
        status = await third.wait("peer_count", at_least=2, within=LIMIT)
        assert {peer["host"] for peer in status["peers"]} == {"127.0.1.1", "127.0.2.1"}
