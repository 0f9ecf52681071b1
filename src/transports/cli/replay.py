"""``torrent-core replay``: run again what ``get --trace`` recorded."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import at_work
from .failures import OK, CommandFailed
from .options import json_option, moment

if TYPE_CHECKING:
    from torrent_core import Explanations
    from torrent_core.trace import Divergence, ReplayReport


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--until",
    type=moment,
    metavar="T",
    help="Stop T seconds after the first step.  [default: at the end]",
)
@click.option("--explain", is_flag=True, help="Say why each missing block was not there yet.")
@json_option
def replay(file: Path, until: float | None, explain: bool, as_json: bool) -> int:
    """Run FILE, a trace, again, and check that each step wants what it wanted.

    Nothing is downloaded or written.  With --explain it ends with the account of every
    missing block at that moment, a paragraph for each torrent.  Exit status 0 if every step is
    the same, else 1.  With --json, one object when done.
    """
    report = replay_file(file, until)
    accounts = explained(report) if explain else None
    if as_json:
        click.echo(json.dumps(as_fields(report, accounts)))
    else:
        click.echo("\n".join(as_lines(report, accounts)))
    if report.divergence is not None:
        raise CommandFailed(f"{file}: {_difference(report, report.divergence)}")
    return OK


def replay_file(file: Path, until: float | None) -> ReplayReport:
    """Replay the trace in ``file``.  Raises CommandFailed, with the offset, if it is of no use."""
    from torrent_core.trace import TraceError
    from torrent_core.trace import replay as run
    from transports.tracefile import chunks_of

    try:
        with at_work():
            report = run(chunks_of(file), until=until)
        if report.machine is None:
            raise TraceError("cut short", f"byte {report.read}")
    except TraceError as error:
        raise CommandFailed(f"{file} is not a usable trace: {error}") from error
    return report


def explained(report: ReplayReport) -> Explanations:
    """Why each missing block was not there, at the moment where the replay ends."""
    from torrent_core import Explanations, Session

    machine = report.machine
    if machine is None:
        return Explanations()
    if isinstance(machine, Session):
        return machine.explain(report.now)
    return Explanations({machine.info_hash: machine.explain(report.now)})


def _difference(report: ReplayReport, first: Divergence) -> str:
    return (
        f"step {first.step}, {type(first.event).__name__} at"
        f" {first.now - report.started:.3f} s (byte {first.offset}), differs:"
        f" {first.expected} recorded, {first.got} replayed"
    )


def as_fields(report: ReplayReport, accounts: Explanations | None = None) -> dict[str, object]:
    """The result as plain values, for JSON; times in seconds after the first step.

    With ``accounts``, ``explain`` has one by info-hash.
    """
    from .stillness import as_fields as account_fields

    first = report.divergence
    explain = accounts and {name.hex(): account_fields(why) for name, why in accounts.items()}
    return ({} if accounts is None else {"explain": explain}) | {
        "event": "replayed",
        "time": round(time.time(), 3),
        "equal": report.is_equal,
        "ending": report.ending.name.lower(),
        "steps": report.steps,
        "refused": report.refused,
        "bug": report.bug or None,
        "span": round(report.now - report.started, 6),
        "links": report.links,
        "received": report.received,
        "sent": report.sent,
        "trace_bytes": report.read,
        "divergence": None
        if first is None
        else {
            "step": first.step,
            "at": round(first.now - report.started, 6),
            "happened": type(first.event).__name__,
            "expected": first.expected,
            "got": first.got,
            "actions": [type(action).__name__ for action in first.actions],
            "offset": first.offset,
        },
    }


def as_lines(report: ReplayReport, accounts: Explanations | None = None) -> list[str]:
    """The result for people, and the ``accounts`` after it."""
    from .render import plural, size

    lines = [
        f"{plural(report.steps, 'step')} in {report.now - report.started:.3f} s,"
        f" up to {report.ending.value}",
        f"{plural(report.links, 'link')}, {size(report.received)} received,"
        f" {size(report.sent)} sent",
    ]
    if report.refused:
        lines.append(f"{plural(report.refused, 'step')} refused, as when recorded")
    if report.bug:
        lines.append(f"the machine raised {report.bug}, as when recorded")
    verdict = "each step wants what it wanted when it was recorded"
    if not report.steps:
        verdict = "no step was there to compare"
    lines.append(verdict if report.is_equal else "NOT the same")
    if accounts is not None:
        moment = f"{report.now - report.started:.3f} s after the first step"
        lines += ["", f"why blocks were missing {moment}:", str(accounts) or "there is no torrent"]
    return lines
