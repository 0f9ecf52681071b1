from __future__ import annotations

import pytest

from pieces_kit import make_state
from torrent_core.budget import Budget
from torrent_core.geometry import Geometry
from torrent_core.limits import (
    BLOCK_SIZE,
    MAX_BUFFERED_BYTES,
    MAX_SEGMENT_BLOCKS,
    MAX_WITHDRAWN,
    MIN_SEGMENTS,
    SEGMENTS_IN_BUDGET,
)
from torrent_core.pieces import (
    ActivePiece,
    ActivePieceConfig,
    ActivePieceManager,
    LinkRequests,
    RequestInfo,
)
from torrent_core.pieces.memory import PieceMemory
from torrent_core.types import BlockInfo

PIECES, BLOCKS = 6, 3
PIECE_SIZE = BLOCKS * BLOCK_SIZE
CUT = BLOCK_SIZE + 100
GEOMETRY = Geometry(PIECES * PIECE_SIZE - CUT, PIECE_SIZE)


def manager_with(memory: int = MAX_BUFFERED_BYTES, pieces: int = PIECES) -> ActivePieceManager:
    geometry = Geometry(pieces * PIECE_SIZE, PIECE_SIZE)
    return ActivePieceManager(geometry, ActivePieceConfig(max_buffered_bytes=memory))


def opened(manager: ActivePieceManager, index: int, now: float = 0.0) -> ActivePiece:
    piece = manager.get_or_create(index, now)
    assert piece is not None
    return piece


def storage_of(piece: ActivePiece) -> bytearray:
    storage = piece.view(0).obj
    assert isinstance(storage, bytearray)
    return storage


def only(link: LinkRequests) -> RequestInfo:
    (info,) = link.out.values()
    return info


# --- Memory ------------------------------------------------------------------------------


def test_two_pieces_are_admitted_however_small_the_budget() -> None:
    manager = manager_with(memory=1)
    assert manager.get_or_create(0, 0.0) is not None
    assert manager.get_or_create(1, 0.0) is not None
    assert manager.get_or_create(2, 0.0) is None
    assert not manager.has(2)
    manager.remove(0)
    assert manager.get_or_create(2, 0.0) is not None


@pytest.mark.parametrize("memory", [0, 1, 2, 3, 4, 5, 12, 14, 20])
def test_has_room_says_whether_another_segment_would_be_let_in(memory: int) -> None:
    """In units of a block: a piece of three is whole from a budget of twelve on."""
    manager = manager_with(memory=memory * BLOCK_SIZE)
    each = BLOCKS if memory >= 4 * BLOCKS else 1
    for index in range(PIECES):
        fits = index < max(memory // each, MIN_SEGMENTS)
        assert manager.memory.has_room is fits
        assert (manager.get_or_create(index, 0.0) is not None) is fits
    assert manager.memory.held <= max(memory, MIN_SEGMENTS) * BLOCK_SIZE


MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("piece", "memory", "blocks"),
    [
        (4 * MIB, 16 * MIB, 256),  # a quarter of the budget: whole
        (8 * MIB, 16 * MIB, MAX_SEGMENT_BLOCKS),
        (512 * MIB, 64 * MIB, MAX_SEGMENT_BLOCKS),
        (512 * MIB, 4 * MIB, 4),
        (512 * MIB, MIB, 1),
        (512 * MIB, 0, 1),
    ],
)
def test_a_piece_beyond_a_quarter_of_the_budget_takes_memory_in_segments(
    piece: int, memory: int, blocks: int
) -> None:
    taken = PieceMemory(Geometry(2 * piece, piece), Budget(memory), b"me")
    assert taken.span == blocks
    assert taken.segment_size == blocks * BLOCK_SIZE
    if blocks not in (1, MAX_SEGMENT_BLOCKS) and piece > memory // 4:
        assert taken.segment_size * SEGMENTS_IN_BUDGET == memory


def test_a_torrent_that_asks_for_late_blocks_of_stored_pieces_takes_only_spare_memory() -> None:
    manager = manager_with(memory=4 * PIECE_SIZE)
    manager.restore(0, 0b001, 0.0)
    piece = manager.get(0)
    assert piece is not None
    assert manager.dry == 0b1
    for index in range(1, 5):
        opened(manager, index)
    assert not manager.has_place(piece, 1)
    manager.remove(1)
    assert manager.has_place(piece, 1)
    assert manager.has_place(piece, 2)
    assert (manager.dry, manager.open & 1) == (0, 1)


def test_two_torrents_share_one_budget_and_the_one_refused_is_remembered() -> None:
    budget = Budget(4 * PIECE_SIZE)
    geometry = Geometry(PIECES * PIECE_SIZE, PIECE_SIZE)
    first, second = (
        ActivePieceManager(geometry, budget=budget, owner=name) for name in (b"first", b"second")
    )
    for index in range(4):
        opened(first, index)
    opened(second, 0)  # its first two by force
    opened(second, 1)
    assert second.get_or_create(2, 0.0) is None
    for index in range(3):
        first.remove(index)
    assert budget.take_waiting() == [b"second"]
    assert second.get_or_create(2, 0.0) is not None


