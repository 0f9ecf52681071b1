"""A client that is given a magnet link, with clients on loopback that have the torrent."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import anyio
import pytest

from torrent_core.actions import Warned
from torrent_core.errors import InvalidMagnet, LocalProtocolError
from torrent_core.events import StopTorrent
from torrent_core.metainfo import MagnetLink, Metainfo, TorrentBuilder
from torrent_core.trace import replay
from torrent_core.types import Address, TorrentState
from transport_kit import PATIENCE
from transports.client.client import Client
from transports.client.handle import TorrentHandle
from transports.errors import DuplicateTorrent, TorrentGone, TorrentStopped
from transports.tracefile import chunks_of

pytestmark = pytest.mark.anyio

FILES = {"one": 100_000, "two": 60_000}
NOBODY = Address("127.0.0.1", 9)


def a_client(folder: Path, **options: Any) -> Client:
    return Client(folder, host="127.0.0.1", discovery=None, **options)


class Shared:
    """A folder with a payload, and its torrent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        files = [((name,), size) for name, size in FILES.items()]
        builder = TorrentBuilder("shared", files, single_file=False, piece_length=16_384)
        (folder / "shared").mkdir(parents=True)
        for name, size in FILES.items():
            data = random.Random(name).randbytes(size)
            (folder / "shared" / name).write_bytes(data)
            builder.update(data)
        self.metainfo: Metainfo = builder.finish()

    def link(self, *peers: Address, **fields: Any) -> MagnetLink:
        return MagnetLink(self.metainfo.info_hash, peers=peers, **fields)

    def is_in(self, folder: Path, *names: str) -> bool:
        return all(
            (folder / "shared" / name).read_bytes() == (self.folder / "shared" / name).read_bytes()
            for name in names or FILES
        )


@pytest.fixture
def shared(tmp_path: Path) -> Shared:
    return Shared(tmp_path / "seed")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "leech"


async def complete(torrent: TorrentHandle) -> None:
    with anyio.fail_after(PATIENCE):
        await torrent.wait_complete()


async def seeding(client: Client, shared: Shared) -> Address:
    """Add the torrent to a client in its folder; the client's address."""
    await complete(await client.add(shared.metainfo))
    return Address("127.0.0.1", client.port)


def resume_path(shared: Shared, folder: Path) -> Path:
    return folder / ".torrent-core" / f"{shared.metainfo.info_hash.hex()}.resume"


def is_there(path: Path) -> bool:
    return path.exists()


async def test_a_link_as_text_is_resolved_and_downloaded(shared: Shared, target: Path) -> None:
    async with a_client(shared.folder) as seed, a_client(target) as client:
        address = await seeding(seed, shared)
        torrent = await client.add(str(shared.link(address)))
        assert torrent.info_hash == shared.metainfo.info_hash
        with anyio.fail_after(PATIENCE):
            metainfo = await torrent.wait_metadata()
        assert metainfo.info == shared.metainfo.info
        assert torrent.metainfo is metainfo
        assert torrent.name == "shared"
        assert await torrent.wait_metadata() is metainfo
        await complete(torrent)
        assert torrent.status.progress == 1.0
    assert shared.is_in(target)
    assert resume_path(shared, target).exists()


async def test_before_the_metadata_is_here_a_handle_does_all_that_makes_sense(
    shared: Shared, target: Path
) -> None:
    async with a_client(shared.folder) as seed, a_client(target) as client:
        address = await seeding(seed, shared)
        torrent = await client.add(shared.link(name="what it may be called"))
        assert torrent.metainfo is None
        assert torrent.name == torrent.status.name == "what it may be called"
        assert torrent.state is torrent.status.state is TorrentState.RESOLVING
        assert torrent.peers == []
        assert torrent.download_dir == str(target)
        assert "The metadata is not here yet" in str(torrent.explain())
        assert client.torrents == [torrent]
        torrent.add_peer(*NOBODY)
        torrent.drop_peer(*NOBODY)
        with pytest.raises(LocalProtocolError):
            await torrent.recheck()
        with pytest.raises(DuplicateTorrent):
            await client.add(shared.metainfo)
        torrent.add_peer(*address)
        await complete(torrent)
    assert shared.is_in(target)


async def test_a_torrent_that_is_here_already_is_not_resolved(shared: Shared) -> None:
    async with a_client(shared.folder) as client:
        await client.add(shared.metainfo)
        with pytest.raises(DuplicateTorrent, match=shared.metainfo.info_hash.hex()):
            await client.add(shared.link())


