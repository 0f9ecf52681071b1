"""The suite of benchmarks: that its parts run and that its table finds its place."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "benchmarks"


@pytest.fixture(autouse=True)
def _scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The scripts import one another as scripts do."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(FOLDER))
    yield
    for name in set(sys.modules) - before:
        if str(FOLDER) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *options],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=100,
        check=False,
    )


def found_by(*options: str) -> dict[str, Any]:
    done = run(*options)
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_every_part_is_a_script_that_names_its_options() -> None:
    from suite import PARTS

    for name, part in PARTS.items():
        assert (FOLDER / part.script).is_file(), name
        assert part.sized(quick=True, pairs=7) != part.sized(quick=False, pairs=7), name


def test_rounds_are_as_many_as_asked_for_and_never_more_than_a_part_has() -> None:
    from suite import PARTS

    assert "--pairs=7" in PARTS["seed-1-gib"].sized(quick=False, pairs=7)
    assert "--pairs=3" in PARTS["aria2-seeds"].sized(quick=False, pairs=7)
    assert "--pairs=1" in PARTS["aria2-seeds"].sized(quick=True, pairs=7)
    assert PARTS["swarm"].sized(quick=False, pairs=7) == []


def test_a_run_of_parts_is_one_object() -> None:
    done = run("-m", "benchmarks", "--quick", "--json", "--only=bounds", "--only=start")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert list(told["found"]) == ["bounds", "start"]
    assert told["failed"] == []
    assert set(told["found"]["bounds"]["bounds"]) == {
        *("sendfile", "recv_into", "sha1", "pwrite", "all"),
    }


def test_the_figures_of_a_thousand_links_can_be_taken_of_few() -> None:
    found = found_by(
        str(FOLDER / "core.py"), "--json", "--quick", "--repeats=1", "--only=disconnect_ms"
    )
    assert list(found) == ["disconnect_ms"]
    assert found["disconnect_ms"] > 0


def test_growth_is_measured_and_drawn(tmp_path: Path) -> None:
    plot = tmp_path / "growth.svg"
    found = found_by(str(FOLDER / "scale.py"), "--json", "--quick", "--busy", f"--plot={plot}")
    assert list(found["links"]["block"]) == ["1", "10", "100"]
    assert list(found["pieces"]["have"]) == ["100", "1000"]
    drawn = ElementTree.parse(plot).getroot()
    lines = drawn.findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == len(found["links"]) + len(found["pieces"]) + 1


GOT = {
    "core": {"block_us": 7.5, "have_many_us": 11.0},
    "download-1-gib": {
        "way": "download",
        "mib": 1024,
        "piece_kib": 256,
        "pairs": 7,
        "seeders": 1,
        "sides": {
            "libtorrent": {"wall_s": 4.0, "cpu_s": 2.0, "peak_mib": 80.0},
            "torrent-core": {
                "wall_s": 2.0,
                "cpu_s": 1.0,
                "peak_mib": 50.0,
                "speed_ratio": 2.0,
                "cpu_ratio": 0.5,
            },
        },
    },
    "faults": [
        {
            "scenario": "silent",
            "bound_s": 4.0,
            "goal_s": 5.3,
            "runs": [{"seconds": 4.25}],
            "libtorrent": [{"seconds": None}],
        }
    ],
}


def test_the_table_says_what_was_found_and_which_goals_were_missed() -> None:
    from table import as_markdown

    lines = as_markdown(GOT, "2026-01-02", "some machine").splitlines()
    assert lines[0] == "2026-01-02; some machine."
    assert "| 1 GiB from one seeder: speed | >= 1.2 | 2.00 |  |" in lines
    assert "| 1 GiB from one seeder: processor time | >= 1 | 0.50 | missed |" in lines
    assert "| `have_many_us` | <= 10 | 11.00 | missed |" in lines
    assert "| `silent` | 4.00 | 5.30 | 4.25 | not done |" in lines
    assert not [line for line in lines if "10 seeders" in line]


def test_the_table_takes_the_place_of_the_one_before() -> None:
    from table import BEGIN, END, into_readme

    text = f"head\n{BEGIN}\nold\n{END}\ntail\n"
    assert into_readme(text, "new") == f"head\n{BEGIN}\nnew\n{END}\ntail\n"
    with pytest.raises(ValueError, match="marks"):
        into_readme("head\n", "new")


def test_the_papers_have_a_place_for_the_table() -> None:
    from table import into_readme

    assert "new table" in into_readme((FOLDER / "README.md").read_text(), "new table")
