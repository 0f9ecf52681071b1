"""Any order of connects, chokes, timeouts, lies and disk failures: no stall, and it completes.

Peers are puppets: each does what a rule says and nothing by itself.  After every rule, the
books of both sides are compared and no block may be stranded.  At the end an honest seed
comes, failures end, and the download must complete, whatever state it was left in.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.budget import Budget
from torrent_core.limits import (
    MAX_CHECKS_IN_FLIGHT,
    MAX_HASHES_OUT,
    MAX_PIPELINE,
    MAX_WRITES_OUT,
    MIN_SEGMENTS,
)
from torrent_core.pieces import LinkRequests, Stage
from torrent_core.torrent import Budgets
from torrent_core.types import BlockInfo, CloseReason, StorageFault, TorrentState
from torrent_core.wire import messages as wire
from world import BLOCK
from world_peers import Peer, Seed
from world_swarm import Swarm

PIECE = 3 * BLOCK
FILES = [4 * BLOCK + 100, 0, 5 * BLOCK, 6 * BLOCK + 7]
TOTAL = sum(FILES)
PIECES = -(-TOTAL // PIECE)
PUPPETS = 5

which = st.integers(0, 2**16)
some_pieces = st.one_of(
    st.just(frozenset(range(PIECES))), st.frozensets(st.integers(0, PIECES - 1))
)


class Puppet(Peer):
    """Remembers what it could still answer; holds back the rest of a block half sent."""

    tail = b""
    tail_of: BlockInfo | None = None
    answers_cancel = True

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self.owed: list[BlockInfo] = []
        self.sent: list[BlockInfo] = []

    def say_bytes(self, data: bytes) -> float:
        data, self.tail, self.tail_of = self.tail + data, b"", None
        return super().say_bytes(data)

    def on_request(self, block: BlockInfo) -> None:
        assert not self.choking or block.piece in self.allowed, "asked while it choked us"

    def on_cancel(self, block: BlockInfo) -> None:
        if block in self.asked:
            if self.answers_cancel:
                self.refuse(block)
            else:
                del self.asked[block]
                self.owed.append(block)

    def begin(self, block: BlockInfo, cut: int) -> None:
        """Send only the first bytes of a block."""
        data = wire.encode(wire.Piece(block.piece, block.begin, self.block(block)))
        cut %= len(data)
        del self.asked[block]
        self.say_bytes(data[:cut])
        self.tail, self.tail_of = data[cut:], block


class TorrentMachine(RuleBasedStateMachine):
    """Rules are what peers, disk, clock and user do; puppets are chosen modulo their number."""

    @initialize(
        memory=st.sampled_from([PIECE, 3 * PIECE, 4 * PIECE, 5 * PIECE, 100 * PIECE]),
        seed=st.integers(0, 1000),
    )
    def begin(self, memory: int, seed: int) -> None:
        self.memory = Budget(memory)
        self.swarm = Swarm(
            TOTAL, PIECE, files=FILES, budgets=Budgets(memory=self.memory), seed=seed
        )
        self.torrent = self.swarm.torrent
        self.disk = self.swarm.disk
        self.disk.manual = True  # the start has been checked by now
        self.puppets: list[Puppet] = []

    def settle(self) -> None:
        self.swarm.run(seconds=0.0, steps=2000)
        self.puppets = [puppet for puppet in self.puppets if puppet.alive]

    def puppet(self, number: int) -> Puppet | None:
        return self.puppets[number % len(self.puppets)] if self.puppets else None

    # --- Links ----------------------------------------------------------------------------------

    @precondition(lambda self: len(self.puppets) < PUPPETS)
    @rule(have=some_pieces, fast=st.booleans(), cancels=st.booleans(), unchoke=st.booleans())
    def connect(self, have: frozenset[int], fast: bool, cancels: bool, unchoke: bool) -> None:
        puppet = self.swarm.make(Puppet, have=have, fast=fast, latency=0.0)
        puppet.answers_cancel = cancels
        self.swarm.connect(puppet)
        if unchoke:
            puppet.unchoke()
        self.puppets.append(puppet)
        self.settle()

    @precondition(lambda self: len(self.puppets) < PUPPETS)
    @rule(port=st.integers(1, 3), fast=st.booleans())
    def dial(self, port: int, fast: bool) -> None:
        puppet = self.swarm.dialled(Puppet, port=port, fast=fast, latency=0.0)
        self.settle()
        if puppet.alive:
            self.puppets.append(puppet)

    @rule(number=which, detail=st.sampled_from(["", "reset"]), twice=st.booleans())
    def leave(self, number: int, detail: str, twice: bool) -> None:
        puppet = self.puppet(number)
        if puppet is not None and puppet.line is not None:
            puppet.leave(detail)
            self.settle()
            if twice:
                self.swarm.feed(ev.LinkClosed(puppet.line.name, "again"))

    # --- What peers say -------------------------------------------------------------------------

    @rule(number=which)
    def unchoke(self, number: int) -> None:
        puppet = self.puppet(number)
        if puppet is not None:
            puppet.unchoke()
            self.settle()

    @rule(number=which, flicker=st.booleans())
    def choke(self, number: int, flicker: bool) -> None:
        puppet = self.puppet(number)
        if puppet is not None:
            if not puppet.fast:
                puppet.owed.clear()
            puppet.choke()
            if flicker:
                puppet.unchoke()
            self.settle()

    @rule(number=which, piece=st.integers(0, PIECES - 1))
    def have(self, number: int, piece: int) -> None:
        puppet = self.puppet(number)
        if puppet is not None:
            puppet.have.add(piece)
            puppet.say(wire.Have(piece))
            self.settle()

    @rule(number=which, piece=st.integers(0, PIECES - 1), suggest=st.booleans())
    def allow_fast(self, number: int, piece: int, suggest: bool) -> None:
        puppet = self.puppet(number)
        if puppet is not None and puppet.fast:
            puppet.allowed.add(piece)
            puppet.say(wire.AllowedFast(piece))
            if suggest:
                puppet.say(wire.Suggest(piece))
            self.settle()

    @rule(number=which, count=st.integers(1, 8), order=which, spoiled=st.booleans())
    def answer(self, number: int, count: int, order: int, spoiled: bool) -> None:
        puppet = self.puppet(number)
        for _ in range(count):
            if puppet is None or not puppet.asked or not puppet.alive:
                break
            block = list(puppet.asked)[order % len(puppet.asked)]
            puppet.sent.append(block)
            puppet.give(block, bytes(block.length) if spoiled else None)
            self.settle()

    @rule(number=which, order=which, cut=which)
    def answer_in_part(self, number: int, order: int, cut: int) -> None:
        puppet = self.puppet(number)
        if puppet is not None and puppet.asked:
            puppet.begin(list(puppet.asked)[order % len(puppet.asked)], cut)
            self.settle()

    @rule(number=which)
    def answer_the_rest(self, number: int) -> None:
        puppet = self.puppet(number)
        if puppet is not None and puppet.tail:
            puppet.say_bytes(b"")
            self.settle()

    @rule(number=which, order=which)
    def answer_late(self, number: int, order: int) -> None:
        puppet = self.puppet(number)
        if puppet is not None and puppet.owed:
            block = puppet.owed.pop(order % len(puppet.owed))
            puppet.say(wire.Piece(block.piece, block.begin, puppet.block(block)))
            self.settle()

    @rule(number=which, order=which)
    def send_again(self, number: int, order: int) -> None:
        puppet = self.puppet(number)
        if puppet is not None and puppet.sent:
            block = puppet.sent[order % len(puppet.sent)]
            if block not in puppet.asked and block != puppet.tail_of:
                puppet.say(wire.Piece(block.piece, block.begin, puppet.block(block)))
                self.settle()

    @rule(number=which, piece=st.integers(0, PIECES - 1), begin=which, length=st.integers(0, BLOCK))
    def send_unasked(self, number: int, piece: int, begin: int, length: int) -> None:
        puppet = self.puppet(number)
        begin %= PIECE
        asked = puppet is None or any(
            (block.piece, block.begin // BLOCK) == (piece, begin // BLOCK)
            for block in [*puppet.asked, *puppet.owed, puppet.tail_of or BlockInfo(-1, 0, 0)]
        )
        if puppet is not None and not asked:
            puppet.say(wire.Piece(piece, begin, bytes(length)))
            self.settle()

    @rule(number=which, order=which, count=st.integers(1, 20))
    def reject(self, number: int, order: int, count: int) -> None:
        puppet = self.puppet(number)
        for _ in range(count):
            if puppet is None or not puppet.fast or not puppet.asked:
                break
            puppet.refuse(list(puppet.asked)[order % len(puppet.asked)])
            self.settle()

    # --- The disk -------------------------------------------------------------------------------

    @precondition(lambda self: self.disk.pending)
    @rule(order=which, count=st.integers(1, 5), fault=st.sampled_from([None, None, *StorageFault]))
    def storage(self, order: int, count: int, fault: StorageFault | None) -> None:
        self.disk.fault = lambda action: fault
        for _ in range(min(count, len(self.disk.pending))):
            self.swarm.answer(self.disk, order % len(self.disk.pending))
            self.settle()
        self.disk.fault = lambda action: None

    # --- Time and the user ----------------------------------------------------------------------

    @rule(late=st.sampled_from([0.0, 0.0, 0.05, 2.0]))
    def next_deadline(self, late: float) -> None:
        deadline = self.torrent.next_deadline()
        if deadline is not None:
            self.swarm.now = max(self.swarm.now, deadline.when + late)
            self.swarm.tick()
            self.settle()

    @rule(seconds=st.sampled_from([0.05, 1.0, 3.0, 15.0, 70.0]))
    def wait(self, seconds: float) -> None:
        for puppet in self.puppets:
            if not puppet.tail:
                puppet.say(wire.KeepAlive())
        self.swarm.run(seconds=seconds)
        self.settle()

    @rule(priorities=st.tuples(*[st.integers(0, 1)] * len(FILES)))
    def prioritise(self, priorities: tuple[int, ...]) -> None:
        self.swarm.feed(ev.SetPriorities(self.swarm.name, priorities))
        self.settle()

    @rule()
    def stop_or_start(self) -> None:
        if self.torrent.state is TorrentState.STOPPED:
            self.swarm.feed(ev.StartTorrent(self.swarm.name, self.disk.resume))
        else:
            self.swarm.feed(ev.StopTorrent(self.swarm.name))
        self.settle()

    @precondition(lambda self: self.torrent._context.may_dial)
    @rule()
    def recheck(self) -> None:
        self.swarm.feed(ev.Recheck(self.swarm.name))
        self.settle()

    # --- What holds at every moment -------------------------------------------------------------

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
        pending = [type(action) for action in self.disk.pending]
        assert pending.count(act.WriteBlocks) <= MAX_WRITES_OUT
        assert pending.count(act.HashPiece) <= MAX_HASHES_OUT + MAX_CHECKS_IN_FLIGHT

    @invariant()
    def what_is_in_hand_is_kept(self) -> None:
        for piece in self.torrent._context.active.active_pieces:
            assert not (piece.in_memory | piece.writing) & ~piece.places
            assert not piece.stored & ~piece.received
            assert all(piece.places >> block & 1 for block in [*piece.requests, *piece.claims])

    @invariant()
    def what_is_verified_is_on_the_disk(self) -> None:
        for index in range(PIECES):
            if self.torrent.verified >> index & 1:
                assert self.disk.holds(index)

    @invariant()
    def no_block_is_stranded(self) -> None:
        """Every link that could be asked for something wanted is asked, full or told why not."""
        context = self.torrent._context
        active, picker, now = context.active, context.picker, self.swarm.now
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
            usable = requests.usable(now) & ~context.scheduler.parole.closed_to(requests)
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

    @invariant()
    def a_torrent_that_works_is_waiting_for_something(self) -> None:
        if self.torrent.state in (TorrentState.CHECKING, TorrentState.STOPPING):
            assert self.disk.pending or self.torrent.next_deadline() is not None

    # --- The end --------------------------------------------------------------------------------

    def teardown(self) -> None:
        if not hasattr(self, "swarm"):
            return
        swarm, disk = self.swarm, self.disk
        disk.manual = False
        while disk.pending:
            swarm.answer(disk)
        swarm.settle()
        if self.torrent.state is TorrentState.STOPPED:
            swarm.start(disk.resume)
        seed = swarm.make(Seed, rate=1_000_000)
        line = swarm.connect(seed)
        swarm.finish(1200)
        assert all(
            close.reason is CloseReason.BOTH_SEEDS
            for close in swarm.actions(act.Close)
            if close.link == line.name
        )
        swarm.run(seconds=200)  # pieces that nobody wants any more are still being stored
        assert self.memory.used == 0
        for index, length in enumerate(FILES):
            wanted = self.torrent._context.priorities
            if wanted is None or wanted[index]:
                assert len(disk.files[index] or b"") == length


TestTorrentMachine = TorrentMachine.TestCase
TestTorrentMachine.settings = settings(
    max_examples=max(100, settings.default.max_examples),
    stateful_step_count=max(80, settings.default.stateful_step_count),
)
