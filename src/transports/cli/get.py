"""``torrent-core get``: download a torrent."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .failures import INTERRUPTED, OK
from .options import (
    backend_option,
    json_option,
    no_discovery_option,
    peer_option,
    port_option,
    seconds,
)

if TYPE_CHECKING:
    from torrent_core.metainfo import Metainfo
    from transports.client.handle import TorrentHandle

    from .screens import Screen


@click.command(short_help="Download a torrent.")
@click.argument("source", metavar="SOURCE")
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(path_type=Path),
    default=".",
    metavar="DIR",
    help="Download into this folder.  [default: the current one]",
)
@peer_option
@port_option
@no_discovery_option
@click.option("--seed", "keep_seeding", is_flag=True, help="Go on seeding when complete.")
@click.option(
    "--timeout",
    type=seconds,
    metavar="S",
    help="Give up after S seconds without a supplier.  [default: never]",
)
@click.option(
    "--trace",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Record all that happens in FILE, for torrent-core replay.",
)
@json_option
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
@backend_option
def get(
    source: str,
    folder: Path,
    peers: tuple[tuple[str, int], ...],
    port: int,
    keep_seeding: bool,
    timeout: float | None,
    trace: Path | None,
    as_json: bool,
    quiet: bool,
    backend: str,
) -> int:
    """Download what SOURCE, a .torrent file or - for stdin, describes.

    An interrupted download goes on where it was when the same command is run again.
    """
    from .runner import run_async
    from .screens import choose_screen
    from .sources import load_torrent, make_folder

    metainfo = load_torrent(source)
    make_folder(folder)
    screen = choose_screen(metainfo.name, as_json=as_json, quiet=quiet)
    fetch = Fetch(metainfo, folder, peers, port, keep_seeding, timeout, screen, trace)
    try:
        status = run_async(
            fetch.run, backend=backend, on_signal=fetch.interrupted, on_abort=screen.close
        )
    except Exception as error:
        fetch.failed(error)
        raise
    finally:
        screen.close()
    if status == INTERRUPTED:
        click.echo("interrupted; resume data is saved", err=True)
    return status


class Fetch:
    """One download, from its start to its exit status."""

    def __init__(
        self,
        metainfo: Metainfo,
        folder: Path,
        peers: tuple[tuple[str, int], ...],
        port: int,
        keep_seeding: bool,
        timeout: float | None,
        screen: Screen,
        trace: Path | None = None,
    ) -> None:
        self._metainfo = metainfo
        self._folder = folder
        self._peers = peers
        self._port = port
        self._keep_seeding = keep_seeding
        self._timeout = timeout
        self._screen = screen
        self._trace = trace
        self._torrent: TorrentHandle | None = None

    async def run(self) -> int:
        """Download, and seed if asked to; returns OK, or raises what stopped it."""
        import anyio

        from transports.client import Client

        from .watch import show_reports, show_status

        async with (
            Client(self._folder, self._port, trace=self._trace) as client,
            anyio.create_task_group() as showing,
        ):
            reports = client.events()
            torrent = self._torrent = await client.add(self._metainfo)
            showing.start_soon(show_reports, reports, torrent, self._screen)
            self._started(client.port)
            await self._complete(torrent)
            if self._keep_seeding:
                showing.start_soon(show_status, torrent, self._screen)
                self._screen.note(f"seeding on port {client.port} until interrupted")
                await anyio.sleep_forever()
            showing.cancel_scope.cancel()
        return OK

    async def _complete(self, torrent: TorrentHandle) -> None:
        """Wait for the download, while the display runs and the supply is watched."""
        import anyio

        from .watch import require_supplier, show_status

        began = time.monotonic()
        earlier = torrent.status.downloaded  # what former runs fetched
        async with anyio.create_task_group() as waiting:
            waiting.start_soon(show_status, torrent, self._screen)
            for host, port in self._peers:
                torrent.add_peer(host, port)
            if self._timeout is not None:
                waiting.start_soon(require_supplier, torrent, self._timeout, self._peers)
            await torrent.wait_complete()
            waiting.cancel_scope.cancel()
        fetched = torrent.status.downloaded - earlier
        self._completed(torrent, fetched, time.monotonic() - began)

    def _started(self, port: int) -> None:
        self._event(
            "started",
            name=self._metainfo.name,
            info_hash=self._metainfo.info_hash.hex(),
            size=self._metainfo.total_length,
            port=port,
        )

    def _completed(self, torrent: TorrentHandle, fetched: int, took: float) -> None:
        from .render import duration, rate, size

        status = torrent.status
        path = self._folder / self._metainfo.name
        self._screen.show(status.state.value, status)
        self._event("completed", path=str(path), seconds=round(took, 3))
        speed = rate(fetched / max(took, 1e-3))
        self._screen.note(
            f"done: {path}, {size(self._metainfo.total_length)} verified"
            f" ({size(fetched)} fetched in {duration(took)}, {speed})"
        )

    def interrupted(self) -> None:
        """A signal came: say so at once, since saving may take a moment."""
        self._event("interrupted")
        self._screen.note("stopping; interrupt again to abort without saving")

    def failed(self, error: Exception) -> None:
        """Tell the machines; people get their line from whoever catches the error."""
        from .failures import first_cause

        self._event("failed", message=str(first_cause(error)))

    def _event(self, event: str, /, **fields: object) -> None:
        status = self._torrent.status if self._torrent else None
        state = status.state.value if status else "stopped"
        self._screen.event(event, state, status, fields)
