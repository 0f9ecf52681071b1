from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core.bitfield import has
from torrent_core.errors import LocalProtocolError
from torrent_core.geometry import Geometry
from torrent_core.metainfo import FileEntry
from torrent_core.storage import CheckPlan, FileMap, ResumeData, full_recheck, plan_check
from torrent_core.types import FileStat

BLOCK = 16 * 1024
PIECE = 4 * BLOCK
Stats = list[FileStat | None]


def build(*lengths: int, pads: frozenset[int] = frozenset()) -> FileMap:
    files = []
    offset = 0
    for index, length in enumerate(lengths):
        files.append(FileEntry((f"f{index}",), length, offset, pad=index in pads))
        offset += length
    return FileMap(files, Geometry(offset, PIECE))


def resume_for(
    file_map: FileMap,
    stats: Stats,
    verified: int = 0,
    partial: tuple[tuple[int, int], ...] = (),
) -> ResumeData:
    return ResumeData(bytes(20), file_map.geometry.piece_count, verified, partial, tuple(stats))


def bits(*pieces: int) -> int:
    return sum(1 << piece for piece in pieces)


# --- Properties ----------------------------------------------------------------------------


@st.composite
def scenes(draw: st.DrawFn) -> tuple[FileMap, Stats, ResumeData]:
    """A torrent, its files as they are, and resume data of whatever state before."""
    sizes = st.sampled_from([0, 1, BLOCK, BLOCK + 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
    lengths = draw(st.lists(sizes, min_size=1, max_size=6).filter(any))
    pads = draw(st.frozensets(st.integers(0, len(lengths) - 1), max_size=2))
    file_map = build(*lengths, pads=pads)
    stats: Stats = []
    saved: Stats = []
    for length in lengths:
        size = st.sampled_from([0, length // 2, max(length - 1, 0), length, length + 1])
        stat = st.none() | st.builds(FileStat, size, st.integers(0, 1))
        stats.append(draw(stat))
        saved.append(draw(st.just(stats[-1]) | stat))
    geometry = file_map.geometry
    verified = draw(st.integers(0, geometry.all_pieces))
    partial = tuple(
        (piece, draw(st.integers(1, (1 << geometry.block_count(piece)) - 1)))
        for piece in range(geometry.piece_count)
        if not has(verified, piece) and draw(st.booleans())
    )
    return file_map, stats, resume_for(file_map, saved, verified, partial)


def is_held(file_map: FileMap, stats: Stats, piece: int, begin: int, length: int) -> bool:
    for span in file_map.spans(piece, begin, length):
        stat = stats[span.file]
        if file_map.files[span.file].pad:
            continue
        if stat is None or stat.size < span.offset + span.length:
            return False
    return True


def is_changed(file_map: FileMap, stats: Stats, resume: ResumeData, piece: int) -> bool:
    return any(
        not file_map.files[file].pad and stats[file] != resume.files[file]
        for file in file_map.files_of(piece)
    )


def is_replaced(file_map: FileMap, stats: Stats, resume: ResumeData, piece: int) -> bool:
    """Whether a file was changed otherwise than by writing to it later."""
    for file in file_map.files_of(piece):
        now, saved = stats[file], resume.files[file]
        if file_map.files[file].pad or now == saved:
            continue
        if now is None or saved is None or now.size < saved.size or now.mtime_ns < saved.mtime_ns:
            return True
    return False


@given(scenes())
def test_each_piece_is_judged_by_its_own_files(scene: tuple[FileMap, Stats, ResumeData]) -> None:
    file_map, stats, resume = scene
    plan = plan_check(resume, stats, file_map)
    claimed = dict(resume.partial)
    for piece in range(file_map.geometry.piece_count):
        size = file_map.geometry.piece_size(piece)
        held = is_held(file_map, stats, piece, 0, size)
        changed = is_changed(file_map, stats, resume, piece)
        blocks = [
            block
            for block in range(file_map.geometry.block_count(piece))
            if has(claimed.get(piece, 0), block)
            and is_held(file_map, stats, piece, block * BLOCK, min(BLOCK, size - block * BLOCK))
        ]
        whole = len(blocks) == file_map.geometry.block_count(piece)
        assert has(plan.trusted, piece) == (has(resume.verified, piece) and held and not changed)
        assert has(plan.rehash, piece) == ((held and changed) or (whole and not changed))
        replaced = is_replaced(file_map, stats, resume, piece)
        expected = None if replaced or whole or not blocks else bits(*blocks)
        assert dict(plan.partial).get(piece) == expected


@given(scenes())
def test_no_piece_is_both_trusted_and_doubted(
    scene: tuple[FileMap, Stats, ResumeData],
) -> None:
    file_map, stats, resume = scene
    plan = plan_check(resume, stats, file_map)
    partial = [piece for piece, _ in plan.partial]
    assert partial == sorted(set(partial))
    assert plan.trusted & plan.rehash == 0
    assert plan.trusted & bits(*partial) == 0
    assert (plan.trusted | plan.rehash) & ~file_map.geometry.all_pieces == 0


@given(scenes())
def test_without_resume_data_every_piece_that_fits_is_hashed(
    scene: tuple[FileMap, Stats, ResumeData],
) -> None:
    file_map, stats, _ = scene
    plan = plan_check(None, stats, file_map)
    geometry = file_map.geometry
    held = [
        piece
        for piece in range(geometry.piece_count)
        if is_held(file_map, stats, piece, 0, geometry.piece_size(piece))
    ]
    assert plan == full_recheck(stats, file_map) == CheckPlan(0, bits(*held), ())


# --- Scenarios -----------------------------------------------------------------------------


def test_a_restart_with_untouched_files_trusts_all_that_was_saved() -> None:
    file_map = build(10 * PIECE)
    stats: Stats = [FileStat(10 * PIECE, 5)]
    resume = resume_for(file_map, stats, bits(0, 3), ((1, 0b0110),))
    assert plan_check(resume, stats, file_map) == CheckPlan(bits(0, 3), 0, ((1, 0b0110),))


@pytest.mark.parametrize("stat", [FileStat(3 * PIECE, 6), FileStat(3 * PIECE + 1, 5)])
def test_a_file_written_since_is_hashed_whole_and_keeps_its_blocks(stat: FileStat) -> None:
    """As a kill leaves it, who writes long pieces as they come."""
    file_map = build(3 * PIECE, 3 * PIECE)
    saved: Stats = [FileStat(3 * PIECE, 5), FileStat(3 * PIECE, 5)]
    resume = resume_for(file_map, saved, bits(0, 4), ((1, 0b0110), (3, 0b1)))
    plan = plan_check(resume, [stat, saved[1]], file_map)
    assert plan == CheckPlan(bits(4), bits(0, 1, 2), ((1, 0b0110), (3, 0b1)))


@pytest.mark.parametrize("stat", [FileStat(3 * PIECE, 4), FileStat(3 * PIECE + 1, 4)])
def test_a_replaced_file_is_hashed_whole_and_believed_in_nothing(stat: FileStat) -> None:
    file_map = build(3 * PIECE, 3 * PIECE)
    saved: Stats = [FileStat(3 * PIECE, 5), FileStat(3 * PIECE, 5)]
    resume = resume_for(file_map, saved, bits(0, 4), ((1, 0b0110), (3, 0b1)))
    plan = plan_check(resume, [stat, saved[1]], file_map)
    assert plan == CheckPlan(bits(4), bits(0, 1, 2), ((3, 0b1),))


def test_pieces_written_after_the_save_are_found_by_hashing() -> None:
    file_map = build(3 * PIECE)
    resume = resume_for(file_map, [FileStat(PIECE, 5)], bits(0))
    plan = plan_check(resume, [FileStat(2 * PIECE, 6)], file_map)
    assert plan == CheckPlan(0, bits(0, 1), ())


def test_a_cut_file_loses_only_what_was_cut() -> None:
    file_map = build(3 * PIECE)
    resume = resume_for(file_map, [FileStat(3 * PIECE, 5)], bits(0, 1), ((2, 0b1),))
    plan = plan_check(resume, [FileStat(2 * PIECE - 1, 5)], file_map)
    assert plan == CheckPlan(0, bits(0), ())


def test_a_missing_file_leaves_its_pieces_absent() -> None:
    file_map = build(PIECE, PIECE)
    saved: Stats = [FileStat(PIECE, 5), FileStat(PIECE, 5)]
    plan = plan_check(resume_for(file_map, saved, bits(0, 1)), [None, saved[1]], file_map)
    assert plan == CheckPlan(bits(1), 0, ())


def test_a_piece_over_two_files_is_doubted_if_either_changed() -> None:
    file_map = build(PIECE + BLOCK, PIECE - BLOCK)
    saved: Stats = [FileStat(PIECE + BLOCK, 5), FileStat(PIECE - BLOCK, 5)]
    now: Stats = [saved[0], FileStat(PIECE - BLOCK, 6)]
    plan = plan_check(resume_for(file_map, saved, bits(0, 1)), now, file_map)
    assert plan == CheckPlan(bits(0), bits(1), ())


def test_claims_beyond_the_files_on_disk_are_not_believed() -> None:
    file_map = build(2 * PIECE, 2 * PIECE)
    stats: Stats = [FileStat(BLOCK + 1, 5), None]
    resume = resume_for(file_map, stats, bits(1, 2), ((0, 0b1111), (3, 0b1)))
    assert plan_check(resume, stats, file_map) == CheckPlan(0, 0, ((0, 0b0001),))


def test_a_partial_piece_with_all_blocks_is_hashed() -> None:
    file_map = build(2 * PIECE)
    stats: Stats = [FileStat(2 * PIECE, 5)]
    resume = resume_for(file_map, stats, 0, ((1, 0b1111),))
    assert plan_check(resume, stats, file_map) == CheckPlan(0, bits(1), ())


def test_nothing_on_disk_leaves_nothing_to_do() -> None:
    file_map = build(2 * PIECE, 0, PIECE)
    assert full_recheck([None, None, None], file_map) == CheckPlan(0, 0, ())


def test_pad_files_count_as_present_and_unchanged() -> None:
    file_map = build(BLOCK, PIECE - BLOCK, PIECE, pads=frozenset({1}))
    stats: Stats = [FileStat(BLOCK, 5), None, None]
    assert full_recheck(stats, file_map).rehash == bits(0)
    saved: Stats = [FileStat(BLOCK, 5), FileStat(1, 1), None]
    resume = resume_for(file_map, saved, bits(0))
    assert plan_check(resume, stats, file_map).trusted == bits(0)


def test_shapes_of_another_torrent_are_refused() -> None:
    file_map = build(PIECE, PIECE)
    stats: Stats = [None, None]
    with pytest.raises(LocalProtocolError):
        full_recheck([None], file_map)
    with pytest.raises(LocalProtocolError):
        plan_check(resume_for(file_map, [None]), stats, file_map)
    with pytest.raises(LocalProtocolError):
        plan_check(ResumeData(bytes(20), 3, 0, (), (None, None)), stats, file_map)
