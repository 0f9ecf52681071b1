"""All that surrounds one machine: links, a disk and a clock that jumps.

The machine under test is real; everything it asks for is played here.  Every step is kept.
Promises that hold in every scenario are checked on the way: each missing block is on an
account, a tick leaves no deadline behind it, each dial is cancelled or answered, storage
answers are given once.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from random import Random
from typing import Protocol, TypeVar

from .. import actions as act
from .. import events as ev
from ..actions import Action
from ..events import Event
from ..types import Address, InfoHash
from .accounts import Accountable, assert_accounted
from .clock import MAX_STEPS, Clock
from .disk import Disk
from .line import Line, PeerFace
from .promises import count, expect
from .timeline import Step

A = TypeVar("A")


class Machine(Accountable, Protocol):
    """``Torrent`` and ``Session`` alike."""

    def handle(self, event: Event, now: float) -> list[Action]: ...


class World:
    """Plays network, disk and clock for ``machine``.

    Worlds on the same ``clock`` share their time.  ``check_every`` 1 looks at the accounts
    after every step, 2 after every second one, 0 never: that costs as much as all the rest
    where much is missing.  ``keep_steps`` bounds how much of the past is kept, since steps
    hold on to what was sent.
    """

    def __init__(
        self,
        machine: Machine,
        *disks: Disk,
        start: float = 0.0,
        clock: Clock | None = None,
        name: str = "machine",
        seed: int = 0,
        check_every: int = 1,
        keep_steps: int | None = None,
    ) -> None:
        """``disks`` are found by info-hash; ``start`` is the time unless there is a clock."""
        self.clock = clock or Clock(start)
        self.machine = machine
        self.title = name
        """What it is called in timelines."""
        self.random = Random(seed)
        """What the network throws its dice with."""
        self.disks: dict[InfoHash, Disk] = {disk.metainfo.info_hash: disk for disk in disks}
        self.trace: deque[Step] | list[Step] = (
            [] if keep_steps is None else deque(maxlen=keep_steps)
        )
        """Every step, or the last ones."""
        self.lines: dict[str, Line] = {}
        self.listeners: dict[Address, Callable[[], PeerFace]] = {}
        """Who answers a dial."""
        self.black_holes: set[Address] = set()
        """Where a dial is not even refused."""
        self.dials: dict[int, Address] = {}
        """Dials under way."""
        self._check_every = self._until_check = count("check_every", check_every)
        self._number = self.clock.add(self)

    # --- Time ----------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Seconds."""
        return self.clock.now

    @now.setter
    def now(self, now: float) -> None:
        self.clock.now = now

    @property
    def ids(self) -> Iterator[int]:
        """Numbers for whoever needs a name of his own."""
        return self.clock.ids

    def at(self, when: float, what: Callable[[], object]) -> None:
        """Do ``what`` when the clock gets there; in order of calls where times are equal."""
        self.clock.at(when, what)

    def run(
        self,
        until: Callable[[], bool] = lambda: False,
        *,
        seconds: float = math.inf,
        steps: int = MAX_STEPS,
    ) -> bool:
        """``Clock.run``."""
        return self.clock.run(until, seconds=seconds, steps=steps)

    def settle(self) -> None:
        """All that is to happen at this very moment."""
        self.clock.settle()

    def due(self) -> float | None:
        """When the machine wants to be called."""
        deadline = self.machine.next_deadline()
        return None if deadline is None else deadline.when

    def tick(self) -> list[Action]:
        """The call owed at the deadline, which leaves nothing due."""
        actions = self.feed(ev.Tick())
        after = self.machine.next_deadline()
        late = after is not None and after.when <= self.now
        expect(not late, "{} is still due at {}", after, self.now)
        return actions

    # --- Events and actions --------------------------------------------------------------

    def feed(self, event: Event) -> list[Action]:
        """Hand over one event, and carry out what follows."""
        try:
            actions = self.machine.handle(event, self.now)
            step = Step(self.now, event, actions)
            self.trace.append(step)
            self.clock.recent.append((self.title, step))
            self.clock.stir(self._number)
            self._check()
        except Exception as error:
            self.clock.tell(error)
            raise
        for action in actions:
            self._carry_out(action)
        return actions

    def _check(self) -> None:
        self._until_check -= 1
        if self._until_check == 0:
            self._until_check = self._check_every
            self.check_accounts()

    def check_accounts(self) -> None:
        """No block is stranded, and no account names a moment that would be slept through."""
        assert_accounted(self.machine, self.now, self.trace)

    def _carry_out(self, action: Action) -> None:
        match action:
            case act.Send(link=link, data=data):
                self.lines[str(link)].carry(data)
            case act.Close(link=link):
                self.at(self.now, self.lines[str(link)].end)
            case act.Dial(dial_id=dial_id, address=address):
                self.dials[dial_id] = address
                self._dial(dial_id, address)
            case act.CancelDial(dial_id=dial_id):
                self.at(self.now, lambda: self.fail_dial(dial_id))
            case act.SaveResume(torrent=torrent, data=data):
                self.disks[torrent].resume = data
            case (
                act.HashPiece(torrent=torrent)
                | act.HashBlocks(torrent=torrent)
                | act.WriteBlocks(torrent=torrent)
                | act.ReadBlocks(torrent=torrent)
                | act.StatFiles(torrent=torrent)
                | act.CreateFiles(torrent=torrent)
            ):
                self._submit(self.disks[torrent], action)

    def _submit(self, disk: Disk, action: Action) -> None:
        if disk.manual:
            disk.pending.append(action)
            return
        when = disk.answered_at(action, self.now)
        self.at(when, lambda: self.feed(disk.perform(action)))

    def answer(self, disk: Disk, index: int = 0) -> None:
        """Answer one of the actions that ``disk`` holds back."""
        self.feed(disk.perform(disk.pending.pop(index)))

    # --- Links ---------------------------------------------------------------------------

    def _dial(self, dial_id: int, address: Address) -> None:
        make = self.listeners.get(address)
        if make is not None:
            peer = make()
            half_open = peer.profile.half_open
            if not half_open or self.random.random() >= half_open:
                self.at(self.now + peer.profile.latency, lambda: self.open_dial(dial_id, peer))
        elif address not in self.black_holes:
            self.at(self.now, lambda: self.fail_dial(dial_id))

    def fail_dial(self, dial_id: int) -> None:
        """The dial comes to nothing, if it is still under way."""
        if self.dials.pop(dial_id, None) is not None:
            self.feed(ev.DialFailed(dial_id))

    def open_dial(self, dial_id: int, peer: PeerFace) -> None:
        """The dial becomes a link, if it is still under way."""
        address = self.dials.pop(dial_id, None)
        if address is not None:
            self._open(peer, address, dial_id)

    def connect(self, peer: PeerFace, address: Address | None = None) -> Line:
        """The peer dials us."""
        return self._open(peer, address or Address("192.0.2.9", 50_000 + len(self.lines)), None)

    def _open(self, peer: PeerFace, address: Address, dial_id: int | None) -> Line:
        name = f"link {len(self.lines)}"
        line = self.lines[name] = Line(self, name, peer)
        self.feed(ev.LinkOpened(name, address, dial_id))
        peer.opened(line)
        return line

    # --- Looking back --------------------------------------------------------------------

    def actions(self, kind: type[A], since: float = 0.0) -> list[A]:
        """All actions of one kind that are kept, in order."""
        return [action for _, action in self.timed(kind, since)]

    def timed(self, kind: type[A], since: float = 0.0) -> Iterator[tuple[float, A]]:
        """The same with their times."""
        for step in self.trace:
            if step.now >= since:
                for action in step.actions:
                    if isinstance(action, kind):
                        yield step.now, action
