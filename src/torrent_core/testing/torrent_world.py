"""A world around one torrent, and one around a session of several."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, TypeVar

from .. import actions as act
from .. import events as ev
from ..metainfo import Metainfo
from ..session import Session, SessionConfig
from ..torrent import Budgets, Torrent, TorrentConfig
from ..trace import TorrentSetup
from ..types import Address, CloseReason, InfoHash, RandomSource, TorrentState
from .clock import MAX_STEPS
from .disk import Disk
from .payload import BLOCK, Content, make_torrent
from .peers import Peer
from .promises import ImpossibleParameter, expect
from .recorded import Build, Tape
from .world import World

OURS = b"-TC0000-ourselves..."
"""The peer id of the machine under test."""

NEVER_ENDS = 3600.0
"""Seconds after which a download that is not complete is taken for one that never will be."""

P = TypeVar("P", bound=Peer)


def listen(world: World, peer: Peer, port: int) -> Address:
    """Let the machine reach ``peer`` by dialling; returns where."""
    address = Address("192.0.2.1", port)
    world.listeners[address] = lambda: peer
    return address


def _within(budgets: Budgets) -> Build:
    def build(setup: TorrentSetup, random: RandomSource) -> Torrent:
        return Torrent(
            setup.metainfo,
            peer_id=setup.peer_id,
            random=random,
            config=setup.config,
            budgets=budgets,
            priorities=setup.priorities,
        )

    return build


class TorrentWorld(World):
    """A world around one torrent, started unless told otherwise."""

    def __init__(
        self,
        total: int = 8 * BLOCK,
        piece_length: int = 2 * BLOCK,
        *,
        files: Sequence[int] | None = None,
        made: tuple[Metainfo, Content] | None = None,
        priorities: tuple[int, ...] | None = None,
        config: TorrentConfig | None = None,
        budgets: Budgets | None = None,
        build: Build | None = None,
        record: bool = False,
        peer_id: bytes = OURS,
        disk: Disk | None = None,
        resume: bytes | None = None,
        full: bool = False,
        start: bool = True,
        now: float = 0.0,
        seed: int = 1,
        **world: Any,
    ) -> None:
        """``made`` is a torrent with its payload, in place of one of ``total`` bytes.

        ``build`` makes the machine, if it is to be another than the plain one; ``record``
        keeps what ``save_trace`` returns.  Neither goes with ``budgets``, which no trace
        can say.  ``disk`` is an earlier run's; ``full`` puts the payload on it before the
        start; ``world`` is for ``World``.
        """
        self.payload: Content
        self.meta, self.payload = made or make_torrent(total, piece_length, files=files)
        self.disk = disk or Disk(self.meta)
        if full:
            self.disk.fill(self.payload)
        setup = TorrentSetup(self.meta, peer_id, config or TorrentConfig(), priorities)
        if budgets is not None:
            if record or build is not None:
                raise ImpossibleParameter("budgets", budgets, "None beside build and record")
            build = _within(budgets)
        build, random = build or TorrentSetup.build, Random(seed)
        self._tape = Tape(setup, build, random) if record else None
        machine = self._tape.machine if self._tape else build(setup, random)
        self.torrent = machine if isinstance(machine, Torrent) else machine.machine
        super().__init__(machine, self.disk, start=now, seed=seed, **world)
        if start:
            self.start(resume)

    @property
    def name(self) -> InfoHash:
        """The torrent's info-hash."""
        return self.meta.info_hash

    def start(self, resume: bytes | None = None) -> None:
        """Start, and let the check end unless the disk takes its time."""
        self.feed(ev.StartTorrent(self.name, resume))
        self.settle()

    # A plain Peer is as good as any, which mypy cannot know of a type variable.
    def join(self, kind: type[P] = Peer, *, port: int | None = None, **options: Any) -> P:  # type: ignore[assignment]
        """A peer of that kind dials us, and all that is instant happens."""
        peer = self.make(kind, **options)
        self.connect(peer, None if port is None else Address("192.0.2.1", port))
        self.run(seconds=3 * peer.latency)
        return peer

    def make(self, kind: type[P] = Peer, **options: Any) -> P:  # type: ignore[assignment]
        """A peer that is not connected yet."""
        return kind(self, self.disk, self.payload, **options)

    def dialled(self, kind: type[P] = Peer, port: int = 1, **options: Any) -> P:  # type: ignore[assignment]
        """A peer that we are told to dial."""
        peer = self.make(kind, **options)
        self.feed(ev.AddPeer(self.name, listen(self, peer, port)))
        return peer

    @property
    def is_complete(self) -> bool:
        """Whether all that is wanted is here."""
        return self.torrent.state is TorrentState.SEEDING

    def finish(self, seconds: float = NEVER_ENDS, *, steps: int = MAX_STEPS) -> None:
        """Run until all that is wanted is here, and see that it is right.

        Raises PromiseBroken if that takes more than ``seconds``.
        """
        done = self.run(lambda: self.is_complete, seconds=seconds, steps=steps)
        expect(done, "not complete after {} s: {}", seconds, self.why_not())
        self.check_files()

    def save_trace(self) -> bytes:
        """The run so far as ``torrent-core replay`` takes it; what comes later is not in it.

        Raises ImpossibleParameter where the world was not told to ``record``.
        """
        if self._tape is None:
            raise ImpossibleParameter("record", False, "True where a trace is to be saved")
        return self._tape.save()

    def check_files(self) -> None:
        """See that what the torrent takes for verified is on the disk."""
        for index in range(self.meta.piece_count):
            if self.torrent.verified >> index & 1:
                expect(self.disk.holds(index), "piece {} is verified and not on the disk", index)

    def why_not(self) -> str:
        """Why it is not complete, as a person would read it."""
        return self.torrent.explain(self.now).text()


