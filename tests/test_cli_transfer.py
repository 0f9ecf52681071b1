"""``get`` and ``seed``, run as a user runs them: processes, signals, sockets."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from torrent_core.types import StorageFault
from transports.cli import main, stillness
from transports.client.handle import TorrentHandle
from transports.errors import StorageError

SIZE = 300_000
BASE_FIELDS = {"event", "time", "progress", "down_rate", "up_rate", "peers", "state"}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with a payload in it, and its torrent beside."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "data.bin").write_bytes(os.urandom(SIZE))
    arguments = ["create", str(folder / "data.bin"), "-o", str(tmp_path / "t.torrent")]
    assert main([*arguments, "--piece-length", "16384"]) == 0
    return folder


@pytest.fixture
def torrent(source: Path) -> str:
    return str(source.parent / "t.torrent")


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A command in a process of its own, its output readable line by line."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "transports.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_until(process: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        match = re.search(pattern, line)
        if match:
            return match
    assert process.stderr is not None
    raise AssertionError(f"no line like {pattern!r} in {seen}: {process.stderr.read()}")


@contextmanager
def seeding(torrent: str, folder: Path, backend: str = "asyncio") -> Iterator[str]:
    """A seed in a process of its own; its address."""
    with running("seed", torrent, str(folder), "--backend", backend) as process:
        port = read_until(process, r"on port (\d+): complete").group(1)
        yield f"127.0.0.1:{port}"


@contextmanager
def mute_peer() -> Iterator[str]:
    """Accepts connections and never says a word; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_get_downloads_what_a_seed_has(
    source: Path,
    torrent: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    backend: str,
) -> None:
    target = tmp_path / "target" / "deep"
    capsys.readouterr()
    with seeding(torrent, source, backend) as peer:
        arguments = ["get", torrent, "-o", str(target), "--peer", peer, "--no-discovery"]
        assert main([*arguments, "--backend", backend]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines()[-1].startswith(f"done: {target}/data.bin, 293.0 KiB verified")
    assert (target / "data.bin").read_bytes() == (source / "data.bin").read_bytes()


def test_get_as_json_tells_its_story_one_object_a_line(
    source: Path, torrent: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    with seeding(torrent, source) as peer:
        assert main(["get", torrent, "-o", str(tmp_path), "--peer", peer, "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    names = [event["event"] for event in events]
    assert all(event.keys() >= BASE_FIELDS for event in events)
    assert names[0] == "started"
    assert {"progress", "peer_connected", "state"} <= set(names)
    assert events[-1]["event"] == "completed"
    assert events[-1]["progress"] == 1.0
    assert events[-1]["downloaded"] >= SIZE


def test_get_quiet_prints_nothing(
    source: Path, torrent: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    with seeding(torrent, source) as peer:
        assert main(["get", torrent, "-o", str(tmp_path), "--peer", peer, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_get_of_what_is_there_already_needs_no_peer(
    source: Path, torrent: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["get", torrent, "-o", str(source), "--timeout", "30"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"done: {source}/data.bin, 293.0 KiB verified (it was complete already)"


def test_get_without_a_supplier_gives_up_and_says_what_it_waited_for(
    torrent: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    with mute_peer() as peer:
        arguments = ["get", torrent, "-o", str(tmp_path), "--peer", peer, "--timeout", "0.5"]
        assert main([*arguments, "--json"]) == 1
    out, err = capsys.readouterr()
    assert err.startswith("error: no supplier for 0.5 s: 19 blocks in 19 pieces are missing. ")
    assert err.endswith(f" Not connected: {peer}.\n")
    assert len(err.splitlines()) == 1
    last = json.loads(out.splitlines()[-1])
    assert last["event"] == "failed"
    assert f"error: {last['message']}\n" == err
    assert last["explain"]["text"] in err
    assert last["explain"]["entries"][0]["account"] == "nobody"


def test_get_says_once_why_a_peer_cannot_be_reached_and_why_nothing_moves(
    torrent: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stillness, "STILL_AFTER", 1.0)
    capsys.readouterr()
    with mute_peer() as peer:
        pass  # and now nobody listens there
    arguments = ["get", torrent, "-o", str(tmp_path), "--peer", peer, "--timeout", "2.5"]
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    assert out.count(f"cannot connect to {peer}: Connection refused\n") == 1
    still = [line for line in out.splitlines() if line.startswith("nothing has moved for ")]
    assert len(still) == 1
    assert "19 blocks in 19 pieces are missing." in still[0]
    assert f"Next: dial {peer}, in " in still[0]
    assert err.endswith(f" Not connected: {peer} (Connection refused).\n")


def test_get_on_a_port_that_is_taken_is_one_line(
    torrent: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["get", torrent, "-o", str(tmp_path), "--port", port]) == 1
    _, err = capsys.readouterr()
    assert len(err.splitlines()) == 1
    assert err == f"error: cannot listen on port {port}: Address already in use\n"


def test_get_into_a_file_is_one_line(
    torrent: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    (tmp_path / "file").write_bytes(b"")
    assert main(["get", torrent, "-o", str(tmp_path / "file")]) == 1
    assert capsys.readouterr().err == (
        f"error: {tmp_path}/file is a file: name the folder to download into\n"
    )


def test_get_on_a_full_disk_says_so_and_keeps_what_is_verified(
    torrent: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def full(_torrent: TorrentHandle) -> None:
        raise StorageError(StorageFault.DISK_FULL, "data.bin")

    monkeypatch.setattr(TorrentHandle, "wait_complete", full)
    capsys.readouterr()
    assert main(["get", torrent, "-o", str(tmp_path), "--quiet"]) == 1
    assert capsys.readouterr().err == (
        "error: no space left on the disk: data.bin; what is verified is kept, run again to go on\n"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_signal_ends_get_cleanly_with_resume_data_saved(
    torrent: str, tmp_path: Path, number: signal.Signals, backend: str
) -> None:
    target = tmp_path / "target"
    with running("get", torrent, "-o", str(target), "--backend", backend) as process:
        read_until(process, r"^downloading 0\.0 %")
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopping" in out
    assert err == "interrupted; resume data is saved\n"
    assert len(list((target / ".torrent-core").glob("*.resume"))) == 1


def test_get_goes_on_seeding_when_asked_to_until_a_signal(
    source: Path, torrent: str, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    first = ["get", torrent, "-o", str(source), "--seed", "--json"]
    with running(*first) as seed:
        port = json.loads(read_until(seed, '"started"').string)["port"]
        read_until(seed, '"completed"')
        peer = f"127.0.0.1:{port}"
        assert main(["get", torrent, "-o", str(target), "--peer", peer, "--quiet"]) == 0
        seed.send_signal(signal.SIGINT)
        out, _ = seed.communicate(timeout=60)
    assert seed.returncode == 130
    assert '"interrupted"' in out
    assert (target / "data.bin").read_bytes() == (source / "data.bin").read_bytes()


def test_seed_of_an_empty_folder_says_what_is_missing_and_where_it_may_be(
    source: Path, torrent: str
) -> None:
    empty = source / "empty"
    empty.mkdir()
    with running("seed", torrent, str(empty)) as process:
        read_until(process, r": incomplete, 0 of 19 pieces are good")
        read_until(process, f"warning: missing: {empty}/data.bin")
        read_until(process, "warning: there is nothing to serve yet")
        read_until(process, f"warning: one level too deep\\? {source} holds it")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"my diary", "8 B where the torrent has 293.0 KiB"),
        (b"x" * SIZE, "no piece of it is right"),
        (b"x" * (SIZE + 1000), "293.9 KiB where the torrent has 293.0 KiB"),
    ],
)
def test_get_does_not_overwrite_what_is_not_its_own_unless_forced_to(
    source: Path,
    torrent: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: bytes,
    why: str,
) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "data.bin").write_bytes(content)
    capsys.readouterr()
    assert main(["get", torrent, "-o", str(target), "--timeout", "0.2", "--json"]) == 1
    out, err = capsys.readouterr()
    assert err == (
        f"error: {target}/data.bin holds something else ({why}); --force overwrites it\n"
    )
    assert json.loads(out)["event"] == "failed"
    assert (target / "data.bin").read_bytes() == content
    with seeding(torrent, source) as peer:
        forced = ["get", torrent, "-o", str(target), "--peer", peer, "--force", "--quiet"]
        assert main(forced) == 0
    assert (target / "data.bin").read_bytes() == (source / "data.bin").read_bytes()


@pytest.mark.parametrize("length", [20_000, SIZE])
def test_get_goes_on_from_a_part_that_has_no_resume_data(
    source: Path, torrent: str, tmp_path: Path, length: int
) -> None:
    target = tmp_path / "target"
    target.mkdir()
    part = bytearray((source / "data.bin").read_bytes()[:length])
    part[16384:] = bytes(length - 16384)
    (target / "data.bin").write_bytes(part)
    with seeding(torrent, source) as peer:
        assert main(["get", torrent, "-o", str(target), "--peer", peer, "--quiet"]) == 0
    assert (target / "data.bin").read_bytes() == (source / "data.bin").read_bytes()


def test_get_goes_on_where_an_earlier_run_was_killed_before_it_had_a_piece(
    torrent: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "target"
    with running("get", torrent, "-o", str(target)) as process:
        read_until(process, r"^downloading 0\.0 %")
    assert list(target.glob(".torrent-core/*.resume")) == []
    (target / "data.bin").write_bytes(b"half a block")
    capsys.readouterr()
    assert main(["get", torrent, "-o", str(target), "--timeout", "0.1", "--quiet"]) == 1
    assert capsys.readouterr().err.startswith("error: no supplier for 0.1 s: ")


def test_seed_says_when_it_is_incomplete_and_serves_what_it_has(
    source: Path, torrent: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytearray((source / "data.bin").read_bytes())
    data[20_000] ^= 1
    (source / "data.bin").write_bytes(data)
    capsys.readouterr()
    with running("seed", torrent, str(source)) as process:
        found = read_until(process, r"on port (\d+): incomplete, 18 of 19 pieces are good")
        peer = f"127.0.0.1:{found.group(1)}"
        arguments = ["get", torrent, "-o", str(tmp_path), "--peer", peer, "--timeout", "2"]
        assert main([*arguments, "--json"]) == 1
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last["event"], last["pieces_have"]) == ("failed", 18)


def test_a_folder_in_the_place_of_a_file_is_one_line(
    torrent: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    target = tmp_path / "target"
    (target / "data.bin").mkdir(parents=True)
    assert main(["get", torrent, "-o", str(target)]) == 1
    error = f"error: {target}/data.bin is a folder, where the torrent has a file\n"
    assert capsys.readouterr().err == error


def test_a_file_in_the_place_of_a_folder_is_one_line(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (source / "deep" / "er").mkdir(parents=True)
    (source / "deep" / "er" / "empty.bin").touch()
    torrent, target = str(tmp_path / "folder.torrent"), tmp_path / "target"
    assert main(["create", str(source), "-o", torrent]) == 0
    (target / "source").mkdir(parents=True)
    (target / "source" / "deep").touch()
    capsys.readouterr()
    for force in ([], ["--force"]):
        assert main(["get", torrent, "-o", str(target), *force]) == 1
        error = f"error: {target}/source/deep is a file, where the torrent has a folder\n"
        assert capsys.readouterr().err == error


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_signal_once_all_is_done_does_not_make_it_interrupted(
    source: Path,
    torrent: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    backend: str,
) -> None:
    def done(*_arguments: object) -> str:
        os.kill(os.getpid(), signal.SIGTERM)
        return "done"

    monkeypatch.setattr("transports.cli.get.done_line", done)
    arguments = ["get", torrent, "-o", str(source), "--no-discovery", "--backend", backend]
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines()[-1] == "done"
