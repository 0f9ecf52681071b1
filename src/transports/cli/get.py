"""``torrent-core get``: download a torrent."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from .failures import INTERRUPTED, OK, CommandFailed
from .options import (
    FindBy,
    backend_option,
    discovery_options,
    json_option,
    peer_option,
    port_option,
    seconds,
)

if TYPE_CHECKING:
    from torrent_core.metainfo import MagnetLink, Metainfo
    from transports.client.handle import TorrentHandle

    from .screens import Screen


@click.command()
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
@discovery_options
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
@click.option(
    "--force", is_flag=True, help="Overwrite files of the same name that hold something else."
)
@click.option(
    "--metadata-only",
    is_flag=True,
    help="Save NAME.torrent in the folder, and nothing of what it describes.",
)
@json_option
@click.option(
    "--quiet", is_flag=True, help="Print nothing but errors; with --json, no progress objects."
)
@backend_option
def get(
    source: str,
    folder: Path,
    peers: tuple[tuple[str, int], ...],
    port: int,
    find_by: FindBy,
    keep_seeding: bool,
    timeout: float | None,
    trace: Path | None,
    force: bool,
    metadata_only: bool,
    as_json: bool,
    quiet: bool,
    backend: str,
) -> int:
    """Download what SOURCE, a .torrent file, its http(s) URL, - for stdin, or a magnet link,
    describes.

    Peers are found by the torrent's trackers, the DHT, the local network and other peers;
    those of a private torrent by its trackers alone.

    An interrupted download goes on where it was when the same command is run again.  When
    nothing moves for five seconds it says why.

    With --metadata-only, and a SOURCE that is not a magnet link, no peer and no tracker is
    asked: options that concern them have no effect, --trace and --timeout included.

    With --json: an object for each event, and a progress object a second; while nothing
    changes, one in five seconds.
    """
    from .existing import require_replaceable
    from .runner import run_async
    from .screens import choose_screen
    from .sources import load_source, make_folder

    if metadata_only and keep_seeding:
        raise click.UsageError("--metadata-only leaves nothing to --seed")
    what = load_source(source)
    make_folder(folder)
    if trace is not None:
        require_replaceable(trace)
    screen = choose_screen(what.name or what.info_hash.hex(), as_json=as_json, quiet=quiet)
    claims = Claims(folder, force, as_json or quiet, metadata_only)
    fetch = Fetch(what, claims, peers, port, find_by, keep_seeding, timeout, screen, trace)
    try:
        if fetch.is_over():
            return OK
        status = run_async(
            fetch.run, backend=backend, on_signal=fetch.interrupted, on_abort=screen.close
        )
    except Exception as error:
        with suppress(OSError):  # a reader that is gone must not hide the line on stderr
            fetch.failed(error)
        raise
    finally:
        screen.close()
    return _told(fetch, status)


def _told(fetch: Fetch, status: int) -> int:
    """The status of a download that has come to ``status``; of one that was broken off, a line."""
    if fetch.is_done:
        return OK
    if status == INTERRUPTED:
        saved = "; resume data is saved" if fetch.has_begun else ""
        click.echo(f"interrupted{saved}", err=True)
    return status


class Claims(NamedTuple):
    """What a download may write, and where."""

    folder: Path
    force: bool
    """Also over what holds something else."""
    quiet: bool
    metadata_only: bool
    """No more than NAME.torrent."""


class Fetch:
    """One download, from its start to its exit status."""

    def __init__(
        self,
        source: Metainfo | MagnetLink,
        claims: Claims,
        peers: tuple[tuple[str, int], ...],
        port: int,
        find_by: FindBy,
        keep_seeding: bool,
        timeout: float | None,
        screen: Screen,
        trace: Path | None = None,
    ) -> None:
        from torrent_core.types import Address

        from .narrator import Narrator

        self._source = source
        self._claims = claims
        self._folder = claims.folder
        self.has_begun = False
        """Files may have been written to, and resume data saved."""
        self.is_done = False
        """All that was asked for is here: a signal can only hasten the end."""
        self._peers = [Address(*peer) for peer in peers]
        self._port = port
        self._find_by = find_by
        self._keep_seeding = keep_seeding
        self._timeout = timeout
        self._screen = screen
        self._trace = trace
        self._torrent: TorrentHandle | None = None
        self._account: dict[str, object] = {}
        self._narrator = Narrator(self._peers)

    def is_over(self) -> bool:
        """Do what can be done without a peer; whether that was all."""
        from torrent_core.metainfo import Metainfo

        if not isinstance(self._source, Metainfo):
            return False
        path = self._claim(self._source)
        if path is not None:
            self._saved(path)
        return path is not None

    def _claim(self, metainfo: Metainfo, *, quiet: bool = False) -> Path | None:
        """See that the files are ours to write; or, if that is all that is wanted, save the
        torrent, and say where."""
        from .existing import claim
        from .metadata import save_torrent

        folder, force, always_quiet, metadata_only = self._claims
        if metadata_only:
            return save_torrent(metainfo, folder, force=force)
        claim(metainfo, folder, force=force, quiet=quiet or always_quiet)
        return None

    async def run(self) -> int:
        """Download, and seed if asked to; returns OK, or raises what stopped it."""
        import anyio

        from torrent_core.actions import PieceVerified
        from transports.client import Client

        from . import watch

        async with (
            Client(
                self._folder, self._port, trace=self._trace, **self._find_by.for_client()
            ) as client,
            anyio.create_task_group() as showing,
        ):
            reports = client.events(unhurried=(PieceVerified,))
            torrent = self._torrent = await client.add(self._source, hold=True)
            showing.start_soon(watch.show_reports, reports, torrent, self._screen, self._narrator)
            self._started(client.port)
            await self._fetch(torrent)
            if self._keep_seeding:
                showing.start_soon(watch.show_status, torrent, self._screen)
                self._screen.note(f"seeding on port {client.port} until interrupted")
                await anyio.sleep_forever()
            showing.cancel_scope.cancel()
        return OK

    async def _fetch(self, torrent: TorrentHandle) -> None:
        """Fetch what is wanted, while the display runs and the supply is watched."""
        import anyio

        from . import watch
        from .stillness import tell_why_still

        async with anyio.create_task_group() as waiting:
            waiting.start_soon(watch.show_status, torrent, self._screen)
            waiting.start_soon(tell_why_still, torrent, self._screen)
            for address in self._peers:
                torrent.add_peer(*address)
            if self._timeout is not None:
                waiting.start_soon(self._give_up, torrent, self._timeout)
            metainfo = await torrent.wait_metadata()
            path = None if metainfo is self._source else await self._claim_late(metainfo)
            began = time.monotonic()
            earlier = torrent.status.downloaded  # what former runs fetched
            if path is None:
                self.has_begun = True
                torrent.release()
                await torrent.wait_complete()
            waiting.cancel_scope.cancel()
        if path is not None:
            self._saved(path)
            return
        fetched = torrent.status.downloaded - earlier
        self._completed(torrent, metainfo, fetched, time.monotonic() - began)

    async def _claim_late(self, metainfo: Metainfo) -> Path | None:
        """What ``is_over`` could not do without the metadata; None if there is more to fetch."""
        import anyio.to_thread

        self._described(metainfo)
        return await anyio.to_thread.run_sync(
            lambda: self._claim(metainfo, quiet=True), abandon_on_cancel=True
        )

    async def _give_up(self, torrent: TorrentHandle, timeout: float) -> None:
        """Raise CommandFailed, with the account, once there was no supplier for ``timeout``."""
        from .stillness import as_fields
        from .watch import require_supplier, without_supplier

        await require_supplier(torrent, timeout)
        explanation = torrent.explain()
        self._account = {"explain": as_fields(explanation)}
        linked = [peer.address for peer in torrent.peers]
        absent = [address for address in self._peers if address not in linked]
        raise CommandFailed(without_supplier(timeout, explanation, absent, self._narrator))

    def _started(self, port: int) -> None:
        self._event(
            "started",
            name=self._source.name or self._source.info_hash.hex(),
            info_hash=self._source.info_hash.hex(),
            size=getattr(self._source, "total_length", None),
            port=port,
        )

    def _described(self, metainfo: Metainfo) -> None:
        from .render import plural, size

        files = sum(not entry.pad for entry in metainfo.files)
        total = metainfo.total_length
        self._event("metadata", name=metainfo.name, size=total, files=files)
        self._screen.note(
            f"the metadata is here: {metainfo.name}, {size(total)} in {plural(files, 'file')}"
        )

    def _saved(self, path: Path) -> None:
        self._event("saved", path=str(path))
        self._screen.note(f"saved: {path}")
        self.is_done = True

    def _completed(
        self, torrent: TorrentHandle, metainfo: Metainfo, fetched: int, took: float
    ) -> None:
        from .metadata import wanted_length

        status = torrent.status
        path = self._folder / metainfo.name
        self._screen.show(status.state.value, status)
        self._event("completed", path=str(path), seconds=round(took, 3))
        self._screen.note(done_line(path, wanted_length(metainfo, self._source), fetched, took))
        self.is_done = not self._keep_seeding

    def interrupted(self) -> None:
        """A signal came: say so at once, since saving may take a moment."""
        if self.is_done:
            return
        self._event("interrupted")
        saving = " without saving" if self.has_begun else ""
        self._screen.note(f"stopping; interrupt again to abort{saving}")

    def failed(self, error: Exception) -> None:
        """Tell the machines; people get their line from whoever catches the error."""
        from .failures import first_cause

        self._event("failed", message=str(first_cause(error)), **self._account)

    def _event(self, event: str, /, **fields: object) -> None:
        status = self._torrent.status if self._torrent else None
        state = status.state.value if status else "stopped"
        self._screen.event(event, state, status, fields)


def done_line(path: Path, total: int, fetched: int, took: float) -> str:
    """What a download that is complete has to say: sizes in bytes, ``took`` in seconds."""
    from .render import elapsed, rate, size

    if not fetched:
        return f"done: {path}, {size(total)} verified (it was complete already)"
    speed = rate(fetched / max(took, 1e-3))
    return (
        f"done: {path}, {size(total)} verified"
        f" ({size(fetched)} fetched in {elapsed(took)}, {speed})"
    )
