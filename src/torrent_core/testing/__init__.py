"""Testing with virtual time: simulated swarms, scripted peers, and proof that nothing stalls."""

from __future__ import annotations

from .accounts import assert_accounted
from .clock import Clock
from .disk import Disk
from .line import Line, LinkProfile, PeerFace
from .payload import Payload, describe_torrent, make_torrent
from .peers import (
    AbsurdReqq,
    CancelIgnorer,
    Choker,
    Corrupter,
    Flapper,
    GarbageSender,
    Honest,
    Leaver,
    Leech,
    Liar,
    Peer,
    Rejecter,
    Silent,
    SlowHandshake,
    Trickle,
)
from .promises import ImpossibleParameter, PromiseBroken, Stalled
from .sparse import SparseDisk
from .swarm import SimulatedSwarm
from .timeline import Step
from .torrent_world import SessionWorld, TorrentWorld
from .world import World

__all__ = [
    "AbsurdReqq",
    "CancelIgnorer",
    "Choker",
    "Clock",
    "Corrupter",
    "Disk",
    "Flapper",
    "GarbageSender",
    "Honest",
    "ImpossibleParameter",
    "Leaver",
    "Leech",
    "Liar",
    "Line",
    "LinkProfile",
    "Payload",
    "Peer",
    "PeerFace",
    "PromiseBroken",
    "Rejecter",
    "SessionWorld",
    "Silent",
    "SimulatedSwarm",
    "SlowHandshake",
    "SparseDisk",
    "Stalled",
    "Step",
    "TorrentWorld",
    "Trickle",
    "World",
    "assert_accounted",
    "describe_torrent",
    "make_torrent",
]
