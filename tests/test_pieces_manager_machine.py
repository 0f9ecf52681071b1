from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pieces_kit import make_state
from torrent_core.budget import Budget
from torrent_core.errors import LocalProtocolError
from torrent_core.geometry import Geometry
from torrent_core.limits import BLOCK_SIZE, MIN_SEGMENTS
from torrent_core.pieces import (
    ActivePiece,
    ActivePieceManager,
    LinkRequests,
    RequestInfo,
    Stage,
)

PIECES, BLOCKS = 6, 3
PIECE_SIZE = BLOCKS * BLOCK_SIZE
CUT = BLOCK_SIZE + 100
GEOMETRY = Geometry(PIECES * PIECE_SIZE - CUT, PIECE_SIZE)


# --- Against a model ---------------------------------------------------------------------

choice = st.integers(0, 999)


class ManagerMachine(RuleBasedStateMachine):
    """Both indices of the request book, the sets, the budget and the claims, beside lists."""

    @initialize(memory=st.sampled_from([0, 1, 3, 4, 5, 100]))
    def make(self, memory: int) -> None:
        self.budget = Budget(memory * PIECE_SIZE)
        self.activated: list[int] = []
        self.detached: list[int] = []
        self.manager = ActivePieceManager(
            GEOMETRY,
            budget=self.budget,
            owner=b"me",
            on_activated=self.activated.append,
            on_deactivated=self.activated.remove,
            on_detach=self.detached.append,
        )
        self.books: dict[int, LinkRequests] = {}
        self.asked: list[RequestInfo] = []
        self.given_up: dict[int, list[tuple[int, int]]] = {}
        self.claims: dict[int, tuple[int, int]] = {}
        self.now = 0.0
        self.ordinal = 0

    def book(self, pick: int) -> LinkRequests:
        return list(self.books.values())[pick % len(self.books)]

    def piece(self, pick: int) -> ActivePiece:
        pieces = self.manager.active_pieces
        return pieces[pick % len(pieces)]

    def info(self, pick: int) -> RequestInfo:
        return self.asked[pick % len(self.asked)]

    has_both = precondition(lambda self: self.books and self.manager.active_count)

    def has_place(self, piece: ActivePiece, block: int) -> bool:
        had, room = piece.places >> block & 1, self.manager.memory.has_room
        has = self.manager.has_place(piece, block)
        assert has is bool(had or room) is bool(piece.places >> block & 1)
        return has

    # --- Links and pieces --------------------------------------------------------------

    @rule()
    def add_link(self) -> None:
        self.ordinal += 1
        state = make_state(self.ordinal)
        self.books[self.ordinal] = self.manager.add_link(state, self.now)
        self.given_up[self.ordinal] = []
        with pytest.raises(LocalProtocolError, match="request book already"):
            self.manager.add_link(state, self.now)

    @rule(index=st.integers(0, PIECES - 1))
    def open_piece(self, index: int) -> None:
        manager = self.manager
        active, used = manager.active_indices, self.budget.used
        before, memory = manager.get(index), manager.memory
        size = min(GEOMETRY.piece_size(index), memory.segment_size)
        memory_segments = memory.segments
        piece = manager.get_or_create(index, self.now)
        if before is not None:
            assert piece is before
        elif memory_segments < MIN_SEGMENTS or used + size <= self.budget.limit:
            assert piece is not None
            assert piece.length == GEOMETRY.piece_size(index)
            assert sum(map(piece.segment_length, piece.segments)) == size
            assert piece.last_activity == self.now
        else:
            assert piece is None
            assert manager.active_indices == active

    @rule(index=st.integers(0, PIECES - 1), blocks=st.integers(1, 7))
    def restore_piece(self, index: int, blocks: int) -> None:
        if not self.manager.has(index):
            used = self.budget.used
            self.manager.restore(index, blocks & ((1 << GEOMETRY.block_count(index)) - 1), self.now)
            assert self.budget.used == used

    @precondition(lambda self: self.manager.dry)
    @rule(pick=choice)
    def provide(self, pick: int) -> None:
        dry = [p for p in self.manager.active_pieces if self.manager.dry >> p.index & 1]
        piece = dry[pick % len(dry)]
        if self.manager.provide(piece, self.now):
            assert piece.free & piece.places & -piece.free
            assert piece.last_activity == self.now
        else:
            assert not self.manager.memory.has_room

    @precondition(lambda self: self.manager.active_count)
    @rule(pick=choice)
    def free_spent(self, pick: int) -> None:
        piece = self.piece(pick)
        before, worked_on = piece.segments, {*piece.requests, *piece.claims}
        assert self.manager.free_spent(piece, piece.all_blocks) is (before != piece.segments)
        assert set(piece.segments) == {block // piece.span for block in worked_on}

    @precondition(lambda self: self.manager.active_count)
    @rule(pick=choice)
    def remove_piece(self, pick: int) -> None:
        piece = self.piece(pick)
        orphans = self.manager.remove(piece.index)
        gone = [info for info in self.asked if info.piece is piece]
        assert sorted(map(id, orphans)) == sorted(map(id, gone))
        self.asked = [info for info in self.asked if info.piece is not piece]
        for info in gone:
            self.given_up[info.link].append((piece.index, info.block))
        self.break_claims_of_model(piece.index, None)
        assert self.manager.remove(piece.index) == []

    @precondition(lambda self: self.books)
    @rule(pick=choice)
    def remove_link(self, pick: int) -> None:
        ordinal = self.book(pick).state.ordinal
        void = self.manager.remove_link(ordinal)
        assert void == [info for info in self.asked if info.link == ordinal]
        self.asked = [info for info in self.asked if info.link != ordinal]
        del self.books[ordinal]
        self.claims.pop(ordinal, None)
        assert self.manager.remove_link(ordinal) == []
        assert self.manager.clear_requests_for_peer(ordinal) == []

    # --- Requests ----------------------------------------------------------------------

    @has_both
    @rule(pick=choice, which=choice, block=st.integers(0, BLOCKS - 1), snubbed=st.booleans())
    def request(self, pick: int, which: int, block: int, snubbed: bool) -> None:
        book, piece = self.book(pick), self.piece(which)
        block %= piece.blocks_needed
        if not self.has_place(piece, block) or piece.has_block(block):
            return
        if any(held.link == book.state.ordinal for held in piece.requests.get(block, ())):
            return
        book.snubbed = snubbed
        asked = self.manager.request(book, piece, [block], self.now)
        assert asked == [piece.block_info(block)]
        self.manager.rearm(book)
        self.asked.append(piece.requests[block][-1])

    @precondition(lambda self: self.asked)
    @rule(pick=choice)
    def forget(self, pick: int) -> None:
        info = self.info(pick)
        self.manager.forget(info)
        self.asked.remove(info)

    @precondition(lambda self: self.asked)
    @rule(pick=choice)
    def withdraw(self, pick: int) -> None:
        info = self.info(pick)
        self.manager.withdraw(info)
        self.asked.remove(info)
        self.given_up[info.link].append((info.piece.index, info.block))

    @precondition(lambda self: self.books)
    @rule(pick=choice, which=choice)
    def answer_late(self, pick: int, which: int) -> None:
        book = self.book(pick)
        given_up = self.given_up[book.state.ordinal]
        if given_up:
            index, block = given_up.pop(which % len(given_up))
            book.withdrawn.answered(self.manager.key(index, block * BLOCK_SIZE))

    @precondition(lambda self: self.books)
    @rule(pick=choice)
    def clear_requests_for_peer(self, pick: int) -> None:
        ordinal = self.book(pick).state.ordinal
        void = self.manager.clear_requests_for_peer(ordinal)
        assert void == [info for info in self.asked if info.link == ordinal]
        self.asked = [info for info in self.asked if info.link != ordinal]

    @rule(pause=st.sampled_from([0.0, 0.5, 11.0, 31.0]))
    def check_timeouts(self, pause: float) -> None:
        self.now += pause
        due = {ordinal: book.due(30.0) for ordinal, book in self.books.items()}
        late = self.manager.check_timeouts(self.now)
        expected = [ordinal for ordinal, when in due.items() if when and when <= self.now]
        assert sorted(book.state.ordinal for book in late) == expected
        assert self.manager.check_timeouts(self.now) == []
        for book in late:
            book.last_progress = self.now
            self.manager.clear_requests_for_peer(book.state.ordinal)
            self.asked = [info for info in self.asked if info.link != book.state.ordinal]

    # --- Owners and claims -------------------------------------------------------------

    @has_both
    @rule(pick=choice, which=choice)
    def own(self, pick: int, which: int) -> None:
        book, piece = self.book(pick), self.piece(which)
        self.manager.own(piece, book)
        assert piece.owner == book.state.ordinal

    @precondition(lambda self: self.manager.active_count)
    @rule(which=choice)
    def disown(self, which: int) -> None:
        piece = self.piece(which)
        self.manager.disown(piece)
        assert piece.owner is None

    @has_both
    @rule(pick=choice, which=choice, block=st.integers(0, BLOCKS - 1))
    def claim(self, pick: int, which: int, block: int) -> None:
        book, piece = self.book(pick), self.piece(which)
        block %= piece.blocks_needed
        if book.claim is not None or not self.has_place(piece, block):
            return
        place = self.manager.claim(book, piece, block)
        assert len(place) == piece.block_length(block)
        place[0] = place[0] ^ 0xFF
        if (piece.index, block) in self.claims.values():
            assert piece.block_view(block)[0] != place[0]
            assert book.claim is None
        else:
            assert piece.block_view(block)[0] == place[0]
            self.claims[book.state.ordinal] = (piece.index, block)
        place[0] = 0

    @precondition(lambda self: self.books)
    @rule(pick=choice)
    def unclaim(self, pick: int) -> None:
        self.manager.unclaim(self.book(pick))
        self.claims.pop(self.book(pick).state.ordinal, None)

    @precondition(lambda self: self.manager.active_count)
    @rule(which=choice, block=st.none() | st.integers(0, BLOCKS - 1))
    def break_claims(self, which: int, block: int | None) -> None:
        piece = self.piece(which)
        self.manager.break_claims(piece, block)
        self.break_claims_of_model(piece.index, block)

    def break_claims_of_model(self, index: int, block: int | None) -> None:
        for ordinal, claim in list(self.claims.items()):
            if claim[0] == index and block in (None, claim[1]):
                del self.claims[ordinal]
                self.detached.remove(ordinal)
        assert self.detached == []

    # --- What always holds ---------------------------------------------------------------

    @invariant()
    def both_indices_agree(self) -> None:
        for ordinal, book in self.books.items():
            assert list(book.out.values()) == [i for i in self.asked if i.link == ordinal]
            assert list(book.out) == [
                self.manager.key(info.piece.index, info.info.begin) for info in book.out.values()
            ]
            keys = [self.manager.key(i, b * BLOCK_SIZE) for i, b in self.given_up[ordinal]]
            assert set(book.withdrawn) == set(keys)
            assert all(book.withdrawn.owed(key) == keys.count(key) for key in keys)
        held = [
            info
            for piece in self.manager.active_pieces
            for block in piece.requests.values()
            for info in block
        ]
        assert sorted(map(id, held)) == sorted(map(id, self.asked))

    @invariant()
    def sets_are_exact(self) -> None:
        pieces = self.manager.active_pieces
        assert all(p.stage is Stage.DOWNLOADING for p in pieces)
        is_open = [p for p in pieces if p.free & p.places]
        assert self.manager.dry == sum(1 << p.index for p in pieces if p.free and p not in is_open)
        idle = next(iter(self.manager.memory.idle_pieces()), None)
        assert idle is None or idle.idle
        assert (idle is None) is not any(piece.idle for piece in pieces)
        assert self.manager.open == sum(1 << p.index for p in is_open)
        assert self.manager.orphaned == sum(1 << p.index for p in is_open if p.released)
        owned = {p.index: p.owner for p in pieces if p.owner is not None}
        assert self.manager.owned == sum(1 << index for index in owned)
        assert owned == {
            book.current.index: ordinal
            for ordinal, book in self.books.items()
            if book.current is not None
        }
        assert self.activated == self.manager.active_indices == [p.index for p in pieces]
        assert self.manager.active_count == len(pieces)
        assert [self.manager.has(index) for index in range(PIECES)] == [
            index in self.activated for index in range(PIECES)
        ]

    @invariant()
    def the_budget_is_what_active_pieces_take(self) -> None:
        pieces = self.manager.active_pieces
        memory = self.manager.memory
        views = [piece.view(segment) for piece in pieces for segment in piece.segments]
        assert self.manager.total_buffered_bytes == memory.held == sum(map(len, views))
        assert memory.segments == len(views) == len({id(view.obj) for view in views})
        assert self.budget.used <= self.budget.limit + MIN_SEGMENTS * memory.segment_size

    @invariant()
    def claims_are_exact(self) -> None:
        claims = {
            ordinal: (piece.index, block)
            for piece in self.manager.active_pieces
            for block, ordinal in piece.claims.items()
        }
        assert claims == self.claims
        assert claims == {
            ordinal: (book.claim[0].index, book.claim[1])
            for ordinal, book in self.books.items()
            if book.claim is not None
        }

    @invariant()
    def the_next_timeout_is_no_later_than_the_first_that_is_due(self) -> None:
        due = [when for book in self.books.values() if (when := book.due(30.0)) is not None]
        found = self.manager.next_timeout()
        assert (found is None) == (not due)
        assert found is None or found <= min(due)


TestManagerMachine = ManagerMachine.TestCase
