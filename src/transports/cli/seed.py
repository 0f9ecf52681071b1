"""``torrent-core seed``: serve what is already there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .failures import INTERRUPTED, CommandFailed
from .options import FindBy, backend_option, discovery_options, port_option

if TYPE_CHECKING:
    from torrent_core.metainfo import Metainfo
    from transports.client.handle import TorrentHandle

    from .screens import Screen


@click.command()
@click.argument("torrent", metavar="TORRENT")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@port_option
@discovery_options
@backend_option
def seed(torrent: str, folder: Path, port: int, find_by: FindBy, backend: str) -> int:
    """Seed TORRENT from DIR, the folder that holds its file or folder, until interrupted.

    What is there is verified first; of incomplete data, the complete pieces are served.
    """
    from .places import require_folder
    from .runner import run_async
    from .screens import choose_screen
    from .sources import load_torrent

    metainfo = load_torrent(torrent)
    require_folder(folder)
    screen = choose_screen(metainfo.name)
    try:
        status = run_async(
            lambda: _serve(metainfo, folder, port, find_by, screen),
            backend=backend,
            on_signal=lambda: screen.note("stopping; interrupt again to abort"),
            on_abort=screen.close,
        )
    finally:
        screen.close()
    if status == INTERRUPTED:
        click.echo("interrupted; resume data is saved", err=True)
    return status


async def _serve(
    metainfo: Metainfo, folder: Path, port: int, find_by: FindBy, screen: Screen
) -> int:
    import anyio

    from transports.client import Client

    from .narrator import Narrator
    from .watch import show_reports, show_status

    async with (
        Client(download_dir=folder, port=port, **find_by.for_client()) as client,
        anyio.create_task_group() as showing,
    ):
        reports = client.events()
        torrent = await client.add(metainfo, resume=False)
        showing.start_soon(show_reports, reports, torrent, screen, Narrator())
        showing.start_soon(show_status, torrent, screen)
        await _checked(torrent)
        screen.note(_announcement(metainfo, torrent, client.port))
        for line in _warnings(metainfo, torrent, folder):
            screen.note(f"warning: {line}")
        await anyio.sleep_forever()
    raise CommandFailed("the client stopped by itself")


async def _checked(torrent: TorrentHandle) -> None:
    """Wait until what is on disk has been verified."""
    import anyio

    from torrent_core.types import TorrentState

    from .watch import REFRESH

    while True:
        if torrent.status.state is not TorrentState.CHECKING:
            return
        await anyio.sleep(REFRESH)


def _warnings(metainfo: Metainfo, torrent: TorrentHandle, folder: Path) -> list[str]:
    """What is not there, and where it may be instead."""
    from .places import hint, missing

    status = torrent.status
    if status.pieces_have == status.pieces_total:
        return []
    lines = missing(metainfo, folder)
    if not status.pieces_have:
        lines.append("there is nothing to serve yet")
        where = hint(metainfo, folder)
        if where is not None:
            lines.append(where)
    return lines


def _announcement(metainfo: Metainfo, torrent: TorrentHandle, port: int) -> str:
    from .render import plural

    status = torrent.status
    have, pieces = status.pieces_have, plural(status.pieces_total, "piece")
    if have == status.pieces_total:
        return f"seeding {metainfo.name} on port {port}: complete, {pieces} verified"
    return f"seeding {metainfo.name} on port {port}: incomplete, {have} of {pieces} are good"
