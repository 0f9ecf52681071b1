"""The README's examples run, its commands exist, its links lead somewhere."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from seeding import seed
from torrent_core.metainfo import TorrentBuilder

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def _example(name: str) -> str:
    found = re.search(rf"<!-- tested: {name} -->\n```python\n(.*?)```", README, re.DOTALL)
    assert found, f"the README has no example marked {name}"
    return found[1]


def test_the_embedding_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytes(range(256)) * 1000
    builder = TorrentBuilder("hello.bin", [(("hello.bin",), len(data))], single_file=True)
    builder.update(data)
    (tmp_path / "hello.torrent").write_bytes(builder.finish().encode())
    (tmp_path / "seed").mkdir()
    (tmp_path / "seed" / "hello.bin").write_bytes(data)
    monkeypatch.chdir(tmp_path)
    with seed(builder.finish(), tmp_path / "seed") as port:
        names: dict[str, object] = {}
        exec(_example("embedding").replace("6881", str(port)), names)
        peer = names["peer"]
        assert isinstance(peer, socket.socket)
        peer.close()
    assert (tmp_path / "downloads" / "hello.bin").read_bytes() == data


def test_the_client_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytes(100_000)
    builder = TorrentBuilder("hello.bin", [(("hello.bin",), len(data))], single_file=True)
    builder.update(data)
    (tmp_path / "hello.torrent").write_bytes(builder.finish().encode())
    (tmp_path / "seed").mkdir()
    (tmp_path / "seed" / "hello.bin").write_bytes(data)
    monkeypatch.chdir(tmp_path)
    with seed(builder.finish(), tmp_path / "seed") as port:
        exec(_example("client").replace("6881", str(port)), {})
    assert "progress=1.0" in capsys.readouterr().out
    assert (tmp_path / "downloads" / "hello.bin").read_bytes() == data


def test_the_swarm_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    exec(_example("swarm"), {})
    assert re.match(r"complete after \d+\.\d s of virtual time", capsys.readouterr().out)


def test_the_example_of_a_stall_machine_runs() -> None:
    names: dict[str, Any] = {"__name__": __name__}
    exec(_example("stall machine"), names)
    quick = settings(max_examples=3, stateful_step_count=10, database=None)
    run_state_machine_as_test(names["OneSlot"], settings=quick)


def test_the_example_of_strategies_passes() -> None:
    names: dict[str, Any] = {"__name__": "strategies_example"}
    exec(_example("strategies"), names)
    settings(max_examples=3, database=None, deadline=None)(
        names["test_whoever_else_is_there_it_arrives"]
    )()


def test_every_command_is_in_the_table_and_nothing_else_is() -> None:
    from transports.cli.app import COMMANDS

    in_table = re.findall(r"^\| `torrent-core (\w+)", README, re.MULTILINE)
    assert sorted(in_table) == sorted(COMMANDS)


def test_the_commands_with_json_are_those_that_the_readme_names() -> None:
    import click

    from transports.cli.app import COMMANDS, load

    (sentence,) = re.findall(r"^(`.*) take `--json`", README, re.MULTILINE)
    every: dict[str, click.Command] = {}
    for name in COMMANDS:
        command = load(name)
        parts = command.commands if isinstance(command, click.Group) else {"": command}
        every |= {f"{name} {more}".strip(): part for more, part in parts.items()}
    able = [
        name for name, command in every.items() if any(p.name == "as_json" for p in command.params)
    ]
    assert sorted(re.findall(r"`([a-z ]+)`", sentence)) == sorted(able)


def test_the_gate_runs_the_tests_as_the_readme_says() -> None:
    found = re.search(r"^    pip install -e '\.\[test\]' && (pytest.*)$", README, re.MULTILINE)
    assert found
    assert f"\n{found[1]} " in (ROOT / ".ci" / "run").read_text()


def test_every_file_that_the_readme_points_to_is_there() -> None:
    targets = re.findall(r"\]\((?!https?:)([^)]+)\)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).is_file()] == []
