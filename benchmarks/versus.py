#!/usr/bin/env python3
"""Races over loopback, on real sockets: the same torrent, in turn, in rounds.

    python benchmarks/versus.py download [--mib N] [--piece-kib N] [--pairs N] [--seeders N]
    python benchmarks/versus.py seed     [the same options]
    python benchmarks/versus.py self     [the same options]

download  libtorrent seeds; each side fetches from it in turn
seed      each side serves in turn to one libtorrent client
self      each side fetches from a seed of its own kind

The sides are libtorrent and torrent-core, or those that ``--side`` names: also "torrent-core on
trio", aria2 and transmission.  torrent-core is that of the interpreter which runs this, unless
``--command`` gives another command, with the fields {torrent}, {dir}, {port} and {peers} (one
``--peer`` a seeder).  One that downloads ends with status 0 when done; one that seeds says a
line with ``complete`` in it once it serves.

Told are the medians over the rounds: wall time; processor time (user and system) and peak
memory (VmHWM) of the process under test; and the ratios libtorrent / side, round by round, so
that more is better.  A first round only warms up.  Every payload that was fetched is compared.
Linux only, since the figures come from /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from contestants import CONTESTANTS, Contestant, Lane, by_template
from laps import (
    LOOK,
    MIB,
    Course,
    Lap,
    RaceError,
    TooLong,
    as_installed,
    peak_mib,
    run_to_end,
    workplace,
)
from seeds import Seeding, free_ports, is_listening, serving, tracking

BASE, OURS = "libtorrent", "torrent-core"


class Track(Course):
    """What all race on, with the ports of the seeds."""

    def __init__(self, base: Path, size: int, piece_length: int, seeders: int) -> None:
        super().__init__(base, size, piece_length)
        self.ports = free_ports(seeders)
        self._base = base

    def lane(self, folder: Path, tracker: str = "") -> Lane:
        """What a client is given, with an empty folder of its own."""
        own = Path(tempfile.mkdtemp(prefix="own-", dir=self._base))
        (port,) = free_ports(1)
        return Lane(self.torrent, folder, self.ports, own, tracker, port)


def cpu_seconds(pid: int) -> float:
    """User and system time so far of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- One lap ---------------------------------------------------------------------------------


def fetched(side: Contestant, lane: Lane, seed: Seeding, limit: float) -> Lap:
    """Fetch from the seeds that are up; the time of the whole process."""
    assert side.fetch is not None
    argv = side.fetch(lane)
    return _dialled(argv, lane, seed, limit) if side.is_dialled else run_to_end(argv, limit)


