"""Every run of a tiny torrent, to a given depth."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from torrent_core import accounts
from torrent_core.pieces import PiecePicker
from torrent_core.pieces.asking import Asking
from torrent_core.testing.explore import (
    Bounds,
    Choice,
    Explorer,
    Report,
    Setting,
    Violation,
    What,
    choices,
    take,
    world_after,
)
from torrent_core.testing.explore import World as World
from torrent_core.testing.explore.__main__ import main
from torrent_core.torrent import Torrent
from torrent_core.torrent.finishing import Finishing

OPEN_BOTH = (
    Choice(What.OPEN, 0),
    Choice(What.UNCHOKE, 0),
    Choice(What.OPEN, 1),
    Choice(What.UNCHOKE, 1),
)
"""Both peers may be asked, each works on a piece of its own."""

HALF_WAY = (
    *OPEN_BOTH,
    Choice(What.ANSWER, 0),
    Choice(What.ANSWER, 0),
    Choice(What.STORAGE, 0),
    Choice(What.STORAGE, 0),
)
"""One piece is written, the other is end-game."""

FAILED = (
    *OPEN_BOTH[:2],
    Choice(What.CORRUPT, 0),
    *OPEN_BOTH[2:],
)
"""A piece that will fail its hash, perhaps with two contributors."""

SILENT = (*OPEN_BOTH, Choice(What.TICK), Choice(What.TICK))
"""Both have said nothing for too long."""

BEGIN = ((), OPEN_BOTH, HALF_WAY, FAILED, SILENT)


def show(report: Report) -> None:
    print(report.text())


def test_every_short_run_keeps_every_promise() -> None:
    report = Explorer(depth=3, begin=BEGIN).run()
    show(report)
    assert report.states >= 1000
    assert report.full_depth == 3
    assert report.complete


@pytest.mark.long
def test_a_hundred_thousand_states_keep_every_promise() -> None:
    report = Explorer(depth=7, begin=BEGIN, limit=120_000).run()
    show(report)
    assert report.states >= 100_000
    assert report.full_depth >= 4
