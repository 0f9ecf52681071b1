#!/usr/bin/env python3
"""Searches in a simulated DHT: seconds of virtual time, and queries, each.

    python benchmarks/dht.py [--json] [--nodes N] [--searches N] [--seed N]

10,000 nodes on links of 50 ms one way, a tenth of them dead, and every table as years of
running would have it (the dead among the others).  One node after another announces a torrent
of its own; another one far away then looks for it.  What is counted is the search, from the
first query to its end; announces come on top, at most eight a search.
"""

from __future__ import annotations

import argparse
import json
import resource
from hashlib import sha1
from statistics import mean, median
from time import perf_counter

from torrent_core.limits import DHT_QUERIES_A_LOOKUP
from torrent_core.testing.dht_network import DhtNetwork, DhtWorld

MOST_SECONDS = 5.0
MOST_QUERIES = DHT_QUERIES_A_LOOKUP
PATIENCE = 60.0


def search(world: DhtWorld, torrent: bytes, port: int | None = None) -> tuple[float, int]:
    """One search to its end: seconds of virtual time, and queries."""
    begin = world.network.clock.now
    world.search(torrent, port)
    lookups = [overlay.searches[torrent] for overlay in world.dht.overlays.values()]
    ended = world.network.run(lambda: not world.is_searching(torrent), seconds=PATIENCE)
    assert ended, "a search goes on for ever"
    return world.network.clock.now - begin, sum(lookup.asked for lookup in lookups)


def measure(nodes: int, searches: int, seed: int) -> dict[str, float]:
    """All figures of one network."""
    begin = perf_counter()
    network = DhtNetwork(latency=0.05, seed=seed)
    network.add_many(nodes - nodes // 10)
    network.add_dead(nodes // 10)
    network.acquaint()
    built = perf_counter() - begin
    begin, times, queries, found = perf_counter(), [], [], 0
    step = len(network.worlds) // (2 * searches)
    for turn in range(searches):
        torrent = sha1(b"%d" % turn).digest()
        announcer, finder = network.worlds[2 * turn * step], network.worlds[(2 * turn + 1) * step]
        search(announcer, torrent, 6881)
        network.run(seconds=1.0)
        seconds, asked = search(finder, torrent)
        times.append(seconds)
        queries.append(asked)
        found += bool(finder.found.get(torrent))
    spent = perf_counter() - begin
    return {
        "nodes": nodes,
        "searches": searches,
        "found": found,
        "seconds_median": median(times),
        "seconds_worst": max(times),
        "queries_mean": mean(queries),
        "queries_worst": max(queries),
        "build_wall_seconds": built,
        "search_wall_seconds": spent,
        "datagrams": network.delivered,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    """Measure, print, and fail where a search was too slow, too dear, or in vain."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one object on one line")
    parser.add_argument("--nodes", type=int, default=10_000)
    parser.add_argument("--searches", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    figures = measure(options.nodes, options.searches, options.seed)
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:>20} {value:,.2f}")
    good = figures["found"] == figures["searches"]
    good &= figures["seconds_worst"] <= MOST_SECONDS
    good &= figures["queries_worst"] <= MOST_QUERIES
    raise SystemExit(not good)


if __name__ == "__main__":
    main()
