"""The download side under any order of events: nothing is stranded, and all books agree.

Every rule is one step of a torrent.  After each, every block of every wanted, missing piece
is received, or asked of a link that exists and will be found late in time, or free while no
link could take it; at the end, one honest link is enough to finish.
"""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pieces_kit import PLENTY, Peer, Swarm, content, payload
from torrent_core.bitfield import indices
from torrent_core.limits import BLOCK_SIZE, MIN_SEGMENTS
from torrent_core.pieces import ActivePiece, ActivePieceConfig, Stage
from torrent_core.types import BlockInfo

PIECES, BLOCKS = 5, 3
ALL = (1 << PIECES) - 1
PIECE_SIZE = BLOCKS * BLOCK_SIZE
CUT = BLOCK_SIZE + 5000

piece_sets = st.integers(0, ALL)
choice = st.integers(0, 1 << 16)
seconds = st.sampled_from([0.0, 0.05, 0.4, 1.0, 3.0, 9.0])


class SchedulerMachine(RuleBasedStateMachine):
    swarm: Swarm

    @initialize(
        wanted=st.sampled_from([ALL, ALL, 0b11011, 0b10000]),
        memory=st.sampled_from([PLENTY, 4 * PIECE_SIZE, 3 * PIECE_SIZE, 1]),
        soft_cap=st.sampled_from([1, 20]),
        first=piece_sets,
    )
    def begin(self, wanted: int, memory: int, soft_cap: int, first: int) -> None:
        config = ActivePieceConfig(max_active_pieces=soft_cap)
        self.swarm = Swarm(PIECES, BLOCKS, cut=CUT, wanted=wanted, memory=memory, config=config)
        self.swarm.join(first)
        self.swarm.join(ALL, fast=True)

    # --- Choosing ----------------------------------------------------------------------

    @property
    def peers(self) -> list[Peer]:
        return list(self.swarm.peers.values())

    def peer(self, pick: int) -> Peer:
        return self.peers[pick % len(self.peers)]

    def talker(self, pick: int) -> Peer | None:
        """A peer that is not in the middle of a block and owes an answer."""
        talkers = [peer for peer in self.peers if peer.queue and peer.arriving is None]
        return talkers[pick % len(talkers)] if talkers else None

    # --- Links -------------------------------------------------------------------------

    @precondition(lambda self: len(self.swarm.peers) < 6)
    @rule(
        pieces=piece_sets,
        fast=st.booleans(),
        choking=st.booleans(),
        reqq=st.sampled_from([None, None, 1, 3]),
    )
    def join(self, pieces: int, fast: bool, choking: bool, reqq: int | None) -> None:
        self.swarm.join(pieces, fast=fast, choking=choking, reqq=reqq)

    @precondition(lambda self: self.swarm.peers)
    @rule(pick=choice)
    def leave(self, pick: int) -> None:
        self.swarm.leave(self.peer(pick))

    @precondition(lambda self: self.swarm.peers)
    @rule(pick=choice, pieces=piece_sets)
    def gain(self, pick: int, pieces: int) -> None:
        self.swarm.gain(self.peer(pick), pieces)

    @precondition(lambda self: self.swarm.peers)
    @rule(pick=choice)
    def choke(self, pick: int) -> None:
        peer = self.peer(pick)
        if not peer.state.peer_choking and peer.arriving is None:
            self.swarm.choke(peer)

    @precondition(lambda self: self.swarm.peers)
    @rule(pick=choice)
    def unchoke(self, pick: int) -> None:
        self.swarm.unchoke(self.peer(pick))

    @precondition(lambda self: self.swarm.peers)
    @rule(pick=choice, pieces=piece_sets)
    def allow_fast(self, pick: int, pieces: int) -> None:
        if self.peer(pick).state.fast:
            self.swarm.allow_fast(self.peer(pick), pieces)

    # --- Answers -----------------------------------------------------------------------

    @rule(pick=choice, which=choice)
    def reject(self, pick: int, which: int) -> None:
        peer = self.talker(pick)
        if peer is not None and peer.state.fast:
            self.swarm.reject(peer, peer.queue[which % len(peer.queue)].info)

    @rule(pick=choice)
    def reject_everything(self, pick: int) -> None:
        peer = self.talker(pick)
        if peer is not None and peer.state.fast:
            for owed in list(peer.queue):
                self.swarm.reject(peer, owed.info)

    @rule(pick=choice)
    def answer_in_order(self, pick: int) -> None:
        peer = self.talker(pick)
        if peer is not None:
            self.deliver(peer, peer.queue[0].info)

    @rule(pick=choice, which=choice)
    def answer_any(self, pick: int, which: int) -> None:
        peer = self.talker(pick)
        if peer is not None:
            self.deliver(peer, peer.queue[which % len(peer.queue)].info)

    @rule(pick=choice, count=st.integers(2, 9), between=seconds)
    def answer_many(self, pick: int, count: int, between: float) -> None:
        for _ in range(count):
            peer = self.talker(pick)
            if peer is not None:
                self.deliver(peer, peer.queue[-1].info)
                self.pass_time(between)

    def deliver(self, peer: Peer, info: BlockInfo) -> None:
        before = peer.book.unsolicited
        self.swarm.deliver(peer, info)
        assert peer.book.unsolicited <= before

    @rule(pick=choice, which=choice)
    def cross_with_a_choke(self, pick: int, which: int) -> None:
        """A block that was on its way when the request for it became void comes in."""
        crossing = [
            (peer, key)
            for peer in self.peers
            if peer.arriving is None
            for key in peer.book.withdrawn
            if key not in peer.book.out and not peer.book.withdrawn.owed(key)
        ]
        if crossing:
            peer, key = crossing[which % len(crossing)]
            piece, block = divmod(key, BLOCKS)
            begin, size = block * BLOCK_SIZE, self.swarm.geometry.piece_size(piece)
            length = min(BLOCK_SIZE, size - begin)
            if length > 0:
                self.deliver(peer, BlockInfo(piece, begin, length))

    @rule(pick=choice, which=choice)
    def half_a_block(self, pick: int, which: int) -> None:
        peer = self.talker(pick)
        if peer is not None:
            self.swarm.begin(peer, peer.queue[which % len(peer.queue)].info)

    @rule(pick=choice)
    def the_other_half(self, pick: int) -> None:
        waiting = [peer for peer in self.peers if peer.arriving is not None]
        if waiting:
            self.swarm.finish(waiting[pick % len(waiting)])

    @precondition(lambda self: self.swarm.peers)
    @rule(
        pick=choice,
        piece=st.integers(0, PIECES - 1),
        begin=st.sampled_from([0, 1, BLOCK_SIZE, 2 * BLOCK_SIZE, BLOCK_SIZE + 7]),
        length=st.sampled_from([0, 1, BLOCK_SIZE - 1, BLOCK_SIZE]),
        kept=st.booleans(),
    )
    def unsolicited(self, pick: int, piece: int, begin: int, length: int, kept: bool) -> None:
        peer, info = self.peer(pick), BlockInfo(piece, begin, length)
        swarm, book = self.swarm, peer.book
        key, is_block = swarm.active.key(piece, begin), swarm.active.is_block(*info)
        if peer.arriving is not None or (is_block and key in [*book.out, *book.withdrawn]):
            return
        if not kept and begin % BLOCK_SIZE == 0 and key in book.withdrawn:
            return  # a late block that was not kept is known by its place alone
        before = self.snapshot()
        data = memoryview(bytes(length)) if kept else None
        outcome = self.swarm.received(peer, info, data)
        assert outcome.waste == "was not asked for"
        assert self.snapshot() == before
        self.swarm.settle()

    def snapshot(self) -> object:
        swarm = self.swarm
        return (
            [(p.ordinal, p.book.snubbed, list(p.book.out), list(p.book.withdrawn))
             for p in self.peers],
            [(piece.index, piece.received, piece.free, piece.released, dict(piece.senders))
             for piece in swarm.active.active_pieces],
            swarm.active.open, swarm.active.owned, swarm.picker.candidates,
            swarm.scheduler.next_deadline(),
        )  # fmt: skip

    # --- Pieces ------------------------------------------------------------------------

    @precondition(lambda self: self.swarm.completed)
    @rule(pick=choice)
    def passes(self, pick: int) -> None:
        piece = self.swarm.completed[pick % len(self.swarm.completed)]
        self.check_complete(piece)
        self.swarm.passed(piece)

    @precondition(lambda self: self.swarm.completed)
    @rule(pick=choice)
    def fails(self, pick: int) -> None:
        piece = self.swarm.completed[pick % len(self.swarm.completed)]
        self.check_complete(piece)
        self.swarm.failed(piece)

    def check_complete(self, piece: ActivePiece) -> None:
        assert piece.stage is Stage.HASHING
        if piece.stored:
            assert self.swarm.files.read(piece) == content(piece)
        else:
            assert bytes(piece.assemble()) == content(piece)
        if self.swarm.scheduler.parole.everything >> piece.index & 1:
            assert len(piece.get_contributing_peers()) == 1

    @precondition(lambda self: self.swarm.files.out)
    @rule(pick=choice, fine=st.sampled_from([True, True, True, False]))
    def disk_answers(self, pick: int, fine: bool) -> None:
        out = self.swarm.files.out
        self.swarm.written(out[pick % len(out)], fine=fine)

    @rule(wanted=piece_sets)
    def change_mind(self, wanted: int) -> None:
        self.swarm.want(wanted)

    # --- Time --------------------------------------------------------------------------

    @rule(pause=seconds)
    def pass_time(self, pause: float) -> None:
        """Time passes, and the caller keeps to the deadline that it was given."""
        until = self.swarm.now + pause
        while (due := self.swarm.scheduler.next_deadline()) is not None and due[0] <= until:
            self.swarm.tick()
        self.swarm.now = max(self.swarm.now, until)

    @precondition(lambda self: self.swarm.scheduler.next_deadline() is not None)
    @rule()
    def next_deadline(self) -> None:
        self.swarm.tick()

    @rule()
    def sleep_for_an_hour(self) -> None:
        self.swarm.tick(self.swarm.now + 3600.0)

    # --- What always holds ---------------------------------------------------------------

    @invariant()
    def every_block_is_accounted_for(self) -> None:
        swarm = self.swarm
        for index in indices(swarm.picker.missing):
            piece = swarm.active.get(index)
            if piece is None:
                assert swarm.picker.candidates >> index & 1
                self.nobody_could_take(index, None)
                continue
            for block in range(piece.blocks_needed):
                writing = bool(piece.writing >> block & 1)
                free = not (piece.has_block(block) or piece.holders(block) or writing)
                assert bool(piece.free >> block & 1) is free
            if piece.free and piece.stage is Stage.DOWNLOADING:
                self.nobody_could_take(index, piece)

    def nobody_could_take(self, index: int, piece: ActivePiece | None) -> None:
        swarm = self.swarm
        has_place = piece is not None and bool(piece.free & piece.places)
        full = not has_place and not swarm.active.memory.has_room
        for peer in self.peers:
            book = peer.book
            if not book.usable >> index & 1 or len(book.out) > book.low_water:
                continue
            if swarm.scheduler.parole.closed_to(book) >> index & 1:
                continue
            assert full, (peer.ordinal, index)
            # What nobody works on gives way, unless to a silent link, or is being written.
            # What is too short to help anybody may stay where it is.
            idle = any(map(self._helps, swarm.active.active_pieces))
            assert book.snubbed or swarm.files.out or not idle

    @invariant()
    def memory_is_counted_and_bounded(self) -> None:
        memory, pieces = self.swarm.active.memory, self.swarm.active.active_pieces
        held = [(piece, segment) for piece in pieces for segment in piece.segments]
        taken = [piece.segment_length(segment) for piece, segment in held]
        assert memory.segments == len(taken)
        assert memory.held == self.swarm.budget.used == sum(taken)
        assert sum(taken) <= memory.budget.limit + MIN_SEGMENTS * memory.segment_size
        assert len({id(piece.view(segment).obj) for piece, segment in held}) == len(held)

    @invariant()
    def what_is_worked_on_has_a_place_and_what_is_in_hand_is_kept(self) -> None:
        for piece in self.swarm.active.active_pieces:
            worked_on = [*piece.requests, *piece.claims, *indices(piece.in_memory)]
            assert all(piece.places >> block & 1 for block in worked_on)
            assert not piece.writing & ~piece.places
            for block in indices(piece.received & piece.places & ~piece.stored):
                assert piece.block_view(block) == payload(piece.block_info(block))
            for block in indices(piece.stored):
                stored = self.swarm.files.blocks[piece.index, block]
                assert stored == payload(piece.block_info(block))

    def _helps(self, piece: ActivePiece) -> bool:
        """Whether somebody could have what nobody works on in this piece."""
        memory = self.swarm.active.memory
        freed = sum(map(piece.segment_length, piece.segments_of(piece.idle)))
        return bool(freed) and memory.budget.room + freed >= memory.segment_size

    @invariant()
    def whatever_is_out_falls_due_in_time(self) -> None:
        due = self.swarm.scheduler.next_deadline()
        for peer in self.peers:
            book = peer.book
            moments = [info.deadline for info in book.out.values()]
            moments += [r.until for p, r in book.refusals.items() if book.refused >> p & 1]
            if book.resting is not None and book.rests:
                moments.append(book.resting.until)
            if book.out:
                moments.append(book.last_progress + book.gaps.patience(30.0))
            assert not moments or (due is not None and due[0] <= min(moments))

    @invariant()
    def both_sides_agree_on_what_is_asked(self) -> None:
        by_piece: dict[tuple[int, int], int] = {}
        for peer in self.peers:
            out = [info.info for info in peer.book.out.values()]
            assert sorted(out) == sorted(peer.live)
            for info in peer.book.out.values():
                assert info in info.piece.requests[info.block]
                assert info.probe is peer.book.snubbed
                by_piece[info.piece.index, info.block] = (
                    by_piece.get((info.piece.index, info.block), 0) + 1
                )
        for piece in self.swarm.active.active_pieces:
            for block, held in piece.requests.items():
                assert len(held) == by_piece.pop((piece.index, block))
                assert len({info.link for info in held}) == len(held)
        assert not by_piece

    @invariant()
    def sets_are_what_they_are_made_of(self) -> None:
        swarm = self.swarm
        active = swarm.active
        assert swarm.picker.candidates == swarm.picker.missing & ~sum(
            1 << index for index in active.active_indices
        )
        fresh = [p for p in active.active_pieces if p.free and p.stage is Stage.DOWNLOADING]
        is_open = [piece for piece in fresh if piece.free & piece.places]
        assert active.dry == sum(1 << piece.index for piece in fresh if piece not in is_open)
        assert active.open == sum(1 << piece.index for piece in is_open)
        assert active.orphaned == sum(1 << piece.index for piece in is_open if piece.released)
        owners = {p.book.current.index: p.ordinal for p in self.peers if p.book.current}
        assert active.owned == sum(1 << index for index in owners)
        assert owners == {p.index: p.owner for p in active.active_pieces if p.owner is not None}
        for index in range(PIECES):
            count = sum(peer.state.pieces >> index & 1 for peer in self.peers)
            assert swarm.picker.availability.count(index) == count

    @invariant()
    def claims_are_of_those_who_write(self) -> None:
        claims = {
            (piece.index, block): ordinal
            for piece in self.swarm.active.active_pieces
            for block, ordinal in piece.claims.items()
        }
        for peer in self.peers:
            claim = peer.book.claim
            if claim is not None:
                assert peer.arriving is not None
                assert claims.pop((claim[0].index, claim[1])) == peer.ordinal
        assert not claims

    @invariant()
    def the_step_is_over(self) -> None:
        assert self.swarm.scheduler.next_dirty() is None

    # --- The end -----------------------------------------------------------------------

    def teardown(self) -> None:
        if not hasattr(self, "swarm"):
            return
        swarm = self.swarm
        rescuer = swarm.join(ALL)
        for _ in range(400):
            if not swarm.picker.missing:
                return
            if swarm.completed:
                swarm.passed(swarm.completed[0])
            elif swarm.files.out:
                swarm.written(swarm.files.out[0])
            elif rescuer.ordinal in swarm.peers and rescuer.queue:
                swarm.now += 0.01
                self.deliver(rescuer, rescuer.queue[0].info)
            else:
                swarm.tick()
        raise AssertionError(f"pieces {swarm.missing()} never came")


TestSchedulerMachine = pytest.mark.uncovered(SchedulerMachine.TestCase)
