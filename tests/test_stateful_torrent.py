"""The ``StallMachine`` with eyes for the inside: books, memory and deadlines after every rule."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis.stateful import invariant

from torrent_core import actions as act
from torrent_core.budget import Budget
from torrent_core.limits import (
    MAX_CHECKS_IN_FLIGHT,
    MAX_HASHES_OUT,
    MAX_PIPELINE,
    MAX_WRITES_OUT,
    MIN_SEGMENTS,
)
from torrent_core.pieces import LinkRequests, Stage
from torrent_core.testing.peers.puppet import Puppet
from torrent_core.testing.stall_machine import StallMachine
from torrent_core.torrent import Torrent
from torrent_core.types import BlockInfo


class TorrentMachine(StallMachine):
    """What a user of the kit cannot know holds as well."""

    @property
    def torrent(self) -> Torrent:
        return self.swarm.torrent

    @property
    def memory(self) -> Budget:
        return self.torrent._context.budgets.memory

    @invariant()
    def both_sides_keep_the_same_books(self) -> None:
        for puppet in self.puppets:
            assert puppet.line is not None
            out = self.book(puppet)
            ours = [info.info for info in out.out.values()]
            assert len(ours) == len(set(ours)) <= MAX_PIPELINE
            given_up = {info for info in puppet.asked if self.key(info) in out.withdrawn}
            answerable = {*puppet.asked, *puppet.owed, puppet.tail_of}
            assert set(ours) <= answerable
            assert set(puppet.asked) <= {*ours, *given_up}
            for info in out.out.values():
                assert info in info.piece.requests[info.block]

    def key(self, block: BlockInfo) -> int:
        return self.torrent._context.active.key(block.piece, block.begin)

    def book(self, puppet: Puppet) -> LinkRequests:
        assert puppet.line is not None
        link = self.torrent._links.get(puppet.line.name)
        assert link is not None
        return link.requests

    @invariant()
    def no_more_memory_than_allowed(self) -> None:
        active = self.torrent._context.active
        taken = [
            piece.segment_length(segment)
            for piece in active.active_pieces
            for segment in piece.segments
        ]
        assert self.memory.used == active.memory.held == sum(taken)
        assert sum(taken) <= self.memory.limit + MIN_SEGMENTS * active.memory.segment_size

    @invariant()
    def storage_work_is_bounded(self) -> None:
        pending = [type(action) for action in self.swarm.disk.pending]
        assert pending.count(act.WriteBlocks) <= MAX_WRITES_OUT
        assert pending.count(act.HashPiece) <= MAX_HASHES_OUT + MAX_CHECKS_IN_FLIGHT

    @invariant()
    def what_is_in_hand_is_kept(self) -> None:
        for piece in self.torrent._context.active.active_pieces:
            assert not (piece.in_memory | piece.writing) & ~piece.places
            assert not piece.stored & ~piece.received
            assert all(piece.places >> block & 1 for block in [*piece.requests, *piece.claims])

    @invariant()
    def no_block_is_stranded(self) -> None:
        """Every link that could be asked for something wanted is asked, full or told why not."""
        context = self.torrent._context
        active, picker = context.active, context.picker
        assert picker.candidates & picker.wanted == picker.candidates
        begun = sum(1 << index for index in active.active_indices)
        assert picker.candidates == picker.missing & ~begun
        for piece in active.active_pieces:
            is_open = piece.stage is Stage.DOWNLOADING and bool(piece.free & piece.places)
            assert bool(active.open >> piece.index & 1) == is_open
            assert piece.stage is not Stage.DOWNLOADING or not piece.have_all_blocks
        room = active.memory.has_room
        for requests in active.links.values():
            if len(requests.out) > requests.low_water or not requests.room(eager=True) > 0:
                continue
            usable = requests.usable & ~context.scheduler.parole.closed_to(requests)
            probing = {info.piece.index for info in requests.out.values() if info.probe}
            free = active.open & usable & ~sum(1 << index for index in probing)
            assert not free, f"link {requests.state.ordinal} could be asked for {free:b}"
            if room:
                assert not (picker.candidates | active.dry) & usable
            elif (picker.candidates | active.dry) & usable and not requests.snubbed:
                idle = any(piece.idle for piece in active.active_pieces)
                assert self.torrent._writing.is_giving_way or not idle

    @invariant()
    def every_request_has_a_deadline_that_will_be_kept(self) -> None:
        deadline = self.torrent.next_deadline()
        for requests in self.torrent._context.active.links.values():
            if requests.out:
                due = requests.due(30.0)
                assert due is not None
                assert deadline is not None
                assert deadline.when <= due

    def completed(self) -> None:
        self.swarm.run(seconds=200)  # pieces that nobody wants any more are still being stored
        assert self.memory.used == 0
        wanted = self.torrent._context.priorities
        for index, length in enumerate(self.files):
            if wanted is None or wanted[index]:
                assert len(self.swarm.disk.files[index] or b"") == length


TestTorrentMachine = pytest.mark.uncovered(TorrentMachine.TestCase)
TestTorrentMachine.settings = settings(
    max_examples=max(100, settings.default.max_examples),
    stateful_step_count=max(80, settings.default.stateful_step_count),
)
