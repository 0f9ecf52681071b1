"""The folder that a command was given: what it lacks, and which one may have been meant."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

from .failures import CommandFailed
from .render import plural, printable

if TYPE_CHECKING:
    from torrent_core.metainfo import FileEntry, Metainfo

MAX_TRIED = 1000
"""Subfolders that are looked into."""

MAX_SAMPLE = 20
"""Files of the torrent that are looked for in each."""

MAX_NAMED = 3
"""Missing files that are named one by one."""


def require_folder(folder: Path) -> None:
    """Raises CommandFailed unless it is one."""
    if folder.is_file():
        raise CommandFailed(f"{folder} is a file: name the folder that holds it")
    if not folder.is_dir():
        raise CommandFailed(f"{folder} is not a folder")


def hint(metainfo: Metainfo, folder: Path) -> str | None:
    """Which folder seems to be meant, where ``folder`` holds nothing of the torrent."""
    folder = folder.absolute()
    sample = _sample(metainfo)
    if _holds(folder, sample):
        return None
    if _holds(folder.parent, sample):
        return f"one level too deep? {folder.parent} holds it"
    for inside in itertools.islice(_subfolders(folder), MAX_TRIED):
        if _holds(inside, sample):
            return f"one level too high? {inside} holds it"
    if metainfo.multi_file and _holds(folder, sample, skip=1):
        return f"its files seem to lie in {folder} itself, which must be called {metainfo.name}"
    return None


def missing(metainfo: Metainfo, folder: Path) -> list[str]:
    """A line for each of the first files that are not there, and one for the others."""
    lacking = [
        entry
        for entry in metainfo.files
        if not entry.pad and not folder.joinpath(*entry.path).is_file()
    ]
    lines = [f"missing: {printable(str(folder.joinpath(*e.path)))}" for e in lacking[:MAX_NAMED]]
    if len(lacking) > MAX_NAMED:
        lines.append(f"missing: {plural(len(lacking) - MAX_NAMED, 'other file')}")
    return lines


def _sample(metainfo: Metainfo) -> list[FileEntry]:
    stored = (entry for entry in metainfo.files if entry.length and not entry.pad)
    return list(itertools.islice(stored, MAX_SAMPLE))


def _holds(folder: Path, sample: list[FileEntry], skip: int = 0) -> bool:
    return any(folder.joinpath(*entry.path[skip:]).is_file() for entry in sample)


def _subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError:
        return []
