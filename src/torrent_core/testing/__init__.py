"""Testing with virtual time: simulated swarms, scripted peers, and proof that nothing stalls.

    swarm = SimulatedSwarm(4 * 2**20, seed=7)
    leecher = swarm.add_torrent()
    swarm.add_peer(Honest, rate=100_000)
    swarm.add_peer(Silent)
    swarm.finish()                       # seconds of virtual time; raises PromiseBroken

From the smallest to the largest: ``Clock`` is the time; ``World`` plays network and disk for
one machine, ``TorrentWorld`` for one torrent, ``SessionWorld`` for a session;
``SimulatedSwarm`` has many of them and lets them exchange.  ``assert_accounted`` is what each
of them asserts after every event, and may be called on any machine.

Everything here is deterministic: equal arguments make equal runs.  It needs nothing but the
package itself, except for two modules that need hypothesis and are not imported from here:
``torrent_core.testing.strategies`` and ``torrent_core.testing.stall_machine``.
"""

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
    Cue,
    Flapper,
    GarbageSender,
    Honest,
    Leaver,
    Leech,
    Liar,
    Peer,
    Rejecter,
    Scripted,
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
    "Cue",
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
    "Scripted",
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
