"""From here on nothing goes wrong any more: does the download complete, and how soon?

One more peer connects, which has everything, answers every request, and stays.  The storage
answers.  The peers that were there before stay as they are and say nothing: all that they
were asked has to be taken from them.
"""

from __future__ import annotations

from typing import NamedTuple

from ...limits import ENDGAME_PATIENCE, REQUEST_TIMEOUT, STORAGE_RETRY
from .checks import check_state
from .errors import Violation
from .peers import Peer
from .setting import Setting
from .steps import answer
from .world import World

LATENCY = 0.01
"""Seconds from a request to the honest peer's answer."""


class Bounds(NamedTuple):
    """What a completion may take."""

    steps: int
    """Answers of the honest peer and of the storage, and calls at deadlines."""
    seconds: float

    @classmethod
    def of(cls, setting: Setting) -> Bounds:
        """What it may take at most in ``setting``.

        Each silent peer in turn may have a piece to itself for the longest patience there is,
        and the storage is tried again after a failure.  While a link waits for work, it is
        looked at every ENDGAME_PATIENCE; each block and each piece takes a few answers.
        """
        seconds = setting.links * REQUEST_TIMEOUT + 2 * STORAGE_RETRY
        looks = int(seconds / ENDGAME_PATIENCE)
        return cls(looks + 20 * setting.links + 8 * setting.pieces * setting.blocks, seconds)


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
