"""What the races share: a payload to fetch, a process that is timed, and the judge.

Linux only, since peak memory comes from /proc.
"""

from __future__ import annotations

import hashlib
import os
import random
import shlex
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from torrent_core.metainfo import TorrentBuilder

MIB = 1024 * 1024
CHUNK = 8 * MIB
NAME = "payload.bin"
MEMORY = Path("/dev/shm")
NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
LOOK = 0.005
"""Seconds between two looks at a process; what wall times are exact to."""


class Lap(NamedTuple):
    """What one run of one side cost: seconds, seconds, MiB."""

    wall: float
    cpu: float
    peak: float


class RaceError(Exception):
    """One side did not arrive; the text says which and how."""


class TooLong(RaceError):
    """One side was still not there at the limit."""


def peak_mib(pid: int) -> float:
    """The peak memory so far of a process, or 0 if it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def as_installed() -> dict[str, str]:
    """The environment of a process under test: its bytecode is kept, as pip leaves it, so that
    only the first run compiles."""
    return {name: value for name, value in os.environ.items() if name != NO_BYTECODE}


def run_to_end(argv: list[str], limit: float) -> Lap:
    """Run a process until it ends.  Raises RaceError if it fails, TooLong at the limit."""
    with tempfile.TemporaryFile() as complaints:
        start = time.perf_counter()
        process = subprocess.Popen(
            argv, stdout=subprocess.DEVNULL, stderr=complaints, env=as_installed()
        )
        try:
            lap = _follow(process, start, limit, shlex.join(argv))
        finally:
            if process.returncode is None:  # late, or we were interrupted
                process.kill()
                process.wait()
        if process.returncode != 0:
            complaints.seek(0)
            said = complaints.read().decode(errors="replace").strip()
            raise RaceError(f"status {process.returncode}: {shlex.join(argv)}\n{said}")
    return lap


def _follow(process: subprocess.Popen[bytes], start: float, limit: float, name: str) -> Lap:
    """Watch a process that began at ``start`` until it ends."""
    peak = 0.0
    while True:
        peak = max(peak, peak_mib(process.pid))
        time.sleep(LOOK)
        pid, ended, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(ended)
            return Lap(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, peak)
        if time.perf_counter() - start > limit:
            raise TooLong(f"not done after {limit:g} s: {name}")


class Course:
    """What every racer runs on: a payload, its torrent, an empty folder."""

    def __init__(self, base: Path, size: int, piece_length: int) -> None:
        self.size = size
        self.source = base / "source"
        self.target = base / "target"
        self.torrent = base / "payload.torrent"
        self._digest = self._make(size, piece_length)

    @property
    def payload(self) -> Path:
        """The file to be fetched."""
        return self.source / NAME

    def _make(self, size: int, piece_length: int) -> bytes:
        """Payload and torrent; returns the SHA-1 of the payload."""
        rng, whole = random.Random(1), hashlib.sha1()
        builder = TorrentBuilder(
            NAME, [((NAME,), size)], single_file=True, piece_length=piece_length
        )
        self.source.mkdir()
        with self.payload.open("wb") as file:
            for at in range(0, size, CHUNK):
                chunk = rng.randbytes(min(CHUNK, size - at))
                file.write(chunk)
                whole.update(chunk)
                builder.update(chunk)
        self.torrent.write_bytes(builder.finish().encode())
        return whole.digest()

    def clear(self) -> None:
        """Forget what was fetched."""
        shutil.rmtree(self.target, ignore_errors=True)
        self.target.mkdir()

    def judge(self) -> None:
        """Raise RaceError unless the payload arrived, byte for byte."""
        with (self.target / NAME).open("rb") as file:
            if hashlib.file_digest(file, "sha1").digest() != self._digest:
                raise RaceError("what arrived is not what was sent")


def workplace() -> str | None:
    """Where to race, so that no disk decides; None: wherever temporary files go."""
    return str(MEMORY) if MEMORY.is_dir() else None
