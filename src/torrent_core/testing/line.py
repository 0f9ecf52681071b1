"""One connection of a simulated machine, with all that a network does to it."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Protocol

import attrs

from .. import events as ev
from ..events import Event
from ..limits import MAX_REQUEST_LENGTH
from ..wire.messages import PIECE_HEADER
from .promises import bandwidth, chance, duration

_PART = PIECE_HEADER.size + MAX_REQUEST_LENGTH
"""Bytes that are sent at once where bandwidth is scarce: one PIECE."""


@attrs.frozen
class LinkProfile:
    """What a connection is like.  Directions are those of the machine whose link it is."""

    latency: float = attrs.field(default=0.01)
    """Seconds from one end to the other."""
    jitter: float = attrs.field(default=0.0)
    """Up to so many seconds more, drawn for each delivery; the order is kept."""
    down: float = attrs.field(default=math.inf)
    """Bytes a second towards the machine."""
    up: float = attrs.field(default=math.inf)
    """Bytes a second from the machine."""
    loss: float = attrs.field(default=0.0)
    """Chance that the connection is lost within any one second."""
    half_open: float = attrs.field(default=0.0)
    """Chance that a dial is never answered."""

    def __attrs_post_init__(self) -> None:
        duration("latency", self.latency)
        duration("jitter", self.jitter)
        bandwidth("down", self.down)
        bandwidth("up", self.up)
        chance("loss", self.loss)
        chance("half_open", self.half_open)

    def reversed(self) -> LinkProfile:
        """The same connection from its other end."""
        return attrs.evolve(self, down=self.up, up=self.down)

    def lifetime(self, random: Random) -> float:
        """Seconds until the connection is lost, drawn; infinite if it never is."""
        if not self.loss:
            return math.inf
        if self.loss == 1.0:
            return 0.0
        return math.log(1.0 - random.random()) / math.log(1.0 - self.loss)


class PeerFace(Protocol):
    """Whoever is at the other end of a link."""

    profile: LinkProfile

    def opened(self, link: Line) -> None:
        """The connection stands."""

    def received(self, data: bytes) -> None:
        """Bytes from the machine."""

    def closed(self) -> None:
        """The connection is gone."""


class Surroundings(Protocol):
    """What a line needs of the world that it is in."""

    random: Random

    @property
    def now(self) -> float: ...

    def at(self, when: float, what: Callable[[], object]) -> None: ...

    def feed(self, event: Event) -> object: ...


class Line:
    """One connection: what either end says arrives at the other after its latency, in order."""

    def __init__(self, world: Surroundings, name: str, peer: PeerFace) -> None:
        self.world = world
        self.name = name
        self.peer = peer
        self.open = True
        self.unsent = 0
        """Bytes of the machine that have not left."""
        self.stuck = False
        """Nothing leaves: ``Sent`` is not reported, and the peer gets nothing."""
        self.free_at = self._out_free_at = world.now
        self._arrived = self._out_arrived = world.now
        lifetime = peer.profile.lifetime(world.random)
        if lifetime < math.inf:
            world.at(world.now + lifetime, lambda: self.end("lost"))

    def _jitter(self) -> float:
        jitter = self.peer.profile.jitter
        return self.world.random.random() * jitter if jitter else 0.0

    # --- To the machine ------------------------------------------------------------------

    def send(self, data: bytes) -> float:
        """The peer sends; returns when the last byte has left it."""
        profile = self.peer.profile
        self.free_at = max(self.world.now, self.free_at) + len(data) / profile.down
        arrives = self.free_at + profile.latency + self._jitter()
        self._arrived = max(self._arrived, arrives)
        self.world.at(self._arrived, lambda: self.deliver(data))
        return self.free_at

    def deliver(self, data: bytes) -> None:
        """Bytes arrive at the machine, now."""
        if self.open:
            self.world.feed(ev.BytesReceived(self.name, data))

    def close(self, detail: str = "") -> None:
        """The peer closes."""
        self.world.at(self.world.now + self.peer.profile.latency, lambda: self.end(detail))

    def end(self, detail: str = "") -> None:
        """The connection is gone, whoever ended it; the peer learns it after all it was sent."""
        if self.open:
            self.open = False
            last = max(self.world.now + self.peer.profile.latency, self._out_arrived)
            self.world.at(last, self.peer.closed)
            self.world.feed(ev.LinkClosed(self.name, detail))

    # --- From the machine ----------------------------------------------------------------

    def carry(self, data: bytes) -> None:
        """The machine sends: all at once, or block by block where bandwidth is scarce."""
        self.unsent += len(data)
        if self.peer.profile.up == math.inf:
            self._carry_part(data)
            return
        for start in range(0, len(data), _PART):
            self._carry_part(data[start : start + _PART])

    def _carry_part(self, data: bytes) -> None:
        profile, world = self.peer.profile, self.world
        self._out_free_at = max(world.now, self._out_free_at) + len(data) / profile.up
        arrives = self._out_free_at + profile.latency + self._jitter()
        self._out_arrived = max(self._out_arrived, arrives)
        world.at(self._out_free_at, lambda: self._left(len(data)))
        world.at(self._out_arrived, lambda: self._arrive(data))

    def _left(self, count: int) -> None:
        """These bytes have left the machine, and all that waited to be told of with them."""
        count = self.unsent if self.peer.profile.up == math.inf else min(count, self.unsent)
        if self.open and count and not self.stuck:
            self.unsent -= count
            self.world.feed(ev.Sent(self.name, count))

    def flush(self) -> None:
        """Report all that is unsent as sent."""
        self._left(self.unsent)

    def _arrive(self, data: bytes) -> None:
        if not self.stuck:
            self.peer.received(data)
