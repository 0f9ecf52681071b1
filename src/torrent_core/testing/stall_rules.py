"""The rules of ``StallMachine``: what peers, disk, clock and user may do to one torrent."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from .. import events as ev
from ..actions import WriteBlocks
from ..limits import BLOCK_SIZE
from ..types import StorageFault, TorrentState
from ..wire import messages as wire
from .disk import healthy
from .peers.puppet import Puppet
from .promises import expect
from .torrent_world import TorrentWorld

MOST_PUPPETS = 5
"""Links at once."""

_MOST = 64

number = st.integers(0, 2**16)
"""Chooses among whatever there is, modulo how much there is."""
piece_number = st.integers(0, _MOST - 1)
"""One piece, modulo their number."""
some_pieces = st.none() | st.frozensets(piece_number)
"""A set of them; None is all."""
faults = st.sampled_from([None, None, *StorageFault])
"""How an action of the storage ends; None is well."""


class StallRules(RuleBasedStateMachine):
    """Peers are puppets: each does what a rule says, and nothing by itself.

    A rule that names a puppet, a request or an action by a number means it modulo how many
    there are, and does nothing where there are none.
    """

    swarm: TorrentWorld
    puppets: list[Puppet]
    """The peers with an open link."""

    def settle(self) -> None:
        """Let all happen that is due at this moment, and see that all is well."""
        self.swarm.run(seconds=0.0, steps=2000)
        self.puppets = [puppet for puppet in self.puppets if puppet.alive]
        self.check()

    def check(self) -> None:
        """What holds after every rule, besides the accounts.

        No invariant of hypothesis, since each would be a line between any two rules of an
        example that is to be read.
        """
        self.swarm.check_files()
        busy = self.swarm.torrent.state in (TorrentState.CHECKING, TorrentState.STOPPING)
        waits = self.swarm.disk.pending or self.swarm.due() is not None
        expect(waits or not busy, "{} for nothing", self.swarm.torrent.state.value)

    def puppet(self, number: int) -> Puppet | None:
        """The puppet of that number; None if there is none at all."""
        return self.puppets[number % len(self.puppets)] if self.puppets else None

    def piece(self, number: int) -> int:
        """The piece of that number."""
        return number % self.swarm.meta.piece_count

    # --- Links ---------------------------------------------------------------------------

    @precondition(lambda self: len(self.puppets) < MOST_PUPPETS)
    @rule(have=some_pieces, fast=st.booleans(), cancels=st.booleans(), unchoke=st.booleans())
    def connect(
        self, have: frozenset[int] | None, fast: bool, cancels: bool, unchoke: bool
    ) -> None:
        """A peer dials us; it may unchoke at once, and answer CANCEL with REJECT."""
        pieces = None if have is None else {self.piece(index) for index in sorted(have)}
        options = {"have": pieces, "fast": fast, "answers_cancel": cancels, "latency": 0.0}
        puppet = self.swarm.make(Puppet, **options)
        self.swarm.connect(puppet)
        if unchoke:
            puppet.unchoke()
        self.puppets.append(puppet)
        self.settle()

    @precondition(lambda self: len(self.puppets) < MOST_PUPPETS)
    @rule(port=st.integers(1, 3), fast=st.booleans())
    def dial(self, port: int, fast: bool) -> None:
        """We are told to dial one of three peers, and are answered."""
        puppet = self.swarm.dialled(Puppet, port=port, fast=fast, latency=0.0)
        self.settle()
        if puppet.alive:
            self.puppets.append(puppet)

    @rule(which=number, detail=st.sampled_from(["", "reset"]), twice=st.booleans())
    def disconnect(self, which: int, detail: str, twice: bool) -> None:
        """A peer leaves; the adapter may say so twice."""
        puppet = self.puppet(which)
        if puppet is not None and puppet.line is not None:
            puppet.leave(detail)
            self.settle()
            if twice:
                self.swarm.feed(ev.LinkClosed(puppet.line.name, "again"))

    # --- What peers say ------------------------------------------------------------------

    @rule(which=number)
    def unchoke(self, which: int) -> None:
        """A peer unchokes us."""
        puppet = self.puppet(which)
        if puppet is not None:
            puppet.unchoke()
            self.settle()

    @rule(which=number, flicker=st.booleans())
    def choke(self, which: int, flicker: bool) -> None:
        """A peer chokes us, and perhaps unchokes us in the same breath."""
        puppet = self.puppet(which)
        if puppet is not None:
            puppet.choke()
            if flicker:
                puppet.unchoke()
            self.settle()

    @rule(which=number, index=piece_number)
    def have(self, which: int, index: int) -> None:
        """A peer says that it has a piece."""
        puppet = self.puppet(which)
        if puppet is not None:
            puppet.have.add(self.piece(index))
            puppet.say(wire.Have(self.piece(index)))
            self.settle()

    @rule(which=number, index=piece_number, suggest=st.booleans())
    def allow_fast(self, which: int, index: int, suggest: bool) -> None:
        """A peer lets us ask for a piece though it chokes us (BEP 6), and may suggest it."""
        puppet = self.puppet(which)
        if puppet is not None and puppet.fast:
            piece = self.piece(index)
            puppet.allowed.add(piece)
            puppet.say(wire.AllowedFast(piece))
            if suggest:
                puppet.say(wire.Suggest(piece))
            self.settle()

    @rule(which=number, count=st.integers(1, 8), order=number, corrupt=st.booleans())
    def deliver(self, which: int, count: int, order: int, corrupt: bool) -> None:
        """A peer answers some requests, with the right bytes or with zeros."""
        puppet = self.puppet(which)
        for _ in range(count):
            if puppet is None or not puppet.asked or not puppet.alive:
                break
            puppet.deliver(list(puppet.asked)[order % len(puppet.asked)], spoiled=corrupt)
            self.settle()

    @rule(which=number, order=number, cut=number)
    def deliver_in_part(self, which: int, order: int, cut: int) -> None:
        """A peer begins to answer a request."""
        puppet = self.puppet(which)
        if puppet is not None and puppet.asked:
            puppet.begin(list(puppet.asked)[order % len(puppet.asked)], cut)
            self.settle()

    @rule(which=number)
    def deliver_the_rest(self, which: int) -> None:
        """A peer ends what it began."""
        puppet = self.puppet(which)
        if puppet is not None and puppet.tail:
            puppet.say_bytes(b"")
            self.settle()

    @rule(which=number, order=number)
    def deliver_late(self, which: int, order: int) -> None:
        """A peer answers a request that we gave up."""
        puppet = self.puppet(which)
        if puppet is not None and puppet.owed:
            puppet.send(puppet.owed.pop(order % len(puppet.owed)))
            self.settle()

    @rule(which=number, order=number)
    def deliver_again(self, which: int, order: int) -> None:
        """A peer sends what it sent before."""
        puppet = self.puppet(which)
        if puppet is not None and puppet.sent:
            block = puppet.sent[order % len(puppet.sent)]
            if block not in puppet.asked and block != puppet.tail_of:
                puppet.send(block)
                self.settle()

    @rule(which=number, index=piece_number, begin=number, length=st.integers(0, BLOCK_SIZE))
    def deliver_unasked(self, which: int, index: int, begin: int, length: int) -> None:
        """A peer sends what nobody asked for, of any shape."""
        puppet, piece = self.puppet(which), self.piece(index)
        begin %= self.swarm.meta.piece_length
        if puppet is not None and not puppet.may_answer(piece, begin):
            puppet.say(wire.Piece(piece, begin, bytes(length)))
            self.settle()

    @rule(which=number, order=number, count=st.integers(1, 20))
    def reject(self, which: int, order: int, count: int) -> None:
        """A peer rejects some requests (BEP 6)."""
        puppet = self.puppet(which)
        for _ in range(count):
            if puppet is None or not puppet.fast or not puppet.asked:
                break
            puppet.refuse(list(puppet.asked)[order % len(puppet.asked)])
            self.settle()

    # --- The disk ------------------------------------------------------------------------

    @precondition(lambda self: self.swarm.disk.pending)
    @rule(order=number, count=st.integers(1, 5), fault=faults, eager=st.booleans())
    def storage(
        self, order: int, count: int, fault: StorageFault | None, eager: bool = False
    ) -> None:
        """Some of what the disk was asked to do is done, or fails; an ``eager`` one writes what
        it hashes, and fails in nothing but that."""
        disk = self.swarm.disk
        disk.eager = eager
        disk.fault = lambda action: None if eager and type(action) is not WriteBlocks else fault
        for _ in range(min(count, len(disk.pending))):
            self.swarm.answer(disk, order % len(disk.pending))
            self.settle()
        disk.fault = healthy

    # --- Time and the user ---------------------------------------------------------------

    @rule(late=st.sampled_from([0.0, 0.0, 0.05, 2.0]))
    def next_deadline(self, late: float) -> None:
        """Nothing happens until the next deadline, or a little longer."""
        self.sleep_until_due(late)

    @rule(hours=st.integers(1, 3))
    def sleep(self, hours: int) -> None:
        """The computer sleeps: the call comes hours after its deadline."""
        self.sleep_until_due(3600.0 * hours)

    def sleep_until_due(self, late: float) -> None:
        """Go to the next deadline, and ``late`` seconds beyond it, before anything happens."""
        due = self.swarm.due()
        if due is not None:
            self.swarm.now = max(self.swarm.now, due + late)
            self.swarm.tick()
            self.settle()

    @rule(seconds=st.sampled_from([0.05, 1.0, 3.0, 15.0, 70.0]))
    def silence(self, seconds: float) -> None:
        """Nobody says more than that he is there."""
        for puppet in self.puppets:
            if not puppet.tail:
                puppet.say(wire.KeepAlive())
        self.swarm.run(seconds=seconds)
        self.settle()

    @rule(skipped=st.frozensets(st.integers(0, _MOST - 1), max_size=4))
    def prioritise(self, skipped: frozenset[int]) -> None:
        """The user skips some files (modulo their number) and wants all others."""
        files = len(self.swarm.meta.files)
        left_out = {index % files for index in skipped}
        priorities = tuple(int(index not in left_out) for index in range(files))
        self.swarm.feed(ev.SetPriorities(self.swarm.name, priorities))
        self.settle()

    @rule()
    def stop_or_start(self) -> None:
        """The user stops the torrent, or starts it again."""
        if self.swarm.torrent.state is TorrentState.STOPPED:
            self.swarm.feed(ev.StartTorrent(self.swarm.name, self.swarm.disk.resume))
        else:
            self.swarm.feed(ev.StopTorrent(self.swarm.name))
        self.settle()

    @rule()
    def recheck(self) -> None:
        """The user has all of it hashed again, if the torrent is in a state for that."""
        if self.swarm.torrent.state in (TorrentState.DOWNLOADING, TorrentState.SEEDING):
            self.swarm.feed(ev.Recheck(self.swarm.name))
            self.settle()
