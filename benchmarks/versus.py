#!/usr/bin/env python3
"""A race against libtorrent over loopback: the same torrent, in turn, in pairs.

    python benchmarks/versus.py download [--mib N] [--piece-kib N] [--pairs N] [--seeders N]
    python benchmarks/versus.py seed     [the same options]

download  libtorrent seeds; the command and a libtorrent client fetch from it in turn
seed      the command and a libtorrent seed serve in turn to one libtorrent client

The command is ``torrent-core`` of the interpreter that runs this, unless ``--command`` gives
another, with the fields {torrent}, {dir}, {port} and {peers} (one ``--peer`` a seeder).  One
that downloads ends with status 0 when done; one that seeds says a line with ``complete`` in it
once it serves.

Told are the medians over the pairs: wall time; processor time (user and system) and peak
memory (VmHWM) of the process under test; and the ratios command / libtorrent, pair by pair, so
that less is better.  A first pair only warms up.  Every payload that was fetched is compared.
Linux only, since the figures come from /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from laps import LOOK, MIB, Course, Lap, RaceError, peak_mib, run_to_end, workplace

HOST = "127.0.0.1"
RACING_PEER = Path(__file__).with_name("racing_peer.py")

SERVES = re.compile(r"\bcomplete\b")
"""What a seed says once it serves."""

OURS = f"{shlex.quote(sys.executable)} -m transports.cli"
COMMANDS = {
    "download": OURS + " get {torrent} -o {dir} {peers} --no-discovery",
    "seed": OURS + " seed {torrent} {dir} --port {port} --no-discovery",
}


# --- Processes -------------------------------------------------------------------------------


def cpu_seconds(pid: int) -> float:
    """User and system time so far of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(argv: list[str]) -> Iterator[int]:
    """Run a seed while the block lasts; the process id, once it says that it serves."""
    process = subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    assert process.stdout is not None
    said = ""
    try:
        for line in process.stdout:
            said += line
            if SERVES.search(line):
                break
        else:
            raise RaceError(f"does not serve: {shlex.join(argv)}\n{said.strip()}")
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    held = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


# --- The race --------------------------------------------------------------------------------


class Track(Course):
    """What both sides race on, with the ports of the seeds and the command lines."""

    def __init__(self, base: Path, size: int, piece_length: int, seeders: int) -> None:
        super().__init__(base, size, piece_length)
        self.ports = free_ports(seeders)

    def command(self, template: str, folder: Path) -> list[str]:
        """The command under test, with everything filled in."""
        filled = template.format(
            torrent=shlex.quote(str(self.torrent)),
            dir=shlex.quote(str(folder)),
            port=self.ports[0],
            peers=" ".join(f"--peer {HOST}:{port}" for port in self.ports),
        )
        return shlex.split(filled)

    def libtorrent(self, way: str, folder: Path) -> list[str]:
        """libtorrent on the same track."""
        ports = map(str, self.ports)
        return [sys.executable, str(RACING_PEER), way, str(self.torrent), str(folder), *ports]


def download_lap(track: Track, argv: list[str], limit: float) -> Lap:
    """Fetch with ``argv`` from the seeds that are up."""
    track.clear()
    lap = run_to_end(argv, limit)
    track.judge()
    return lap


def seed_lap(track: Track, argv: list[str], limit: float) -> Lap:
    """Serve with ``argv`` to a libtorrent client; processor time without the start."""
    track.clear()
    with serving(argv) as pid:
        before = cpu_seconds(pid)
        fetched = run_to_end(track.libtorrent("fetch", track.target), limit)
        lap = Lap(fetched.wall, cpu_seconds(pid) - before, peak_mib(pid))
    track.judge()
    return lap


def race(track: Track, given: argparse.Namespace) -> list[dict[str, Lap]]:
    """All pairs but the first; who begins alternates."""
    downloads = given.way == "download"
    template = given.command or COMMANDS[given.way]
    folder = track.target if downloads else track.source
    sides = {
        "libtorrent": track.libtorrent("fetch" if downloads else "seed", folder),
        "command": track.command(template, folder),
    }
    run_lap = download_lap if downloads else seed_lap
    pairs = []
    for turn in range(given.pairs + 1):
        names = sorted(sides, reverse=bool(turn % 2))
        pairs.append({name: run_lap(track, sides[name], given.limit) for name in names})
    return pairs[1:]


def hold_race(track: Track, given: argparse.Namespace) -> list[dict[str, Lap]]:
    """The race, with seeds up all the while where it is about downloading."""
    if given.way == "seed":
        return race(track, given)
    with serving(track.libtorrent("seed", track.source)):
        return race(track, given)


# --- The outcome -----------------------------------------------------------------------------


def outcome(pairs: list[dict[str, Lap]], given: argparse.Namespace) -> dict[str, object]:
    """Medians and ratios as plain values."""

    def medians(name: str) -> dict[str, float]:
        wall, cpu, peak = map(statistics.median, zip(*(pair[name] for pair in pairs), strict=True))
        return {"wall_s": round(wall, 3), "cpu_s": round(cpu, 3), "peak_mib": round(peak, 1)}

    def ratio(field: int) -> float:
        each = (pair["command"][field] / max(pair["libtorrent"][field], LOOK) for pair in pairs)
        return round(statistics.median(each), 3)

    return {
        "way": given.way,
        "mib": given.mib,
        "piece_kib": given.piece_kib,
        "pairs": given.pairs,
        "seeders": given.seeders,
        "libtorrent": medians("libtorrent"),
        "command": medians("command"),
        "wall_ratio": ratio(0),
        "cpu_ratio": ratio(1),
    }


def as_table(result: dict[str, object]) -> str:
    """The same for people."""
    lines = [f"{result['way']}, {result['mib']} MiB, median of {result['pairs']}"]
    for name in ("libtorrent", "command"):
        found = result[name]
        assert isinstance(found, dict)
        lines.append(
            f"{name:10}  wall {found['wall_s']:6.2f} s  cpu {found['cpu_s']:6.2f} s"
            f"  peak {found['peak_mib']:4.0f} MiB"
        )
    lines.append(
        f"command / libtorrent: wall {result['wall_ratio']:.2f}, cpu {result['cpu_ratio']:.2f}"
    )
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("way", choices=sorted(COMMANDS))
    parser.add_argument("--command", metavar="TEMPLATE")
    parser.add_argument("--mib", type=int, default=512, metavar="N")
    parser.add_argument("--piece-kib", type=int, default=256, metavar="N")
    parser.add_argument("--pairs", type=int, default=3, metavar="N")
    parser.add_argument("--seeders", type=int, default=1, metavar="N", help="download only")
    parser.add_argument("--limit", type=float, default=120, metavar="S", help="for one lap")
    parser.add_argument(
        "--at-most", type=float, metavar="RATIO", help="fail above this ratio of wall times"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    given = parser.parse_args()
    if given.pairs < 1 or given.mib < 1 or given.seeders < 1:
        parser.error("--pairs, --mib and --seeders begin at 1")
    if given.way == "seed" and given.seeders != 1:
        parser.error("--seeders is for download")
    return given


def main() -> int:
    given = arguments()
    try:
        with tempfile.TemporaryDirectory(prefix="race-", dir=workplace()) as base:
            track = Track(Path(base), given.mib * MIB, given.piece_kib * 1024, given.seeders)
            result = outcome(hold_race(track, given), given)
    except RaceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(result) if given.json else as_table(result))
    if given.at_most is not None and result["wall_ratio"] > given.at_most:
        print(f"error: slower than {given.at_most:g} x libtorrent", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
