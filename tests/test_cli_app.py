"""The entry point: statuses, one-line errors, and what it costs to start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import click
import pytest

from torrent_core.types import StorageFault
from transports import cli
from transports.cli import app
from transports.cli.failures import CommandFailed, describe_os_error, first_cause
from transports.errors import StorageError

HEAVY = ("rich", "anyio", "asyncio", "attr", "torrent_core", "hashlib")


def run_python(
    code: str, *arguments: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=60,
        env=os.environ | (env or {}),
        check=False,
    )


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """Puts one exception into the place of every command."""
    errors: list[BaseException] = []

    def fail(**_arguments: object) -> None:
        raise errors[0]

    monkeypatch.setattr(app.commands, "main", fail)
    return errors


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from transports.cli import main; status = main(['--help']);"
        f"print(status, [m for m in {HEAVY} if m in sys.modules])"
    )
    result = run_python(code)
    assert result.stdout.splitlines()[-1] == "0 []"
    for command in ("get", "seed", "create", "info", "verify", "demo"):
        assert f"\n  {command} " in result.stdout


@pytest.mark.parametrize("missing", ["click", "rich", "anyio"])
def test_without_the_extra_one_line_names_what_to_install(missing: str) -> None:
    code = (
        "import sys; import importlib.util as u; import transports.cli as c;"
        f"c.find_spec = lambda name: None if name == {missing!r} else u.find_spec(name);"
        "sys.exit(c.main(['--help']))"
    )
    result = run_python(code)
    assert result.returncode == 1
    assert result.stdout == ""
    line = f"error: the command line needs {missing}: pip install 'torrent-core[cli]'\n"
    assert result.stderr == line


def test_the_package_runs_as_a_module() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "transports.cli", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0
    assert "Usage: torrent-core" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["get"], "Missing argument 'SOURCE'"),
        (["get", "x", "--peer", "localhost"], "it has no port"),
        (["get", "x", "--port", "65536"], "'65536' is no port: 0 to 65535"),
        (["get", "x", "--port", "80x"], "'80x' is no port: 0 to 65535"),
        (["announce", "x", "--port", "0"], "'0' is no port: 1 to 65535"),
        (["get", "x", "--timeout", "0"], "positive number of seconds"),
        (["get", "x", "--frobnicate"], "--frobnicate"),
        (["get", "x", "--backend", "curio"], "curio"),
        (["create", "x"], "Missing option '-o'"),
        (["create", "x", "-o", "y", "--piece-length", "20000"], "power of two"),
        (["demo", "--size", "0"], "0"),
    ],
)
def test_usage_errors_are_one_line_and_status_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], why: str
) -> None:
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("error: ")
    assert why in err
    assert "--help)" in err


def test_no_command_at_all_shows_the_help_and_is_a_usage_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main([]) == 2
    assert "Usage: torrent-core" in capsys.readouterr().err


def test_the_version_is_shown_where_the_package_is_installed_and_where_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.metadata

    monkeypatch.setattr(importlib.metadata, "version", lambda _name: "1.2.3")
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == "torrent-core 1.2.3\n"

    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert cli.main(["--version"]) == 0
    assert "not installed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (CommandFailed("it\ncould not"), 1, "it\N{REPLACEMENT CHARACTER}could not"),
        (ExceptionGroup("g", [ExceptionGroup("h", [CommandFailed("deep")])]), 1, "deep"),
        (
            StorageError(StorageFault.DISK_FULL, "/x"),
            1,
            "no space left on the disk: /x; what is verified is kept, run again to go on",
        ),
        (OSError(98, "Address already in use"), 1, "Address already in use"),
        (PermissionError(13, "Permission denied", "/x"), 1, "/x: Permission denied"),
        (click.ClickException("odd"), 1, "odd"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (click.Abort(), 130, "interrupted"),
        (ZeroDivisionError("oops"), 1, "internal error: ZeroDivisionError: oops"),
    ],
)
def test_whatever_is_raised_becomes_one_line_and_a_status(
    raising: list[BaseException],
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
    line: str,
) -> None:
    raising.append(error)
    assert cli.main([]) == status
    assert capsys.readouterr() == ("", f"error: {line}\n")


def test_the_traceback_is_shown_on_request(
    raising: list[BaseException],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raising.append(ZeroDivisionError("oops"))
    monkeypatch.setenv("TORRENT_CORE_DEBUG", "1")
    assert cli.main([]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_a_reader_that_goes_away_ends_the_command_quietly() -> None:
    code = (
        "import os, sys; read, write = os.pipe(); os.close(read); os.dup2(write, 1);"
        "from transports.cli import main; sys.exit(main(['get', '--help']))"
    )
    result = run_python(code)
    assert result.returncode == 1
    assert result.stderr == ""


def test_a_reader_that_goes_away_hides_no_other_failure(tmp_path: Path) -> None:
    """The object for machines cannot be told; the line for people still is."""
    (tmp_path / "x").write_bytes(b"x")
    torrent = tmp_path / "x.torrent"
    assert cli.main(["create", str(tmp_path / "x"), "-o", str(torrent)]) == 0
    (tmp_path / "there" / "x").mkdir(parents=True)
    arguments = ["get", str(torrent), "-o", str(tmp_path / "there"), "--json"]
    code = (
        "import os, sys; read, write = os.pipe(); os.close(read); os.dup2(write, 1);"
        f"from transports.cli import main; sys.exit(main({arguments!r}))"
    )
    result = run_python(code)
    line = f"error: {tmp_path}/there/x is a folder, where the torrent has a file\n"
    assert (result.returncode, result.stderr) == (1, line)


def run_closed(redirection: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command with a descriptor closed, as a shell does it."""
    script = f'exec "$0" -m transports.cli "$@" {redirection}'
    return subprocess.run(
        ["sh", "-c", script, sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("options", [["--json"], ["--json", "--quiet"], []])
def test_a_closed_stdout_is_one_line_and_status_1(tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "x").write_bytes(b"x")
    torrent = tmp_path / "x.torrent"
    assert cli.main(["create", str(tmp_path / "x"), "-o", str(torrent)]) == 0
    result = run_closed(">&-", "get", str(torrent), "-o", str(tmp_path), *options)
    line = "error: stdout is closed (>/dev/null is the way to want no output)\n"
    assert (result.returncode, result.stderr) == (1, line)


def test_with_stderr_closed_the_line_does_not_go_to_stdout() -> None:
    result = run_closed("2>&-", "nonsense")
    assert (result.returncode, result.stdout) == (2, "")


def test_no_file_takes_the_place_of_a_closed_descriptor() -> None:
    code = (
        "import os; from transports.cli import main; os.close(0); os.close(2);"
        "print(main(['--version']), os.open('.', os.O_RDONLY) > 2)"
    )
    result = run_python(code)
    assert result.stdout.splitlines()[-1] == "0 True"


def test_names_beyond_the_terminals_encoding_are_shown_not_fatal(tmp_path: Path) -> None:
    name = os.fsdecode("naïve ☃ ".encode() + b"\xff")
    (tmp_path / name).write_bytes(b"x")
    arguments = ["create", str(tmp_path), "-o", str(tmp_path / "☃.torrent")]
    code = f"import sys; from transports.cli import main; sys.exit(main({arguments!r}))"
    result = run_python(code, env={"PYTHONIOENCODING": "latin-1"})
    assert result.returncode == 0
    assert "Traceback" not in result.stderr
    assert result.stdout.endswith("?.torrent\n")


def test_sigterm_unwinds_like_ctrl_c_and_only_while_a_command_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def killed(**_arguments: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(app.commands, "main", killed)
    assert cli.main([]) == 130
    assert capsys.readouterr().err == "error: interrupted\n"
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_command_runs_in_any_thread(capsys: pytest.CaptureFixture[str]) -> None:
    statuses: list[int] = []
    thread = threading.Thread(target=lambda: statuses.append(cli.main(["--help"])))
    thread.start()
    thread.join()
    assert statuses == [0]


def test_the_first_cause_of_nested_groups_is_found() -> None:
    error = ValueError("x")
    assert first_cause(error) is error
    assert first_cause(ExceptionGroup("a", [ExceptionGroup("b", [error]), OSError()])) is error


def test_os_errors_name_the_file_where_there_is_one() -> None:
    assert describe_os_error(OSError("plain")) == "plain"
    assert describe_os_error(OSError()) == "OSError"
    assert describe_os_error(FileNotFoundError(2, "No such file", "f")) == "f: No such file"


INTERRUPTED_WHILE_LOADING = """
import os, signal, sys

class Slow:
    def find_spec(self, name, path, target=None):
        if name == sys.argv[1]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Slow())
from transports.cli import main
sys.exit(main(["get", "--help"]))
"""

SIGNALLED_WHEN_DONE = """
import os, signal, sys
from transports.cli import main

sys.argv = ["torrent-core", "--version"]
status = main()
for number in (signal.SIGTERM, signal.SIGINT):
    os.kill(os.getpid(), number)
sys.exit(status)
"""


INTERRUPTED_IN_A_COMMAND = """
import os, signal, sys
from transports.cli import main, sources

sources.load_source = lambda source: os.kill(os.getpid(), signal.SIGINT)
sys.exit(main(["info", "x"]))
"""


def test_ctrl_c_while_a_command_has_no_loop_yet_is_one_line() -> None:
    result = run_python(INTERRUPTED_IN_A_COMMAND)
    assert (result.returncode, result.stdout) == (130, "")
    assert result.stderr == "error: interrupted\n"


@pytest.mark.parametrize("module", ["transports.cli.app", "transports.cli.get"])
def test_ctrl_c_while_modules_are_loaded_is_one_line_and_status_130(module: str) -> None:
    result = run_python(INTERRUPTED_WHILE_LOADING, module)
    assert (result.returncode, result.stdout) == (130, "")
    assert result.stderr == "error: interrupted\n"


def test_a_signal_to_a_process_that_is_done_does_not_change_its_status() -> None:
    result = run_python(SIGNALLED_WHEN_DONE)
    assert (result.returncode, result.stderr) == (0, "")


def test_a_process_that_ends_is_not_searched_for_garbage() -> None:
    ended = run_python(
        """
import atexit, gc, sys
atexit.register(lambda: print(gc.get_freeze_count() > 1000))
from transports.cli import main
sys.argv = ["torrent-core", "--version"]
sys.exit(main())
"""
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[1:] == ["True"]
