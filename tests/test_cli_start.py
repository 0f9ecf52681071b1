"""What a command loads: what it needs, and nothing that others do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from test_cli_app import run_python
from transports import cli
from transports.cli.app import COMMANDS, load
from transports.cli.options import NO_DISCOVERY_VARIABLE

FINDERS = (
    "torrent_core.dht",
    "torrent_core.lsd",
    "torrent_core.magnet",
    "torrent_core.metadata.transfer",
    "torrent_core.trackers",
    "torrent_core.wire.krpc",
    "torrent_core.wire.udp_tracker",
    "transports.client.finding",
    "transports.discoverer",
    "transports.http",
    "transports.nodes",
    "transports.resolve",
    "transports.udp",
)
"""What finds peers by other ways than links, and what only a magnet link needs."""

OTHERS = {f"transports.cli.{module}" for module, _ in COMMANDS.values()} - {"transports.cli.get"}


def loaded_by(*arguments: str) -> set[str]:
    """The modules that a command has loaded when it is over, well."""
    code = (
        "import sys; from transports.cli import main; status = main(sys.argv[1:]);"
        "print(status, *sys.modules)"
    )
    run = run_python(code, *arguments)
    assert run.returncode == 0, run.stderr
    status, *modules = run.stdout.splitlines()[-1].split()
    assert status == "0", run.stderr
    return set(modules)


@pytest.fixture
def torrent(tmp_path: Path) -> str:
    """One of a file that is beside it, so that it can be had without a peer."""
    (tmp_path / "some.bin").write_bytes(bytes(100_000))
    path = str(tmp_path / "some.torrent")
    assert cli.main(["create", str(tmp_path / "some.bin"), "-o", path]) == 0
    return path


def got(torrent: str, *options: str) -> set[str]:
    """What a whole ``get`` loads."""
    return loaded_by("get", torrent, "-o", os.path.dirname(torrent), "--quiet", *options)


def test_who_wants_no_discovery_does_not_wait_for_what_it_takes(torrent: str) -> None:
    modules = got(torrent, "--no-discovery")
    assert "torrent_core.session" in modules
    assert modules.intersection(FINDERS) == set()


def test_who_wants_it_has_it(torrent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NO_DISCOVERY_VARIABLE, raising=False)
    modules = got(torrent, "--no-dht", "--no-lsd", "--no-pex")  # nobody is asked: no tracker
    assert set(FINDERS) - modules == {"torrent_core.magnet", "torrent_core.metadata.transfer"}


def test_no_command_loads_another(torrent: str) -> None:
    assert got(torrent, "--no-discovery") & OTHERS == set()


def test_the_list_of_commands_loads_none() -> None:
    modules = loaded_by("--help")
    assert modules & (OTHERS | {"transports.cli.get"}) == set()


def test_commands_are_listed_by_name_and_are_where_the_list_says() -> None:
    assert list(COMMANDS) == sorted(COMMANDS)
    assert [load(name).name for name in COMMANDS] == list(COMMANDS)


CHANGING = ("PYTHONUNBUFFERED", "PYTHONWARNINGS", "PYTHONDEVMODE")
"""What may be in the environment of a test, and is not in that of a user."""

LOUD = """
import atexit, sys
import transports.cli

class Loud:
    def __del__(self):
        print("taken apart")

def main():
    atexit.register(print, "at the exit")
    print("over")
    if sys.argv[1] == "raise":
        sys.exit(4)
    return int(sys.argv[1])

loud = Loud()
transports.cli.main = main
transports.cli.script()
"""


def end(*argv: str, stdout: IO[str] | int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    """Run Python with what is said so until it ends, its output buffered as it is by default."""
    env = {name: value for name, value in os.environ.items() if name not in CHANGING}
    argv = (sys.executable, *argv)
    return subprocess.run(argv, stdout=stdout, stderr=-1, text=True, timeout=60, env=env)


@pytest.mark.parametrize("status", [0, 3])
def test_a_process_does_what_is_to_be_done_at_its_end_and_is_not_taken_apart(status: int) -> None:
    ended = end("-c", LOUD, str(status))
    assert (ended.returncode, ended.stderr) == (status, "")
    assert ended.stdout.splitlines() == ["over", "at the exit"]


@pytest.mark.parametrize(
    ("argv", "status"), [(("-W", "error", "-c", LOUD, "3"), 3), (("-c", LOUD, "raise"), 4)]
)
def test_a_process_that_is_to_warn_or_that_fails_ends_as_any_other(
    argv: tuple[str, ...], status: int
) -> None:
    ended = end(*argv)
    assert (ended.returncode, ended.stderr) == (status, "")
    assert ended.stdout.splitlines() == ["over", "at the exit", "taken apart"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_output_that_cannot_be_written_is_a_failure_to_the_end() -> None:
    with open("/dev/full", "w") as full:
        ended = end("-c", LOUD, "0", stdout=full)
    assert ended.returncode == 120
    assert "No space left" in ended.stderr
