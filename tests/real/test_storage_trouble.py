"""``torrent-core get`` on disks that are full, read-only, or in the way: one line, nothing lost."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .command import COMMAND, bytes_of, getting, right_pieces
from .libtorrent_peer import LibtorrentPeer, LibtorrentProcess
from .payload import KIB, MIB, Payload, multi_file, single_file

pytestmark = [pytest.mark.anyio, pytest.mark.real]

LIMIT = 60
SMALL = 3 * MIB
"""Size of the disk that is too small."""


class SmallDisk:
    """A file system of its own, in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def remount(self, options: str) -> None:
        """Mount it anew with other options; what is on it stays."""
        subprocess.run(["mount", "-o", f"remount,{options}", str(self.folder)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A disk of ``SMALL`` bytes; gone with the test."""
    folder = tmp_path / "disk"
    folder.mkdir()
    _mount(folder)
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _mount(folder: Path) -> None:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small disk to fill")
    options = f"size={SMALL},mode=700"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"no small disk to fill: {mounted.stderr.decode(errors='replace').strip()}")


GOES_ON = "; what is verified is kept, run again to go on"


async def _refusal(
    payload: Payload, into: Path, seeder: LibtorrentPeer, backend: str, ending: str = GOES_ON
) -> str:
    """What a ``get`` that fails has to say: exactly one line, and status 1."""
    peers = [(seeder.host, seeder.port)]
    with getting(payload, into, peers, backend=backend, show="--quiet") as child:
        assert await child.end(LIMIT) == 1, child.lines
    (line,) = child.lines
    assert line.endswith(f"{ending}\n")
    return line


async def _success(payload: Payload, into: Path, seeder: LibtorrentPeer, backend: str) -> int:
    """Run ``get`` to its end; the bytes it fetched."""
    before = (await seeder.wait("peer_count", at_most=0))["uploaded"]
    peers = [(seeder.host, seeder.port)]
    with getting(payload, into, peers, backend=backend, show="--quiet") as child:
        assert await child.end(LIMIT) == 0, child.lines
    assert child.lines == []
    assert payload.differences(into) == []
    return int((await seeder.wait("peer_count", at_most=0))["uploaded"] - before)


async def test_a_full_disk_ends_get_and_the_rest_is_fetched_once_there_is_room(
    libtorrent: LibtorrentProcess, small_disk: SmallDisk, tmp_path: Path, anyio_backend_name: str
) -> None:
    payload = single_file(tmp_path, 4 * MIB, 64 * KIB)
    # Slow enough that pieces are written before the disk is found full.
    seeder = libtorrent.seeder(payload.torrent, payload.folder, upload_limit=8 * MIB)
    into = small_disk.folder / "got"

    line = await _refusal(payload, into, seeder, anyio_backend_name)
    assert line.startswith(f"error: no space left on the disk: {into}/payload.bin: No space left")
    kept = bytes_of(payload, right_pieces(payload, into))
    assert 0 < kept <= SMALL

    line = await _refusal(payload, into, seeder, anyio_backend_name)
    assert line.startswith("error: no space left on the disk: ")
    assert bytes_of(payload, right_pieces(payload, into)) >= kept

    small_disk.remount(f"size={4 * SMALL}")
    fetched = await _success(payload, into, seeder, anyio_backend_name)
    assert fetched <= payload.size - kept


async def test_a_disk_without_room_for_anything_ends_get(
    libtorrent: LibtorrentProcess, small_disk: SmallDisk, tmp_path: Path, anyio_backend_name: str
) -> None:
    payload = single_file(tmp_path, MIB, 64 * KIB)
    seeder = libtorrent.seeder(payload.torrent, payload.folder)
    into = small_disk.folder / "got"
    filler = small_disk.folder / "filler"
    filler.write_bytes(bytes(SMALL - os.sysconf("SC_PAGE_SIZE")))
    into.mkdir()

    line = await _refusal(payload, into, seeder, anyio_backend_name)
    assert line.startswith(f"error: no space left on the disk: {into}/payload.bin: No space left")

    filler.unlink()
    assert await _success(payload, into, seeder, anyio_backend_name) <= payload.size


async def test_a_read_only_disk_ends_get_and_all_is_fetched_once_it_is_writable(
    libtorrent: LibtorrentProcess, small_disk: SmallDisk, tmp_path: Path, anyio_backend_name: str
) -> None:
    payload = single_file(tmp_path, MIB, 64 * KIB)
    seeder = libtorrent.seeder(payload.torrent, payload.folder)
    into = small_disk.folder / "got"
    into.mkdir()
    small_disk.remount("ro")

    line = await _refusal(payload, into, seeder, anyio_backend_name)
    assert line.startswith(f"error: permission denied: {into}/payload.bin: Read-only file system")

    small_disk.remount("rw")
    await _success(payload, into, seeder, anyio_backend_name)


async def test_a_folder_that_cannot_be_made_is_one_line(
    small_disk: SmallDisk, tmp_path: Path, anyio_backend_name: str
) -> None:
    payload = single_file(tmp_path, MIB, 64 * KIB)
    into = small_disk.folder / "got"
    small_disk.remount("ro")
    with getting(payload, into, [], backend=anyio_backend_name) as child:
        assert await child.end(LIMIT) == 1
    assert child.lines == [f"error: cannot use {into}: Read-only file system\n"]


@pytest.mark.parametrize(
    ("in_the_way", "is_folder", "why"),
    [
        ("payload/sub", False, "is a file, where the torrent has a folder"),
        ("payload/c", True, "is a folder, where the torrent has a file"),
    ],
    ids=["file", "folder"],
)
async def test_what_lies_in_the_way_ends_get_and_all_is_well_once_it_is_gone(
    in_the_way: str,
    is_folder: bool,
    why: str,
    libtorrent: LibtorrentProcess,
    tmp_path: Path,
    anyio_backend_name: str,
) -> None:
    payload = multi_file(tmp_path, {"a": 200_000, "sub/b": 70_000, "c": 90_000}, 32 * KIB)
    seeder = libtorrent.seeder(payload.torrent, payload.folder)
    into = tmp_path / "got"
    obstacle = into / in_the_way
    obstacle.parent.mkdir(parents=True)
    obstacle.mkdir() if is_folder else obstacle.touch()

    line = await _refusal(payload, into, seeder, anyio_backend_name, why)
    assert line == f"error: {obstacle} {why}\n"

    obstacle.rmdir() if is_folder else obstacle.unlink()
    await _success(payload, into, seeder, anyio_backend_name)


def test_a_file_larger_than_the_system_allows_ends_get(
    libtorrent: LibtorrentProcess, tmp_path: Path
) -> None:
    payload = single_file(tmp_path, MIB, 64 * KIB)
    seeder = libtorrent.seeder(payload.torrent, payload.folder)
    into = tmp_path / "got"
    what = ["get", str(payload.torrent), "-o", str(into), "--quiet"]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (256 * KIB, 256 * KIB))

    ended = subprocess.run(
        [*COMMAND, *what, "--peer", f"{seeder.host}:{seeder.port}"],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        preexec_fn=limit,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith(
        f"error: the storage failed: {into}/payload.bin: File too large; "
    )
    assert len(ended.stderr.splitlines()) == 1
