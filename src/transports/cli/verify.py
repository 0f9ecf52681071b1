"""``torrent-core verify``: does a folder hold what a torrent describes?"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from .failures import FAILED, OK
from .options import json_option

if TYPE_CHECKING:
    from torrent_core.metainfo import FileEntry, Metainfo
    from transports.disk.hashing import Digest, PieceReader


@click.command()
@click.argument("torrent", metavar="TORRENT")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@json_option
def verify(torrent: str, folder: Path, as_json: bool) -> int:
    """Hash what DIR, the folder that holds its file or folder, has of TORRENT.

    Lists what is damaged or missing; nothing is changed.  Exit status 0 if everything is
    there and right, else 1.  With --json, one object when done.
    """
    from .places import hint, require_folder
    from .sources import load_torrent

    metainfo = load_torrent(torrent)
    require_folder(folder)
    findings = check(metainfo, folder, quiet=as_json)
    where = None if findings.good_pieces else hint(metainfo, folder)
    if as_json:
        click.echo(json.dumps(as_fields(metainfo, findings) | {"hint": where}))
    else:
        lines = as_lines(metainfo, findings)
        click.echo("\n".join(lines if where is None else [*lines, f"hint: {where}"]))
    return OK if findings.complete else FAILED


class FileFinding(NamedTuple):
    """What is the matter with one file."""

    entry: FileEntry
    state: str
    """``ok``, ``missing``, ``too short``, ``too long``, ``damaged``, or ``unproven``: of the
    right size, but sharing a piece with a file that is not all there."""
    bad_pieces: int
    pieces: int


class Findings(NamedTuple):
    """The whole result."""

    good_pieces: int
    pieces: int
    files: tuple[FileFinding, ...]

    @property
    def complete(self) -> bool:
        """Everything is there and right."""
        return self.good_pieces == self.pieces and all(f.state == "ok" for f in self.files)


def check(metainfo: Metainfo, folder: Path, *, quiet: bool) -> Findings:
    """Hash every piece, showing progress unless ``quiet``."""
    from transports.disk.hashing import PieceReader, SourceFile, digests

    from .heldback import interruptible
    from .screens import HashProgress

    reader = PieceReader(
        [
            SourceFile(None if entry.pad else folder.joinpath(*entry.path), entry.length)
            for entry in metainfo.files
        ],
        metainfo.piece_length,
    )
    progress = HashProgress(metainfo.name, metainfo.total_length, quiet=quiet)
    bad: list[Digest] = []
    try:
        for digest in interruptible(digests(reader)):
            if digest.sha1 != metainfo.piece_hash(digest.piece):
                bad.append(digest)
            progress.advance(digest.length)
    finally:
        progress.close()
    return _findings(metainfo, reader, bad)


def _findings(metainfo: Metainfo, reader: PieceReader, bad: Iterable[Digest]) -> Findings:
    wrong = [0] * len(metainfo.files)
    absent = [0] * len(metainfo.files)
    count = 0
    for digest in bad:
        count += 1
        for index in reader.files_of(digest.piece):
            tally = absent if digest.sha1 is None else wrong
            tally[index] += 1
    files = tuple(
        FileFinding(
            entry,
            _state(entry, source.path, wrong[index], absent[index]),
            wrong[index] + absent[index],
            _pieces_of(entry, metainfo.piece_length),
        )
        for index, (entry, source) in enumerate(zip(metainfo.files, reader.files, strict=True))
        if source.path is not None
    )
    return Findings(metainfo.piece_count - count, metainfo.piece_count, files)


def _state(entry: FileEntry, path: Path | None, wrong: int, absent: int) -> str:
    if path is None or not path.is_file():
        return "missing"
    length = path.stat().st_size
    if length != entry.length:
        return "too short" if length < entry.length else "too long"
    if wrong:
        return "damaged"
    return "unproven" if absent else "ok"


def _pieces_of(entry: FileEntry, piece_length: int) -> int:
    if entry.length == 0:
        return 0
    first = entry.offset // piece_length
    return (entry.offset + entry.length - 1) // piece_length - first + 1


def as_fields(metainfo: Metainfo, findings: Findings) -> dict[str, object]:
    """The result as plain values, for JSON; only files that are not right are listed."""
    return {
        "event": "verified",
        "time": round(time.time(), 3),
        "name": metainfo.name,
        "info_hash": metainfo.info_hash.hex(),
        "complete": findings.complete,
        "pieces_good": findings.good_pieces,
        "pieces_total": findings.pieces,
        "files_good": sum(finding.state == "ok" for finding in findings.files),
        "files_total": len(findings.files),
        "files": [
            {
                "path": "/".join(finding.entry.path),
                "state": finding.state,
                "bad_pieces": finding.bad_pieces,
                "pieces": finding.pieces,
            }
            for finding in findings.files
            if finding.state != "ok"
        ],
    }


def as_lines(metainfo: Metainfo, findings: Findings) -> list[str]:
    """The result for people: a line for each file that is not right, then the counts."""
    from .render import plural, printable

    faulty = [finding for finding in findings.files if finding.state != "ok"]
    lines = [
        f"{finding.state}: {printable('/'.join(finding.entry.path))}"
        f" ({finding.bad_pieces} of {plural(finding.pieces, 'piece')} bad)"
        for finding in faulty
    ]
    verdict = "complete" if findings.complete else "NOT complete"
    lines.append(
        f"{printable(metainfo.name)}: {verdict}; {findings.good_pieces} of"
        f" {plural(findings.pieces, 'piece')} and {len(findings.files) - len(faulty)} of"
        f" {plural(len(findings.files), 'file')} are good"
    )
    return lines
