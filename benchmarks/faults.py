#!/usr/bin/env python3
"""Downloads beside peers that misbehave, over loopback; libtorrent meets the same peers.

    python benchmarks/faults.py [--only NAME]... [--runs N] [--libtorrent N] [--json]

In each scenario an honest peer of 8 MiB/s stands beside others (``scripted_peers.py``), each on
an address of its own.  Measured is ``torrent-core get`` from the start of its process to its
end.  The bound is what the honest peers could do at best: the payload over the sum of their
rates.  The goal is 15 % + 0.7 s above it.  Every payload that arrives is compared.  ``idle`` is
how long the honest peer, between its first block and its last, was asked for nothing, in the
worst run: near 0 unless the scheduler is at fault, however busy the machine.

The runs of one scenario come in turn with those of libtorrent, on peers that start afresh.  A
run that is not done after ``--limit`` counts as infinite.  Exit status 1: a payload was wrong,
``torrent-core`` failed or, with ``--strict``, missed a goal.
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from laps import MIB, Course, Lap, RaceError, TooLong, run_to_end, workplace
from scripted_peers import ROLES

SCRIPTED_PEERS = Path(__file__).with_name("scripted_peers.py")
RACING_PEER = Path(__file__).with_name("racing_peer.py")

SHARE, START = 0.15, 0.7
"""What may be lost: this share of the bound, and so many seconds to start the process."""

SLOW = ("slow",) * 9
SCENARIOS = {
    "alone": (),
    "silent": ("silent",),
    "leaver": ("leaver",),
    "choker": ("choker", "choker-fast"),
    "flapper": ("flapper",),
    "trickle": ("trickle",),
    "corrupter": ("corrupter",),
    "rejecter": ("rejecter",),
    "slow-last": ("slow-last",),
    "nine-slow": SLOW,
    "together": tuple(name for name in ROLES if name not in ("honest", "slow")) + SLOW,
}
"""Who stands beside the honest peer, which is named last."""

COUNTED = ("honest", "slow")
"""The roles that the bound relies on."""


class Run(NamedTuple):
    """What one download took, and what the peers saw."""

    seconds: float
    cpu: float
    peak: float
    start: float
    """Seconds before it had dialled a peer."""
    end: float
    """Seconds after the honest peer had given its last block."""
    idle: float
    """Seconds between its first block and its last in which the honest peer was asked nothing."""
    peers: list[dict[str, Any]]
    """Role, address, connections, requests, CANCELs and bytes of each."""


class Outcome(NamedTuple):
    """All runs of one scenario."""

    name: str
    bound: float
    ours: list[Run]
    libtorrent: list[Run]

    @property
    def goal(self) -> float:
        """Seconds within which a run is to be done."""
        return self.bound * (1 + SHARE) + START

    @property
    def missed(self) -> int:
        """How many of our runs were not."""
        return sum(run.seconds > self.goal for run in self.ours)

    def as_fields(self) -> dict[str, object]:
        """The same as plain values; of a run that never ended, the figures are null."""

        def plain(runs: list[Run]) -> list[dict[str, Any]]:
            return [
                {
                    key: None if isinstance(value, float) and not math.isfinite(value) else value
                    for key, value in run._asdict().items()
                }
                for run in runs
            ]

        return {
            "scenario": self.name,
            "bound_s": round(self.bound, 3),
            "goal_s": round(self.goal, 3),
            "missed": self.missed,
            "runs": plain(self.ours),
            "libtorrent": plain(self.libtorrent),
        }


# --- One run ---------------------------------------------------------------------------------


@contextmanager
def scripted(course: Course, roles: tuple[str, ...]) -> Iterator[tuple[list[str], list[Any]]]:
    """Peers of these roles while the block lasts: their addresses, and afterwards their deeds."""
    argv = [sys.executable, str(SCRIPTED_PEERS), str(course.torrent), str(course.payload), *roles]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    deeds: list[Any] = []
    try:
        line = process.stdout.readline()
        if not line:
            raise RaceError("the scripted peers did not start")
        yield json.loads(line), deeds
        said, _ = process.communicate(timeout=30)
        deeds += json.loads(said)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def ours(course: Course, peers: list[str], trace: Path | None) -> list[str]:
    """The command under test."""
    get = [sys.executable, "-m", "transports.cli", "get", str(course.torrent)]
    get += ["-o", str(course.target), "--quiet", "--no-discovery"]
    get += [] if trace is None else ["--trace", str(trace)]
    return get + [f"--peer={peer}" for peer in peers]


def libtorrent(course: Course, peers: list[str]) -> list[str]:
    """libtorrent in its place."""
    return [
        *(sys.executable, str(RACING_PEER), "fetch"),
        *(str(course.torrent), str(course.target), *peers),
    ]


def run(course: Course, name: str, who: str, trace: Path | None, limit: float) -> Run:
    """One download.  Raises RaceError if it fails or brings something else."""
    roles = (*SCENARIOS[name], "honest")
    course.clear()
    with scripted(course, roles) as (peers, deeds):
        argv = libtorrent(course, peers) if who == "libtorrent" else ours(course, peers, trace)
        begun = time.monotonic()
        lap = Lap(math.inf, math.nan, math.nan)
        with suppress(TooLong):
            lap = run_to_end(argv, limit)
    if math.isfinite(lap.wall):
        course.judge()
    return told(lap, begun, deeds)


def told(lap: Lap, begun: float, deeds: list[dict[str, Any]]) -> Run:
    """The run of a process that began at ``begun``, with what its peers noted."""
    dialled = [first for peer in deeds if (first := peer.pop("first")) is not None]
    *_, honest = [peer.pop("last") for peer in deeds]
    start = min(dialled) - begun if dialled else math.nan
    end = math.nan if honest is None else begun + lap.wall - honest
    return Run(*lap, start, end, deeds[-1]["idle"], deeds)


def meet(course: Course, name: str, given: argparse.Namespace) -> Outcome:
    """All runs of one scenario, ours and libtorrent's in turn."""
    rate = sum(ROLES[role].rate for role in (*SCENARIOS[name], "honest") if role in COUNTED)
    outcome = Outcome(name, course.size / rate, [], [])
    for turn in range(max(given.runs, given.libtorrent)):
        if turn < given.runs:
            trace = given.traces and given.traces / f"{name}-{turn + 1}.trace"
            outcome.ours.append(run(course, name, "ours", trace, given.limit))
        if turn < given.libtorrent:
            outcome.libtorrent.append(run(course, name, "libtorrent", None, given.limit))
    return outcome


