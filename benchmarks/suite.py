"""The parts of the suite: which scripts, with which options."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

GROWTH = Path(__file__).with_name("growth.svg")


class Part(NamedTuple):
    """One script, and the options of a full run and of a quick one."""

    script: str
    full: tuple[str, ...] = ()
    quick: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    """Of both."""
    pairs: int | None = None
    """Rounds of a race, at most; None: it is none."""
    lines: bool = False
    """Whether it prints an object a line."""
    is_long: bool = False
    """Whether even a quick run takes half a minute: then it has to be named."""

    def sized(self, *, quick: bool, pairs: int) -> list[str]:
        """The options for a full run with so many rounds, or for a quick one."""
        if self.pairs is None:
            return [*(self.quick if quick else self.full)]
        rounds = 1 if quick else min(pairs, self.pairs)
        return [*(self.quick if quick else self.full), f"--pairs={rounds}"]


SMALL = ("--mib=2",)
GIB = ("--mib=1024",)
MANY = 1000


def _race(
    way: str,
    *options: str,
    full: tuple[str, ...] = GIB,
    pairs: int = MANY,
    is_long: bool = False,
) -> Part:
    return Part("versus.py", full, SMALL, (way, *options), pairs=pairs, is_long=is_long)


def _sides(*names: str) -> tuple[str, ...]:
    return tuple(f"--side={name}" for name in names)


PLAIN = _sides("libtorrent", "torrent-core", "torrent-core on streams", "torrent-core on trio")
ARIA2 = _sides("libtorrent", "torrent-core", "aria2")
TRANSMISSION = _sides("libtorrent", "torrent-core", "transmission")

PARTS = {
    "start": Part("start.py", (), ("--repeats=3",)),
    "core": Part("core.py", ("--repeats=3",), ("--quick", "--repeats=1")),
    "scale": Part("scale.py", (f"--plot={GROWTH}",), ("--quick",)),
    "swarm": Part("swarm.py", (), ("--quick",)),
    "bounds": Part("bounds.py", (), ("--mib=64", "--repeats=1")),
    "download-16-mib": _race("download", full=("--mib=16",)),
    "download-128-mib": _race("download", full=("--mib=128",)),
    "download-1-gib": _race("download", *PLAIN),
    "download-10-seeders": _race("download", "--seeders=10"),
    "download-16-kib-pieces": _race("download", "--piece-kib=16"),
    "download-1-mib-pieces": _race("download", "--piece-kib=1024"),
    "download-4-mib-pieces": _race("download", "--piece-kib=4096"),
    "self-1-gib": _race("self"),
    "seed-1-gib": _race("seed"),
    "aria2-fetches": _race("download", *ARIA2, full=("--mib=128",), pairs=3),
    "aria2-seeds": _race("seed", *ARIA2, full=("--mib=128",), pairs=3),
    # It waits for its next choking round, and fetches about 1 MiB a second from one peer.
    "transmission-fetches": _race(
        "download", *TRANSMISSION, full=("--mib=16",), pairs=2, is_long=True
    ),
    "transmission-seeds": _race("seed", *TRANSMISSION, full=("--mib=64",), pairs=2, is_long=True),
    "faults": Part(
        "faults.py",
        ("--runs=2",),
        ("--only=silent", "--mib=1", "--runs=1"),
        lines=True,
    ),
}
