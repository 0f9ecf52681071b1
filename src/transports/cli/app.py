"""The group of commands, and the one place where exceptions become exit statuses."""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import FrameType

import click

from .failures import (
    FAILED,
    INTERRUPTED,
    OK,
    USAGE,
    CommandFailed,
    describe_os_error,
    first_cause,
)

DEBUG_VARIABLE = "TORRENT_CORE_DEBUG"


COMMANDS = {
    "announce": ("inquiries", "Announce to trackers once."),
    "create": ("create", "Make a torrent of a file or folder."),
    "demo": ("demo", "Run a loopback swarm with faults, and tell what happened."),
    "dht": ("lookup", "Look peers up in the DHT."),
    "get": ("get", "Download a torrent."),
    "info": ("info", "Show what a torrent says."),
    "replay": ("replay", "Run a recorded download again."),
    "scrape": ("inquiries", "Ask trackers how large a swarm is."),
    "seed": ("seed", "Seed what is already there."),
    "verify": ("verify", "Check files against a torrent."),
}
"""Every command: the module that has it, by the same name, and what the list says of it."""


class _Commands(click.Group):
    """A group that loads a command when it is run, with what it needs: who downloads does not
    wait for what others would do.  The list of commands is made of names and summaries."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, _listed, rest = super().resolve_command(ctx, args)
        return name, None if name is None else load(name), rest

    def invoke(self, ctx: click.Context) -> object:
        """Interrupted, it says so in one line: click writes an empty one first."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise click.Abort from error


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=lambda context, _parameter, wanted: _show_version(context, wanted),
    help="Show the version and exit.",
)
@click.pass_context
def commands(context: click.Context) -> int:
    """Download, seed, make and check torrents.

    Exit status: 0 done and verified, 1 could not, 2 usage, 130 interrupted (resume data saved).
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        return USAGE
    return OK


for _name, (_, _summary) in COMMANDS.items():
    commands.add_command(click.Command(_name, short_help=_summary))


def load(name: str) -> click.Command:
    """The command itself."""
    module, _ = COMMANDS[name]
    found: click.Command = getattr(import_module(f".{module}", __package__), name)
    return found


def _show_version(context: click.Context, wanted: bool) -> None:
    if not wanted:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        click.echo(f"torrent-core {version('torrent-core')}")
    except PackageNotFoundError:
        click.echo("torrent-core, not installed (run from its source)")
    context.exit()


def run(argv: Sequence[str] | None) -> int:
    """Run one command; whatever it raises becomes one line and a status."""
    _fill_standard_descriptors()
    if sys.stdout is None:
        _complain("stdout is closed (>/dev/null is the way to want no output)")
        return FAILED
    _never_fail_on_a_name()
    try:
        with _sigterm_interrupts():
            status = commands.main(
                args=None if argv is None else list(argv),
                prog_name="torrent-core",
                standalone_mode=False,
            )
            sys.stdout.flush()
    except (Exception, KeyboardInterrupt, BaseExceptionGroup) as error:
        return _status_of(error)
    return status if isinstance(status, int) else OK


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """Make SIGTERM unwind like Ctrl-C, so that temporary files are removed."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # only the main thread may; elsewhere the host owns the signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _fill_standard_descriptors() -> None:
    """Open ``/dev/null`` for those that are closed, or the next file or socket takes their place.

    What then writes to stderr writes into it, and uvloop aborts the process.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one


def _never_fail_on_a_name() -> None:
    """File names may hold what the terminal's encoding lacks; showing ``?`` beats failing."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _status_of(raised: BaseException) -> int:
    """Say in one line what went wrong, and return the exit status for it."""
    error = first_cause(raised)
    if isinstance(error, BrokenPipeError):
        return _reader_went_away()
    if isinstance(error, KeyboardInterrupt | click.Abort):
        _complain("interrupted")
        return INTERRUPTED
    if isinstance(error, click.ClickException):
        _complain(_click_line(error))
        return error.exit_code
    _complain(_line_for(error))
    if os.environ.get(DEBUG_VARIABLE) == "1":
        traceback.print_exception(raised)
    return FAILED


def _line_for(error: BaseException) -> str:
    from torrent_core.errors import InvalidData
    from transports.errors import StorageError, TransportError

    if isinstance(error, StorageError):
        return f"{error}; what is verified is kept, run again to go on"
    if isinstance(error, CommandFailed | InvalidData | TransportError):
        return str(error)
    if isinstance(error, OSError):
        return describe_os_error(error)
    return f"internal error: {type(error).__name__}: {error}"


def _click_line(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f" (see {context.command_path} --help)" if context else ""
    return error.format_message() + hint


def _complain(text: str) -> None:
    """One line on stderr, whatever the text holds."""
    from .render import printable

    if sys.stderr is None:  # closed; print would take stdout instead
        return
    print(f"error: {printable(text)}", file=sys.stderr)


def _reader_went_away() -> int:
    """``torrent-core info | head``: end quietly, and let the final flush hit nothing."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)
    return FAILED