def _dialled(argv: list[str], lane: Lane, seed: Seeding, limit: float) -> Lap:
    """The lap of a client that must be dialled and goes on when it has everything: its
    processor time is that of its end as well."""
    start = time.perf_counter()
    process = subprocess.Popen(
        argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=as_installed()
    )
    is_dialled = False
    try:
        while not lane.done.exists():
            if time.perf_counter() - start > limit:
                raise TooLong(f"not done after {limit:g} s: {argv[0]}")
            if not is_dialled and is_listening(lane.port):
                seed.dial(lane.port)
                is_dialled = True
            time.sleep(LOOK)
        wall, peak = time.perf_counter() - start, peak_mib(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return Lap(wall, usage.ru_utime + usage.ru_stime, peak)


def download_lap(track: Track, side: Contestant, tracker: str, seed: Seeding, limit: float) -> Lap:
    """Fetch with ``side`` from the seeds that are up."""
    track.clear()
    lap = fetched(side, track.lane(track.target, tracker), seed, limit)
    track.judge()
    return lap


def seed_lap(track: Track, side: Contestant, limit: float) -> Lap:
    """Serve with ``side`` to a libtorrent client; processor time without the start."""
    track.clear()
    assert side.seed is not None
    client = CONTESTANTS[BASE]
    with serving(side.seed(track.lane(track.source)), side.ready) as seed:
        before = cpu_seconds(seed.pid)
        lap = fetched(client, track.lane(track.target), seed, limit)
        lap = Lap(lap.wall, cpu_seconds(seed.pid) - before, peak_mib(seed.pid))
    track.judge()
    return lap


def self_lap(track: Track, side: Contestant, limit: float) -> Lap:
    """Fetch with ``side`` from a seed of the same kind; processor time of both."""
    track.clear()
    assert side.seed is not None
    with serving(side.seed(track.lane(track.source)), side.ready) as seed:
        before = cpu_seconds(seed.pid)
        lap = fetched(side, track.lane(track.target), seed, limit)
        lap = lap._replace(cpu=lap.cpu + cpu_seconds(seed.pid) - before)
    track.judge()
    return lap


# --- The race --------------------------------------------------------------------------------


def sides_of(given: argparse.Namespace) -> dict[str, Contestant]:
    """Who races, by name: those that are installed."""
    sides = {name: CONTESTANTS[name] for name in given.side or (BASE, OURS)}
    if given.command:
        own = by_template(given.command)
        sides[OURS] = Contestant(own, own)
    return {name: side for name, side in sides.items() if side.is_here}


def hold_race(track: Track, given: argparse.Namespace) -> list[dict[str, Lap]]:
    """All rounds but the first; who begins goes round.  Seeds are up all the while where it
    is about downloading."""
    sides = sides_of(given)
    rounds = []
    with ExitStack() as stack:
        tracker = stack.enter_context(tracking(track.ports))
        seed = None
        if given.way == "download":
            base = CONTESTANTS[BASE]
            assert base.seed is not None
            seed = stack.enter_context(serving(base.seed(track.lane(track.source)), base.ready))
        for turn in range(given.pairs + 1):
            names = list(sides)
            names = names[turn % len(names) :] + names[: turn % len(names)]
            laps = {}
            for name in names:
                if seed is not None:
                    laps[name] = download_lap(track, sides[name], tracker, seed, given.limit)
                else:
                    lap = seed_lap if given.way == "seed" else self_lap
                    laps[name] = lap(track, sides[name], given.limit)
            rounds.append(laps)
    return rounds[1:]


# --- The outcome -----------------------------------------------------------------------------


def outcome(rounds: list[dict[str, Lap]], given: argparse.Namespace) -> dict[str, Any]:
    """Medians and ratios as plain values."""
    return {
        "way": given.way,
        "mib": given.mib,
        "piece_kib": given.piece_kib,
        "pairs": given.pairs,
        "seeders": given.seeders,
        "sides": {name: _medians(name, rounds) for name in sorted(rounds[0])},
    }


def _medians(name: str, rounds: list[dict[str, Lap]]) -> dict[str, float]:
    wall, cpu, peak = map(statistics.median, zip(*(laps[name] for laps in rounds), strict=True))
    found = {"wall_s": round(wall, 3), "cpu_s": round(cpu, 3), "peak_mib": round(peak, 1)}
    if BASE in rounds[0]:
        for field, key in enumerate(("speed_ratio", "cpu_ratio")):
            ratios = [laps[BASE][field] / max(laps[name][field], LOOK) for laps in rounds]
            found[key] = round(statistics.median(ratios), 3)
    return found


def as_table(result: dict[str, Any]) -> str:
    """The same for people."""
    lines = [
        f"{result['way']}, {result['mib']} MiB in pieces of {result['piece_kib']} KiB, "
        f"{result['seeders']} seeders, median of {result['pairs']}"
    ]
    for name, found in result["sides"].items():
        ratios = ""
        if "speed_ratio" in found:
            ratios = f"  speed x {found['speed_ratio']:.2f}  cpu x {found['cpu_ratio']:.2f}"
        lines.append(
            f"{name:20}  wall {found['wall_s']:6.2f} s  cpu {found['cpu_s']:6.2f} s"
            f"  peak {found['peak_mib']:4.0f} MiB{ratios}"
        )
    return "\n".join(lines)


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("way", choices=["download", "seed", "self"])
    made.add_argument("--side", action="append", choices=list(CONTESTANTS), metavar="NAME")
    made.add_argument("--command", metavar="TEMPLATE", help="in place of torrent-core")
    made.add_argument("--mib", type=int, default=512, metavar="N")
    made.add_argument("--piece-kib", type=int, default=256, metavar="N")
    made.add_argument("--pairs", type=int, default=3, metavar="N")
    made.add_argument("--seeders", type=int, default=1, metavar="N", help="download only")
    made.add_argument("--limit", type=float, default=120, metavar="S", help="for one lap")
    made.add_argument(
        "--at-most", type=float, metavar="RATIO", help="fail if we take longer than so many times"
    )
    made.add_argument("--json", action="store_true", help="one JSON object")
    return made


def arguments() -> argparse.Namespace:
    """What was asked for."""
    made = parser()
    given = made.parse_args()
    if given.pairs < 1 or given.mib < 1 or given.seeders < 1:
        made.error("--pairs, --mib and --seeders begin at 1")
    if given.way != "download" and given.seeders != 1:
        made.error("--seeders is for download")
    if given.way == "self" and given.command:
        made.error("--command has one role")
    return given


def race(given: argparse.Namespace) -> dict[str, Any]:
    """One race, on a track of its own."""
    with tempfile.TemporaryDirectory(prefix="race-", dir=workplace()) as base:
        track = Track(Path(base), given.mib * MIB, given.piece_kib * 1024, given.seeders)
        return outcome(hold_race(track, given), given)


def main() -> int:
    given = arguments()
    try:
        result = race(given)
    except RaceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(result) if given.json else as_table(result))
    ratio = result["sides"].get(OURS, {}).get("speed_ratio")
    if given.at_most is not None and ratio is not None and ratio * given.at_most < 1:
        print(f"error: slower than {given.at_most:g} x libtorrent", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
