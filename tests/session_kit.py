"""A ``world`` around a session of several torrents."""

from __future__ import annotations

from random import Random
from typing import Any

from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.pieces import ActivePieceConfig
from torrent_core.session import Session, SessionConfig
from torrent_core.torrent import TorrentConfig
from torrent_core.types import Address, CloseReason, TorrentState
from world import BLOCK, Disk, World, make_torrent
from world_swarm import OURS, P, listen


class Party(World):
    """A world around a session of several torrents."""

    def __init__(
        self, *sizes: int, config: SessionConfig | None = None, piece: int = 2 * BLOCK
    ) -> None:
        made = [make_torrent(size, piece, name=f"t{at}") for at, size in enumerate(sizes)]
        self.metas = [meta for meta, _ in made]
        self.payloads = [payload for _, payload in made]
        self.store = [Disk(meta) for meta in self.metas]
        self.session = Session(OURS, Random(1), config)
        super().__init__(self.session, *self.store)

    def add(self, *which: int, **options: Any) -> None:
        for index in which:
            self.feed(ev.AddTorrent(self.metas[index], **options))
        self.settle()

    def make(self, kind: type[P], which: int, **options: Any) -> P:
        return kind(self, self.store[which], self.payloads[which], **options)

    def join(self, kind: type[P], which: int, host: str = "192.0.2.9", **options: Any) -> P:
        peer = self.make(kind, which, **options)
        self.connect(peer, Address(host, 50_000 + len(self.lines)))
        self.run(seconds=3 * peer.latency)
        return peer

    def dialled(self, kind: type[P], which: int, port: int, **options: Any) -> P:
        peer = self.make(kind, which, **options)
        self.feed(ev.AddPeer(self.metas[which].info_hash, listen(self, peer, port)))
        return peer

    def state(self, which: int) -> TorrentState | None:
        torrent = self.session.torrents.get(self.metas[which].info_hash)
        return None if torrent is None else torrent.state

    def finish(self, *which: int, seconds: float = 600.0) -> None:
        def done() -> bool:
            return all(self.state(index) is TorrentState.SEEDING for index in which)

        assert self.run(done, seconds=seconds)
        for index in which:
            assert self.store[index].files[0] == self.payloads[index]

    def closes(self) -> list[CloseReason]:
        return [close.reason for close in self.actions(act.Close)]


def small_memory(blocks: int) -> SessionConfig:
    active = ActivePieceConfig(max_buffered_bytes=blocks * BLOCK)
    return SessionConfig(torrent=TorrentConfig(active=active))
