#!/usr/bin/env python3
"""What the simulator costs: two swarms on virtual time, in seconds of this machine.

    python benchmarks/swarm.py [--json] [--quick] [--check-every N]

scripted  one real leecher fetches 1 GiB in pieces of 256 KiB from 49 scripted peers: 37 honest
          ones, and one of each kind that is not
real      10 real machines exchange 64 MiB, of which one has all of it at first

Each runs in a process of its own, whose peak memory is given as well.  ``--check-every N``
looks at the accounts after every Nth step; without it, never.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
from collections.abc import Callable
from time import perf_counter

from torrent_core.testing import Honest, LinkProfile, SimulatedSwarm
from torrent_core.testing.plan import BAD

MIB = 1024 * 1024
PIECE_LENGTH = 256 * 1024
PEERS = 49
MACHINES = 10

Figures = dict[str, float]


def scripted(mib: int, check_every: int) -> Figures:
    """One real leecher among scripted peers, each of which sends 2 MiB/s at best."""
    swarm = SimulatedSwarm(mib * MIB, PIECE_LENGTH, seed=7, check_every=check_every)
    link = LinkProfile(latency=0.02, jitter=0.01, down=2 * MIB)
    leecher = swarm.add_torrent()
    for kind in [*BAD, *[Honest] * (PEERS - len(BAD))]:
        swarm.add_peer(kind, link=link)
    virtual = swarm.finish()
    honest = (PEERS - len(BAD)) * link.down
    status = leecher.torrent.status(swarm.now)
    return {
        "virtual_seconds": virtual,
        "honest_bound_seconds": mib * MIB / honest,
        "wasted_percent": 100 * status.wasted / (mib * MIB),
    }


def real(mib: int, check_every: int) -> Figures:
    """Real machines, every one dialling every other, at 4 MiB/s a link in each direction."""
    swarm = SimulatedSwarm(mib * MIB, PIECE_LENGTH, seed=7, check_every=check_every)
    swarm.add_torrent(full=True)
    for _ in range(MACHINES - 1):
        swarm.add_torrent()
    swarm.connect_all(LinkProfile(latency=0.02, jitter=0.01, down=4 * MIB, up=4 * MIB))
    virtual = swarm.finish()
    wasted = sum(world.torrent.status(swarm.now).wasted for world in swarm.torrents)
    return {
        "virtual_seconds": virtual,
        "wasted_percent": 100 * wasted / (mib * MIB * (MACHINES - 1)),
    }


def measured(run: Callable[[int, int], Figures], mib: int, check_every: int) -> Figures:
    """The figures of one run in a process of its own, with what it cost."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure, (run, mib, check_every))


def _measure(run: Callable[[int, int], Figures], mib: int, check_every: int) -> Figures:
    start = perf_counter()
    figures = run(mib, check_every)
    spent = perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024
    return {"mib": mib, "seconds": spent, "peak_mib": peak * unit / MIB, **figures}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--quick", action="store_true", help="a sixteenth of it, to see it run")
    parser.add_argument("--check-every", type=int, default=0, metavar="N")
    options = parser.parse_args()
    share = 16 if options.quick else 1
    found = {
        "scripted": measured(scripted, 1024 // share, options.check_every),
        "real": measured(real, 64 // share, options.check_every),
    }
    if options.json:
        print(json.dumps(found))
        return
    for name, figures in found.items():
        print(name, ", ".join(f"{key} {value:.2f}" for key, value in figures.items()))


if __name__ == "__main__":
    main()
