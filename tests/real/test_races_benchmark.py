"""The races against other clients: that all arrive, and with what was sent; not how fast."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]

pytest.importorskip("libtorrent")

VERSUS = Path(__file__).parents[2] / "benchmarks" / "versus.py"
START = 30.0
"""Seconds for what is not a lap: the seeds, the tracker, the payload."""

LAP = 75.0
"""For one lap.  libtorrent dials again after 60 s (min_reconnect_time) whom it did not reach at
first, and there is a choking round of 10 s to wait for; the rest is for the clients to start."""

SECOND_TRY = LAP + 2 * 60.0 + 10.0
"""For one lap of a client that is not there to be dialled a second time either: the pause is
twice as long then (libtorrent's doubles with each failure)."""


def race(*options: str, sides: int = 2, lap: float = LAP) -> tuple[int, dict[str, Any], str]:
    """Exit status, the outcome, and the errors; one round of 1 MiB, and one to warm up.

    The race ends by its own limits, and leaves no client behind.
    """
    run = subprocess.run(
        [
            *[sys.executable, "-W", "error", str(VERSUS), *options],
            *["--json", "--mib=1", "--pairs=1", f"--limit={lap}"],
        ],
        capture_output=True,
        text=True,
        timeout=START + 2 * sides * lap,
        check=False,
    )
    return run.returncode, json.loads(run.stdout) if run.stdout else {}, run.stderr


@pytest.mark.parametrize("way", ["download", "seed", "self"])
def test_both_sides_arrive(way: str) -> None:
    status, found, errors = race(way)
    assert (status, errors) == (0, "")
    assert set(found["sides"]) == {"libtorrent", "torrent-core"}
    for side in found["sides"].values():
        assert side["wall_s"] > 0
        assert side["speed_ratio"] > 0


def test_ten_seeders_serve_one_client() -> None:
    status, found, errors = race("download", "--seeders=10", "--side=torrent-core on trio")
    assert (status, errors) == (0, "")
    assert set(found["sides"]) == {"torrent-core on trio"}


@pytest.mark.long
@pytest.mark.parametrize("way", ["download", "seed"])
@pytest.mark.skipif(shutil.which("aria2c") is None, reason="aria2 is not installed")
def test_aria2_finds_the_seeds_by_a_tracker_and_serves(way: str) -> None:
    status, found, errors = race(way, "--side=libtorrent", "--side=aria2")
    assert (status, errors) == (0, "")
    assert set(found["sides"]) == {"libtorrent", "aria2"}


@pytest.mark.long  # it serves in rounds of its own, some of which are long
@pytest.mark.timeout(600)
@pytest.mark.skipif(shutil.which("transmission-daemon") is None, reason="it is not installed")
def test_transmission_is_dialled_by_the_seed() -> None:
    status, found, errors = race("download", "--side=transmission", sides=1, lap=SECOND_TRY)
    assert (status, errors) == (0, "")
    assert set(found["sides"]) == {"transmission"}


def test_a_race_that_is_lost_by_more_than_allowed_is_a_failure() -> None:
    status, _, errors = race("download", "--at-most=0.001")
    assert status == 1
    assert "slower than 0.001 x libtorrent" in errors


def test_who_brings_something_else_has_not_arrived(tmp_path: Path) -> None:
    fake = tmp_path / "fake.py"
    fake.write_text(
        "import sys, pathlib; pathlib.Path(sys.argv[1], 'payload.bin').write_bytes(b'')"
    )
    command = f"{sys.executable} {fake} {{dir}}"
    status, _, errors = race("download", "--side=torrent-core", f"--command={command}")
    assert status == 1
    assert "what arrived is not what was sent" in errors
