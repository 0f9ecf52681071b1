"""A ``world`` around one torrent, and what the scenarios do with it again and again."""

from __future__ import annotations

from random import Random
from typing import Any, TypeVar

from peer_kit import parse
from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.actions import Action
from torrent_core.pieces.pace import pipeline_depth
from torrent_core.storage import decode_resume
from torrent_core.torrent import Budgets, Torrent, TorrentConfig
from torrent_core.types import Address, BlockInfo, StorageFault, TorrentState
from torrent_core.wire import messages as wire
from world import BLOCK, Disk, World, make_torrent
from world_peers import Peer

OURS = b"-TC0000-ourselves..."

A = TypeVar("A")
P = TypeVar("P", bound=Peer)

FIRST = pipeline_depth(0.0)
"""Requests out on a link whose rate is not known."""


def listen(world: World, peer: Peer, port: int) -> Address:
    """Let the machine reach ``peer`` by dialling; returns where."""
    address = Address("192.0.2.1", port)
    world.listeners[address] = lambda: peer
    return address


class Swarm(World):
    """A world around one torrent, started unless told otherwise."""

    def __init__(
        self,
        total: int = 8 * BLOCK,
        piece_length: int = 2 * BLOCK,
        *,
        files: list[int] | None = None,
        priorities: tuple[int, ...] | None = None,
        config: TorrentConfig | None = None,
        budgets: Budgets | None = None,
        disk: Disk | None = None,
        resume: bytes | None = None,
        full: bool = False,
        start: bool = True,
        now: float = 0.0,
        seed: int = 1,
    ) -> None:
        """``disk`` is an earlier run's; ``full`` puts the payload on it before the start."""
        self.meta, self.payload = make_torrent(total, piece_length, files=files)
        self.disk = disk or Disk(self.meta)
        if full:
            self.disk.fill(self.payload)
        self.torrent = Torrent(
            self.meta,
            peer_id=OURS,
            random=Random(seed),
            config=config,
            budgets=budgets,
            priorities=priorities,
        )
        super().__init__(self.torrent, self.disk, start=now)
        if start:
            self.start(resume)

    @property
    def name(self) -> bytes:
        """The torrent's info-hash."""
        return self.meta.info_hash

    def start(self, resume: bytes | None = None) -> None:
        """Start, and let the check end unless the disk takes its time."""
        self.feed(ev.StartTorrent(self.name, resume))
        self.settle()

    def join(self, kind: type[P] = Peer, *, port: int | None = None, **options: Any) -> P:
        """A peer of that kind dials us, and all that is instant happens."""
        peer = self.make(kind, **options)
        self.connect(peer, None if port is None else Address("192.0.2.1", port))
        self.run(seconds=3 * peer.latency)
        return peer

    def make(self, kind: type[P] = Peer, **options: Any) -> P:
        """A peer that is not connected yet."""
        return kind(self, self.disk, self.payload, **options)

    def dialled(self, kind: type[P] = Peer, port: int = 1, **options: Any) -> P:
        """A peer that we are told to dial."""
        peer = self.make(kind, **options)
        self.feed(ev.AddPeer(self.name, listen(self, peer, port)))
        return peer

    def finish(self, seconds: float = 3600.0) -> None:
        """Run until all that is wanted is here, and right."""
        assert self.run(lambda: self.torrent.state is TorrentState.SEEDING, seconds=seconds)
        assert self.torrent.status(self.now).wanted_left == 0
        for index in range(self.meta.piece_count):
            if self.torrent.verified >> index & 1:
                assert self.disk.holds(index)


# --- Looking at actions ------------------------------------------------------------------------


def sent(actions: list[act.Action], link: str) -> list[wire.Message]:
    """What these actions tell one link."""
    data = b"".join(a.data for a in actions if isinstance(a, act.Send) and a.link == link)
    return list(parse(data))


def requested(actions: list[act.Action], link: str) -> set[BlockInfo]:
    """The blocks that these actions ask of one link."""
    return {
        BlockInfo(m.index, m.begin, m.length)
        for m in sent(actions, link)
        if isinstance(m, wire.Request)
    }


def of(actions: list[act.Action], kind: type) -> list:
    return [action for action in actions if isinstance(action, kind)]


def unchoked(swarm: Swarm, kind: type[Peer] = Peer, **options: object) -> Peer:
    """A peer that unchokes us and answers nothing by itself."""
    peer = swarm.join(kind, **options)
    peer.unchoke()
    swarm.run(seconds=3 * peer.latency)
    return peer


def answer(swarm: Swarm, peer: Peer, count: int = 1000) -> None:
    """The peer answers its oldest requests."""
    for block in list(peer.asked)[:count]:
        peer.give(block)
    swarm.run(seconds=3 * peer.latency)


# --- Storage ------------------------------------------------------------------------


def failing(kind: type, times: int, fault: StorageFault = StorageFault.OTHER):
    """A disk's ``fault`` that lets the first ``times`` actions of one kind fail."""
    left = times

    def fault_of(action: Action) -> StorageFault | None:
        nonlocal left
        if not isinstance(action, kind) or not left:
            return None
        left -= 1
        return fault

    return fault_of


def stop(swarm: Swarm) -> None:
    """Stop, and wait for the end of it."""
    swarm.feed(ev.StopTorrent(swarm.name))
    assert swarm.run(lambda: swarm.torrent.state is TorrentState.STOPPED, seconds=600)


def saved(disk: Disk) -> int:
    """The set of pieces that the resume data on the disk claims."""
    assert disk.resume is not None
    meta = disk.metainfo
    return decode_resume(disk.resume, meta.info_hash, meta.geometry, len(meta.files)).verified


def to_fraction(swarm: Swarm, pieces: int) -> None:
    """Run until so many pieces are ours."""
    assert swarm.run(lambda: swarm.torrent.verified.bit_count() >= pieces, seconds=600)
