"""Blocks as they come: asked for, late, twice, wrong, in parts."""

from __future__ import annotations

import pytest

from pieces_kit import FIRST, SECOND, Swarm, payload
from torrent_core.limits import BLOCK_SIZE
from torrent_core.pieces import USED, Stage
from torrent_core.types import BlockInfo

# --- Blocks ------------------------------------------------------------------------------------


def test_the_last_block_completes_the_piece_once() -> None:
    swarm = Swarm(1, 2)
    peer = swarm.join()
    assert swarm.deliver(peer) == USED
    outcome = swarm.deliver(peer)
    (piece,) = swarm.completed
    assert outcome.completed is piece
    assert piece.stage is Stage.HASHING
    assert piece.owner is None


def test_a_piece_with_blocks_in_files_is_stored_whole_before_it_is_hashed() -> None:
    swarm = Swarm(1, 2)
    piece = swarm.active.get_or_create(0, 0.0)
    assert piece is not None
    piece.restore(0b10)
    swarm.active.refresh(piece)
    outcome = swarm.deliver(swarm.join())
    assert outcome.completed is piece
    assert piece.stage is Stage.FLUSHING


def test_a_duplicate_while_hashing_is_waste_and_completes_nothing() -> None:
    swarm = Swarm(1, 1)
    first, second = swarm.join(), swarm.join()
    swarm.review()
    assert second.live == [FIRST]
    swarm.deliver(first)
    outcome = swarm.deliver(second, FIRST)
    assert outcome.completed is None
    assert outcome.waste == "came too late"
    assert second.book.unsolicited == 0
    assert len(swarm.completed) == 1


def test_a_late_block_is_taken_once() -> None:
    swarm = Swarm(1, 2)
    peer = swarm.join()
    swarm.tick()
    assert swarm.deliver(peer, SECOND) == USED
    outcome = swarm.receive(peer, SECOND)
    assert outcome.waste == "was not asked for"
    assert peer.book.unsolicited == 1


def test_a_late_block_saves_whoever_was_asked_instead() -> None:
    swarm = Swarm(1, 2)
    late = swarm.join()
    swarm.tick()
    other = swarm.join()
    outcome = swarm.deliver(late, SECOND)
    assert [info.link for info in outcome.duplicates] == [other.ordinal]
    assert SECOND not in other.live


def test_a_late_block_of_a_piece_that_is_ours_is_known_as_late() -> None:
    swarm = Swarm(1, 1)
    late = swarm.join()
    swarm.tick()
    swarm.deliver(swarm.join())
    swarm.passed(swarm.completed[0])
    assert swarm.receive(late, FIRST).waste == "came too late"
    assert late.book.unsolicited == 0


@pytest.mark.parametrize(
    ("begin", "length"),
    [
        (0, BLOCK_SIZE - 1),
        (0, BLOCK_SIZE + 1),
        (0, 0),
        (1, BLOCK_SIZE),
        (3 * BLOCK_SIZE, BLOCK_SIZE),
    ],
)
def test_a_block_that_is_not_exactly_what_was_asked_changes_nothing(
    begin: int, length: int
) -> None:
    swarm = Swarm(1, 4)
    peer = swarm.join()
    out = list(peer.book.out)
    outcome = swarm.received(peer, BlockInfo(0, begin, length), memoryview(bytes(length)))
    assert outcome.waste == "was not asked for"
    assert peer.book.unsolicited == 1
    assert list(peer.book.out) == out
    piece = swarm.active.get(0)
    assert piece is not None
    assert piece.received == 0


@pytest.mark.parametrize(("begin", "length"), [(1, BLOCK_SIZE), (0, 5), (0, BLOCK_SIZE + 1)])
def test_a_malformed_answer_to_a_withdrawn_request_settles_nothing(begin: int, length: int) -> None:
    swarm = Swarm(1, 2)
    peer = swarm.join()
    swarm.tick()
    ledger = list(peer.book.withdrawn)
    outcome = swarm.received(peer, BlockInfo(0, begin, length), memoryview(bytes(length)))
    assert outcome.waste == "was not asked for"
    assert list(peer.book.withdrawn) == ledger
    assert peer.book.snubbed