class SessionWorld(World):
    """A world around a session of several torrents."""

    def __init__(
        self,
        *sizes: int,
        config: SessionConfig | None = None,
        piece: int = 2 * BLOCK,
        seed: int = 1,
        **world: Any,
    ) -> None:
        """One torrent for each of ``sizes``, in bytes; none is added yet."""
        made = [make_torrent(size, piece, name=f"t{at}") for at, size in enumerate(sizes)]
        self.metas = [meta for meta, _ in made]
        self.payloads = [payload for _, payload in made]
        self.store = [Disk(meta) for meta in self.metas]
        self.session = Session(OURS, Random(seed), config)
        super().__init__(self.session, *self.store, seed=seed, **world)

    def add(self, *which: int, **options: Any) -> None:
        """Add torrents, and let the check end."""
        for index in which:
            self.feed(ev.AddTorrent(self.metas[index], **options))
        self.settle()

    def make(self, kind: type[P], which: int, **options: Any) -> P:
        """A peer of one of the torrents that is not connected yet."""
        return kind(self, self.store[which], self.payloads[which], **options)

    def join(self, kind: type[P], which: int, host: str = "192.0.2.9", **options: Any) -> P:
        """A peer of one of the torrents dials us, and all that is instant happens."""
        peer = self.make(kind, which, **options)
        self.connect(peer, Address(host, 50_000 + len(self.lines)))
        self.run(seconds=3 * peer.latency)
        return peer

    def dialled(self, kind: type[P], which: int, port: int, **options: Any) -> P:
        """A peer that one of the torrents is told to dial."""
        peer = self.make(kind, which, **options)
        self.feed(ev.AddPeer(self.metas[which].info_hash, listen(self, peer, port)))
        return peer

    def state(self, which: int) -> TorrentState | None:
        """What one of the torrents is doing; None if the session has it not."""
        torrent = self.session.torrents.get(self.metas[which].info_hash)
        return None if torrent is None else torrent.state

    def finish(self, *which: int, seconds: float = NEVER_ENDS) -> None:
        """Run until these torrents are complete, and see that they are right."""

        def done() -> bool:
            return all(self.state(index) is TorrentState.SEEDING for index in which)

        expect(self.run(done, seconds=seconds), "not complete after {} s", seconds)
        for index in which:
            right = bytes(self.store[index].files[0] or b"") == self.payloads[index]
            expect(right, "torrent {} came with wrong bytes", index)

    def closes(self) -> list[CloseReason]:
        """Why links were closed, in order."""
        return [close.reason for close in self.actions(act.Close)]
