"""Files that are there before a download begins: a part of it, or somebody else's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .failures import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torrent_core.metainfo import FileEntry, Metainfo
    from transports.disk.hashing import PieceReader


class Foreign(NamedTuple):
    """A file that a download would overwrite although it holds nothing of it."""

    path: Path
    size: int
    wanted: int
    """The size that the torrent gives it."""


def require_replaceable(trace: Path) -> None:
    """Raises CommandFailed where a trace would replace what is neither empty nor a trace."""
    from torrent_core.trace.frames import NAME

    if trace.is_file() and (head := _head(trace, len(NAME))) and head != NAME:
        raise CommandFailed(f"{trace} is no trace: it is not replaced")


def _head(path: Path, length: int) -> bytes:
    with path.open("rb") as file:
        return file.read(length)


def claim(metainfo: Metainfo, folder: Path, *, force: bool, quiet: bool) -> None:
    """Make sure that what the download will write to is ours to overwrite, and note that it is.

    A file may be there from an earlier run or from elsewhere: it is taken as a part of the
    download if any piece in it is right.  Raises CommandFailed for one that is not, unless
    ``force``, and OSError for one that cannot be read.
    """
    _require_shape(metainfo, folder)
    if not force and not _is_ours(metainfo, folder):
        foreign = foreign_files(metainfo, folder, quiet=quiet)
        if foreign:
            raise CommandFailed(_refusal(foreign))
    _mark(metainfo, folder)


def _require_shape(metainfo: Metainfo, folder: Path) -> None:
    """Folders are where the torrent has some, and files where it has those, or nothing is."""
    parents: set[Path] = set()
    for entry, path in _places(metainfo, folder):
        if path.is_dir():
            raise CommandFailed(f"{path} is a folder, where the torrent has a file")
        parents.update(path.parents[: len(entry.path) - 1])
    for parent in sorted(parents):
        if parent.exists() and not parent.is_dir():
            raise CommandFailed(f"{parent} is a file, where the torrent has a folder")


def foreign_files(metainfo: Metainfo, folder: Path, *, quiet: bool) -> list[Foreign]:
    """The files that hold nothing of the torrent.  Hashes until each has shown something."""
    from .screens import HashProgress

    found = _found(metainfo, folder)
    if not found:
        return []
    progress = HashProgress(metainfo.name, metainfo.total_length, quiet=quiet)
    try:
        matches = _Matches(metainfo, folder, progress.advance)
        return [
            Foreign(path, size, entry.length)
            for entry, path, size in found
            if matches.is_foreign(entry, size)
        ]
    finally:
        progress.close()


def _places(metainfo: Metainfo, folder: Path) -> Iterator[tuple[FileEntry, Path]]:
    """The files that the download will write, and where."""
    for entry in metainfo.files:
        if not entry.pad:
            yield entry, folder.joinpath(*entry.path)


def _found(metainfo: Metainfo, folder: Path) -> list[tuple[FileEntry, Path, int]]:
    """Plain files of the torrent that hold something, with their sizes."""
    from transports.disk.files import plain_status

    found = []
    for entry, path in _places(metainfo, folder):
        status = plain_status(str(path))
        # A file without blocks was only set aside: nothing was ever written to it.
        if status is not None and status.st_size and status.st_blocks:
            found.append((entry, path, status.st_size))
    return found


class _Matches:
    """Which pieces on the disk are right; each is hashed once."""

    def __init__(self, metainfo: Metainfo, folder: Path, advance: Callable[[int], None]) -> None:
        self._metainfo = metainfo
        self._reader = _reader(metainfo, folder)
        self._advance = advance
        self._known: dict[int, bool | None] = {}

    def is_foreign(self, entry: FileEntry, size: int) -> bool:
        """Whether nothing in it is right; one that cannot be told is judged by its size."""
        if not entry.length:
            return True
        length = self._metainfo.piece_length
        pieces = range(entry.offset // length, (entry.offset + entry.length - 1) // length + 1)
        told = False
        for piece in pieces:
            match = self._match(piece)
            if match:
                return False
            told |= match is not None
        return told or size != entry.length

    def _match(self, piece: int) -> bool | None:
        """Whether the piece is right; None where some of it is not there."""
        if piece not in self._known:
            digest = self._reader.digest(piece)
            right = digest.sha1 == self._metainfo.piece_hash(piece)
            self._known[piece] = None if digest.sha1 is None else right
            self._advance(digest.length)
        return self._known[piece]


def _reader(metainfo: Metainfo, folder: Path) -> PieceReader:
    from transports.disk.hashing import PieceReader, SourceFile

    files = [
        SourceFile(None if entry.pad else folder.joinpath(*entry.path), entry.length)
        for entry in metainfo.files
    ]
    return PieceReader(files, metainfo.piece_length)


def _refusal(foreign: list[Foreign]) -> str:
    from .render import plural, size

    first = foreign[0]
    others = f" (and {plural(len(foreign) - 1, 'other file')} like it)" if foreign[1:] else ""
    sizes = f"{size(first.size)} where the torrent has {size(first.wanted)}"
    why = sizes if first.size != first.wanted else "no piece of it is right"
    return f"{first.path}{others} holds something else ({why}); --force overwrites it"


def _mark_path(metainfo: Metainfo, folder: Path) -> Path:
    from transports.disk.resumefile import RESUME_FOLDER

    return folder / RESUME_FOLDER / f"{metainfo.info_hash.hex()}.begun"


def _is_ours(metainfo: Metainfo, folder: Path) -> bool:
    """An earlier run of this download began here, or has left resume data."""
    mark = _mark_path(metainfo, folder)
    return mark.exists() or mark.with_suffix(".resume").exists()


def _mark(metainfo: Metainfo, folder: Path) -> None:
    """For the next run: one that is killed before it has a whole piece shows nothing else."""
    import contextlib

    mark = _mark_path(metainfo, folder)
    with contextlib.suppress(OSError):  # whoever writes the download will say so
        mark.parent.mkdir(exist_ok=True)
        mark.touch()
