"""``StallMachine`` finds what stalls, tells how, and keeps it as a trace that replays."""

from __future__ import annotations

import runpy
import signal
import sys
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.actions import Action
from torrent_core.deadlines import Deadline
from torrent_core.pieces.scheduler import RequestScheduler
from torrent_core.testing import PromiseBroken, Stalled, stall_run
from torrent_core.testing.stall_machine import StallMachine
from torrent_core.testing.world import World
from torrent_core.torrent import Torrent
from torrent_core.trace import TorrentSetup, replay
from torrent_core.types import CloseReason, RandomSource
from transports.cli import main as command

pytestmark = pytest.mark.timeout(method="thread")
"""The command has the process's alarm for itself."""

QUICK = settings(
    max_examples=150,
    stateful_step_count=30,
    deadline=None,
    database=None,
    derandomize=True,
    report_multiple_bugs=False,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
SHRINKING = settings(QUICK, phases=[Phase.generate, Phase.shrink], stateful_step_count=10)


class Sleepy(Torrent):
    """It never says when it is to be woken."""

    def next_deadline(self) -> Deadline | None:
        return None


class SleepyMachine(StallMachine):
    def make_torrent(self, setup: TorrentSetup, random: RandomSource) -> Torrent:
        return Sleepy(setup.metainfo, peer_id=setup.peer_id, random=random, config=setup.config)


class NarrowMachine(StallMachine):
    files = (5, 3 * 16384)
    memories = (1,)

    ends = 0

    def completed(self) -> None:
        type(self).ends += 1
        assert replay(self.save_trace()).is_equal


def test_a_machine_that_sleeps_too_long_is_found_and_kept_as_a_trace(tmp_path: Path) -> None:
    kept = tmp_path / "failing.trace"

    class Kept(SleepyMachine):
        trace_file = str(kept)

    with pytest.raises(Stalled, match="there is no deadline") as stalled:
        run_state_machine_as_test(Kept, settings=SHRINKING)
    notes = "\n".join(stalled.value.__notes__)
    rules = [line for line in notes.splitlines() if line.startswith("state")]
    assert rules == ["state = Kept()", "state.begin(memory=0, seed=0)", "state.teardown()"]
    assert "The last steps:" in notes
    report = replay(kept.read_bytes())
    assert report.is_equal  # what it did not say was no action
    assert report.links == 1


def test_what_the_kit_keeps_the_command_replays(tmp_path: Path) -> None:
    kept = tmp_path / "failing.trace"

    class Kept(SleepyMachine):
        trace_file = str(kept)

    with pytest.raises(Stalled):
        run_state_machine_as_test(Kept, settings=QUICK)
    assert command(["replay", str(kept)]) == 0


def test_requests_of_a_departed_peer_that_are_not_cleared_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The plan's own stall."""
    forget = RequestScheduler.remove_link

    def remove_link(self: RequestScheduler, requests: Any) -> Any:
        out = list(requests.out.values())
        released = forget(self, requests)
        for info in out:
            info.piece.requests.setdefault(info.block, []).append(info)
        return released

    monkeypatch.setattr(RequestScheduler, "remove_link", remove_link)
    with pytest.raises((Stalled, PromiseBroken, KeyError)):
        run_state_machine_as_test(StallMachine, settings=QUICK)


def test_a_download_that_does_not_complete_is_found() -> None:
    class Hopeless(StallMachine):
        ends_within = 0.01

    with pytest.raises(PromiseBroken, match="not complete after"):
        run_state_machine_as_test(Hopeless, settings=QUICK)


@pytest.mark.uncovered
def test_files_memories_and_an_eye_of_ones_own() -> None:
    run_state_machine_as_test(NarrowMachine, settings=settings(QUICK, max_examples=40))
    assert NarrowMachine.ends > 10


def test_a_machine_that_was_never_begun_has_nothing_to_complete() -> None:
    StallMachine().teardown()


class Rude(Torrent):
    """It says of everybody whom it sends away that he is banned."""

    def handle(self, event: ev.Event, now: float) -> list[Action]:
        return [_banned(action) for action in super().handle(event, now)]


def _banned(action: Action) -> Action:
    is_close = isinstance(action, act.Close)
    return act.Close(action.link, CloseReason.BANNED) if is_close else action


def test_an_honest_seed_that_is_sent_away_is_noticed() -> None:
    class RudeMachine(StallMachine):
        def make_torrent(self, setup: TorrentSetup, random: RandomSource) -> Torrent:
            return Rude(setup.metainfo, peer_id=setup.peer_id, random=random)

    with pytest.raises(PromiseBroken, match="the honest seed was closed, since it is banned"):
        run_state_machine_as_test(RudeMachine, settings=QUICK)


# --- The command -----------------------------------------------------------------------------


def test_the_command_counts_what_it_ran(capsys: pytest.CaptureFixture[str]) -> None:
    assert stall_run.main(["--examples", "5", "--steps", "10", "--seed", "3"]) == 0
    first = capsys.readouterr().out
    assert first.startswith("no failure: ")
    assert " examples, " in first
    stall_run.main(["--examples", "5", "--steps", "10", "--seed", "3"])
    assert capsys.readouterr().out.rsplit(" in ", 1)[0] == first.rsplit(" in ", 1)[0]


def test_the_command_runs_as_many_as_were_asked_for_batch_by_batch(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stall_run, "BATCH", 4)
    assert stall_run.main(["--examples", "10", "--steps", "5", "--seed", "3"]) == 0
    shown = capsys.readouterr()
    counts = [int(line.split(" ", 1)[0]) for line in shown.err.splitlines()]
    assert len(counts) == 3
    assert counts == sorted(counts)
    assert counts[-1] >= 10
    assert shown.out.startswith(f"no failure: {counts[-1]} examples, ")


def test_the_command_fails_with_the_smallest_example(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    kept = tmp_path / "failing.trace"
    machine = f"{__name__}:SleepyMachine"
    arguments = ["--machine", machine, "--examples", "100", "--steps", "10", "--save", str(kept)]
    assert stall_run.main(arguments) == 1
    said = capsys.readouterr().out
    assert "state = SleepyMachine()" in said
    assert "a failure: " in said
    assert replay(kept.read_bytes()).steps


class Endless(Torrent):
    def handle(self, event: ev.Event, now: float) -> list[Action]:
        while isinstance(event, ev.LinkClosed):
            pass
        return super().handle(event, now)


class EndlessMachine(StallMachine):
    def make_torrent(self, setup: TorrentSetup, random: RandomSource) -> Torrent:
        return Endless(setup.metainfo, peer_id=setup.peer_id, random=random)


def test_a_step_that_has_no_end_is_a_failure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stall_run, "PATIENCE", 0.1)
    monkeypatch.setattr(stall_run, "PHASES", (Phase.generate,))  # each try costs that patience
    machine = f"{__name__}:EndlessMachine"
    assert stall_run.main(["--machine", machine, "--examples", "100", "--steps", "10"]) == 1
    assert "no end after 0.1 s of real time, within one step" in capsys.readouterr().out


def test_an_alarm_between_two_steps_breaks_nothing_off() -> None:
    stall_run._no_end(signal.SIGALRM, sys._getframe())
    stall_run._no_end(signal.SIGALRM, None)


@pytest.mark.parametrize("module", ["hypothesis.internal.conjecture", "coverage.collector"])
def test_an_alarm_within_a_step_lets_those_end_that_watch_it(module: str) -> None:
    # A lock that coverage held when it was broken off would be held for ever.
    stall_run._no_end(signal.SIGALRM, _within_a_step(module))
    with pytest.raises(PromiseBroken, match="no end after"):
        stall_run._no_end(signal.SIGALRM, _within_a_step("torrent_core.torrent.torrent"))


def _within_a_step(module: str) -> FrameType:
    """A frame of ``module`` in a step, as far as that is looked at."""
    step = SimpleNamespace(f_code=World.feed.__code__, f_back=None)
    inner = SimpleNamespace(f_code=None, f_back=step, f_globals={"__name__": module})
    return cast(FrameType, inner)


@pytest.mark.parametrize("name", ["no_such_module:X", "torrent_core:X", "nothing", "math:pi", ":"])
def test_the_command_refuses_what_is_no_machine(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        stall_run.main(["--machine", name])
    assert ended.value.code == 2
    assert "--machine" in capsys.readouterr().err


def test_it_is_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "torrent_core.testing.stall_run"
    monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "argv", [name, "--examples", "1", "--steps", "2"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(name, run_name="__main__")
    assert ended.value.code == 0


def test_an_example_that_never_began_is_not_counted() -> None:
    tally = stall_run.Tally()
    tally.add(StallMachine())
    assert tally.examples == 0
