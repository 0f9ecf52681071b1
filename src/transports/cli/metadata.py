"""What a magnet link stands for: fetched for a command that wants no more, and saved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .failures import INTERRUPTED, OK, CommandFailed

if TYPE_CHECKING:
    from torrent_core.metainfo import MagnetLink, Metainfo

    from .options import FindBy


def metadata_of(
    link: MagnetLink,
    peers: tuple[tuple[str, int], ...],
    port: int,
    find_by: FindBy,
    timeout: float,
    backend: str,
) -> Metainfo:
    """Ask peers for it, for at most ``timeout`` seconds; nothing is shown or stored.

    Raises CommandFailed, with the account, if it does not come, and KeyboardInterrupt."""
    from .runner import run_async

    found: list[Metainfo] = []

    async def work() -> int:
        found.append(await _ask(link, peers, port, find_by, timeout))
        return OK

    if run_async(work, backend=backend) == INTERRUPTED:
        raise KeyboardInterrupt
    return found[0]


async def _ask(
    link: MagnetLink,
    peers: tuple[tuple[str, int], ...],
    port: int,
    find_by: FindBy,
    timeout: float,
) -> Metainfo:
    import anyio

    from transports.client import Client

    # It is held and never released, so that nothing is looked for in this folder.
    async with Client(".", port, **find_by.for_client()) as client:
        torrent = await client.add(link, resume=False, hold=True)
        for peer in peers:
            torrent.add_peer(*peer)
        with anyio.move_on_after(timeout):
            return await torrent.wait_metadata()
        raise CommandFailed(f"gave up after {timeout:g} s: {torrent.explain().text()}")


def save_torrent(metainfo: Metainfo, folder: Path, *, force: bool) -> Path:
    """Write NAME.torrent into the folder; where it went.

    Raises CommandFailed where a file of that name holds something else, unless ``force``, and
    OSError."""
    from transports.disk.resumefile import replace_file

    path = folder / f"{metainfo.name}.torrent"
    data = metainfo.encode()
    if path.is_dir():
        raise CommandFailed(f"{path} is a folder")
    if not force and path.exists() and not _holds(path, data):
        raise CommandFailed(f"{path} holds something else; --force overwrites it")
    replace_file(str(path), data)
    return path


def _holds(path: Path, data: bytes) -> bool:
    if path.stat().st_size != len(data):
        return False
    return path.read_bytes() == data


def wanted_length(metainfo: Metainfo, source: Metainfo | MagnetLink) -> int:
    """Bytes of the files that are wanted: of a torrent all, of a magnet link those it names."""
    from torrent_core.metainfo import MagnetLink

    wanted = source.priorities(len(metainfo.files)) if isinstance(source, MagnetLink) else None
    if wanted is None:
        return metainfo.total_length
    return sum(
        entry.length for entry, priority in zip(metainfo.files, wanted, strict=True) if priority
    )
