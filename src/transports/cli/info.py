"""``torrent-core info``: what a torrent says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from .failures import OK
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
    from torrent_core.metainfo import Metainfo


@click.command()
@click.argument("source", metavar="SOURCE")
@peer_option
@port_option
@discovery_options
@click.option(
    "--timeout",
    type=seconds,
    default="60",
    metavar="S",
    show_default=True,
    help="Ask for what a magnet link stands for so many seconds.",
)
@json_option
@backend_option
def info(
    source: str,
    peers: tuple[tuple[str, int], ...],
    port: int,
    find_by: FindBy,
    timeout: float,
    as_json: bool,
    backend: str,
) -> int:
    """Show what SOURCE, a .torrent file, its http(s) URL or - for stdin, says.

    SOURCE may be a magnet link too: then peers are found, as by get, and asked for what it
    stands for.  Nothing is stored.
    """
    from torrent_core.metainfo import Metainfo

    from .metadata import metadata_of
    from .sources import load_source

    metainfo = load_source(source)
    if not isinstance(metainfo, Metainfo):
        metainfo = metadata_of(metainfo, peers, port, find_by, timeout, backend)
    if as_json:
        click.echo(json.dumps(as_fields(metainfo)))
    else:
        click.echo("\n".join(as_lines(metainfo)))
    return OK


def as_fields(metainfo: Metainfo) -> dict[str, object]:
    """All of it as plain values, for JSON."""
    return {
        "name": metainfo.name,
        "info_hash": metainfo.info_hash.hex(),
        "size": metainfo.total_length,
        "piece_length": metainfo.piece_length,
        "pieces": metainfo.piece_count,
        "private": metainfo.private,
        "trackers": [list(tier) for tier in metainfo.trackers],
        "comment": metainfo.comment,
        "source": metainfo.source,
        "created_by": metainfo.created_by,
        "creation_date": metainfo.creation_date,
        "files": [
            {"path": "/".join(entry.path), "length": entry.length}
            for entry in metainfo.files
            if not entry.pad
        ],
    }


def as_lines(metainfo: Metainfo) -> list[str]:
    """The same for people; what the torrent does not say is left out."""
    from .render import plural, printable, size

    files = [entry for entry in metainfo.files if not entry.pad]
    total = metainfo.total_length
    rows = [
        ("name", metainfo.name),
        ("info-hash", metainfo.info_hash.hex()),
        ("size", f"{size(total)} ({plural(total, 'byte')}) in {plural(len(files), 'file')}"),
        ("pieces", f"{metainfo.piece_count} of {size(metainfo.piece_length)}"),
        ("private", "yes: peers only from its trackers" if metainfo.private else ""),
        ("comment", metainfo.comment),
        ("source", metainfo.source),
        ("created by", metainfo.created_by),
        ("created", _date(metainfo.creation_date)),
    ]
    rows += [("tracker", ", ".join(tier)) for tier in metainfo.trackers]
    lines = [f"{label + ':':<12}{printable(value)}" for label, value in rows if value]
    lines.append("files:")
    lines += [f"  {size(entry.length):>10}  {printable('/'.join(entry.path))}" for entry in files]
    return lines


def _date(seconds: int | None) -> str:
    """A Unix time in UTC; the parser has left out what no calendar reaches."""
    from datetime import UTC, datetime

    return "" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%F %T} UTC"
