"""Simulated payloads, disks and their failures."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from hashlib import sha1
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.storage import FileMap
from torrent_core.testing import (
    Clock,
    Disk,
    Honest,
    Payload,
    SparseDisk,
    TorrentWorld,
    describe_torrent,
    faults,
    make_torrent,
)
from torrent_core.testing.payload import BLOCK
from torrent_core.types import Span, StorageFault

FILES = [BLOCK + 100, 0, 7, 2 * BLOCK + 5]
META, PAYLOAD = make_torrent(sum(FILES), BLOCK + 1000, files=FILES)


@given(st.integers(0, 5 * BLOCK), st.integers(-10, 6 * BLOCK), st.integers(-10, 6 * BLOCK))
def test_a_payload_made_on_demand_is_sliced_like_bytes(total: int, start: int, stop: int) -> None:
    payload = Payload(total)
    whole = payload[:]
    assert len(whole) == len(payload) == total
    assert payload[start:stop] == whole[start:stop]


def test_blocks_of_a_payload_differ_and_so_do_payloads_of_other_names() -> None:
    payload = Payload(20 * BLOCK)
    blocks = {payload[start : start + BLOCK] for start in range(0, 20 * BLOCK, BLOCK)}
    assert len(blocks) == 20
    assert Payload(100, "other")[:] != payload[:100]


def test_a_torrent_of_a_payload_on_demand_is_that_of_its_bytes() -> None:
    payload = Payload(100 * BLOCK + 3)
    meta = describe_torrent(payload, 3 * BLOCK)
    assert meta.info_hash == make_torrent(100 * BLOCK + 3, 3 * BLOCK)[0].info_hash
    assert meta.piece_hash(33) == sha1(payload[99 * BLOCK :]).digest()


changes = st.tuples(
    st.sampled_from([0, 2, 3]), st.integers(0, 2 * BLOCK), st.integers(0, BLOCK), st.booleans()
)


@given(st.lists(changes, max_size=8), st.booleans())
def test_a_sparse_disk_is_like_any_other(
    writes: list[tuple[int, int, int, bool]], full: bool
) -> None:
    plain, sparse = Disk(META), SparseDisk(META, PAYLOAD)
    disks = (plain, sparse)
    if full:
        for disk in disks:
            disk.fill(PAYLOAD)
    for file, offset, size, right in writes:
        length = META.files[file].length
        offset = min(offset, length)
        size = min(size, length - offset)
        start = META.files[file].offset + offset
        data = PAYLOAD[start : start + size] if right else bytes(size)
        chunks = ((Span(file, offset, size), memoryview(data)),)
        for disk in disks:
            answer = disk.perform(act.WriteBlocks(META.info_hash, 1, 0, chunks))
            assert answer == ev.Written(META.info_hash, 1)
    assert plain.stats() == sparse.stats()
    for piece in range(META.piece_count):
        assert plain.read(piece) == sparse.read(piece)
        assert plain.holds(piece) == sparse.holds(piece)
        spans = (Span(3, 5, 2 * BLOCK),)
        for action in (
            act.HashPiece(META.info_hash, 2, piece, None, spans, (1, 0)),
            act.HashPiece(META.info_hash, 3, piece, memoryview(plain.read(piece)), ()),
            act.ReadBlocks(META.info_hash, 4, piece, spans),
            act.StatFiles(META.info_hash, 5),
            act.CreateFiles(META.info_hash, 6, (1,)),
        ):
            assert plain.perform(action) == sparse.perform(action)


@pytest.mark.parametrize("kind", [Disk, partial(SparseDisk, payload=PAYLOAD)])
@pytest.mark.parametrize("right", [True, False])
def test_an_eager_disk_writes_what_it_hashed_if_that_was_expected(
    kind: Callable[..., Disk], right: bool
) -> None:
    disk = kind(META)
    disk.eager = True
    for piece in range(META.piece_count):
        start, size = piece * META.piece_length, META.geometry.piece_size(piece)
        data = memoryview(PAYLOAD[start : start + size] if right else bytes(size))
        spans = FileMap(META.files, META.geometry).piece_spans(piece)
        expected = META.piece_hash(piece)
        answer = disk.perform(
            act.HashPiece(META.info_hash, 3, piece, data, spans, expected=expected)
        )
        assert isinstance(answer, ev.PieceHashed)
        assert answer.written is right is (answer.digest == expected) is disk.holds(piece)


def test_a_sparse_disk_holds_a_gigabyte_that_is_right_in_marks_alone() -> None:
    payload = Payload(2**30)
    meta = describe_torrent(Payload(BLOCK), BLOCK)
    disk = SparseDisk(meta, payload)
    disk.fill(payload)
    assert disk.stats()[0] is not None
    assert disk.holds(0)
    assert disk.files == [None]


# --- Failures --------------------------------------------------------------------------------

WRITE = act.WriteBlocks(META.info_hash, 1, 0, ())
STAT = act.StatFiles(META.info_hash, 2)


def test_the_first_ones_of_a_kind_fail() -> None:
    fault = faults.fail_first(act.WriteBlocks, 2, StorageFault.MISSING)
    assert [fault(a) for a in (STAT, WRITE, WRITE, WRITE)] == [
        None,
        StorageFault.MISSING,
        StorageFault.MISSING,
        None,
    ]


def test_the_one_of_a_number_fails() -> None:
    fault = faults.fail_nth(1, act.WriteBlocks)
    assert [fault(a) for a in (WRITE, STAT, WRITE, WRITE)] == [None, None, StorageFault.OTHER, None]
    assert faults.fail_nth(0)(STAT) is StorageFault.OTHER


def test_a_disk_is_full_for_a_while_and_for_what_writes() -> None:
    clock = Clock()
    fault = faults.disk_full(clock, 10.0, 60.0)
    for now, expected in ((9.9, None), (10.0, StorageFault.DISK_FULL), (70.0, None)):
        clock.now = now
        assert fault(WRITE) is expected
        assert fault(STAT) is None


def test_some_fail_by_the_dice() -> None:
    assert faults.fail_sometimes(1.0, Random(1))(STAT) is not None
    assert faults.fail_sometimes(0.0, Random(1))(STAT) is None


def test_failures_go_together_and_each_keeps_its_count() -> None:
    fault = faults.any_of(faults.fail_nth(0), faults.fail_nth(1, act.WriteBlocks))
    assert [fault(a) is None for a in (WRITE, WRITE, WRITE)] == [False, False, True]


@pytest.mark.parametrize("number", range(8))
def test_whichever_action_fails_the_download_completes(number: int) -> None:
    world = TorrentWorld(start=False)
    world.disk.fault = faults.fail_nth(number)
    world.feed(ev.StartTorrent(world.name))
    world.join(Honest)
    world.finish(600)


def test_a_disk_that_stalls_answers_when_it_is_over() -> None:
    world = TorrentWorld()
    world.disk.stalled_until = 100.0
    world.join(Honest)
    world.finish(600)
    assert 100.0 <= world.now < 110.0
