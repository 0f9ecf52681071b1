"""Runs that the explorer found, each of which once broke a promise."""

from __future__ import annotations

import pytest

from torrent_core.actions import PieceFailed
from torrent_core.limits import ENDGAME_PATIENCE, LATENESS_UNKNOWN, REQUEST_TIMEOUT
from torrent_core.pieces import RequestScheduler
from torrent_core.testing.explore import (
    Bounds,
    Choice,
    Setting,
    What,
    World,
    complete,
    world_after,
)

SILENT_PAROLE = (
    Choice(What.OPEN, 0),
    Choice(What.UNCHOKE, 0),
    Choice(What.CORRUPT, 0),
    Choice(What.OPEN, 1),
    Choice(What.UNCHOKE, 1),
)


def silent(links: int) -> World:
    others = [Choice(what, peer) for peer in range(2, links) for what in (What.OPEN, What.UNCHOKE)]
    return world_after(Setting(links=links), (*SILENT_PAROLE, *others))


@pytest.mark.parametrize("links", [2, 6])
def test_a_piece_that_failed_does_not_go_round_among_silent_peers(
    monkeypatch: pytest.MonkeyPatch, links: int
) -> None:
    """Each of them is tried once at most, for ten seconds; then who answers has his turn.

    So it is even if nobody takes a reserved piece over.
    """
    monkeypatch.setattr(RequestScheduler, "challenge", lambda self, taker, now: None)
    world = silent(links)
    ending = complete(world, Bounds(steps=200, seconds=10.0 * links + 5.0))
    assert world.is_complete
    assert ending.seconds > 10.0


def test_a_piece_that_failed_is_taken_over_from_a_silent_peer() -> None:
    world = silent(2)
    assert complete(world, Bounds(steps=200, seconds=1.0)).seconds > 0.5
    failed = [action for step in world.log for action in step if isinstance(action, PieceFailed)]
    assert [len(action.contributors) for action in failed] == [2]


def test_who_was_slow_once_keeps_a_reserved_piece_for_the_longest_patience_at_most() -> None:
    """Its blocks came late, after a pause too short to be known for a sleep; then came a spoiled
    one, and silence.  The others look for work twice a second meanwhile."""
    slow = (
        Choice(What.OPEN, 0),
        Choice(What.UNCHOKE, 0),
        Choice(What.OPEN, 1),
        Choice(What.UNCHOKE, 1),
        Choice(What.WAIT, 0),
        Choice(What.ANSWER, 0),
        Choice(What.ANSWER, 0),
        Choice(What.CORRUPT, 0),
    )
    setting = Setting(waits=(12.0,))
    ending = complete(world_after(setting, slow), Bounds.of(setting))
    assert REQUEST_TIMEOUT < ending.seconds < REQUEST_TIMEOUT + 1.0
    assert ending.steps > REQUEST_TIMEOUT / ENDGAME_PATIENCE


def test_a_sleep_does_not_make_its_holder_keep_a_reserved_piece_for_longer() -> None:
    """The same after a pause that is known for one: it is as if there had been none."""
    holder = (*SILENT_PAROLE[:2], *SILENT_PAROLE[3:], Choice(What.WAIT, 0))
    sent = (Choice(What.ANSWER, 0), Choice(What.ANSWER, 0), Choice(What.CORRUPT, 0))
    setting = Setting()
    ending = complete(world_after(setting, (*holder, *sent)), Bounds.of(setting))
    assert ending.seconds < LATENESS_UNKNOWN + 1.0
