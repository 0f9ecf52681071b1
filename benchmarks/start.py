#!/usr/bin/env python3
"""How long it takes to begin: whole processes, milliseconds, medians of runs in turn.

    python benchmarks/start.py [--repeats N] [--json]

nothing_ms  an interpreter that ends at once
attrs_ms    ``import attrs``, which is all that the core needs
import_ms   ``import torrent_core``
session_ms  ``from torrent_core import Session``: all machines
client_ms   ``from transports import Client``: the machines, anyio and all adapters
help_ms     ``torrent-core --help``
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from time import perf_counter

from laps import as_installed

COMMANDS = {
    "nothing_ms": ["-c", ""],
    "attrs_ms": ["-c", "import attrs"],
    "import_ms": ["-c", "import torrent_core"],
    "session_ms": ["-c", "from torrent_core import Session"],
    "client_ms": ["-c", "from transports import Client"],
    "help_ms": ["-m", "transports.cli", "--help"],
}


def milliseconds(options: list[str]) -> float:
    """Of one run."""
    start = perf_counter()
    argv = [sys.executable, *options]
    subprocess.run(argv, stdout=subprocess.DEVNULL, check=True, env=as_installed())
    return (perf_counter() - start) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=15, metavar="N")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    given = parser.parse_args()
    rounds = [
        {name: milliseconds(options) for name, options in COMMANDS.items()}
        for _ in range(given.repeats + 1)  # the first compiles what has no bytecode yet
    ][1:]
    found = {name: round(statistics.median(one[name] for one in rounds), 1) for name in COMMANDS}
    found["import_ratio"] = round(found["import_ms"] / found["attrs_ms"], 2)
    if given.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:12} {value:8.2f}")


if __name__ == "__main__":
    main()
