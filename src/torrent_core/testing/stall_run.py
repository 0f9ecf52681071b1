"""A long run of a ``StallMachine``, as a command.

    python -m torrent_core.testing.stall_run --examples 20000
    python -m torrent_core.testing.stall_run --machine my_tests:MyMachine --save failing.trace

Ends with status 0 when no example failed.  Otherwise the smallest that was found is printed
as the list of its rules, with the error and the timeline of its last steps, and the status
is 1; ``--save`` writes it as a trace for ``torrent-core replay``.  An example that takes
``PATIENCE`` seconds of real time has failed, too.
"""

from __future__ import annotations

import argparse
import signal
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from time import perf_counter
from types import FrameType

import attrs
from hypothesis import HealthCheck, Phase, settings
from hypothesis import seed as seeded
from hypothesis.stateful import run_state_machine_as_test

from .promises import PromiseBroken
from .stall_machine import StallMachine
from .world import World

LONG_RUN = 20_000
"""Examples unless told otherwise."""

STEPS = 80
"""Rules of one example."""

BATCH = 500
"""Examples of one run of hypothesis.  It remembers every choice of a run, to try none twice,
so that one run of 20,000 long examples takes gigabytes and slows down as it goes; many short
ones cost the same from the first to the last."""


PHASES = (Phase.explicit, Phase.generate, Phase.shrink)

PATIENCE = 30.0
"""Seconds of real time for one example, which takes hundredths of one.  Virtual time stands
still within a step, so that nothing else would notice one that has no end."""


@attrs.define
class Tally:
    """What a run has been through."""

    examples: int = 0
    events: int = 0
    seconds: float = 0.0

    def add(self, machine: StallMachine) -> None:
        """One example more."""
        if hasattr(machine, "swarm"):
            self.examples += 1
            self.events += len(machine.swarm.trace)
            self.seconds += machine.swarm.now

    def __str__(self) -> str:
        return (
            f"{self.examples} examples, {self.events} events, {self.seconds:.0f} s of virtual time,"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; returns the exit status."""
    options = _parser().parse_args(arguments)
    tally, start, verdict = Tally(), perf_counter(), 0
    before = signal.signal(signal.SIGALRM, _no_end)
    try:
        for first in range(0, options.examples, BATCH):
            _batch(options, first, tally)
            sys.stderr.write(f"{tally} in {perf_counter() - start:.0f} s\n")
    except Exception:
        traceback.print_exc(file=sys.stdout)
        verdict = 1
    finally:
        signal.signal(signal.SIGALRM, before)
    sys.stdout.write(
        f"{'a failure' if verdict else 'no failure'}: {tally} in {perf_counter() - start:.0f} s\n"
    )
    return verdict


def _batch(options: argparse.Namespace, first: int, tally: Tally) -> None:
    """The examples from number ``first`` on; with a seed, those that belong to them."""
    machine = _counted(options.machine, tally, options.save)
    if options.seed is not None:
        seeded(options.seed + first)(machine)
    examples = min(BATCH, options.examples - first)
    run_state_machine_as_test(machine, settings=_settings(examples, options.steps))


def _settings(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        print_blob=True,
        report_multiple_bugs=False,
        phases=PHASES,
        suppress_health_check=list(HealthCheck),
    )


def _counted(machine: type[StallMachine], tally: Tally, save: str | None) -> type[StallMachine]:
    """The same machine, whose examples are counted and must end."""

    def init(self: StallMachine) -> None:
        machine.__init__(self)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE, PATIENCE / 10)

    def teardown(self: StallMachine) -> None:
        try:
            machine.teardown(self)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            tally.add(self)

    changed = {
        "__init__": init,
        "teardown": teardown,
        "trace_file": save or machine.trace_file,
    }
    return type(machine.__name__, (machine,), changed)


def _no_end(_signal: int, frame: FrameType | None) -> None:
    """Raise, if it is a step that goes on and on; what else is under way may not be broken
    off anywhere, and the next alarm is soon."""
    module = "" if frame is None else frame.f_globals["__name__"]
    while frame is not None and frame.f_code is not World.feed.__code__:
        frame = frame.f_back
    if frame is not None and not module.startswith(_WATCHERS):
        raise PromiseBroken(f"no end after {PATIENCE:g} s of real time, within one step")


_WATCHERS = ("hypothesis", "coverage")
"""Modules that are called in the midst of others, and have to come to their end: one watches the
garbage collector, one holds a lock."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m torrent_core.testing.stall_run")
    parser.add_argument("--examples", type=int, default=LONG_RUN, metavar="N")
    parser.add_argument("--steps", type=int, default=STEPS, metavar="N", help="rules in each")
    parser.add_argument("--machine", type=_machine, default=StallMachine, metavar="MODULE:CLASS")
    parser.add_argument("--save", metavar="FILE", help="write the trace of what failed")
    parser.add_argument("--seed", type=int, metavar="N", help="the same examples every time")
    return parser


def _machine(name: str) -> type[StallMachine]:
    module, _, cls = name.partition(":")
    try:
        found = getattr(import_module(module), cls)
    except (ImportError, AttributeError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"there is no {name}: {error}") from error
    if not (isinstance(found, type) and issubclass(found, StallMachine)):
        raise argparse.ArgumentTypeError(f"{name} is not a StallMachine")
    return found


if __name__ == "__main__":
    sys.exit(main())
