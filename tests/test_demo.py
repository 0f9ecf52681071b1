"""The demo, as a user runs it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from transports.cli import main
from transports.cli.demo import as_lines
from transports.demo import DemoReport, is_complete, make_payload


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
        assert re.search(rf"^  {name}: served \d+ blocks, \w+ .* unanswered", out, re.MULTILINE)
        assert re.search(rf"^  \d+ blocks? asked of {name}, void because", out, re.MULTILINE)
    assert "asked again of honest-" in out
    assert list(tmp_path.iterdir()) == []
