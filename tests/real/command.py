"""``torrent-core`` as people run it, in a child process, and what it left on the disk."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torrent_core.geometry import Geometry
from torrent_core.storage import ResumeData, decode_resume

from .child import Child
from .payload import Payload

BLOCK = 16 * 1024


@contextmanager
def getting(
    payload: Payload,
    into: Path,
    peers: Iterable[tuple[str, int]],
    *,
    backend: str,
    show: str = "--json",
) -> Iterator[Child]:
    """``torrent-core get`` of ``payload`` from these peers."""
    dialled = [f"--peer={host}:{port}" for host, port in peers]
    what = ["get", str(payload.torrent), "-o", str(into), show, "--no-discovery"]
    child = Child([*COMMAND, *what, *dialled, "--backend", backend])
    try:
        yield child
    finally:
        child.stop()


COMMAND = [sys.executable, "-W", "error", "-m", "transports.cli"]


def report(line: str) -> dict[str, Any]:
    """One line of ``--json``; whatever else was said has no event and no progress."""
    said: dict[str, Any] = json.loads(line) if line.startswith("{") else {}
    return {"event": "", "progress": 0.0, **said}


def right_pieces(payload: Payload, into: Path) -> set[int]:
    """The pieces of a single-file payload whose every byte on the disk is right."""
    ((name, wanted),) = payload.files.items()
    path = into / name
    found = path.read_bytes() if path.exists() else b""
    length = payload.piece_length
    return {
        at // length
        for at in range(0, len(wanted), length)
        if found[at : at + length] == wanted[at : at + length]
    }


def bytes_of(payload: Payload, pieces: Iterable[int]) -> int:
    """How many bytes these pieces hold together."""
    length = payload.piece_length
    return sum(min(length, payload.size - index * length) for index in pieces)


def resume_path(payload: Payload, into: Path) -> Path:
    """Where ``get`` keeps its resume data."""
    return into / ".torrent-core" / f"{payload.info_hash.hex()}.resume"


def resume_data(payload: Payload, into: Path) -> ResumeData | None:
    """What the resume file says, if there is one."""
    path = resume_path(payload, into)
    if not path.exists():
        return None
    geometry = Geometry(payload.size, payload.piece_length)
    return decode_resume(path.read_bytes(), payload.info_hash, geometry, len(payload.files))


def claimed_pieces(resume: ResumeData) -> set[int]:
    """The pieces that resume data calls verified."""
    return {index for index in range(resume.piece_count) if resume.verified >> index & 1}


def wrong_blocks(resume: ResumeData, payload: Payload, into: Path) -> list[tuple[int, int]]:
    """Blocks that resume data calls stored, as (piece, begin), and that are wrong on the disk."""
    ((name, wanted),) = payload.files.items()
    found = (into / name).read_bytes() if resume.partial else b""
    wrong = []
    for piece, blocks in resume.partial:
        for block in range(blocks.bit_length()):
            at = piece * payload.piece_length + block * BLOCK
            end = min(at + BLOCK, (piece + 1) * payload.piece_length, payload.size)
            if blocks >> block & 1 and found[at:end] != wanted[at:end]:
                wrong.append((piece, block * BLOCK))
    return wrong
