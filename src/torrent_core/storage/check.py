"""What to believe of the files that are on disk, and what to hash again.

Resume data is a claim about files that anybody may have changed since, and that a kill may
have left behind the files.  Size and modification time decide per file: if neither moved,
the claim stands; if one did, nothing about the file is believed and nothing thrown away,
each piece in it is hashed.  Pieces that the claim leaves out are hashed there too: they may
have been written after it was saved.

Blocks of pieces that are not verified are believed a little longer: a kill in the midst of
writing leaves a file that is newer than the claim and no shorter.  They go on as received,
since their piece is hashed before it counts, and blame nobody if it fails.  Everything is
set algebra on whole bit sets, linear in files and pieces.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..bitfield import from_indices, indices, wire_length
from ..classes import frozen
from ..errors import LocalProtocolError
from ..limits import BLOCK_SIZE
from ..types import FileStat
from .mapping import FileMap
from .resume import ResumeData


@frozen
class CheckPlan:
    """What a start makes of the files.  A piece to be hashed may be partial as well: its
    blocks are kept if it does not match."""

    trusted: int
    """Set of pieces that count as verified and written, unseen."""
    rehash: int
    """Set of pieces to be hashed from the files: verified if they match, else absent."""
    partial: tuple[tuple[int, int], ...]
    """(piece, set of its blocks) whose bytes are in the files; ascending, never all blocks
    of a piece (such a piece is complete, and in ``rehash``), never of a trusted one."""


def plan_check(
    resume: ResumeData | None, stats: Sequence[FileStat | None], file_map: FileMap
) -> CheckPlan:
    """The plan for files in this state, ``stats`` having one entry per file.

    Without resume data it is ``full_recheck``.  Pad files always count as present.  Raises
    LocalProtocolError if ``stats`` or ``resume`` are of another torrent's shape.
    """
    if resume is None:
        return full_recheck(stats, file_map)
    held = _held(stats, file_map)
    if len(resume.files) != len(stats) or resume.piece_count != file_map.geometry.piece_count:
        raise LocalProtocolError("resume data of another torrent")
    geometry = file_map.geometry
    changed = _changed(resume, stats, file_map)
    # Shifting a long integer once per piece would copy it as often.
    replaced = _replaced(resume, stats, file_map)
    doubted = replaced.to_bytes(wire_length(geometry.piece_count), "little")
    partial: list[tuple[int, int]] = []
    complete: list[int] = []
    for piece, blocks in resume.partial:
        if doubted[piece >> 3] >> (piece & 7) & 1:
            continue
        present = _present(piece, blocks, stats, file_map)
        if present == (1 << geometry.block_count(piece)) - 1:
            complete.append(piece)
        elif present:
            partial.append((piece, present))
    return CheckPlan(
        trusted=resume.verified & held & ~changed,
        rehash=held & changed | from_indices(complete, geometry.piece_count),
        partial=tuple(partial),
    )


def full_recheck(stats: Sequence[FileStat | None], file_map: FileMap) -> CheckPlan:
    """Trust nothing: hash every piece that the files are long enough to hold.

    Where no file exists that is nothing, but for pieces of padding alone, which no peer need
    send.  Raises LocalProtocolError unless ``stats`` has one entry per file.
    """
    return CheckPlan(trusted=0, rehash=_held(stats, file_map), partial=())


def _held(stats: Sequence[FileStat | None], file_map: FileMap) -> int:
    """The set of pieces whose every byte lies inside the files as they are."""
    if len(stats) != len(file_map.files):
        raise LocalProtocolError(f"states of {len(stats)} files for {len(file_map.files)}")
    lacking = file_map.union(
        file_map.pieces_from(index, _size(stats[index]))
        for index, file in enumerate(file_map.files)
        if not file.pad
    )
    return file_map.geometry.all_pieces & ~lacking


def _changed(resume: ResumeData, stats: Sequence[FileStat | None], file_map: FileMap) -> int:
    """The set of pieces that touch a file in another state than was saved."""
    return file_map.union(
        file_map.pieces_from(index, 0)
        for index, file in enumerate(file_map.files)
        if not file.pad and stats[index] != resume.files[index]
    )


def _replaced(resume: ResumeData, stats: Sequence[FileStat | None], file_map: FileMap) -> int:
    """The set of pieces that touch a file which more than our own later writes have changed."""
    return file_map.union(
        file_map.pieces_from(index, 0)
        for index, file in enumerate(file_map.files)
        if not file.pad and not _may_be_later(stats[index], resume.files[index])
    )


def _may_be_later(stat: FileStat | None, saved: FileStat | None) -> bool:
    if stat is None or saved is None:
        return stat == saved
    return stat.size >= saved.size and stat.mtime_ns >= saved.mtime_ns


def _present(piece: int, blocks: int, stats: Sequence[FileStat | None], file_map: FileMap) -> int:
    """Those of ``blocks`` whose every byte lies inside the files as they are.

    Damaged resume data can claim more than the file it describes has ever held.
    """
    size = file_map.geometry.piece_size(piece)
    present = 0
    for block in indices(blocks):
        begin = block * BLOCK_SIZE
        spans = file_map.spans(piece, begin, min(BLOCK_SIZE, size - begin))
        if all(
            file_map.files[span.file].pad or _size(stats[span.file]) >= span.offset + span.length
            for span in spans
        ):
            present |= 1 << block
    return present


def _size(stat: FileStat | None) -> int:
    return 0 if stat is None else stat.size
