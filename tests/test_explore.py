"""Every run of a tiny torrent, to a given depth."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import torrent_core
from torrent_core.testing.explore import (
    Choice,
    Explorer,
    Setting,
    Violation,
    What,
    World,
    choices,
    explorer,
    world_after,
)
from torrent_core.testing.explore import Path as Run
from torrent_core.testing.explore.command import main
from torrent_core.testing.explore.projection import Projection, Projector

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

NEARLY = (*HALF_WAY, Choice(What.ANSWER, 0), Choice(What.ANSWER, 0))
"""All that is missing waits for its hash."""

BEGIN = ((), OPEN_BOTH, HALF_WAY, FAILED, SILENT)


TINY = Setting(links=1, pieces=1, blocks=1)


@pytest.mark.uncovered
@pytest.mark.parametrize(
    "begin", [*BEGIN, NEARLY], ids=["start", "both", "half way", "failed", "silent", "nearly"]
)
def test_every_short_run_keeps_every_promise(begin: Run) -> None:
    report = Explorer(depth=5, begin=[begin], limit=300).run()
    print(report.text())
    assert report.states == 300
    assert report.full_depth >= 2
    assert bool(report.complete) is (begin == NEARLY)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_a_hundred_thousand_states_keep_every_promise() -> None:
    report = Explorer(depth=7, begin=BEGIN, limit=105_000).run()
    print(report.text())
    assert report.states == 105_000
    assert report.full_depth >= 4
    assert report.complete


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_pieces_too_long_for_memory_keep_every_promise() -> None:
    """Each block is a segment of its own, and the budget holds half of what is wanted."""
    written = (*OPEN_BOTH, Choice(What.ANSWER, 0), Choice(What.STORAGE, 0))
    setting = Setting(blocks=4, memory=1)
    report = Explorer(setting, depth=5, begin=[(), OPEN_BOTH, written], limit=6000).run()
    print(report.text())
    assert report.states == 6000
    assert report.full_depth >= 3


@pytest.mark.uncovered
@pytest.mark.parametrize(
    "setting",
    [
        Setting(links=3, fast=(False,), pieces=1, reconnects=0),
        Setting(pieces=3, blocks=1, memory=1, failures=2),
        Setting(pieces=2, blocks=4, memory=1, reconnects=0),
        Setting(fast=(True,), piecemeal=False, corruptions=2, waits=(0.3, 3600.0)),
        TINY,
    ],
)
def test_other_settings_keep_every_promise_too(setting: Setting) -> None:
    report = Explorer(setting, depth=5, limit=300).run()
    assert report.states >= 40
    assert report.continuations <= report.states <= report.steps


def test_a_download_that_is_complete_is_seen() -> None:
    answers = (Choice(What.ANSWER, 0), Choice(What.STORAGE, 0))
    report = Explorer(TINY, depth=1, begin=[(*OPEN_BOTH[:2], *answers)]).run()
    assert report.complete
    assert report.longest.steps > 0


def test_the_walk_ends_at_its_limit() -> None:
    explorer = Explorer(depth=9, limit=30)
    report = explorer.run()
    assert explorer.run() == report
    assert report.states == 30
    assert report.full_depth == 1
    assert report.levels[:2] == (1, 6)
    assert "30 states" in report.text()
    assert Explorer(depth=0).run().levels == (1,)


@pytest.mark.uncovered
def test_equal_states_offer_the_same_choices_and_lead_to_equal_states() -> None:
    """The projection is enough: of each two runs it takes for one, all that follows is equal."""
    projector, setting = Projector(), Setting()
    first: dict[Projection, Run] = {}
    runs: list[Run] = [()]
    pairs = 0
    while runs:
        run = runs.pop(0)
        world = world_after(setting, run)
        state, then = projector.project(world), choices(world)
        known = first.setdefault(state, run)
        if known is run:
            runs += [(*run, choice) for choice in then] if len(run) < 3 else []
            continue
        pairs += 1
        assert choices(world_after(setting, known)) == then
        for choice in then:
            one, other = ((*path, choice) for path in (run, known))
            assert projector.project(world_after(setting, one)) == projector.project(
                world_after(setting, other)
            )
    assert pairs > 50


def test_the_count_does_not_depend_on_what_python_hashes_to() -> None:
    source = Path(torrent_core.__file__).parents[1]
    command = [sys.executable, "-m", "torrent_core.testing.explore", "--depth", "2"]
    prints = set()
    for seed in ("1", "4242"):
        environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": str(source)}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, timeout=100
        )
        prints.add(done.stdout)
    assert len(prints) == 1


# --- The command ---------------------------------------------------------------------------


def test_the_package_is_a_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["explore", "--depth", "0"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("torrent_core.testing.explore", run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("1 states, 1 steps")


def test_the_command_prints_what_was_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--depth", "1", "--links", "1", "--fast", "0", "--no-piecemeal"]) == 0
    assert capsys.readouterr().out.startswith("4 states, 4 steps, every run of 1 steps\n")


def test_the_command_refuses_what_cannot_be(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--links", "0"]) == 2
    assert "'links' is 1 to 8, not 0" in capsys.readouterr().out


def test_the_command_prints_the_run_that_goes_wrong(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def suspicious(world: World) -> None:
        if world.peers[0].asked:
            raise Violation("peer 0 is asked")

    monkeypatch.setattr(explorer, "check_state", suspicious)
    assert main(["--depth", "2"]) == 1
    out = capsys.readouterr().out
    assert out.startswith(
        "Violation: peer 0 is asked\n"
        "after\n"
        "   1. peer 0 connects, and has every piece\n"
        "   2. peer 0 unchokes us\n"
        "in Setting(links=2,"
    )


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"pieces": 0}, "pieces"),
        ({"blocks": 100}, "blocks"),
        ({"corruptions": -1}, "corruptions"),
        ({"memory": 0}, "memory"),
        ({"fast": ()}, "fast"),
        ({"waits": (1.0, 0.0)}, "waits"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_by_name(
    wrong: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValueError, match=f"'{named}'"):
        Setting(**wrong)


@pytest.mark.parametrize("wrong", [{"depth": -1}, {"limit": 0}, {"begin": ()}])
def test_a_walk_that_makes_no_sense_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"'{next(iter(wrong))}'"):
        Explorer(**{"depth": 1, **wrong})
