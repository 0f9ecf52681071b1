#!/usr/bin/env python3
"""What no client can be faster than: the same bytes without any protocol.

    python benchmarks/bounds.py [--mib N] [--repeats N] [--json]

Seconds of wall and of processor time, medians, of one process that receives or works on so many
bytes; what sends them over the loopback is another, and is not counted, but for ``sendfile``.

sendfile   a file handed to a socket by the kernel, to one that throws it away
recv_into  received into one buffer, and thrown away
sha1       hashed in pieces of 256 KiB
pwrite     written in pieces of 256 KiB
all        received into the buffers of pieces; hashed and written by a second thread
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import queue
import resource
import socket
import statistics
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from laps import MIB, workplace

HOST = "127.0.0.1"
PIECE = 256 * 1024
AHEAD = 16
"""Pieces received and not yet hashed and written: what they are held in stays in caches."""

Cost = tuple[float, float]
"""Seconds of wall and of processor time."""


def measured(work: Callable[[], None]) -> Cost:
    """What ``work`` costs this process."""
    before, start = resource.getrusage(resource.RUSAGE_SELF), perf_counter()
    work()
    wall, after = perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


# --- The other side --------------------------------------------------------------------------


def _send(port: int, source: str) -> None:
    """Send a file, in a process of its own."""
    with socket.create_connection((HOST, port)) as line, Path(source).open("rb") as file:
        line.sendfile(file)


def _swallow(port: int) -> None:
    """Receive whatever comes, in a process of its own."""
    view = memoryview(bytearray(PIECE))
    with socket.create_connection((HOST, port)) as line:
        while line.recv_into(view):
            pass


def _with_other(target: Callable[..., None], *given: object) -> Callable[[Work], Cost]:
    """Measures work on a connection to that other process."""

    def run(work: Work) -> Cost:
        with socket.create_server((HOST, 0)) as server:
            port = server.getsockname()[1]
            spawn = multiprocessing.get_context("spawn")
            other = spawn.Process(target=target, args=(port, *given))
            other.start()
            line, _ = server.accept()
            with line:
                cost = measured(lambda: work(line))
            other.join()
        return cost

    return run


Work = Callable[[socket.socket], None]


# --- The work --------------------------------------------------------------------------------


def sendfile(source: Path, _target: Path, _size: int) -> Cost:
    """BEP 3's bytes without BEP 3."""
    with source.open("rb") as file:
        return _with_other(_swallow)(lambda line: _sendfile(line, file.fileno()))


def _sendfile(line: socket.socket, source: int) -> None:
    at = 0
    while sent := os.sendfile(line.fileno(), source, at, 1 << 30):
        at += sent


def recv_into(source: Path, _target: Path, size: int) -> Cost:
    """Received and thrown away."""
    view = memoryview(bytearray(PIECE))

    def work(line: socket.socket) -> None:
        came = 0
        while came < size:
            came += line.recv_into(view)

    return _with_other(_send, str(source))(work)


def sha1(_source: Path, _target: Path, size: int) -> Cost:
    """Hashed, from where it lies in caches as a piece does that has just come."""
    piece = os.urandom(PIECE)

    def work() -> None:
        for _ in range(size // PIECE):
            hashlib.sha1(piece).digest()

    return measured(work)


def pwrite(_source: Path, target: Path, size: int) -> Cost:
    """Written."""
    piece = os.urandom(PIECE)

    def work() -> None:
        with target.open("wb") as file:
            for at in range(0, size, PIECE):
                os.pwrite(file.fileno(), piece, at)

    return measured(work)


def everything(source: Path, target: Path, size: int) -> Cost:
    """What a download is at the least, and all that it needs two threads for."""
    free: queue.SimpleQueue[bytearray] = queue.SimpleQueue()
    full: queue.SimpleQueue[bytearray | None] = queue.SimpleQueue()
    for _ in range(AHEAD):
        free.put(bytearray(PIECE))

    def store() -> None:
        at = 0
        with target.open("wb") as file:
            while (piece := full.get()) is not None:
                hashlib.sha1(piece).digest()
                at += os.pwrite(file.fileno(), piece, at)
                free.put(piece)

    def work(line: socket.socket) -> None:
        thread = threading.Thread(target=store)
        thread.start()
        for _ in range(size // PIECE):
            piece, came = free.get(), 0
            view = memoryview(piece)
            while came < PIECE:
                came += line.recv_into(view[came:])
            full.put(piece)
        full.put(None)
        thread.join()

    cost = _with_other(_send, str(source))(work)
    if source.read_bytes() != target.read_bytes():
        raise SystemExit("what arrived is not what was sent")
    return cost


BOUNDS = {
    "sendfile": sendfile,
    "recv_into": recv_into,
    "sha1": sha1,
    "pwrite": pwrite,
    "all": everything,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mib", type=int, default=1024, metavar="N")
    parser.add_argument("--repeats", type=int, default=5, metavar="N")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    given = parser.parse_args()
    if given.mib < 1 or given.repeats < 1:
        parser.error("--mib and --repeats begin at 1")
    size = given.mib * MIB
    found = {}
    with tempfile.TemporaryDirectory(prefix="bounds-", dir=workplace()) as base:
        source, target = Path(base, "source"), Path(base, "target")
        with source.open("wb") as file:
            for _ in range(given.mib):
                file.write(os.urandom(MIB))
        for name, run in BOUNDS.items():
            costs = []
            for _ in range(given.repeats):
                target.unlink(missing_ok=True)
                costs.append(run(source, target, size))
            wall, cpu = map(statistics.median, zip(*costs, strict=True))
            found[name] = {"wall_s": round(wall, 3), "cpu_s": round(cpu, 3)}
    if given.json:
        print(json.dumps({"mib": given.mib, "bounds": found}))
        return
    for name, cost in found.items():
        print(f"{name:10} wall {cost['wall_s']:6.2f} s  cpu {cost['cpu_s']:6.2f} s")


if __name__ == "__main__":
    main()
