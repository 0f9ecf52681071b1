"""Clients with the real session between them: files go over sockets and stay."""

from __future__ import annotations

import errno
import os
import random

import anyio
import pytest

from torrent_core.actions import PieceVerified
from torrent_core.metainfo import Metainfo, TorrentBuilder
from torrent_core.types import StorageFault, TorrentState
from transport_kit import PATIENCE
from transports.client.client import Client
from transports.errors import StorageError

pytestmark = pytest.mark.anyio

FILES = {"one": 100_000, "deep/two": 0, "deep/three": 3, "four": 400_001}


class Shared:
    """A folder with a payload, and its torrent."""

    def __init__(self, folder) -> None:
        self.folder = folder
        builder = TorrentBuilder(
            "shared",
            [(tuple(name.split("/")), size) for name, size in FILES.items()],
            single_file=False,
            piece_length=16_384,
        )
        self.contents = {}
        for name, size in FILES.items():
            data = self.contents[name] = random.Random(name).randbytes(size)
            path = folder / "shared" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            builder.update(data)
        self.metainfo: Metainfo = builder.finish()

    def is_in(self, folder) -> bool:
        return all(
            (folder / "shared" / name).read_bytes() == data for name, data in self.contents.items()
        )


@pytest.fixture
def shared(tmp_path):
    return Shared(tmp_path / "seed")


@pytest.fixture
def target(tmp_path):
    return tmp_path / "leech"


def a_client(folder, **options):
    return Client(folder, host="127.0.0.1", discovery=None, **options)


def damage(path, offset):
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


async def complete(torrent):
    with anyio.fail_after(PATIENCE):
        await torrent.wait_complete()


@pytest.mark.parametrize("preallocate", [False, True])
async def test_a_torrent_goes_from_one_client_to_another(shared, target, preallocate):
    async with a_client(shared.folder) as seed, a_client(target, preallocate=preallocate) as leech:
        given = await seed.add(shared.metainfo)
        await complete(given)
        assert given.status.state is TorrentState.SEEDING
        events = leech.events()
        taken = await leech.add(shared.metainfo)
        taken.add_peer("127.0.0.1", seed.port)
        await complete(taken)
        assert shared.is_in(target)
        assert taken.status.progress == 1.0
        assert taken.status.downloaded >= sum(FILES.values())
    verified = [event.piece async for event in events if isinstance(event, PieceVerified)]
    assert sorted(verified) == list(range(shared.metainfo.piece_count))


async def test_what_was_fetched_is_not_fetched_again_in_the_next_run(shared, target):
    async with a_client(shared.folder) as seed, a_client(target) as leech:
        await seed.add(shared.metainfo)
        taken = await leech.add(shared.metainfo)
        taken.add_peer("127.0.0.1", seed.port)
        await complete(taken)
    async with a_client(target) as alone:
        taken = await alone.add(shared.metainfo)
        await complete(taken)
    assert shared.is_in(target)


async def test_files_of_priority_zero_are_left_out(shared, target):
    async with a_client(shared.folder) as seed, a_client(target) as leech:
        await seed.add(shared.metainfo)
        taken = await leech.add(shared.metainfo, priorities=[0, 0, 0, 1])
        taken.add_peer("127.0.0.1", seed.port)
        await complete(taken)
        assert taken.status.pieces_have < taken.status.pieces_total
    assert (target / "shared" / "four").read_bytes() == shared.contents["four"]


async def test_a_full_disk_stops_the_wait_and_the_rest_comes_when_there_is_room(
    shared, target, monkeypatch
):
    pwrite, room = os.pwrite, [10]

    def full(fd, data, offset):
        room[0] -= 1
        if room[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return pwrite(fd, data, offset)

    async with a_client(shared.folder) as seed:
        await seed.add(shared.metainfo)
        monkeypatch.setattr(os, "pwrite", full)
        async with a_client(target) as leech:
            taken = await leech.add(shared.metainfo)
            taken.add_peer("127.0.0.1", seed.port)
            with pytest.raises(StorageError) as caught:
                await complete(taken)
            assert caught.value.fault is StorageFault.DISK_FULL
            assert "shared" in caught.value.detail
            kept = taken.status.pieces_have
            assert 0 < kept < taken.status.pieces_total
        monkeypatch.undo()
        async with a_client(target) as leech:
            events = leech.events()
            taken = await leech.add(shared.metainfo)
            taken.add_peer("127.0.0.1", seed.port)
            await complete(taken)
        fetched = [event async for event in events if isinstance(event, PieceVerified)]
        assert len(fetched) <= shared.metainfo.piece_count - kept
    assert shared.is_in(target)


async def test_a_recheck_finds_what_was_damaged_and_it_is_fetched_again(shared, target):
    async with a_client(shared.folder) as seed, a_client(target) as leech:
        await seed.add(shared.metainfo)
        taken = await leech.add(shared.metainfo)
        taken.add_peer("127.0.0.1", seed.port)
        await complete(taken)
        damage(target / "shared" / "four", 200_000)
        taken.drop_peer("127.0.0.1", seed.port)
        with anyio.fail_after(PATIENCE):
            await taken.recheck()
        assert taken.status.pieces_have == taken.status.pieces_total - 1
        taken.add_peer("127.0.0.1", seed.port)
        await complete(taken)
        assert shared.is_in(target)


async def test_a_download_that_is_cancelled_goes_on_in_the_next_run(shared, target):
    async with a_client(shared.folder) as seed:
        await seed.add(shared.metainfo)
        with anyio.CancelScope() as scope:
            async with a_client(target) as leech:
                events = leech.events()
                taken = await leech.add(shared.metainfo)
                taken.add_peer("127.0.0.1", seed.port)
                async for event in events:
                    if isinstance(event, PieceVerified):
                        scope.cancel()
        assert scope.cancelled_caught
        async with a_client(target) as leech:
            taken = await leech.add(shared.metainfo)
            taken.add_peer("127.0.0.1", seed.port)
            await complete(taken)
    assert shared.is_in(target)


async def test_a_torrent_removed_in_mid_transfer_leaves_the_others_running(shared, target):
    other = Shared(shared.folder.parent / "other")
    async with a_client(shared.folder) as seed, a_client(target) as leech:
        await seed.add(shared.metainfo)
        taken = await leech.add(shared.metainfo)
        taken.add_peer("127.0.0.1", seed.port)
        with anyio.fail_after(PATIENCE):
            await taken.remove()
        assert leech.torrents == []
        taken = await leech.add(other.metainfo, download_dir=other.folder)
        await complete(taken)
