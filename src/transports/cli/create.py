"""``torrent-core create``: make a torrent of a file or folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click

from .failures import OK, CommandFailed, describe_os_error
from .options import piece_length as as_piece_length
from .options import tracker


@click.command()
@click.argument("path", metavar="PATH", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the torrent here, replacing what is there.",
)
@click.option(
    "--piece-length",
    type=as_piece_length,
    metavar="N",
    help="Bytes of a piece, a power of two.  [default: by size]",
)
@click.option(
    "--tracker",
    "trackers",
    type=tracker,
    multiple=True,
    metavar="URL",
    help="Announce URL, each a tier of its own, best first. May be repeated.",
)
@click.option("--private", is_flag=True, help="Peers only from the trackers.")
@click.option("--comment", default="", metavar="TEXT", help="Free text.")
@click.option("--source", default="", metavar="TEXT", help="Free text that alters the info-hash.")
def create(
    path: Path,
    output: Path,
    piece_length: int | None,
    trackers: tuple[str, ...],
    private: bool,
    comment: str,
    source: str,
) -> int:
    """Make a torrent of PATH, and print its info-hash.

    Files come in the order of their names as bytes; empty files are kept.  Symbolic links
    inside a folder, empty folders and things that are not files are left out, and named.
    The same files and options always give the same torrent.
    """
    from torrent_core.metainfo import TorrentBuilder

    payload = collect(path, output)
    for name, why in payload.skipped:
        click.echo(f"skipped: {_shown(name)}: {why}", err=True)
    if not sum(payload.lengths):
        raise CommandFailed(f"{path} holds no data: a torrent needs at least one byte")
    try:
        builder = TorrentBuilder(
            payload.name,
            list(zip(payload.names, payload.lengths, strict=True)),
            single_file=payload.single_file,
            piece_length=piece_length,
            private=private,
            trackers=[[url] for url in trackers],
            comment=comment,
            source=source,
            created_by="torrent-core",
        )
        metainfo = builder.build(_hash(payload, builder.geometry.piece_length))
    except ValueError as error:
        raise CommandFailed(f"cannot make a torrent of {path}: {error}") from error
    _warn_of_renamed(payload, [entry.path for entry in metainfo.files])
    if private and not trackers:
        what = "a private torrent without --tracker"
        why = "its peers must be named by hand, since nothing else may find them"
        click.echo(f"warning: {what}: {why}", err=True)
    write_atomically(output, metainfo.encode())
    click.echo(f"{metainfo.info_hash.hex()}  {output}")
    return OK


class Payload(NamedTuple):
    """What a torrent is made of."""

    name: str
    single_file: bool
    names: tuple[tuple[str, ...], ...]
    """Path elements below the folder (of a single file: its name), in the torrent's order."""
    paths: tuple[Path, ...]
    lengths: tuple[int, ...]
    skipped: tuple[tuple[str, str], ...]
    """What was left out: its path below the folder, and why."""


def collect(path: Path, output: Path) -> Payload:
    """What there is at ``path``, in the torrent's order.  Raises CommandFailed.

    ``output``, where the torrent goes, is left out: else the torrent of a folder that it is
    written to would be another one the next time.
    """
    try:
        root = path.resolve(strict=True)
        target = output.parent.resolve() / output.name
        mode = root.stat().st_mode
        if stat.S_ISREG(mode):
            if root == target:
                raise CommandFailed(f"{output} is what the torrent is of: it is not replaced")
            names = ((root.name,),)
            return Payload(root.name, True, names, (root,), (root.stat().st_size,), ())
        if stat.S_ISDIR(mode):
            return _collect_folder(root, target)
    except OSError as error:
        raise CommandFailed(f"cannot read {describe_os_error(error)}") from error
    except RuntimeError as error:  # Python 3.11 and 3.12 report a loop of links so
        raise CommandFailed(f"cannot read {path}: {error}") from error
    raise CommandFailed(f"{path} is neither a file nor a folder")


def _collect_folder(root: Path, output: Path) -> Payload:
    from torrent_core.metainfo.paths import OWN_FOLDER

    found: list[tuple[tuple[str, ...], int]] = []
    skipped: list[tuple[str, str]] = []
    folders: list[tuple[str, ...]] = [()]
    while folders:
        folder = folders.pop()
        entries = list(os.scandir(root.joinpath(*folder)))
        if not entries:
            skipped.append(("/".join(folder) or ".", "empty folder"))
        for entry in entries:
            names = (*folder, entry.name)
            if entry.is_symlink():
                skipped.append(("/".join(names), "symbolic link"))
            elif entry.name == OWN_FOLDER:
                skipped.append(("/".join(names), "resume data of our own"))
            elif entry.is_dir():
                folders.append(names)
            elif root.joinpath(*names) == output:
                skipped.append(("/".join(names), "replaced by the torrent itself"))
            elif entry.is_file():
                found.append((names, entry.stat().st_size))
            else:
                skipped.append(("/".join(names), "neither a file nor a folder"))
    found.sort(key=lambda item: [os.fsencode(name) for name in item[0]])
    return Payload(
        name=root.name or "root",
        single_file=False,
        names=tuple(names for names, _ in found),
        paths=tuple(root.joinpath(*names) for names, _ in found),
        lengths=tuple(length for _, length in found),
        skipped=tuple(sorted(skipped, key=lambda item: os.fsencode(item[0]))),
    )


def _shown(text: str) -> str:
    from .render import printable

    return printable(os.fsencode(text).decode(errors="replace"))


def _hash(payload: Payload, piece_length: int) -> bytes:
    from transports.disk.hashing import PieceReader, SourceFile, digests

    from .heldback import interruptible
    from .screens import HashProgress

    files = [SourceFile(*pair) for pair in zip(payload.paths, payload.lengths, strict=True)]
    reader = PieceReader(files, piece_length)
    progress = HashProgress(payload.name, reader.total)
    hashes = bytearray()
    try:
        for digest in interruptible(digests(reader)):
            if digest.sha1 is None:
                names = ", ".join(str(files[i].path) for i in reader.files_of(digest.piece))
                raise CommandFailed(f"a file became shorter while it was read: one of {names}")
            hashes += digest.sha1
            progress.advance(digest.length)
    finally:
        progress.close()
    return bytes(hashes)


def _warn_of_renamed(payload: Payload, stored: Sequence[tuple[str, ...]]) -> None:
    """Downloaders make names safe; a seeder then looks for the file under its safe name."""
    for names, safe in zip(payload.names, stored, strict=True):
        meant = names if payload.single_file else (payload.name, *names)
        if safe != meant:
            text = f"{_shown('/'.join(meant))} will be stored as {'/'.join(safe)}"
            click.echo(f"warning: {text}", err=True)


def write_atomically(path: Path, data: bytes) -> None:
    """Replace ``path`` in one step, or leave it as it was.  Raises CommandFailed."""
    import tempfile

    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise CommandFailed(f"cannot write {path}: {error.strerror}") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        os.unlink(temporary)
        raise CommandFailed(f"cannot write {path}: {error.strerror}") from error
    except BaseException:
        os.unlink(temporary)
        raise


def _umask() -> int:
    """The process's mask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
