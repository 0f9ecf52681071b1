"""Runs that the explorer found, each of which once broke a promise."""

from __future__ import annotations

import pytest

from torrent_core.testing.explore import Bounds, Choice, Setting, What, complete, world_after

SILENT_PAROLE = (
    Choice(What.OPEN, 0),
    Choice(What.UNCHOKE, 0),
    Choice(What.CORRUPT, 0),
    Choice(What.OPEN, 1),
    Choice(What.UNCHOKE, 1),
)


@pytest.mark.parametrize("links", [2, 6])
def test_a_piece_that_failed_does_not_go_round_among_silent_peers(links: int) -> None:
    """Each of them is tried once, for ten seconds; then the peer that answers has its turn."""
    others = [Choice(what, peer) for peer in range(2, links) for what in (What.OPEN, What.UNCHOKE)]
    world = world_after(Setting(links=links), (*SILENT_PAROLE, *others))
    ending = complete(world, Bounds(steps=200, seconds=10.0 * links + 5.0))
    assert world.is_complete
    assert ending.seconds > 10.0
