"""The demo, as a user runs it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from transports.cli import main
from transports.cli.demo import as_lines
from transports.demo.ledger import Ledger
from transports.demo.peers import Fault, FaultySeed
from transports.demo.swarm import DemoReport, is_complete, make_payload, missing_faults

SPARE = 32
"""Blocks that two seeds served in end-game, or that were on their way when it was over."""


def test_the_same_number_makes_the_same_payload(tmp_path: Path) -> None:
    first = make_payload(tmp_path / "1", 100_000, 3)
    second = make_payload(tmp_path / "2", 100_000, 3)
    other = make_payload(tmp_path / "3", 100_000, 4)
    assert first == second
    assert first.piece_hashes != other.piece_hashes
    assert is_complete(first, tmp_path / "2")
    assert not is_complete(first, tmp_path / "3")


def test_a_report_that_is_not_good_says_what_is_missing() -> None:
    report = DemoReport(False, 1024, 1.0, ("leaver: served 1 block",), (), ("leaver never",))
    assert not report.good
    lines = as_lines(report)
    assert lines[0] == "downloaded 1.0 KiB in 1.0 s: NOT what it should be"
    assert lines[-2:] == ["what did not happen:", "  leaver never"]


@pytest.mark.anyio
async def test_faults_that_did_not_happen_are_missed(tmp_path: Path) -> None:
    metainfo = make_payload(tmp_path / "x", 100_000, 0)
    seeds = [FaultySeed(fault, metainfo, lambda at, count: b"", 1, 1.0) for fault in Fault]
    released = Ledger({})
    assert missing_faults(seeds, released) == [
        "leaver never came to its fault",
        "silent never came to its fault",
        "choker never came to its fault",
    ]
    for seed in seeds:
        seed.failed_at = 1.0
    assert missing_faults(seeds, released)[0] == "no request to leaver was asked again"


def test_a_demo_that_takes_too_long_is_one_line_and_leaves_nothing_behind(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("transports.demo.swarm.LIMIT_SECONDS", 0.001)
    assert main(["demo", "--size", "1"]) == 1
    assert capsys.readouterr().err == "error: the demo was not done after 0.001 s\n"
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "transports.cli", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "interrupted\n")
    assert "stopping" in out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_demo_ends_well_and_tells_what_was_asked_again(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    backend: str,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main(["demo", "--size", "2", "--seed", "1", "--backend", backend]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert re.search(r"^downloaded 2\.0 MiB in \d+\.\d s: verified$", out, re.MULTILINE)
    for name in ("leaver", "silent", "choker"):
        assert re.search(
            rf"^  {name}: served \d+ blocks \(0\.\d MiB\), \w+ .* start$", out, re.MULTILINE
        )
        assert re.search(rf"^  \d+ blocks? asked of {name}, void because", out, re.MULTILINE)
    assert "asked again of honest-" in out
    served = [int(count) for count in re.findall(r": served (\d+) blocks", out)]
    assert len(served) == 5
    assert 128 <= sum(served) <= 128 + SPARE
    for count, name in re.findall(r"^  (\d+) blocks? asked of (\w+), void", out, re.MULTILINE):
        shares = re.search(rf"asked of {name}, void[^:]*: (.*)$", out, re.MULTILINE)
        assert shares
        assert sum(map(int, re.findall(r"(\d+) (?:asked|came)", shares[1]))) == int(count)
    assert list(tmp_path.iterdir()) == []
