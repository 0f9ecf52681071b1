"""``get --trace``, ``replay``, and the file between them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from seeding import seed
from torrent_core import actions as act
from torrent_core.pieces import pace
from torrent_core.session import Session
from torrent_core.trace import Ending, SessionSetup, replay
from torrent_core.types import RandomSource
from trace_kit import small_trace
from transport_kit import PATIENCE
from transports import Client, tracefile
from transports.cli import main
from transports.cli.replay import as_fields, as_lines, explained
from transports.tracefile import CHUNK, Recording, TraceFile, chunks_of
from world import BLOCK, make_torrent

META, PAYLOAD = make_torrent(40 * BLOCK)
SMALL = small_trace()


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A download over a socket, recorded."""
    folder = tmp_path_factory.mktemp("trace")
    (folder / "seed").mkdir()
    (folder / "seed" / META.name).write_bytes(PAYLOAD)
    (folder / "t.torrent").write_bytes(META.encode())
    file = folder / "run.trace"
    with seed(META, folder / "seed") as port:
        arguments = ["get", str(folder / "t.torrent"), "-o", str(folder), "--quiet"]
        assert main([*arguments, "--peer", f"127.0.0.1:{port}", "--trace", str(file)]) == 0
    assert (folder / META.name).read_bytes() == PAYLOAD
    return file


