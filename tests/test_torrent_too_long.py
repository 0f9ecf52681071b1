"""Files that are longer than the torrent says: cut by a download, left alone by a seed."""

from __future__ import annotations

from torrent_core import actions as act
from torrent_core.types import TorrentState
from world import BLOCK, Disk
from world_peers import Seed
from world_swarm import Swarm


def long_disk(swarm: Swarm, extra: bytes) -> Disk:
    """The disk of that swarm with ``extra`` behind its first file."""
    disk = swarm.disk
    disk.files[0] = bytearray(swarm.payload) + extra
    return disk


def test_a_download_cuts_a_file_that_is_too_long() -> None:
    swarm = Swarm(start=False)
    disk = long_disk(swarm, b"more")
    assert disk.files[0] is not None
    disk.files[0][0] ^= 1
    swarm.start()
    (created,) = swarm.actions(act.CreateFiles)
    assert created.files == (0,)
    swarm.join(Seed)
    swarm.finish()


def test_a_seed_touches_nothing_but_says_so() -> None:
    swarm = Swarm(start=False)
    long_disk(swarm, b"more")
    swarm.start()
    assert swarm.torrent.state is TorrentState.SEEDING
    assert swarm.actions(act.CreateFiles) == []
    (warned,) = swarm.actions(act.Warned)
    text = "longer than the torrent says, and left so, since nothing is missing: "
    assert warned.text == text + swarm.meta.files[0].path[-1]


def test_of_several_one_is_named_and_the_others_are_counted() -> None:
    swarm = Swarm(4 * BLOCK, files=[2 * BLOCK, 2 * BLOCK], full=True, start=False)
    for data in swarm.disk.files:
        assert data is not None
        data += b"more"
    swarm.start()
    (warned,) = swarm.actions(act.Warned)
    first, _ = ("/".join(file.path) for file in swarm.meta.files)
    assert warned.text.endswith(f": {first} and 1 more")


def test_a_file_that_is_not_wanted_is_left_as_it_is() -> None:
    swarm = Swarm(4 * BLOCK, files=[2 * BLOCK, 2 * BLOCK], priorities=(1, 0), start=False)
    swarm.disk.files[1] = bytearray(5 * BLOCK)
    swarm.start()
    assert swarm.actions(act.CreateFiles) == []
