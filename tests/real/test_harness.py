"""The counterparts against each other: what fails here is not ours."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from .child import ChildEnded
from .debian_peers import DebianSeeder, Recipe
from .libtorrent_peer import LibtorrentProcess, LibtorrentRefused
from .payload import KIB, MIB, Payload, multi_file, single_file
from .ports import FIRST, LAST, _is_free, free_port

pytestmark = [pytest.mark.anyio, pytest.mark.real]


async def test_libtorrent_fetches_from_libtorrent_and_both_count_the_bytes(
    libtorrent: LibtorrentProcess, tmp_path: Path
) -> None:
    payload = multi_file(tmp_path, {"a": 70_000, "empty": 0, "sub/b": 5}, 16 * KIB)
    seeder = libtorrent.seeder(payload.torrent, payload.folder, host="127.0.1.1")
    leecher = libtorrent.leecher(payload.torrent, tmp_path / "got", host="127.0.1.2")
    await leecher.connect(seeder.host, seeder.port)
    status = await leecher.wait("seeding", at_least=1)
    assert status["downloaded"] == payload.size
    assert (await seeder.wait("uploaded", at_least=payload.size))["uploaded"] == payload.size
    await leecher.close()
    assert payload.differences(tmp_path / "got") == []


async def test_an_upload_limit_holds_on_loopback_until_it_is_lifted(
    libtorrent: LibtorrentProcess, tmp_path: Path
) -> None:
    payload = single_file(tmp_path, 8 * MIB, 256 * KIB)
    seeder = libtorrent.seeder(payload.torrent, payload.folder, upload_limit=MIB)
    leecher = libtorrent.leecher(payload.torrent, tmp_path / "got")
    await leecher.connect(seeder.host, seeder.port)
    status = await leecher.wait("progress", at_least=0.1)
    assert status["progress"] < 0.9
    assert [peer["port"] for peer in status["peers"]] == [seeder.port]
    await seeder.limit_upload(0)
    await leecher.wait("seeding", at_least=1)


async def test_a_wait_that_is_not_fulfilled_says_what_the_status_was(
    libtorrent: LibtorrentProcess, tmp_path: Path
) -> None:
    payload = single_file(tmp_path, 20_000, 16 * KIB)
    leecher = libtorrent.leecher(payload.torrent, tmp_path / "got")
    with pytest.raises(LibtorrentRefused, match=r"progress is still 0\.0 after 0\.1 s"):
        await leecher.wait("progress", at_least=0.5, within=0.1)


async def test_a_killed_counterpart_is_reported_and_its_port_is_free(
    libtorrent: LibtorrentProcess, tmp_path: Path
) -> None:
    payload = single_file(tmp_path, 20_000, 16 * KIB)
    seeder = libtorrent.seeder(payload.torrent, payload.folder, host="127.0.1.1")
    libtorrent.kill()
    with pytest.raises(ChildEnded):
        await seeder.status()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((seeder.host, seeder.port), 5)


async def test_a_payload_that_differs_is_noticed(tmp_path: Path) -> None:
    payload = multi_file(tmp_path, {"a": 10, "b": 20}, 16 * KIB)
    (payload.folder / "payload/b").write_bytes(b"\0" * 20)
    (payload.folder / "payload/a").unlink()
    assert payload.differences(payload.folder) == ["payload/a", "payload/b"]


@pytest.mark.long
async def test_a_debian_seeder_serves_libtorrent(
    libtorrent: LibtorrentProcess,
    debian_seeder: Callable[[Payload], DebianSeeder],
    tmp_path: Path,
) -> None:
    payload = single_file(tmp_path, MIB, 64 * KIB)
    seeder = debian_seeder(payload)
    leecher = libtorrent.leecher(payload.torrent, tmp_path / "got", host="127.0.1.2")
    await leecher.connect(seeder.host, seeder.port)
    await leecher.wait("seeding", at_least=1)


def test_a_port_that_is_found_free_is_given_to_nobody_meanwhile() -> None:
    port = free_port()
    assert FIRST <= port < LAST
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert other.getsockname()[1] >= LAST
    with socket.create_server(("127.0.0.7", port)):
        assert not _is_free(port)
    assert _is_free(port)


async def test_a_client_that_does_not_seed_fails_with_what_it_said(tmp_path: Path) -> None:
    payload = single_file(tmp_path, 10, 16 * KIB)
    mute = Recipe("sh", "dash", "ready", lambda *_: ["sh", "-c", "echo no such torrent"])
    with pytest.raises(ChildEnded, match="no such torrent"):
        DebianSeeder(mute, payload, tmp_path / "own")
