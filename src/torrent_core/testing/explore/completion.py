"""From here on nothing goes wrong any more: does the download complete, and how soon?

One more peer connects, which has everything, answers every request, and stays.  The storage
answers.  The peers that were there before stay as they are and say nothing: all that they
were asked has to be taken from them.
"""

from __future__ import annotations

from typing import NamedTuple

from .checks import check_state
from .errors import Violation
from .peers import Peer
from .steps import answer
from .world import World

LATENCY = 0.01
"""Seconds from a request to the honest peer's answer."""


class Bounds(NamedTuple):
    """What a completion may take."""

    steps: int = 500
    """Answers of the honest peer and of the storage, and calls at deadlines."""
    seconds: float = 120.0
    """Two rounds of the longest patience (30 s) and the longest pause of a refusal (60 s)
    would fit; hardly any state needs more than the first pause."""


class Ending(NamedTuple):
    """What a completion took."""

    steps: int
    seconds: float


def complete(world: World, bounds: Bounds) -> Ending:
    """Go on from here to the end.  Raises Violation if it does not come within ``bounds``."""
    began, steps = world.now, 0
    if not world.is_complete:
        honest = _join(world)
        while not world.is_complete:
            _go_on(world, honest)
            check_state(world)
            steps += 1
            if steps > bounds.steps or world.now - began > bounds.seconds:
                why = world.torrent.explain(world.now).text()
                raise Violation(f"not complete {steps} steps, {world.now - began:g} s on: {why}")
    return Ending(steps, world.now - began)


def _join(world: World) -> Peer:
    setting = world.setting
    honest = Peer(setting.links, True, setting.metainfo.info_hash)
    if world.is_overdue:
        world.tick()
    world.open(honest, setting.all_pieces)
    world.say(honest, honest.unchoke())
    return honest


def _go_on(world: World, honest: Peer) -> None:
    """The next thing that happens when all goes well."""
    if honest.link is None:
        raise Violation(f"the honest peer is sent away: {world.log[-2:]}")
    deadline = world.torrent.next_deadline()
    if world.disk.pending:
        world.feed(world.disk.answer(0))
    elif honest.asked and (deadline is None or deadline.when > world.now + LATENCY):
        world.now += LATENCY
        answer(world, honest, honest.take(newest=False))
    else:
        world.tick()
