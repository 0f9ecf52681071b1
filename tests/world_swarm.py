"""A ``world`` around one torrent, and what the scenarios do with it again and again."""

from __future__ import annotations

from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.pieces.pace import pipeline_depth
from torrent_core.storage import decode_resume
from torrent_core.testing import Disk, Peer
from torrent_core.testing import TorrentWorld as Swarm
from torrent_core.testing.faults import fail_first as failing
from torrent_core.testing.speech import requested, sent
from torrent_core.testing.torrent_world import OURS, P, listen
from torrent_core.types import TorrentState

__all__ = [
    "FIRST",
    "OURS",
    "P",
    "Swarm",
    "answer",
    "failing",
    "listen",
    "of",
    "requested",
    "saved",
    "sent",
    "stop",
    "to_fraction",
    "unchoked",
]

FIRST = pipeline_depth(0.0)
"""Requests out on a link whose rate is not known."""


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