async def test_only_the_files_that_the_link_asks_for_are_downloaded(
    shared: Shared, target: Path
) -> None:
    async with a_client(shared.folder) as seed, a_client(target) as client:
        address = await seeding(seed, shared)
        with pytest.raises(LocalProtocolError, match="says itself"):
            await client.add(shared.link(address), priorities=[1, 0])
        assert client.torrents == []
        torrent = await client.add(shared.link(address, only=((1, 1),)))
        await complete(torrent)
        assert torrent.status.downloaded < FILES["one"]
    assert shared.is_in(target, "two")


@pytest.mark.parametrize("end", ["stop", "remove"])
async def test_a_magnet_that_is_put_away_ends_every_wait(
    end: str, shared: Shared, target: Path
) -> None:
    resume = resume_path(shared, target)
    resume.parent.mkdir(parents=True)
    resume.write_bytes(b"of an earlier run")
    async with a_client(target) as client:
        torrent = await client.add(shared.link(NOBODY))
        raised: list[type[Exception]] = []

        async def wait(what: Any) -> None:
            try:
                await what()
            except TorrentStopped as error:
                raised.append(type(error))

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait, torrent.wait_metadata)
                tasks.start_soon(wait, torrent.wait_complete)
                await anyio.wait_all_tasks_blocked()
                await getattr(torrent, end)()
        assert raised == [TorrentStopped, TorrentStopped]
        assert torrent.state is TorrentState.STOPPED
        if end == "stop":
            assert client.torrents == [torrent]
            assert "the torrent is stopped" in str(torrent.explain())
            assert resume.exists()
            await torrent.remove()
        assert client.torrents == []
        assert not resume.exists()
        with pytest.raises(TorrentGone):
            _ = torrent.status
        torrent.release()
        await client.add(shared.metainfo)


async def test_resume_data_of_an_earlier_run_is_believed(shared: Shared, target: Path) -> None:
    async with a_client(shared.folder) as seed:
        address = await seeding(seed, shared)
        async with a_client(target) as client:
            await complete(await client.add(shared.link(address)))
        async with a_client(target) as client:
            torrent = await client.add(shared.link(address))
            await complete(torrent)
            fetched = sum(peer.downloaded for peer in torrent.peers)
            assert fetched == 0
            assert torrent.status.downloaded >= sum(FILES.values())  # of both runs together


async def test_a_magnet_that_is_held_touches_no_file_before_it_is_released(
    shared: Shared, target: Path
) -> None:
    async with a_client(shared.folder) as seed, a_client(target) as client:
        torrent = await client.add(shared.link(await seeding(seed, shared)), hold=True)
        with anyio.fail_after(PATIENCE):
            await torrent.wait_metadata()
        assert torrent.state is TorrentState.CHECKING
        assert not is_there(target)
        torrent.release()
        torrent.release()
        await complete(torrent)
    assert shared.is_in(target)


@pytest.mark.parametrize("end", ["stop", "remove", "leave"])
async def test_a_torrent_that_is_held_ends_cleanly_and_leaves_nothing_behind(
    end: str, shared: Shared, target: Path
) -> None:
    async with a_client(shared.folder) as seed:
        address = await seeding(seed, shared)
        async with a_client(target) as client:
            torrent = await client.add(shared.link(address), hold=True)
            with anyio.fail_after(PATIENCE):
                await torrent.wait_metadata()
                if end != "leave":
                    await getattr(torrent, end)()
    assert not is_there(target)


async def test_a_torrent_that_is_given_whole_may_be_held_too(shared: Shared) -> None:
    async with a_client(shared.folder) as client:
        torrent = await client.add(shared.metainfo, hold=True)
        assert await torrent.wait_metadata() is shared.metainfo
        assert torrent.state is TorrentState.CHECKING
        torrent.release()
        await complete(torrent)


async def test_a_magnet_that_stops_by_itself_says_why(shared: Shared, target: Path) -> None:
    async with a_client(target) as client:
        torrent = await client.add(shared.link())
        client.driver.report(Warned(torrent.info_hash, "of no use: its name is a number"))
        client.driver.command(StopTorrent(torrent.info_hash))
        with pytest.raises(TorrentStopped, match="its name is a number"):
            await torrent.wait_metadata()


async def test_a_malformed_link_is_refused(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        for text in ("magnet:?dn=nothing", "MAGNET:", "magnet:?xt=urn:btih:zz"):
            with pytest.raises(InvalidMagnet):
                await client.add(text)
        assert client.torrents == []


async def test_what_a_client_with_a_magnet_did_is_replayed(
    shared: Shared, target: Path, tmp_path: Path
) -> None:
    trace = tmp_path / "a.trace"
    async with a_client(shared.folder) as seed, a_client(target, trace=trace) as client:
        address = await seeding(seed, shared)
        torrent = await client.add(str(shared.link(address)))
        await complete(torrent)
    report = replay(chunks_of(trace))
    assert report.divergence is None
    assert report.steps > 10
