"""Torrents and arguments that are wrong or ill-meant, on the command line: one line, a status."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from .child import Child
from .command import COMMAND
from .payload import bencode

pytestmark = pytest.mark.real

LIMIT = 60
FAILED, USAGE = 1, 2
PIECE = 16 * 1024
COMMANDS = ["get", "info", "verify", "seed"]


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        stdin=subprocess.DEVNULL,
    )


def _assert_one_line(ended: subprocess.CompletedProcess[str], status: int) -> str:
    assert ended.returncode == status, ended.stderr
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: ")
    return line


# --- Torrents that are none ----------------------------------------------------------------------

HASHES = b"6:pieces20:" + b"h" * 20
GOOD_INFO = b"d6:lengthi5e4:name1:a12:piece lengthi16384e" + HASHES + b"e"

MALFORMED = {
    "empty": b"",
    "text": b"this is not a torrent\n",
    "cut short": b"d4:info" + GOOD_INFO[:-30],
    "more behind it": b"d4:info" + GOOD_INFO + b"e" + b"more",
    "no info": b"d7:comment2:hie",
    "info is a list": b"d4:infoleee",
    "a deep nest": b"l" * 100_000,
    "an endless string": b"d4:info99999999999999999999:xe",
    "an endless number": b"d4:infoi" + b"9" * 100_000 + b"ee",
    "no bytes at all": b"d4:info" + GOOD_INFO.replace(b"i5e", b"i0e") + b"e",
    "a negative length": b"d4:info" + GOOD_INFO.replace(b"i5e", b"i-5e") + b"e",
    "more bytes than hashes": b"d4:info" + GOOD_INFO.replace(b"i5e", b"i16385e") + b"e",
    "pieces of no length": b"d4:info" + GOOD_INFO.replace(b"i16384e", b"i0e") + b"e",
    "half a hash": b"d4:info" + GOOD_INFO.replace(HASHES, b"6:pieces10:hhhhhhhhhh") + b"e",
}


@pytest.mark.parametrize(
    ("command", "kind"),
    [*(("get", kind) for kind in MALFORMED), *((name, "text") for name in COMMANDS[1:])],
)
def test_a_torrent_that_is_none_is_one_line(command: str, kind: str, tmp_path: Path) -> None:
    torrent = tmp_path / "bad.torrent"
    torrent.write_bytes(MALFORMED[kind])
    folder = {"get": ["-o", str(tmp_path)], "info": []}.get(command, [str(tmp_path)])
    line = _assert_one_line(_run(command, str(torrent), *folder), FAILED)
    what = "is empty" if kind == "empty" else "is not a usable torrent: "
    assert line.startswith(f"error: {torrent} {what}")
    assert list(tmp_path.iterdir()) == [torrent]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_torrent_that_is_missing_is_one_line(command: str, tmp_path: Path) -> None:
    folder = {"get": ["-o", str(tmp_path)], "info": []}.get(command, [str(tmp_path)])
    line = _assert_one_line(_run(command, str(tmp_path / "none"), *folder), FAILED)
    assert line == f"error: cannot read {tmp_path}/none: No such file or directory"


# --- Arguments that are wrong --------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["get"],
        ["get", "t", "--peer", "127.0.0.1"],
        ["get", "t", "--peer", "127.0.0.1:0"],
        ["get", "t", "--peer", "127.0.0.1:65536"],
        ["get", "t", "--peer", ":6881"],
        ["get", "t", "--port", "70000"],
        ["get", "t", "--timeout", "-1"],
        ["get", "t", "--timeout", "nan"],
        ["get", "t", "--backend", "gevent"],
        ["get", "t", "--no-such-option"],
        ["seed", "t"],
        ["verify", "t"],
        ["create"],
        ["create", "p", "-o", "o", "--piece-length", "1000"],
        ["fetch", "t"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_line_and_status_2(arguments: list[str]) -> None:
    _assert_one_line(_run(*arguments), USAGE)


# --- Torrents with names that lead elsewhere -----------------------------------------------------


EVIL_PATHS = {
    "up and out": (b"..", [[b"..", b"..", b"escaped"], [b"ok"]]),
    "from the root": (b"/", [[b"/tmp", b"escaped"], [b"", b"ok"]]),
    "inside a separator": (b"a/../../b", [[b"../../escaped"], [b"..\\..\\escaped"]]),
    "the resume folder": (b".torrent-core", [[b"..", b".torrent-core"], [b"x\0y"]]),
}


@pytest.mark.parametrize("kind", EVIL_PATHS)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_names_that_lead_elsewhere_stay_in_the_folder(
    kind: str, backend: str, tmp_path: Path
) -> None:
    name, paths = EVIL_PATHS[kind]
    data = bytes(range(256)) * 200
    half = len(data) // 2
    info = {
        b"name": name,
        b"files": [{b"length": half, b"path": path} for path in paths],
        b"piece length": PIECE,
        b"pieces": b"".join(
            hashlib.sha1(data[at : at + PIECE]).digest() for at in range(0, len(data), PIECE)
        ),
    }
    torrent = tmp_path / "evil.torrent"
    torrent.write_bytes(bencode({b"info": info}))
    origin, into = tmp_path / "deep" / "er" / "origin", tmp_path / "deep" / "er" / "got"
    shown = json.loads(_run("info", str(torrent), "--json").stdout)
    names = [entry["path"] for entry in shown["files"]]
    for at, path in enumerate(names):
        (origin / path).parent.mkdir(parents=True, exist_ok=True)
        (origin / path).write_bytes(data[at * half : (at + 1) * half])
    outside = _everything_but(tmp_path, into)

    seed = Child([*COMMAND, "seed", str(torrent), str(origin), "--backend", backend])
    try:
        line = seed.wait_line(lambda line: " on port " in line, LIMIT)
        assert ": complete" in line
        port = line.partition(" on port ")[2].partition(":")[0]
        what = ["get", str(torrent), "-o", str(into), "--peer", f"127.0.0.1:{port}"]
        ended = _run(*what, "--backend", backend)
    finally:
        seed.stop()
    assert (ended.returncode, ended.stderr) == (0, "")
    assert b"".join((into / path).read_bytes() for path in names) == data
    assert all((into / path).resolve().is_relative_to(into) for path in names)
    assert not any(path.startswith(".torrent-core/") for path in names)
    assert _everything_but(tmp_path, into) - outside <= {origin / ".torrent-core"}


def _everything_but(top: Path, left_out: Path) -> set[Path]:
    """All files and folders below ``top`` that are not in ``left_out`` or the seed's notes."""
    return {
        path
        for path in top.rglob("*")
        if not path.is_relative_to(left_out) and path.parent.name != ".torrent-core"
    }
