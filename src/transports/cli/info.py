"""``torrent-core info``: what a torrent says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from .failures import OK
from .options import json_option

if TYPE_CHECKING:
    from torrent_core.metainfo import Metainfo


@click.command(short_help="Show what a torrent says.")
@click.argument("source", metavar="SOURCE")
@json_option
def info(source: str, as_json: bool) -> int:
    """Show what SOURCE, a .torrent file, its http(s) URL or - for stdin, says."""
    from .sources import load_torrent

    metainfo = load_torrent(source)
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
