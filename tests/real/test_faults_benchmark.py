"""The benchmark of downloads beside bad peers: that it runs, not how fast."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .payload import KIB, MIB

pytestmark = pytest.mark.real

FAULTS = Path(__file__).parents[2] / "benchmarks" / "faults.py"
LIMIT = 100.0
BLOCK = 16 * KIB


def faults(*options: str) -> tuple[int, list[dict[str, Any]], str]:
    """Exit status, the outcome of each scenario, and the errors; the payload is 1 MiB."""
    run = subprocess.run(
        [sys.executable, "-W", "error", str(FAULTS), "--json", "--mib=1", "--runs=1", *options],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    return run.returncode, [json.loads(line) for line in run.stdout.splitlines()], run.stderr


def sent(run: dict[str, Any]) -> dict[str, int]:
    """Bytes of payload by role."""
    by_role: dict[str, int] = {}
    for peer in run["peers"]:
        by_role[peer["role"]] = by_role.get(peer["role"], 0) + peer["sent"]
    return by_role


def test_the_peers_play_their_roles_and_the_payload_arrives(tmp_path: Path) -> None:
    names = ("silent", "choker", "rejecter")
    only = [f"--only={name}" for name in names]
    status, outcomes, errors = faults(*only, "--libtorrent=0", f"--traces={tmp_path}")
    assert (status, errors) == (0, "")
    assert [outcome["scenario"] for outcome in outcomes] == [*names]
    for outcome in outcomes:
        [run] = outcome["runs"]
        assert run["seconds"] is not None
        assert [peer["host"] for peer in run["peers"]][:2] == ["127.0.0.2", "127.0.0.3"]
        gave = sent(run)
        assert gave.pop("honest") > MIB / 2
        assert sum(gave.values()) <= 16 * BLOCK  # two chokers, eight blocks each
        assert gave.get("silent", 0) == gave.get("rejecter", 0) == 0
    assert sorted(trace.name for trace in tmp_path.iterdir()) == [
        f"{name}-1.trace" for name in sorted(names)
    ]


@pytest.mark.skipif(
    importlib.util.find_spec("libtorrent") is None, reason="libtorrent is not installed"
)
def test_libtorrent_meets_the_same_peers() -> None:
    status, [outcome], errors = faults("--only=silent", "--libtorrent=1")
    assert (status, errors) == (0, "")
    for run in (*outcome["runs"], *outcome["libtorrent"]):
        assert [peer["connections"] for peer in run["peers"]] == [1, 1]
        assert sent(run) == {"silent": 0, "honest": MIB}


def test_a_run_that_is_not_done_in_time_is_told_and_fails_where_goals_are_strict() -> None:
    options = ("--only=silent", "--libtorrent=0", "--limit=0.01")
    status, [outcome], errors = faults(*options)
    assert (status, errors) == (0, "")
    assert outcome["missed"] == 1
    assert outcome["runs"][0]["seconds"] is None
    assert faults(*options, "--strict")[0] == 1


def test_a_run_that_is_not_done_in_time_is_shown_as_more_than_its_limit() -> None:
    options = ["--only=silent", "--mib=1", "--runs=1", "--libtorrent=0", "--limit=0.05"]
    run = subprocess.run(
        [sys.executable, "-W", "error", str(FAULTS), *options],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")  # a goal missed fails with --strict only
    assert "> 0.05" in run.stdout
