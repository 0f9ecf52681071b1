"""The explorer as a command: ``python -m torrent_core.testing.explore --help``."""

from __future__ import annotations

from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Sequence

from .errors import Violation
from .explorer import Explorer
from .setting import Setting

_COUNTS = ("links", "pieces", "blocks", "reconnects", "corruptions", "failures", "memory")


def _parser() -> ArgumentParser:
    defaults = Setting()
    parser = ArgumentParser(
        prog="python -m torrent_core.testing.explore",
        description="Walk every run of a tiny torrent, and check every state it can reach.",
    )
    parser.add_argument(
        "--depth", type=int, default=5, help="steps of the longest runs (%(default)s)"
    )
    parser.add_argument("--limit", type=int, help="stop after so many states")
    for name in _COUNTS:
        parser.add_argument(
            f"--{name}", type=int, default=getattr(defaults, name), help="%(default)s"
        )
    parser.add_argument(
        "--fast", default="10", help="1 or 0 for each peer: whether it speaks BEP 6 (%(default)s)"
    )
    parser.add_argument(
        "--wait",
        type=float,
        action="append",
        help="seconds that may pass without the call that was owed; may be repeated (45)",
    )
    parser.add_argument(
        "--waits-in-all", type=int, default=defaults.waits_in_all, help="%(default)s"
    )
    parser.add_argument(
        "--piecemeal",
        action=BooleanOptionalAction,
        default=defaults.piecemeal,
        help="whether peers may also come with nothing and gain pieces",
    )
    return parser


def _setting(options: Namespace) -> Setting:
    counts = {name: getattr(options, name) for name in _COUNTS}
    return Setting(
        **counts,
        fast=tuple(letter != "0" for letter in options.fast),
        waits=tuple(options.wait or Setting().waits),
        waits_in_all=options.waits_in_all,
        piecemeal=options.piecemeal,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Explore as told, and print what was found.

    Returns 0 when every state is as it must be, 1 when one is not (with the run that leads to
    it), 2 for bounds that make no sense.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        explorer = Explorer(_setting(options), depth=options.depth, limit=options.limit)
    except ValueError as error:
        print(f"error: {error}")
        return 2
    try:
        report = explorer.run()
    except Violation as violation:
        print(violation)
        return 1
    print(report.text())
    return 0
