"""A swarm as a value: what a property test draws, prints when it fails, and builds."""

from __future__ import annotations

from functools import partial
from random import Random

import attrs

from .. import actions as act
from .faults import fail_sometimes
from .line import LinkProfile
from .peers import (
    AbsurdReqq,
    CancelIgnorer,
    Choker,
    Corrupter,
    Flapper,
    GarbageSender,
    Honest,
    Leaver,
    Liar,
    Peer,
    Rejecter,
    Silent,
    SlowHandshake,
    Trickle,
)
from .promises import chance, count, duration
from .swarm import SimulatedSwarm
from .torrent_world import TorrentWorld

BAD: tuple[type[Peer], ...] = (
    AbsurdReqq,
    CancelIgnorer,
    Choker,
    Corrupter,
    Flapper,
    GarbageSender,
    Leaver,
    Liar,
    Rejecter,
    Silent,
    SlowHandshake,
    Trickle,
)
"""One of each kind of peer that is in some way not honest."""


@attrs.frozen
class PeerPlan:
    """One scripted peer."""

    kind: type[Peer] = Honest
    link: LinkProfile = attrs.field(factory=LinkProfile)
    fast: bool = True
    """It speaks BEP 6."""
    dials: bool = False
    """It dials us; else we dial it."""
    after: float = 0.0
    """Seconds until it comes."""

    def __attrs_post_init__(self) -> None:
        duration("after", self.after)


@attrs.frozen
class SwarmPlan:
    """A swarm of ``torrents`` real machines, each connected to each, and each with an honest
    peer of its own; the first has the other ``peers`` besides.

    Raises ImpossibleParameter; sizes are in bytes, times in seconds.
    """

    total: int
    piece_length: int
    seed: int = 1
    torrents: int = 1
    link: LinkProfile = attrs.field(factory=LinkProfile)
    """Between the machines, and to the honest peers."""
    peers: tuple[PeerPlan, ...] = ()
    failures: float = 0.0
    """Chance that an action of a disk fails, until ``failing_for`` is over."""
    failing_for: float = 60.0
    hashing: float = 0.0
    """How long a hash takes."""
    writing: float = 0.0
    """How long a write takes."""
    eager: bool = False
    """The disk writes what it has hashed and found right, without being asked."""

    def __attrs_post_init__(self) -> None:
        count("torrents", self.torrents, least=1)
        chance("failures", self.failures)
        for name in ("failing_for", "hashing", "writing"):
            duration(name, getattr(self, name))

    def build(self, *, check_every: int = 1) -> SimulatedSwarm:
        """The swarm at its first moment."""
        swarm = SimulatedSwarm(
            self.total, self.piece_length, seed=self.seed, link=self.link, check_every=check_every
        )
        for _ in range(self.torrents):
            world = swarm.add_torrent()
            self._trouble(world, Random(swarm.random.getrandbits(64)))
            swarm.add_peer(Honest, world)
        swarm.connect_all()
        for plan in self.peers:
            swarm.clock.at(swarm.now + plan.after, partial(_add, swarm, plan))
        return swarm

    def _trouble(self, world: TorrentWorld, random: Random) -> None:
        disk = world.disk
        disk.delays = {act.HashPiece: self.hashing, act.WriteBlocks: self.writing}
        disk.eager = self.eager
        some = fail_sometimes(self.failures, random)
        end = world.now + self.failing_for
        disk.fault = lambda action: some(action) if world.now < end else None


def _add(swarm: SimulatedSwarm, plan: PeerPlan) -> None:
    swarm.add_peer(plan.kind, link=plan.link, dials=plan.dials, fast=plan.fast)
