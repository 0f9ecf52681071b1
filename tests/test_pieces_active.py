from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from torrent_core.errors import LocalProtocolError
from torrent_core.limits import BLOCK_SIZE
from torrent_core.pieces import ActivePiece, RequestInfo, Stage
from torrent_core.types import BlockInfo

serials = count(1)


def ask(
    piece: ActivePiece, link: int, block: int, *, deadline: float = 30.0, probe: bool = False
) -> RequestInfo:
    (info,) = ask_all(piece, link, [block], deadline=deadline, probe=probe)
    return info


def ask_all(
    piece: ActivePiece, link: int, blocks: list[int], *, deadline: float, probe: bool
) -> list[RequestInfo]:
    named = zip(blocks, map(piece.block_info, blocks), strict=True)
    infos = [
        RequestInfo(link, piece, block, name, 0.0, deadline, next(serials), probe)
        for block, name in named
    ]
    piece.add_requests(infos)
    return infos


def data_for(piece: ActivePiece, block: int, fill: int = 0xAB) -> bytes:
    return bytes([fill]) * piece.block_length(block)


def piece_of(blocks: int, short_by: int = 0) -> ActivePiece:
    return ActivePiece(7, blocks * BLOCK_SIZE - short_by)


@given(span=st.sampled_from([1, 2, 4, 8]), length=st.integers(1, 40), bits=st.integers(0))
def test_the_segments_of_blocks_are_each_named_once(span: int, length: int, bits: int) -> None:
    piece = ActivePiece(7, length * BLOCK_SIZE, span=span)
    wanted = {block // span for block in range(length) if bits >> block & 1}
    assert piece.segments_of(bits & piece.all_blocks) == sorted(wanted)


# --- Against a model ---------------------------------------------------------------------

links = st.integers(1, 4)
numbers = st.integers(0, 4)
some_blocks = st.integers(0, 31)


class ActivePieceMachine(RuleBasedStateMachine):
    """The piece beside three plain collections: who asked, who sent, what lies in files."""

    piece: ActivePiece

    @initialize(
        short_by=st.integers(0, BLOCK_SIZE - 1),
        blocks=st.integers(1, 5),
        restored=st.just(0) | some_blocks,
        span=st.sampled_from([None, 1, 2, 4]),
    )
    def make(self, short_by: int, blocks: int, restored: int, span: int | None) -> None:
        self.piece = ActivePiece(7, blocks * BLOCK_SIZE - short_by, span=span)
        self.span = span or blocks
        self.segments = {0} if span is None else set()
        self.writing: set[int] = set()
        self.count = blocks
        self.asked: list[RequestInfo] = []
        self.senders: dict[int, int] = {}
        self.restored = {block for block in range(blocks) if restored >> block & 1}
        self.stored = set(self.restored)
        self.piece.restore(restored & self.piece.all_blocks)
        self.bytes = bytearray(self.piece.length)
        self.active_at = 0.0
        self.now = 0.0

    @property
    def received(self) -> set[int]:
        return set(self.senders) | self.restored

    @rule(
        link=links,
        blocks=st.sets(numbers, min_size=1),
        wait=st.integers(1, 50),
        probe=st.booleans(),
    )
    def add_requests(self, link: int, blocks: set[int], wait: int, probe: bool) -> None:
        run = sorted({block % self.count for block in blocks})
        run = [block for block in run if self.may_be_asked(link, block)]
        if run:
            self.asked += ask_all(self.piece, link, run, deadline=self.now + wait, probe=probe)

    def may_be_asked(self, link: int, block: int) -> bool:
        twice = any(info.link == link and info.block == block for info in self.asked)
        taken = block in self.received or block in self.writing
        return not twice and not taken and block // self.span in self.segments

    @rule(link=links, block=numbers, fill=st.integers(1, 255))
    def add_block(self, link: int, block: int, fill: int) -> None:
        block %= self.count
        if block // self.span not in self.segments or block in self.writing - self.received:
            return
        self.now += 1
        data = data_for(self.piece, block, fill)
        others = self.piece.add_block(block, data, link, self.now)
        if block in self.received:
            assert others is None
            return
        mine = [info for info in self.asked if info.block == block]
        assert others == tuple(info for info in mine if info.link != link)
        self.asked = [info for info in self.asked if info.block != block]
        self.senders[block] = link
        self.bytes[block * BLOCK_SIZE : block * BLOCK_SIZE + len(data)] = data
        self.active_at = self.now

    @rule(link=links)
    def clear_requests_for_peer(self, link: int) -> None:
        cleared = self.piece.clear_requests_for_peer(link)
        self.forget(cleared, [info for info in self.asked if info.link == link])

    @rule(pause=st.integers(0, 40))
    def check_timeouts(self, pause: int) -> None:
        self.now += pause
        cleared = self.piece.check_timeouts(self.now)
        self.forget(cleared, [info for info in self.asked if info.deadline <= self.now])

    def forget(self, cleared: list[RequestInfo], gone: list[RequestInfo]) -> None:
        assert {id(info) for info in cleared} == {id(info) for info in gone}
        self.asked = [info for info in self.asked if info not in gone]

    @rule(link=links)
    def deliver_after_probe(self, link: int) -> None:
        for info in self.asked:
            if info.link == link and info.probe:
                info.probe = False
                self.piece.add_holder(info)

    @rule(blocks=some_blocks)
    def begin_writing(self, blocks: int) -> None:
        blocks &= self.piece.unsaved
        self.piece.begin_writing(blocks)
        self.writing |= {block for block in range(self.count) if blocks >> block & 1}

    @rule(blocks=some_blocks, fine=st.booleans())
    def end_writing(self, blocks: int, fine: bool) -> None:
        blocks &= self.piece.writing
        over = {block for block in range(self.count) if blocks >> block & 1}
        if fine:
            self.piece.mark_stored(blocks)
            self.stored |= over & self.received
        self.piece.end_writing(blocks)
        self.writing -= over

    @rule(segment=numbers)
    def add_segment(self, segment: int) -> None:
        if segment * self.span < self.count and segment not in self.segments:
            self.piece.grant(segment)
            self.segments.add(segment)

    @rule(segment=numbers)
    def drop_segment(self, segment: int) -> None:
        if segment in self.segments and self.piece.is_spent(segment):
            storage = self.piece.revoke(segment)
            assert storage is None or len(storage) >= self.piece.segment_length(segment)
            self.segments.remove(segment)

    def blocks_of(self, segment: int) -> set[int]:
        return set(range(segment * self.span, min((segment + 1) * self.span, self.count)))

    @rule()
    def reset(self) -> None:
        self.piece.stage = Stage.HASHING
        self.piece.reset()
        self.senders.clear()
        self.restored.clear()
        self.stored.clear()
        assert self.piece.stage is Stage.DOWNLOADING
        assert self.piece.released == 0

    @invariant()
    def what_is_received(self) -> None:
        piece = self.piece
        for block in range(self.count):
            assert piece.has_block(block) is (block in self.received)
            if block in self.senders and block not in self.stored:
                begin = block * BLOCK_SIZE
                end = begin + piece.block_length(block)
                assert piece.block_view(block) == self.bytes[begin:end]
        assert piece.blocks_received == len(self.received)
        assert piece.have_all_blocks is (len(self.received) == self.count)
        assert piece.senders == self.senders
        assert list(piece.senders) == list(self.senders)
        assert piece.get_contributing_peers() == tuple(dict.fromkeys(self.senders.values()))
        assert piece.last_activity == self.active_at

    @invariant()
    def what_lies_in_memory(self) -> None:
        piece = self.piece
        assert piece.stored == sum(1 << block for block in self.stored)
        in_memory = self.received - self.stored
        assert piece.in_memory == sum(1 << block for block in in_memory)
        assert piece.buffered_bytes == sum(map(piece.block_length, in_memory))

    @invariant()
    def what_has_a_place(self) -> None:
        piece = self.piece
        placed = {block for segment in self.segments for block in self.blocks_of(segment)}
        assert piece.places == sum(1 << block for block in placed)
        assert piece.is_whole is (self.span >= self.count)
        assert piece.segments == sorted(self.segments)
        lengths = [piece.segment_length(at) for at in range(-(-self.count // self.span))]
        assert sum(lengths) == piece.length
        held = {info.block for info in self.asked if not info.probe}
        asked = {info.block for info in self.asked}
        unsaved = self.received - self.stored
        idle = [at for at in self.segments if not self.blocks_of(at) & (held | self.writing)]
        assert piece.idle == sum(1 << at * self.span for at in idle)
        for segment in self.segments:
            kept = self.blocks_of(segment) & (unsaved | asked | self.writing)
            assert piece.is_spent(segment) is not bool(kept)
        assert piece.unsaved == sum(1 << block for block in unsaved - self.writing)

    @invariant()
    def what_is_asked_and_what_is_free(self) -> None:
        piece = self.piece
        free = []
        for block in range(self.count):
            asked = [info for info in self.asked if info.block == block]
            assert piece.requests.get(block, []) == asked
            assert piece.is_requested(block) is bool(asked)
            assert piece.holders(block) == sum(not info.probe for info in asked)
            if block not in self.received | self.writing and not piece.holders(block):
                assert piece.free >> block & 1
                if block // self.span in self.segments:
                    free.append(block)
            else:
                assert not piece.free >> block & 1
        assert piece.get_needed_blocks() == [piece.block_info(block) for block in free]
        assert piece.get_needed_blocks(2) == piece.get_needed_blocks()[:2]
        assert not piece.released & ~piece.free


TestActivePieceMachine = ActivePieceMachine.TestCase


# --- Shape -------------------------------------------------------------------------------


@given(length=st.integers(1, 6 * BLOCK_SIZE))
def test_blocks_cover_the_piece_without_gap_or_overlap(length: int) -> None:
    piece = ActivePiece(3, length)
    end = 0
    for info in piece.get_needed_blocks():
        assert info.piece == 3
        assert info.begin == end
        assert 0 < info.length <= BLOCK_SIZE
        end += info.length
    assert end == length
    assert piece.blocks_needed == len(piece.get_needed_blocks())


def test_a_segment_uses_the_start_of_the_storage_that_it_is_lent() -> None:
    storage = bytearray(4 * BLOCK_SIZE)
    piece = ActivePiece(0, 3 * BLOCK_SIZE + 10, lend=lambda: storage, span=2)
    piece.grant(1)
    piece.add_block(3, b"x" * 10, 1, 0.0)
    assert storage[BLOCK_SIZE : BLOCK_SIZE + 11] == b"x" * 10 + b"\0"
    assert len(piece.view(1)) == BLOCK_SIZE + 10
    assert piece.revoke(1) is storage


def test_a_segment_that_no_block_came_for_was_lent_nothing() -> None:
    piece = piece_of(2)
    assert piece.revoke(0) is None


def test_of_a_piece_that_is_complete_nothing_is_idle() -> None:
    piece = piece_of(1)
    assert piece.idle == 1
    piece.add_block(0, data_for(piece, 0), 1, 0.0)
    piece.stage = Stage.HASHING
    assert piece.idle == 0


def test_a_request_names_its_block_as_the_wire_does() -> None:
    piece = piece_of(2, short_by=100)
    assert ask(piece, 1, 1).info == BlockInfo(7, BLOCK_SIZE, BLOCK_SIZE - 100)


# --- Requests ----------------------------------------------------------------------------


def test_a_probe_leaves_its_block_free_and_counts_as_no_holder() -> None:
    piece = piece_of(2)
    ask(piece, 1, 0, probe=True)
    assert piece.is_requested(0)
    assert piece.holders(0) == 0
    assert [info.begin for info in piece.get_needed_blocks()] == [0, BLOCK_SIZE]
    ask(piece, 2, 0)
    assert piece.holders(0) == 1
    assert [info.begin for info in piece.get_needed_blocks()] == [BLOCK_SIZE]


def test_a_block_stays_taken_while_another_link_still_holds_it() -> None:
    piece = piece_of(1)
    ask(piece, 1, 0)
    ask(piece, 2, 0)
    piece.clear_requests_for_peer(1)
    assert not piece.get_needed_blocks()
    piece.clear_requests_for_peer(2)
    assert len(piece.get_needed_blocks()) == 1


def test_released_remembers_what_was_asked_in_vain_until_it_is_asked_again() -> None:
    piece = piece_of(3)
    ask(piece, 1, 0)
    ask(piece, 1, 2)
    assert piece.released == 0
    piece.clear_requests_for_peer(1)
    assert piece.released == 0b101
    ask(piece, 2, 0)
    assert piece.released == 0b100
    piece.add_block(2, data_for(piece, 2), 3, 0.0)
    assert piece.released == 0


def test_timeouts_void_what_is_due_and_not_what_is_due_later() -> None:
    piece = piece_of(3)
    early, exact, later = (ask(piece, 1, block, deadline=10.0 + block) for block in range(3))
    assert piece.check_timeouts(11.0) == [early, exact]
    assert piece.check_timeouts(11.0) == []
    assert piece.requests == {2: [later]}


# --- Blocks ------------------------------------------------------------------------------


def test_the_other_requesters_are_returned_before_they_are_forgotten() -> None:
    piece = piece_of(2)
    ask(piece, 1, 0)
    second, third = ask(piece, 2, 0), ask(piece, 3, 0, probe=True)
    assert piece.add_block(0, data_for(piece, 0), 1, 5.0) == (second, third)
    assert not piece.is_requested(0)


def test_a_duplicate_changes_nothing() -> None:
    piece = piece_of(2)
    piece.add_block(0, data_for(piece, 0, 1), 1, 5.0)
    assert piece.add_block(0, data_for(piece, 0, 2), 2, 9.0) is None
    assert piece.block_view(0)[0] == 1
    assert piece.senders == {0: 1}
    assert piece.last_activity == 5.0


@pytest.mark.parametrize("length", [0, 1, BLOCK_SIZE - 101, BLOCK_SIZE - 99, BLOCK_SIZE])
def test_a_block_of_the_wrong_length_is_the_callers_error(length: int) -> None:
    piece = piece_of(2, short_by=100)
    with pytest.raises(LocalProtocolError, match="wrong length"):
        piece.add_block(1, bytes(length), 1, 5.0)
    assert piece.received == 0
    assert piece.last_activity == 0.0


def test_bytes_written_into_the_claimed_place_are_not_copied_again() -> None:
    piece = piece_of(1)
    piece.claims[0] = 1
    piece.block_view(0)[:] = data_for(piece, 0, 5)
    piece.add_block(0, data_for(piece, 0, 9), 1, 0.0)
    assert piece.block_view(0)[0] == 5
    assert piece.claims == {}


def test_the_block_of_another_than_the_claimant_is_copied() -> None:
    piece = piece_of(1)
    piece.claims[0] = 1
    piece.add_block(0, data_for(piece, 0, 9), 2, 0.0)
    assert piece.block_view(0)[0] == 9
    assert piece.claims == {}


def test_assemble_is_a_view_of_the_whole_piece() -> None:
    piece = piece_of(2, short_by=1)
    for block in range(2):
        piece.add_block(block, data_for(piece, block, block + 1), 1, 0.0)
    whole = piece.assemble()
    assert whole == b"\1" * BLOCK_SIZE + b"\2" * (BLOCK_SIZE - 1)
    piece.block_view(0)[0] = 77
    assert whole[0] == 77


@pytest.mark.parametrize("stored", [0, 0b001])
def test_assemble_refuses_while_blocks_are_missing_or_only_in_files(stored: int) -> None:
    piece = piece_of(2)
    piece.add_block(0, data_for(piece, 0), 1, 0.0)
    if stored:
        piece.add_block(1, data_for(piece, 1), 1, 0.0)
        piece.mark_stored(stored)
    with pytest.raises(LocalProtocolError, match=f"block {0 if stored else 1} is not in memory"):
        piece.assemble()


def test_assemble_refuses_a_piece_in_several_segments() -> None:
    piece = ActivePiece(7, 2 * BLOCK_SIZE, span=1)
    for block in range(2):
        piece.grant(block)
        piece.add_block(block, data_for(piece, block), 1, 0.0)
    with pytest.raises(LocalProtocolError, match="block 0 is not in memory"):
        piece.assemble()


def test_restored_blocks_need_not_be_fetched_and_blame_nobody() -> None:
    piece = piece_of(3)
    piece.restore(0b101)
    assert [info.begin for info in piece.get_needed_blocks()] == [BLOCK_SIZE]
    assert piece.get_contributing_peers() == ()
    assert piece.buffered_bytes == 0


def test_reset_keeps_the_blocks_that_are_asked_of_somebody_taken() -> None:
    piece = piece_of(3)
    piece.add_block(0, data_for(piece, 0), 1, 0.0)
    ask(piece, 2, 1)
    ask(piece, 3, 2, probe=True)
    piece.reset()
    assert [info.begin for info in piece.get_needed_blocks()] == [0, 2 * BLOCK_SIZE]
    assert piece.is_requested(1)