@pytest.mark.parametrize("peak", [1, 2, 3, 10])
def test_spare_buffers_are_used_again_and_never_outgrow_the_active_ones(peak: int) -> None:
    manager = manager_with(pieces=10)
    first = [storage_of(opened(manager, index)) for index in range(peak)]
    for index in range(peak):
        manager.remove(index)
    second = [storage_of(opened(manager, index)) for index in range(peak)]
    reused = sum(any(new is old for old in first) for new in second)
    assert reused == min(peak, max(MIN_SEGMENTS, peak // 2))


def test_a_reused_buffer_serves_a_shorter_last_piece_too() -> None:
    manager = ActivePieceManager(GEOMETRY)
    storage = storage_of(opened(manager, 0))
    manager.remove(0)
    last = opened(manager, PIECES - 1)
    assert storage_of(last) is storage
    assert len(last.view(0)) == PIECE_SIZE - CUT


def test_a_torrent_shorter_than_its_piece_length_takes_only_what_it_needs() -> None:
    manager = ActivePieceManager(Geometry(100, 1 << 29))
    assert len(storage_of(opened(manager, 0))) == 100


def test_the_buffer_given_back_last_goes_to_the_piece_whose_block_comes_next() -> None:
    manager = manager_with()
    first, second, third = (opened(manager, index) for index in range(3))
    storage = storage_of(first)
    manager.remove(0)
    third.add_block(0, bytes(BLOCK_SIZE), 1, 0.0)
    assert storage_of(third) is storage
    assert storage_of(second) is not storage


def test_a_piece_that_never_got_a_block_gives_no_buffer_back() -> None:
    manager = manager_with()
    opened(manager, 0)
    manager.remove(0)
    assert len(storage_of(opened(manager, 1))) == PIECE_SIZE


def test_without_a_budget_of_its_own_the_configured_one_holds() -> None:
    manager = manager_with(memory=4 * PIECE_SIZE)
    opened_all = [manager.get_or_create(index, 0.0) is not None for index in range(5)]
    assert opened_all == [True, True, True, True, False]


# --- Books -------------------------------------------------------------------------------


def test_a_link_that_takes_a_piece_over_leaves_its_former_owner_without_one() -> None:
    """Else the former owner went on asking for the piece after it had been abandoned."""
    manager = manager_with()
    first, second = manager.add_link(make_state(1), 0.0), manager.add_link(make_state(2), 0.0)
    piece = opened(manager, 0)
    manager.own(piece, first)
    manager.own(piece, second)
    assert first.current is None
    manager.remove(0)
    assert second.current is None
    assert manager.owned == 0


def test_a_piece_whose_owner_is_gone_can_be_disowned() -> None:
    manager = manager_with()
    link = manager.add_link(make_state(1), 0.0)
    piece = opened(manager, 0)
    manager.own(piece, link)
    manager.remove_link(1)
    assert piece.owner is None
    manager.disown(piece)
    assert manager.owned == 0


def test_a_place_that_another_writes_into_is_not_given_twice() -> None:
    manager = manager_with()
    first, second = manager.add_link(make_state(1), 0.0), manager.add_link(make_state(2), 0.0)
    piece = opened(manager, 0)
    manager.claim(first, piece, 0)[:] = b"a" * BLOCK_SIZE
    manager.claim(second, piece, 0)[:] = b"b" * BLOCK_SIZE
    assert piece.block_view(0)[0] == ord("a")
    manager.unclaim(second)
    assert piece.claims == {0: 1}


def test_what_is_withdrawn_again_and_again_is_owed_as_many_answers() -> None:
    manager = manager_with()
    link = manager.add_link(make_state(1), 0.0)
    piece = opened(manager, 0)
    for _ in range(2):
        manager.request(link, piece, [1], 0.0)
        manager.withdraw(only(link))
    key = manager.key(0, BLOCK_SIZE)
    assert link.withdrawn.owed(key) == 2


def test_the_ledger_of_withdrawn_requests_is_bounded_and_drops_the_oldest() -> None:
    geometry = Geometry((MAX_WITHDRAWN + 1) * BLOCK_SIZE, BLOCK_SIZE)
    manager = ActivePieceManager(geometry)
    link = manager.add_link(make_state(1), 0.0)
    for index in range(MAX_WITHDRAWN + 1):
        manager.request(link, opened(manager, index), [0], 0.0)
        manager.remove(index)
    assert len(link.withdrawn) == MAX_WITHDRAWN
    assert 0 not in link.withdrawn
    assert MAX_WITHDRAWN in link.withdrawn


def test_requests_are_named_as_the_wire_does() -> None:
    manager = ActivePieceManager(GEOMETRY)
    link = manager.add_link(make_state(1), 0.0)
    last = PIECES - 1
    asked = manager.request(link, opened(manager, last), [0, 1], 0.0)
    rest = PIECE_SIZE - CUT - BLOCK_SIZE
    assert asked == [BlockInfo(last, 0, BLOCK_SIZE), BlockInfo(last, BLOCK_SIZE, rest)]
    assert manager.blocks_per_piece == BLOCKS


@pytest.mark.parametrize(
    ("index", "begin", "length", "known"),
    [
        (0, BLOCK_SIZE, BLOCK_SIZE, True),
        (0, 1, BLOCK_SIZE, False),
        (0, 0, BLOCK_SIZE - 1, False),
        (PIECES - 1, BLOCK_SIZE, PIECE_SIZE - CUT - BLOCK_SIZE, True),
        (PIECES, 0, BLOCK_SIZE, False),
    ],
)
def test_what_is_a_block_of_the_torrent(index: int, begin: int, length: int, known: bool) -> None:
    assert ActivePieceManager(GEOMETRY).is_block(index, begin, length) is known