def test_each_input_of_use_forgives_one_block_that_nobody_asked_for() -> None:
    swarm = Swarm(2, 4)
    peer = swarm.join()
    strange = BlockInfo(1, 3 * BLOCK_SIZE, BLOCK_SIZE)
    for _ in range(3):
        swarm.receive(peer, strange)
    assert peer.book.unsolicited == 3
    for left in (2, 1, 0, 0):
        swarm.now += 0.1
        swarm.deliver(peer)
        assert peer.book.unsolicited == left


@pytest.mark.parametrize("index", [1, 5])
def test_no_piece_is_created_for_a_block_that_nobody_asked_for(index: int) -> None:
    swarm = Swarm(6, 2, wanted=0b1)
    peer = swarm.join()
    swarm.receive(peer, BlockInfo(index, 0, BLOCK_SIZE))
    assert swarm.active.active_indices == [0]


# --- Blocks that come in parts -------------------------------------------------------------------


def test_a_block_in_parts_is_written_in_its_place_and_taken() -> None:
    swarm = Swarm(1, 1)
    peer = swarm.join()
    swarm.begin(peer, FIRST)
    assert peer.book.claim is not None
    outcome = swarm.finish(peer)
    assert peer.book.claim is None
    assert outcome.completed is not None
    assert outcome.completed.assemble() == payload(FIRST)


def test_a_place_is_given_for_a_late_block_that_is_still_missing() -> None:
    swarm = Swarm(1, 2)
    peer = swarm.join()
    swarm.tick()
    swarm.begin(peer, SECOND)
    assert swarm.finish(peer) == USED
    piece = swarm.active.get(0)
    assert piece is not None
    assert piece.received == 0b10
    assert piece.block_view(1) == payload(SECOND)


@pytest.mark.parametrize(
    ("begin", "length"),
    [(0, 1), (1, BLOCK_SIZE), (2 * BLOCK_SIZE, BLOCK_SIZE)],
)
def test_no_place_is_given_for_what_was_not_asked(begin: int, length: int) -> None:
    swarm = Swarm(1, 4)
    peer = swarm.join()
    assert swarm.scheduler.open_block(peer.book, 0, begin, length) is None
    swarm.begin(peer, BlockInfo(0, begin, length))
    assert swarm.finish(peer).waste == "was not asked for"


@pytest.mark.parametrize("begin", [0, 1])
def test_no_place_is_given_for_a_late_block_that_is_here_or_malformed(begin: int) -> None:
    swarm = Swarm(1, 2)
    late = swarm.join()
    swarm.tick()
    swarm.choke(late)
    swarm.deliver(swarm.join())
    assert swarm.scheduler.open_block(late.book, 0, begin, BLOCK_SIZE) is None


def test_who_is_first_with_a_block_ends_the_writing_of_the_other() -> None:
    swarm = Swarm(1, 2)
    slow, quick = swarm.join(), swarm.join()
    swarm.review()
    assert quick.live == [SECOND, FIRST]
    swarm.begin(slow, FIRST)
    outcome = swarm.deliver(quick, FIRST)
    assert [info.link for info in outcome.duplicates] == [slow.ordinal]
    assert slow.arriving is not None
    assert slow.arriving.place is None
    assert swarm.finish(slow).waste == "came too late"
    piece = swarm.active.get(0)
    assert piece is not None
    assert piece.block_view(0) == payload(FIRST)


def test_two_that_write_the_same_block_do_not_spoil_each_others() -> None:
    swarm = Swarm(1, 2)
    first, second = swarm.join(), swarm.join()
    swarm.review()
    swarm.begin(first, FIRST)
    swarm.begin(second, FIRST)
    swarm.finish(second)
    piece = swarm.active.get(0)
    assert piece is not None
    assert piece.block_view(0) == payload(FIRST)
    assert swarm.finish(first).waste == "came too late"


def test_a_block_whose_piece_was_abandoned_meanwhile_is_dropped() -> None:
    swarm = Swarm(2, 2)
    peer = swarm.join(0b01)
    swarm.begin(peer, FIRST)
    swarm.want(0b10)
    assert peer.arriving is not None
    assert peer.arriving.place is None
    assert swarm.finish(peer).waste == "came too late"
