"""The README's examples run, its commands exist, its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from torrent_core.metainfo import TorrentBuilder

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def _example(name: str) -> str:
    found = re.search(rf"<!-- tested: {name} -->\n```python\n(.*?)```", README, re.DOTALL)
    assert found, f"the README has no example marked {name}"
    return found[1]


def test_the_embedding_example_runs() -> None:
    names: dict[str, object] = {}
    exec(_example("embedding"), names)
    disks = names["disks"]
    assert isinstance(disks, dict)
    assert disks["leech"] == names["payload"]


def test_the_client_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytes(100_000)
    builder = TorrentBuilder("ubuntu.iso", [(("ubuntu.iso",), len(data))], single_file=True)
    builder.update(data)
    (tmp_path / "ubuntu.torrent").write_bytes(builder.finish().encode())
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / "ubuntu.iso").write_bytes(data)
    monkeypatch.chdir(tmp_path)
    exec(_example("client"), {})
    assert "progress=1.0" in capsys.readouterr().out


def test_every_command_is_in_the_table_and_nothing_else_is() -> None:
    from transports.cli.app import commands

    in_table = re.findall(r"^\| `torrent-core (\w+)", README, re.MULTILINE)
    assert sorted(in_table) == sorted(commands.commands)


def test_every_file_that_the_readme_points_to_is_there() -> None:
    targets = re.findall(r"\]\((?!https?:)([^)]+)\)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).is_file()] == []
