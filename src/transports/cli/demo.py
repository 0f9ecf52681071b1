"""``torrent-core demo``: a loopback swarm with faults."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .failures import FAILED, INTERRUPTED, OK, CommandFailed
from .options import backend_option

if TYPE_CHECKING:
    from transports.client.handle import TorrentHandle
    from transports.demo import DemoReport

    from .screens import Screen

MIB = 1024 * 1024


@click.command()
@click.option(
    "--size",
    type=click.IntRange(1, 1024),
    default=32,
    show_default=True,
    metavar="MIB",
    help="Size of the payload in MiB.",
)
@click.option(
    "--seed",
    "number",
    type=click.IntRange(0, 2**32),
    default=0,
    show_default=True,
    metavar="N",
    help="Number that the payload and all choices follow from.",
)
@backend_option
def demo(size: int, number: int, backend: str) -> int:
    """Download over real loopback TCP from five seeds, three of which fail.

    One leaves in mid-transfer, one falls silent, one chokes for ever.  Shows the progress,
    verifies the result, and tells what was asked again of whom.  Exit status 0 if the
    download is right and all faults happened.  Leaves nothing behind.
    """
    from tempfile import TemporaryDirectory

    from .runner import run_async
    from .screens import choose_screen

    screen = choose_screen("demo")
    with TemporaryDirectory(prefix="torrent-core-demo-") as folder:
        try:
            status = run_async(
                lambda: _run(Path(folder), size * MIB, number, screen),
                backend=backend,
                on_signal=lambda: screen.note("stopping; interrupt again to abort"),
                on_abort=screen.close,
            )
        finally:
            screen.close()
    if status == INTERRUPTED:
        click.echo("interrupted", err=True)
    return status


async def _run(folder: Path, size: int, number: int, screen: Screen) -> int:
    from transports.demo import swarm

    def show(torrent: TorrentHandle) -> None:
        status = torrent.status
        screen.show(status.state.value, status)

    try:
        report = await swarm.run_demo(folder, size, number, show)
    except TimeoutError as error:
        raise CommandFailed(f"the demo was not done after {swarm.LIMIT_SECONDS:g} s") from error
    screen.close()
    click.echo("\n".join(as_lines(report)))
    return OK if report.good else FAILED


def as_lines(report: DemoReport) -> list[str]:
    """The report as people read it."""
    from .render import size

    verdict = "verified" if report.verified else "NOT what it should be"
    lines = [f"downloaded {size(report.size)} in {report.seconds:.1f} s: {verdict}"]
    lines += ["", "what the seeds did:", *(f"  {line}" for line in report.seeds)]
    lines += ["", "what was asked again:", *(f"  {line}" for line in report.requests)]
    if report.missing:
        lines += ["", "what did not happen:", *(f"  {line}" for line in report.missing)]
    return lines
