"""A virtual-time world around one machine: links, a disk and a clock that jumps.

The machine under test is real; everything it asks for is played here.  Time moves only when
``run`` goes from one delivery or deadline to the next, so an hour costs nothing, and two runs
are the same run.  Every step is kept in ``trace``.  Promises that hold in every scenario are
checked on the way: a tick leaves no deadline behind it, each dial is cancelled or answered,
storage answers are given once.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from hashlib import sha1
from itertools import count
from typing import NamedTuple, Protocol, TypeVar

from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.actions import Action
from torrent_core.deadlines import Deadline
from torrent_core.events import Event, StorageEvent
from torrent_core.metainfo import Metainfo
from torrent_core.metainfo.create import TorrentBuilder
from torrent_core.types import Address, FileStat, InfoHash, StorageFault

KIB = 1024
BLOCK = 16 * KIB
A = TypeVar("A")


class Machine(Protocol):
    """``Torrent`` and ``Session`` alike."""

    def handle(self, event: Event, now: float) -> list[Action]: ...

    def next_deadline(self) -> Deadline | None: ...


class Step(NamedTuple):
    """One call of ``handle``."""

    now: float
    event: Event
    actions: list[Action]


class PeerFace(Protocol):
    """What the world asks of whoever is at the other end of a link."""

    latency: float
    """Seconds from one end to the other."""

    def opened(self, link: Line) -> None: ...

    def received(self, data: bytes) -> None: ...

    def closed(self) -> None: ...


def make_torrent(
    total: int,
    piece_length: int = 2 * BLOCK,
    *,
    files: list[int] | None = None,
    name: str = "payload",
) -> tuple[Metainfo, bytes]:
    """A torrent with its payload: bytes that differ from block to block, and by name."""
    seed = sha1(name.encode()).digest()
    unit = b"".join(sha1(seed + bytes([n])).digest() for n in range(13))
    payload = bytearray((unit * (total // len(unit) + 1))[:total])
    for at in range(0, total - 8, BLOCK):
        payload[at : at + 4] = at.to_bytes(4, "big")
    lengths = [((str(index),), length) for index, length in enumerate(files or [])]
    builder = TorrentBuilder(
        name,
        lengths or [((name,), total)],
        single_file=files is None,
        piece_length=piece_length,
    )
    builder.update(payload)
    return builder.finish(), bytes(payload)


class Disk:
    """The files of one torrent, outliving any machine.

    ``delays`` has seconds by type of action; ``fault`` says which action fails, and how.  In
    ``manual`` mode nothing is answered until ``answer`` is called.
    """

    def __init__(self, metainfo: Metainfo) -> None:
        self.metainfo = metainfo
        self.files: list[bytearray | None] = [None] * len(metainfo.files)
        self.mtimes = [0] * len(metainfo.files)
        self.writes = 0
        self.resume: bytes | None = None
        self.delays: dict[type, float] = {}
        self.fault: Callable[[Action], StorageFault | None] = lambda action: None
        self.manual = False
        self.pending: list[Action] = []
        self.done: list[Action] = []

    def fill(self, payload: bytes) -> None:
        """Put the whole payload in place, as another program would."""
        for index, file in enumerate(self.metainfo.files):
            self.files[index] = bytearray(payload[file.offset : file.offset + file.length])
            self.mtimes[index] += 1

    def read(self, piece: int) -> bytes:
        """What lies where ``piece`` belongs; short where files are."""
        size = self.metainfo.geometry.piece_size(piece)
        start = piece * self.metainfo.piece_length
        data = b""
        for index, file in enumerate(self.metainfo.files):
            begin, end = max(start, file.offset), min(start + size, file.offset + file.length)
            if begin < end:
                data += bytes(self.files[index] or b"")[begin - file.offset : end - file.offset]
        return data

    def holds(self, piece: int) -> bool:
        """Whether the right bytes are there."""
        return sha1(self.read(piece)).digest() == self.metainfo.piece_hash(piece)

    def perform(self, action: Action) -> StorageEvent:
        """Carry an action out; returns its one answer."""
        self.done.append(action)
        name, job = self.metainfo.info_hash, getattr(action, "job", 0)
        fault = self.fault(action)
        if fault is not None:
            return ev.StorageFailed(name, job, fault, "made to fail")
        match action:
            case act.HashPiece(data=data) if data is not None:
                return ev.PieceHashed(name, job, sha1(data).digest())
            case act.HashPiece(spans=spans) | act.ReadBlocks(spans=spans):
                content = b"".join(
                    bytes(self.files[span.file] or b"")[span.offset : span.offset + span.length]
                    for span in spans
                )
                if len(content) != sum(span.length for span in spans):
                    return ev.StorageFailed(name, job, StorageFault.MISSING)
                if isinstance(action, act.HashPiece):
                    return ev.PieceHashed(name, job, sha1(content).digest())
                return ev.BlocksRead(name, job, content)
            case act.WriteBlocks(chunks=chunks):
                for span, data in chunks:
                    self._write(span.file, span.offset, bytes(data))
                return ev.Written(name, job)
            case act.CreateFiles(files=files):
                for file in files:
                    self._write(file, 0, b"")
                return ev.Written(name, job)
        return ev.FilesStated(name, job, self.stats())

    def stats(self) -> tuple[FileStat | None, ...]:
        """Size and time of every file."""
        return tuple(
            None if data is None else FileStat(len(data), mtime)
            for data, mtime in zip(self.files, self.mtimes, strict=True)
        )

    def _write(self, file: int, offset: int, data: bytes) -> None:
        content = self.files[file]
        if content is None:
            content = self.files[file] = bytearray()
        if len(content) < offset:
            content.extend(bytes(offset - len(content)))
        content[offset : offset + len(data)] = data
        self.writes += 1
        self.mtimes[file] = self.writes


class Line:
    """One connection: what the peer says arrives after its latency, in order."""

    def __init__(self, world: World, name: str, peer: PeerFace) -> None:
        self.world = world
        self.name = name
        self.peer = peer
        self.open = True
        self.free_at = 0.0
        self.unsent = 0
        self.stuck = False
        """Nothing leaves: ``Sent`` is not reported, and the peer gets nothing."""

    def send(self, data: bytes, rate: float = float("inf")) -> float:
        """The peer sends; returns when the last byte has left it."""
        start = max(self.world.now, self.free_at)
        self.free_at = start + len(data) / rate
        self.world.at(self.free_at + self.peer.latency, lambda: self._deliver(data))
        return self.free_at

    def close(self, detail: str = "") -> None:
        """The peer closes."""
        self.world.at(self.world.now + self.peer.latency, lambda: self.end(detail))

    def end(self, detail: str = "") -> None:
        """The connection is gone, whoever ended it; the peer learns it after all it was sent."""
        if self.open:
            self.open = False
            self.world.at(self.world.now + self.peer.latency, self.peer.closed)
            self.world.feed(ev.LinkClosed(self.name, detail))

    def _deliver(self, data: bytes) -> None:
        if self.open:
            self.world.feed(ev.BytesReceived(self.name, data))

    def carry(self, data: bytes) -> None:
        """The machine sends."""
        self.unsent += len(data)
        self.world.at(self.world.now, self.flush)
        self.world.at(self.world.now + self.peer.latency, lambda: self._arrive(data))

    def flush(self) -> None:
        """Report what has left."""
        if self.open and self.unsent and not self.stuck:
            count, self.unsent = self.unsent, 0
            self.world.feed(ev.Sent(self.name, count))

    def _arrive(self, data: bytes) -> None:
        if not self.stuck:
            self.peer.received(data)


class World:
    """Plays network, disk and clock for ``machine``; ``disks`` are found by info-hash."""

    def __init__(self, machine: Machine, *disks: Disk, start: float = 0.0) -> None:
        self.machine = machine
        self.disks: dict[InfoHash, Disk] = {disk.metainfo.info_hash: disk for disk in disks}
        self.now = start
        self.trace: list[Step] = []
        self.lines: dict[str, Line] = {}
        self.listeners: dict[Address, Callable[[], PeerFace]] = {}
        self.black_holes: set[Address] = set()
        self.dials: dict[int, Address] = {}
        self.ids = count(1)
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = 0

    # --- Time -----------------------------------------------------------------------------------

    def at(self, when: float, what: Callable[[], None]) -> None:
        """Do ``what`` when the clock gets there; in order of calls where times are equal."""
        self._serial += 1
        heapq.heappush(self._queue, (max(when, self.now), self._serial, what))

    def run(
        self,
        until: Callable[[], bool] = lambda: False,
        *,
        seconds: float = float("inf"),
        steps: int = 200_000,
    ) -> bool:
        """Go on until ``until()``, for ``seconds`` at most; whether ``until()`` was met."""
        end = self.now + seconds
        for _ in range(steps):
            if until():
                return True
            if not self._advance(end):
                if end < float("inf"):
                    self.now = end
                return until()
        raise AssertionError(f"no end after {steps} steps, at {self.now}: {self.trace[-3:]}")

    def settle(self) -> None:
        """All that is to happen at this very moment."""
        self.run(seconds=0.0)

    def _advance(self, end: float) -> bool:
        deadline = self.machine.next_deadline()
        queued = self._queue[0][0] if self._queue else float("inf")
        due = deadline.when if deadline is not None else float("inf")
        if min(due, queued) > end or min(due, queued) == float("inf"):
            return False
        if due < queued:
            self.now = max(self.now, due)
            self.tick()
        else:
            self.now, _, what = heapq.heappop(self._queue)
            what()
        return True

    def tick(self) -> list[Action]:
        """The call owed at the deadline, which leaves nothing due."""
        actions = self.feed(ev.Tick())
        after = self.machine.next_deadline()
        assert after is None or after.when > self.now, f"{after} is still due at {self.now}"
        return actions

    # --- Events and actions ---------------------------------------------------------------------

    def feed(self, event: Event) -> list[Action]:
        """Hand over one event, and carry out what follows."""
        actions = self.machine.handle(event, self.now)
        self.trace.append(Step(self.now, event, actions))
        self.check_accounts()
        for action in actions:
            self._carry_out(action)
        return actions

    def check_accounts(self) -> None:
        """No block is stranded, and no account names a moment that would be slept through."""
        explained = self.machine.explain(self.now)
        due = self.machine.next_deadline()
        for explanation in explained.values() if isinstance(explained, dict) else [explained]:
            assert not explanation.stranded, explanation.text()
            move = explanation.next_move
            if move is not None:
                assert due is not None, explanation.text()
                assert due.when <= max(move, self.now), explanation.text()

    def _carry_out(self, action: Action) -> None:
        match action:
            case act.Send(link=link, data=data):
                self.lines[str(link)].carry(data)
            case act.Close(link=link):
                line = self.lines[str(link)]
                self.at(self.now, line.end)
            case act.Dial(dial_id=dial_id, address=address):
                self.dials[dial_id] = address
                self._dial(dial_id, address)
            case act.CancelDial(dial_id=dial_id):
                self.at(self.now, lambda: self.fail_dial(dial_id))
            case act.SaveResume(torrent=torrent, data=data):
                self.disks[torrent].resume = data
            case (
                act.HashPiece(torrent=torrent)
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
        when = self.now + disk.delays.get(type(action), 0.0)
        self.at(when, lambda: self.feed(disk.perform(action)) and None)

    def answer(self, disk: Disk, index: int = 0) -> None:
        """Answer one of the actions that ``disk`` holds back."""
        self.feed(disk.perform(disk.pending.pop(index)))

    # --- Links ----------------------------------------------------------------------------------

    def _dial(self, dial_id: int, address: Address) -> None:
        make = self.listeners.get(address)
        if make is not None:
            peer = make()
            self.at(self.now + peer.latency, lambda: self.open_dial(dial_id, peer))
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
        line.free_at = self.now
        self.feed(ev.LinkOpened(name, address, dial_id))
        peer.opened(line)
        return line

    # --- Looking back ---------------------------------------------------------------------------

    def actions(self, kind: type[A], since: float = 0.0) -> list[A]:
        """All actions of one kind, in order."""
        return [action for _, action in self.timed(kind, since)]

    def timed(self, kind: type[A], since: float = 0.0) -> Iterator[tuple[float, A]]:
        """The same with their times."""
        for step in self.trace:
            if step.now >= since:
                for action in step.actions:
                    if isinstance(action, kind):
                        yield step.now, action
