"""Peers that have metadata, or say so, around one ``MetadataTransfer`` on virtual time."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from hashlib import sha1
from itertools import count

import attrs

from torrent_core.limits import METADATA_REQUESTS
from torrent_core.metadata.copies import Copy
from torrent_core.metadata.transfer import MetadataTransfer
from torrent_core.wire.metadata import MetadataData, piece_count, piece_size


def content(size: int, salt: bytes = b"") -> bytes:
    """Bytes that differ from piece to piece, and by ``salt``."""
    unit = b"".join(sha1(salt + bytes([number])).digest() for number in range(251))
    return (unit * (size // len(unit) + 1))[:size]


@attrs.define(eq=False)
class Peer:
    """Honest unless told otherwise; it answers after ``delay`` seconds."""

    size: int
    """What it claims."""
    data: bytes
    """What it sends, as far as that goes."""
    delay: float = 0.1
    silent: bool = False
    rejects: bool = False
    says_size: int | None = None
    """In its data messages, if not what it claims."""
    cut: int = 0
    """Bytes that are missing of each piece."""
    leaves_after: int | None = None
    """Requests after which it leaves."""
    honest: bool = False
    asked: list[int] = attrs.field(factory=list)
    asked_at: list[float] = attrs.field(factory=list)
    ordinal: int = 0


class Fair:
    """Plays the peers, and checks on the way what always holds."""

    def __init__(self, metadata: bytes) -> None:
        self.metadata = metadata
        self.transfer = MetadataTransfer(sha1(metadata).digest())
        self.now = 0.0
        self.peers: dict[int, Peer] = {}
        self.guilty: list[Peer] = []
        self.everybody: list[Peer] = []
        self.most_memory = 0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._ids = count(1)

    # --- Peers -----------------------------------------------------------------------------

    def honest(self, **options: object) -> Peer:
        return Peer(len(self.metadata), self.metadata, honest=True, **options)  # type: ignore[arg-type]

    def liar(self, size: int | None = None, salt: bytes = b"lie", **options: object) -> Peer:
        size = size or len(self.metadata)
        return Peer(size, content(size, salt), **options)  # type: ignore[arg-type]

    def join(self, peer: Peer) -> Peer:
        peer.ordinal = next(self._ids)
        self.peers[peer.ordinal] = peer
        self.everybody.append(peer)
        self.transfer.offer(peer.ordinal, peer.size, self.now)
        self.after()
        return peer

    def leave(self, peer: Peer) -> None:
        if self.peers.pop(peer.ordinal, None) is not None:
            self.transfer.lost(peer.ordinal, self.now)
            self.after()

    # --- Time ------------------------------------------------------------------------------

    def at(self, when: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (when, next(self._ids), what))

    @property
    def is_done(self) -> bool:
        return self.transfer.metadata is not None

    def run(self, seconds: float = 1e6, steps: int = 100_000) -> None:
        """Until the metadata is here, nothing is due, or the time is up."""
        end = self.now + seconds
        for _ in range(steps):
            if self.is_done:
                return
            due = self.transfer.next_deadline()
            first = self._queue[0][0] if self._queue else end
            when = min(first, due.when if due else end, end)
            if when >= end:
                self.now = max(self.now, end)
                return
            self.now = max(self.now, when)
            if self._queue and first <= when:
                heapq.heappop(self._queue)[2]()
            else:
                self.transfer.tick(self.now)
                after = self.transfer.next_deadline()
                assert after is None or after.when > self.now
            self.after()
        raise AssertionError(f"no end at {self.now}: {self.transfer.progress()}")

    def after(self) -> None:
        """Carry out what is wanted, and look at what always holds."""
        for ordinal in self.transfer.take_guilty():
            peer = self.peers.pop(ordinal)
            assert not peer.honest
            self.guilty.append(peer)
        for ordinal, piece in self.transfer.take_requests():
            self._ask(self.peers[ordinal], piece)
        copies: list[Copy] = list(self.transfer._copies.values())
        memory = sum(len(data) for copy in copies for data in copy.pieces.values())
        self.most_memory = max(self.most_memory, memory)
        for copy in copies:
            whole = set(range(piece_count(copy.size)))
            assert {*copy.pieces} | {*copy.asked} | {*copy.todo} == whole
            assert len(copy.pieces) + len(copy.asked) + len(copy.todo) == len(whole)
            holders = [piece for source in copy.members.values() for piece in source.out]
            for piece, asked in copy.asked.items():
                assert asked == holders.count(piece) > 0
            assert copy.members

    def _ask(self, peer: Peer, piece: int) -> None:
        assert 0 <= piece < piece_count(peer.size)
        peer.asked.append(piece)
        peer.asked_at.append(self.now)
        assert len(self.transfer._sources[peer.ordinal].out) <= METADATA_REQUESTS
        if peer.leaves_after is not None and len(peer.asked) > peer.leaves_after:
            self.at(self.now, lambda: self.leave(peer))
        elif not peer.silent:
            self.at(self.now + peer.delay, lambda: self._answer(peer, piece))

    def _answer(self, peer: Peer, piece: int) -> None:
        if peer.ordinal not in self.peers:
            return
        if peer.rejects:
            self.transfer.rejected(peer.ordinal, piece, self.now)
            return
        start = piece * 2**14
        data = peer.data[start : start + piece_size(peer.size, piece) - peer.cut]
        said = peer.size if peer.says_size is None else peer.says_size
        self.transfer.received(peer.ordinal, MetadataData(piece, said, data), self.now)