# --- The report ------------------------------------------------------------------------------


def as_row(outcome: Outcome, limit: float) -> str:
    """One line of the table."""

    def shown(seconds: float) -> str:
        return f"{f'> {limit:g}' if math.isinf(seconds) else f'{seconds:.2f}':>7}"

    def column(runs: list[Run]) -> str:
        times = [run.seconds for run in runs]
        return shown(statistics.median(times)) + shown(max(times)) if times else f"{'-':>7}{'-':>7}"

    idle = max((run.idle for run in outcome.ours if math.isfinite(run.seconds)), default=math.inf)
    verdict = f"missed {outcome.missed} of {len(outcome.ours)}" if outcome.missed else "met"
    return (
        f"{outcome.name:10}{shown(outcome.bound)}{shown(outcome.goal)}"
        f"{column(outcome.ours)}{shown(idle)}{column(outcome.libtorrent)}  {verdict}"
    )


HEAD = (
    f"{'seconds':10}{'bound':>7}{'goal':>7}{'ours':>7}{'worst':>7}{'idle':>7}{'lt':>7}{'worst':>7}"
)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", action="append", choices=SCENARIOS, metavar="NAME", help=", ".join(SCENARIOS)
    )
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="of each scenario [3]")
    parser.add_argument(
        "--libtorrent", type=int, default=1, metavar="N", help="runs of libtorrent beside them [1]"
    )
    parser.add_argument("--mib", type=int, default=32, metavar="N", help="payload [32]")
    parser.add_argument("--piece-kib", type=int, default=256, metavar="N")
    parser.add_argument("--limit", type=float, default=60, metavar="S", help="for one run [60]")
    parser.add_argument("--traces", type=Path, metavar="DIR", help="keep a trace of each run here")
    parser.add_argument("--json", action="store_true", help="one JSON object a scenario")
    parser.add_argument("--strict", action="store_true", help="a missed goal is a failure")
    given = parser.parse_args()
    if given.mib < 1 or given.runs < 1 or given.libtorrent < 0:
        parser.error("--mib and --runs begin at 1, --libtorrent at 0")
    return given


def main() -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends us ends our children
    given = arguments()
    if given.traces:
        given.traces.mkdir(parents=True, exist_ok=True)
    if not given.json:
        print(HEAD)
    missed = 0
    try:
        with tempfile.TemporaryDirectory(prefix="faults-", dir=workplace()) as base:
            course = Course(Path(base), given.mib * MIB, given.piece_kib * 1024)
            for name in given.only or SCENARIOS:
                outcome = meet(course, name, given)
                missed += outcome.missed
                said = (
                    json.dumps(outcome.as_fields()) if given.json else as_row(outcome, given.limit)
                )
                print(said, flush=True)
    except RaceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 1 if missed and given.strict else 0


if __name__ == "__main__":
    sys.exit(main())