def test_what_get_recorded_replays(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(trace)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    first, second, verdict = out.splitlines()
    assert first.endswith(" s, up to the end of the trace")
    assert second.startswith("1 link, 64")
    assert verdict == "each step wants what it wanted when it was recorded"
    assert trace.stat().st_size < len(PAYLOAD) / 50


def test_replay_as_json_is_one_object(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(trace), "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    said = json.loads(line)
    assert (said["event"], said["equal"], said["ending"]) == ("replayed", True, "closed")
    assert said["divergence"] is said["bug"] is None
    assert said["received"] > len(PAYLOAD)
    assert said["trace_bytes"] == trace.stat().st_size
    assert said["steps"] > 0
    assert said["span"] > 0


def test_until_stops_on_the_way(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(trace), "--until", "0.000001", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["ending"] == "until"
    assert said["span"] == pytest.approx(0.000001)


def test_until_zero_is_the_moment_of_the_first_step(
    trace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", str(trace), "--until", "0", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["ending"], said["span"]) == ("until", 0)
    assert said["steps"] > 0


def test_replay_explains_what_was_missing_at_that_moment(
    trace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["replay", str(trace), "--until", "0.000001", "--explain"]
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-3:] == [
        "",
        "why blocks were missing 0.000 s after the first step:",
        f"{META.info_hash.hex()}: 40 blocks in {META.piece_count} pieces are missing."
        " All of them wait: the files are being checked.",
    ]
    assert main([*arguments, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    account = said["explain"][META.info_hash.hex()]
    assert account["missing_blocks"] == 40
    assert account["entries"][0]["account"] == "held"


def test_replay_explains_the_last_moment_where_none_is_named(
    trace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", str(trace), "--explain"]) == 0
    assert capsys.readouterr().out.endswith(f"{META.info_hash.hex()}: Nothing is missing.\n")


def test_a_lone_torrent_and_a_session_without_any_are_explained_too() -> None:
    report = replay(SMALL)
    assert [str(why) for why in explained(report).values()] == ["Nothing is missing."]
    session = Session(b"-TC0000-ourselves...", NoRandom())
    empty = attrs.evolve(report, machine=session)
    assert as_lines(empty, explained(empty))[-1] == "there is no torrent"
    assert as_fields(empty, explained(empty))["explain"] == {}
    assert explained(attrs.evolve(report, machine=None)) == {}
    assert "explain" not in as_fields(report)


def test_a_run_that_differs_is_status_1_and_one_line(
    trace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "MIN_PIPELINE", 1)
    assert main(["replay", str(trace)]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "NOT the same"
    assert len(err.splitlines()) == 1
    assert err.startswith(f"error: {trace}: step ")
    for part in ("BytesReceived at ", " (byte ", "differs: digest ", " replayed"):
        assert part in err
    assert main(["replay", str(trace), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert not said["equal"]
    assert said["ending"] == "diverged"
    first = said["divergence"]
    assert first["step"] == said["steps"]
    assert first["at"] == said["span"]
    assert first["happened"] == "BytesReceived"
    assert "Send" in first["actions"]
    assert 0 < first["offset"] < trace.stat().st_size


def _flipped(data: bytes) -> bytes:
    return data[:300] + bytes([data[300] ^ 1]) + data[301:]


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (_flipped, "damaged (at byte "),
        (lambda data: b"\x89PNG" + data, "not a trace (at byte 0)"),
        (lambda data: data[:7] + b"\xff" + data[8:], "version 255 of the format (at byte 7)"),
        (lambda data: data + b"?", f"bytes after the end (at byte {len(SMALL)})"),
    ],
)
def test_a_trace_that_is_not_right_is_one_line_with_the_offset(
    damage: Callable[[bytes], bytes],
    why: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "bad.trace"
    file.write_bytes(damage(SMALL))
    assert main(["replay", str(file)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {file} is not a usable trace: {why}")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("length", [240, len(SMALL) - 1])
def test_a_trace_that_is_cut_short_replays_as_far_as_it_goes(
    length: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "cut.trace"
    file.write_bytes(SMALL[:length])
    assert main(["replay", str(file)]) == 0
    assert "s, up to where the trace is cut short\n" in capsys.readouterr().out
    assert main(["replay", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ending"] == "cut_short"


@pytest.mark.parametrize("length", [0, 5, 8, 100])
def test_a_trace_that_ends_before_it_says_of_what_it_is_is_of_no_use(
    length: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "cut.trace"
    file.write_bytes(SMALL[:length])
    assert main(["replay", str(file)]) == 1
    read = 8 if length >= 8 else 0
    error = f"error: {file} is not a usable trace: cut short (at byte {read})\n"
    assert capsys.readouterr() == ("", error)


def test_a_trace_without_a_step_says_that_nothing_was_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "cut.trace"
    file.write_bytes(SMALL[:240])
    assert main(["replay", str(file)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "no step was there to compare"


def test_a_file_that_is_no_trace_is_not_replaced_by_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torrent = tmp_path / "t.torrent"
    torrent.write_bytes(META.encode())
    arguments = ["get", str(torrent), "-o", str(tmp_path), "--trace", str(torrent)]
    assert main(arguments) == 1
    assert capsys.readouterr().err == f"error: {torrent} is no trace: it is not replaced\n"
    assert torrent.read_bytes() == META.encode()


@pytest.mark.parametrize("content", [b"", SMALL[:100]])
def test_a_former_trace_is_replaced(content: bytes, tmp_path: Path) -> None:
    torrent, file = tmp_path / "t.torrent", tmp_path / "run.trace"
    torrent.write_bytes(META.encode())
    (tmp_path / META.name).write_bytes(PAYLOAD)
    file.write_bytes(content)
    arguments = ["get", str(torrent), "-o", str(tmp_path), "--quiet", "--trace", str(file)]
    assert main(arguments) == 0
    assert file.stat().st_size > len(content)
    assert main(["replay", str(file)]) == 0


def test_a_missing_trace_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(tmp_path / "no")]) == 1
    assert capsys.readouterr().err == f"error: {tmp_path}/no: No such file or directory\n"


def test_a_trace_that_cannot_be_begun_ends_get_before_it_starts(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torrent = str(trace.parent / "t.torrent")
    arguments = ["get", torrent, "-o", str(tmp_path), "--quiet", "--trace"]
    assert main([*arguments, str(tmp_path / "no" / "run.trace")]) == 1
    error = f"error: {tmp_path}/no/run.trace: No such file or directory\n"
    assert capsys.readouterr().err == error
    assert main([*arguments, str(tmp_path)]) == 2


def test_what_was_refused_and_what_was_raised_is_told() -> None:
    report = attrs.evolve(replay(SMALL), refused=2, bug="KeyError", ending=Ending.CUT_SHORT)
    lines = as_lines(report)
    assert lines[2:4] == [
        "2 steps refused, as when recorded",
        "the machine raised KeyError, as when recorded",
    ]
    assert as_fields(report)["bug"] == "KeyError"


# --- The file --------------------------------------------------------------------------------


class Disk:
    """In place of a file: takes ``step`` bytes at once, and ``room`` in all."""

    def __init__(self, room: int, step: int = 10**9) -> None:
        self.taken = b""
        self.room = room
        self.step = step

    def write(self, data: memoryview) -> int:
        if not self.room:
            raise OSError(28, "No space left on device")
        part = bytes(data[: min(self.step, self.room)])
        self.room -= len(part)
        self.taken += part
        return len(part)

    def close(self) -> None:
        self.room = 0


def test_a_file_that_takes_little_at_a_time_gets_all_of_it(tmp_path: Path) -> None:
    file = TraceFile(tmp_path / "t", pytest.fail)
    file.close()
    disk: Any = Disk(1000, step=3)
    file._file = disk
    file.write(b"0123456789")
    file.write(b"abc")
    assert disk.taken == b"0123456789abc"


def test_after_a_failure_nothing_more_is_written_and_one_is_told(tmp_path: Path) -> None:
    failures: list[OSError] = []
    file = TraceFile(tmp_path / "t", failures.append)
    file.close()
    disk: Any = Disk(4)
    file._file = disk
    file.write(b"0123456789")
    disk.room = 100
    file.write(b"more")
    assert disk.taken == b"0123"
    assert failures == [file.failure]


def test_a_file_is_read_in_chunks(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(bytes(2 * CHUNK + 1))
    assert [len(chunk) for chunk in chunks_of(tmp_path / "t")] == [CHUNK, CHUNK, 1]


class NoRandom:
    """Draws nothing."""

    def getrandbits(self, k: int, /) -> int:
        raise AssertionError

    def random(self) -> float:
        raise AssertionError


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is full")
def test_a_trace_whose_first_bytes_find_no_room_is_not_begun() -> None:
    source: RandomSource = NoRandom()
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        Recording("/dev/full", SessionSetup(b"-TC0000-ourselves..."), source, lambda error: None)


@pytest.mark.anyio
async def test_what_waits_reaches_the_file_while_nothing_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracefile, "FLUSH_INTERVAL", 0.01)
    file = tmp_path / "run.trace"
    async with Client(tmp_path / "got", host="127.0.0.1", discovery=None, trace=file) as client:
        torrent = await client.add(META)
        with anyio.fail_after(PATIENCE):
            for _ in iter(lambda: replay(chunks_of(file)).steps >= 2, True):
                await anyio.sleep(0.01)
        torrent.add_peer("127.0.0.1", 1)
    report = replay(chunks_of(file), strict=True)
    assert report.is_equal
    assert report.ending is Ending.CLOSED


@pytest.mark.anyio
async def test_a_trace_that_finds_no_room_is_a_warning_and_the_client_goes_on(
    tmp_path: Path,
) -> None:
    file = tmp_path / "run.trace"
    async with Client(tmp_path / "got", host="127.0.0.1", discovery=None, trace=file) as client:
        recording = client._recording
        assert recording is not None
        recording._file.close()
        full: Any = Disk(0)
        recording._file._file = full
        reports = client.events()
        torrent = await client.add(META)
        recording.recorder.flush()
        with anyio.fail_after(PATIENCE):
            async for report in reports:
                if isinstance(report, act.Warned):
                    break
        assert report.torrent == META.info_hash
        assert report.text == "the trace ends here: [Errno 28] No space left on device"
        await torrent.stop()
    report_of_file = replay(chunks_of(file))
    assert (report_of_file.steps, report_of_file.ending) == (0, Ending.CUT_SHORT)
