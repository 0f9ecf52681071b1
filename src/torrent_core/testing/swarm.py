"""Many real machines and scripted peers on one clock, deterministic by seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from random import Random
from typing import Any, TypeVar

import attrs

from .. import events as ev
from ..types import Address
from .clock import Clock
from .line import Line, LinkProfile
from .payload import BLOCK, Payload, describe_torrent
from .peers import Peer
from .promises import ImpossibleParameter, PromiseBroken, expect
from .sparse import SparseDisk
from .torrent_world import NEVER_ENDS, TorrentWorld

P = TypeVar("P", bound=Peer)

KEEP_STEPS = 100
"""Steps kept of each machine unless told otherwise: each may hold a block."""

MANY_STEPS = 50_000_000
"""Steps of one run, all machines together, unless told otherwise."""

_PORT = 6881
_FIRST_EPHEMERAL = 50_000
_HOSTS = 2**16


class _Bridge:
    """One machine as another one sees it: what is said on a line arrives on the other's."""

    def __init__(self, profile: LinkProfile, connect: Callable[[Line], Line] | None = None) -> None:
        """``connect`` opens the far end of a line; without it, it is open."""
        self.profile = profile
        self.far: Line
        self._connect = connect

    def opened(self, line: Line) -> None:
        """The line to the other machine stands: it learns of it."""
        if self._connect is not None:
            self.far = self._connect(line)

    def received(self, data: bytes) -> None:
        """Bytes for the other machine."""
        self.far.deliver(data)

    def closed(self) -> None:
        """It learns of that, too."""
        self.far.end()


class SimulatedSwarm:
    """Real ``Torrent`` machines exchanging with each other and with scripted peers.

    All of them are after the same torrent of ``total`` bytes.  Every event of every machine
    goes through ``assert_accounted`` (``check_every`` as in ``World``).  Whatever is raised
    out of a run bears the timeline of the last steps.  Equal arguments and calls make equal
    runs.  Raises ImpossibleParameter, which names the parameter, for what cannot be.
    """

    def __init__(
        self,
        total: int = 64 * BLOCK,
        piece_length: int = 4 * BLOCK,
        *,
        files: Sequence[int] | None = None,
        seed: int = 1,
        link: LinkProfile | None = None,
        check_every: int = 1,
        keep_steps: int | None = KEEP_STEPS,
        start: float = 0.0,
    ) -> None:
        """``link`` is what connections are like unless told otherwise."""
        self.payload = Payload(total)
        self.meta = describe_torrent(self.payload, piece_length, files=files)
        self.clock = Clock(start)
        self.link = link or LinkProfile()
        self.random = Random(seed)
        self.torrents: list[TorrentWorld] = []
        """The real machines with what surrounds each."""
        self.peers: list[Peer] = []
        """The scripted ones."""
        self._addresses: dict[str, Address] = {}
        self._check_every = check_every
        self._keep_steps = keep_steps

    # --- Who is there --------------------------------------------------------------------

    def add_torrent(self, *, full: bool = False, **options: Any) -> TorrentWorld:
        """A real machine, started; ``full`` is a seed.

        ``options`` are those of ``TorrentWorld``: a ``config``, ``priorities``, how to
        ``build`` one of your own making, whether to ``record`` it.
        """
        number = len(self.torrents)
        name = f"torrent {number}"
        self._addresses[name] = Address(_host("10.1", number), _PORT)
        chosen = {
            "check_every": self._check_every,
            "keep_steps": self._keep_steps,
            "peer_id": b"-TC0000-%012d" % number,
            "seed": self.random.getrandbits(64),
            "disk": SparseDisk(self.meta, self.payload),
            **options,
        }
        world = TorrentWorld(
            made=(self.meta, self.payload), full=full, name=name, clock=self.clock, **chosen
        )
        self.torrents.append(world)
        return world

    def connect(
        self, one: TorrentWorld, other: TorrentWorld, link: LinkProfile | None = None
    ) -> None:
        """``one`` is told to dial ``other``, and to keep at it; directions are those of ``one``."""
        one.feed(ev.AddPeer(one.name, self.open_way(one, other, link)))

    def open_way(
        self, one: TorrentWorld, other: TorrentWorld, link: LinkProfile | None = None
    ) -> Address:
        """``one`` can dial ``other`` should it learn of it; returns where that listens."""
        if one is other:
            raise ImpossibleParameter("other", other.title, "another machine")
        profile = link or self.link

        def accept(line: Line) -> Line:
            back = _Bridge(attrs.evolve(profile.reversed(), loss=0.0))
            back.far = line
            host = self._addresses[one.title].host
            return other.connect(back, Address(host, _FIRST_EPHEMERAL + next(self.clock.ids)))

        address = self._addresses[other.title]
        one.listeners[address] = lambda: _Bridge(profile, accept)
        return address

    def connect_all(self, link: LinkProfile | None = None) -> None:
        """Each machine is told to dial each that was added after it."""
        for one, other in combinations(self.torrents, 2):
            self.connect(one, other, link)

    def add_peer(
        self,
        kind: type[P],
        to: TorrentWorld | None = None,
        *,
        link: LinkProfile | None = None,
        dials: bool = False,
        **options: Any,
    ) -> P:
        """A scripted peer for one machine, the first unless told otherwise.

        The machine is told to dial it, or it ``dials``.  ``options`` are those of its kind.
        """
        world = to or self._first()
        peer = world.make(kind, **{"profile": link or self.link, **options})
        address = Address(_host("10.2", len(self.peers)), _PORT)
        self.peers.append(peer)
        if dials:
            world.connect(peer, address)
        else:
            world.listeners[address] = lambda: peer
            world.feed(ev.AddPeer(world.name, address))
        return peer

    def _first(self) -> TorrentWorld:
        if not self.torrents:
            raise ImpossibleParameter("to", None, "a machine of this swarm, which has none")
        return self.torrents[0]

    # --- Time ----------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Seconds."""
        return self.clock.now

    def run(
        self,
        until: Callable[[], bool] = lambda: False,
        *,
        seconds: float = math.inf,
        steps: int = MANY_STEPS,
    ) -> bool:
        """``Clock.run``."""
        return self.clock.run(until, seconds=seconds, steps=steps)

    def finish(
        self,
        seconds: float = NEVER_ENDS,
        *,
        torrents: Iterable[TorrentWorld] | None = None,
        steps: int = MANY_STEPS,
    ) -> float:
        """Run until all of these (None: all) are complete, and see that what came is right.

        Returns the time.  Raises PromiseBroken if that takes more than ``seconds``.
        """
        awaited = list(self.torrents if torrents is None else torrents)
        left = list(awaited)

        def done() -> bool:
            while left and left[-1].is_complete:
                left.pop()
            return not left

        complete = self.run(done, seconds=seconds, steps=steps)
        try:
            late = [] if complete else [world.why_not() for world in left]
            expect(complete, "not complete after {} s: {}", seconds, late)
            for world in awaited:
                world.check_files()
        except PromiseBroken as error:
            self.clock.tell(error)
            raise
        return self.now

    def timeline(self, last: int = 40) -> str:
        """The last steps of all machines, one a line, for people to read."""
        return self.clock.timeline(last)


def _host(net: str, number: int) -> str:
    if number >= _HOSTS:
        raise ImpossibleParameter("number", number, f"below {_HOSTS}")
    return f"{net}.{number >> 8}.{number & 0xFF}"
