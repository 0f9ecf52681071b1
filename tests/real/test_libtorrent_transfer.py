"""``Client`` and libtorrent exchange whole torrents, in both directions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from torrent_core import actions
from transports import Client

from .libtorrent_peer import LibtorrentProcess
from .payload import KIB, MIB, Payload, multi_file, single_file
from .recording import Recorder

pytestmark = [pytest.mark.anyio, pytest.mark.real]

LIMIT = 60
"""Seconds for one transfer; on an idle machine they take about one."""


async def _fetch(payload: Payload, into: Path, sources: list[tuple[str, int]]) -> None:
    async with Client(download_dir=into, host="127.0.0.1", discovery=None) as client:
        torrent = await client.add(payload.torrent)
        for host, port in sources:
            torrent.add_peer(host, port)
        with anyio.fail_after(LIMIT):
            await torrent.wait_complete()
        assert torrent.status.progress == 1.0


async def _next(reports: AsyncIterator[actions.Report], wanted: type[actions.Report]) -> None:
    async for report in reports:
        if isinstance(report, wanted):
            return


async def test_after_the_handshake_each_side_sees_the_other(
    libtorrent: LibtorrentProcess, tmp_path: Path
) -> None:
    payload = single_file(tmp_path, MIB, 64 * KIB)
    seeder = libtorrent.seeder(payload.torrent, payload.folder, upload_limit=64 * KIB)
    peer_id = b"-TC0100-abcdefghijkl"
    async with Client(
        download_dir=tmp_path / "got", host="127.0.0.1", discovery=None, port=0, peer_id=peer_id
    ) as client:
        torrent = await client.add(payload.torrent)
        torrent.add_peer(seeder.host, seeder.port)
        with anyio.fail_after(LIMIT):
            status = await seeder.wait("uploaded", at_least=1)
        (theirs,) = status["peers"]
        assert theirs["handshaken"]
        assert theirs["incoming"]
        assert bytes.fromhex(theirs["peer_id"]) == peer_id
        (ours,) = torrent.peers
        assert (ours.address.host, ours.address.port) == (seeder.host, seeder.port)
        assert "libtorrent/2" in ours.client
        assert ours.progress == 1.0


@pytest.mark.parametrize("piece_length", [16 * KIB, 32 * KIB, 64 * KIB, 256 * KIB, MIB])
async def test_a_file_arrives_whole_whatever_the_piece_length(
    piece_length: int, libtorrent: LibtorrentProcess, tmp_path: Path
) -> None:
    payload = single_file(tmp_path, 4 * MIB, piece_length)
    seeder = libtorrent.seeder(payload.torrent, payload.folder)
    await _fetch(payload, tmp_path / "got", [(seeder.host, seeder.port)])
    assert payload.differences(tmp_path / "got") == []
    assert (await seeder.status())["uploaded"] == payload.size


async def test_many_files_arrive_whole_with_an_empty_one_and_shared_pieces(
    libtorrent: LibtorrentProcess, tmp_path: Path
) -> None:
    sizes = {
        "first.bin": 100_000,
        "empty.bin": 0,
        "deep/er/tiny.bin": 1,
        "deep/three-in-one-piece.bin": 7_000,
        "large.bin": 1_500_000,
        "last.bin": 33,
    }
    payload = multi_file(tmp_path, sizes, 32 * KIB)
    assert payload.size % payload.piece_length, "the last piece is to be a short one"
    seeder = libtorrent.seeder(payload.torrent, payload.folder)
    await _fetch(payload, tmp_path / "got", [(seeder.host, seeder.port)])
    assert payload.differences(tmp_path / "got") == []


async def test_three_seeders_each_give_a_part(
    libtorrent: LibtorrentProcess, tmp_path: Path
) -> None:
    payload = single_file(tmp_path, 6 * MIB, 128 * KIB)
    seeders = [
        libtorrent.seeder(
            payload.torrent, payload.folder, host=f"127.0.{n}.1", upload_limit=2 * MIB
        )
        for n in (1, 2, 3)
    ]
    await _fetch(payload, tmp_path / "got", [(peer.host, peer.port) for peer in seeders])
    assert payload.differences(tmp_path / "got") == []
    given = [(await peer.status())["uploaded"] for peer in seeders]
    assert min(given) > 0
    # The last blocks may be asked of two, and a CANCEL may come too late for some.
    assert payload.size <= sum(given) <= payload.size * 1.1


@pytest.mark.parametrize("who_dials", ["libtorrent", "we"])
async def test_libtorrent_downloads_from_us(
    who_dials: str, libtorrent: LibtorrentProcess, tmp_path: Path
) -> None:
    payload = multi_file(tmp_path, {"a": 1_000_000, "b/c": 2_000_001}, 64 * KIB)
    async with Client(
        download_dir=payload.folder, host="127.0.0.1", discovery=None, port=0
    ) as client:
        recorder = Recorder(client)
        torrent = await client.add(payload.torrent)
        with anyio.fail_after(LIMIT):
            await torrent.wait_complete()  # what lies there is checked, and is all of it
            leecher = libtorrent.leecher(payload.torrent, tmp_path / "got", host="127.0.1.1")
            if who_dials == "libtorrent":
                await leecher.connect("127.0.0.1", client.port)
            else:
                torrent.add_peer(leecher.host, leecher.port)
            status = await leecher.wait("seeding", at_least=1)
            # It has the bytes before our socket says that they have left.
            while torrent.status.uploaded < payload.size:
                await recorder.next_step()
        assert status["downloaded"] == payload.size
        assert torrent.status.uploaded == payload.size
    await leecher.close()
    assert payload.differences(tmp_path / "got") == []


async def test_what_libtorrent_gave_us_we_give_to_another_libtorrent(
    libtorrent: LibtorrentProcess, tmp_path: Path
) -> None:
    payload = single_file(tmp_path, 3 * MIB, 64 * KIB)
    seeder = libtorrent.seeder(payload.torrent, payload.folder, upload_limit=4 * MIB)
    leecher = libtorrent.leecher(payload.torrent, tmp_path / "theirs", host="127.0.1.1")
    async with Client(
        download_dir=tmp_path / "ours", host="127.0.0.1", discovery=None, port=0
    ) as client:
        torrent = await client.add(payload.torrent)
        torrent.add_peer(seeder.host, seeder.port)
        await leecher.connect("127.0.0.1", client.port)
        with anyio.fail_after(LIMIT):
            await torrent.wait_complete()
            await leecher.wait("seeding", at_least=1)
    await leecher.close()
    assert payload.differences(tmp_path / "ours") == []
    assert payload.differences(tmp_path / "theirs") == []


async def test_a_seeder_that_comes_back_is_dialled_again(
    libtorrent: LibtorrentProcess, tmp_path: Path
) -> None:
    payload = single_file(tmp_path, 2 * MIB, 64 * KIB)
    first = libtorrent.seeder(payload.torrent, payload.folder, upload_limit=512 * KIB)
    async with Client(
        download_dir=tmp_path / "got", host="127.0.0.1", discovery=None, port=0
    ) as client:
        torrent = await client.add(payload.torrent)
        with anyio.fail_after(LIMIT):
            reports = client.events()
            torrent.add_peer(first.host, first.port)
            await _next(reports, actions.PieceVerified)
            await first.close()
            await _next(reports, actions.LinkLost)
            libtorrent.seeder(payload.torrent, payload.folder, port=first.port)
            await torrent.wait_complete()
    assert payload.differences(tmp_path / "got") == []
