"""``get`` and ``info`` of magnet links, against a seed of ours on loopback."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from seeding import seed
from torrent_core.metainfo import MagnetLink, Metainfo, TorrentBuilder, parse_torrent
from torrent_core.types import TorrentState
from transports.cli import main, render
from transports.cli.bar import MARKS, cells, transfer_line
from transports.cli.watch import SupplyWatch

DATA = os.urandom(300_000)


def described() -> Metainfo:
    files = [(("a",), 200_000), (("b",), 100_000)]
    builder = TorrentBuilder("shared", files, single_file=False, piece_length=16_384)
    builder.update(DATA)
    return builder.finish()


META = described()
LINK = str(MagnetLink(META.info_hash, name="as it is called"))


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "seed" / "shared"
    folder.mkdir(parents=True)
    (folder / "a").write_bytes(DATA[:200_000])
    (folder / "b").write_bytes(DATA[200_000:])
    with seed(META, folder.parent) as port:
        yield f"127.0.0.1:{port}"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "got"


Output = pytest.CaptureFixture[str]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_get_downloads_what_a_link_stands_for(
    backend: str, peer: str, target: Path, capsys: Output
) -> None:
    assert main(["get", LINK, "-o", str(target), "--peer", peer, "--backend", backend]) == 0
    out = capsys.readouterr().out
    assert "the metadata is not here yet, peers 0" in out
    assert "the metadata is here: shared, 293.0 KiB in 2 files\n" in out
    assert f"done: {target}/shared, 293.0 KiB verified" in out
    assert (target / "shared" / "b").read_bytes() == DATA[200_000:]


def test_get_of_one_file_says_how_much_of_it_was_wanted(
    peer: str, target: Path, capsys: Output
) -> None:
    assert main(["get", f"{LINK}&so=1", "-o", str(target), "--peer", peer]) == 0
    assert "97.7 KiB verified" in capsys.readouterr().out
    assert (target / "shared" / "b").read_bytes() == DATA[200_000:]


def test_get_as_json_has_no_progress_before_the_metadata(
    peer: str, target: Path, capsys: Output
) -> None:
    assert main(["get", LINK, "-o", str(target), "--peer", peer, "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [events[0][name] for name in ("event", "name", "size", "progress")] == [
        *("started", "as it is called", None, None)
    ]
    (told,) = [event for event in events if event["event"] == "metadata"]
    assert (told["name"], told["size"], told["files"]) == ("shared", 300_000, 2)
    assert events[-1]["event"] == "completed"
    assert events[-1]["progress"] == 1.0


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_metadata_only_saves_the_torrent_and_nothing_else(
    backend: str, peer: str, target: Path, capsys: Output
) -> None:
    arguments = ["get", LINK, "-o", str(target), "--peer", peer, "--metadata-only"]
    assert main([*arguments, "--backend", backend]) == 0
    assert f"saved: {target}/shared.torrent\n" in capsys.readouterr().out
    assert [path.name for path in target.iterdir()] == ["shared.torrent"]
    assert parse_torrent((target / "shared.torrent").read_bytes()).info == META.info
    assert main(arguments) == 0  # it is the same


def test_metadata_only_of_a_file_or_of_stdin_needs_no_peer(
    target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    given = tmp_path / "given.torrent"
    given.write_bytes(META.encode())
    assert main(["get", str(given), "-o", str(target), "--metadata-only"]) == 0
    saved = target / "shared.torrent"
    assert parse_torrent(saved.read_bytes()) == META
    saved.write_bytes(b"another")
    stdin = SimpleNamespace(buffer=io.BytesIO(META.encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    capsys.readouterr()
    assert main(["get", "-", "-o", str(target), "--metadata-only"]) == 1
    assert (
        capsys.readouterr().err == f"error: {saved} holds something else; --force overwrites it\n"
    )
    assert main(["get", str(given), "-o", str(target), "--metadata-only", "--force"]) == 0
    assert parse_torrent(saved.read_bytes()) == META
    saved.unlink()
    saved.mkdir()
    assert main(["get", str(given), "-o", str(target), "--metadata-only", "--force"]) == 1


def test_metadata_only_of_a_file_asks_nobody_as_the_help_says(
    target: Path, tmp_path: Path, capsys: Output
) -> None:
    given, trace = tmp_path / "given.torrent", tmp_path / "trace"
    given.write_bytes(META.encode())
    options = ["--peer", "127.0.0.1:9", "--no-dht", "--trace", str(trace)]
    assert main(["get", str(given), "-o", str(target), "--metadata-only", *options]) == 0
    assert not trace.exists()
    assert main(["get", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "no peer and no tracker is asked: options that concern them have no effect" in said


def test_metadata_only_leaves_nothing_to_seed(capsys: Output) -> None:
    assert main(["get", LINK, "--metadata-only", "--seed"]) == 2
    assert "--metadata-only leaves nothing to --seed" in capsys.readouterr().err


def test_files_that_hold_something_else_are_found_once_the_metadata_is_here(
    peer: str, target: Path, capsys: Output
) -> None:
    mine = target / "shared" / "a"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine" * 50_000)
    arguments = ["get", LINK, "-o", str(target), "--peer", peer]
    assert main(arguments) == 1
    assert capsys.readouterr().err.endswith("--force overwrites it\n")
    assert mine.read_bytes() == b"mine" * 50_000
    assert [path.name for path in target.iterdir()] == ["shared"]
    assert main([*arguments, "--force"]) == 0
    assert mine.read_bytes() == DATA[:200_000]


def test_get_gives_up_where_nobody_has_the_metadata(target: Path, capsys: Output) -> None:
    arguments = ["get", LINK, "-o", str(target), "--peer", "127.0.0.1:9", "--timeout", "0.2"]
    assert main([*arguments, "--json"]) == 1
    out, err = capsys.readouterr()
    assert err.startswith("error: no supplier for 0.2 s: The metadata is not here yet: ")
    failed = json.loads(out.splitlines()[-1])
    assert failed["event"] == "failed"
    (entry,) = failed["explain"]["entries"]
    assert (entry["account"], entry["first_piece"]) == ("nobody", None)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_info_says_what_a_link_stands_for(
    backend: str, peer: str, target: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.mkdir()
    monkeypatch.chdir(target)
    assert main(["info", LINK, "--peer", peer, "--json", "--backend", backend]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["name"], told["info_hash"]) == ("shared", META.info_hash.hex())
    assert list(target.iterdir()) == []


def test_info_of_a_link_that_nobody_knows_gives_up(capsys: Output) -> None:
    assert main(["info", LINK, "--timeout", "0.1"]) == 1
    assert capsys.readouterr().err.startswith(
        "error: gave up after 0.1 s: The metadata is not here yet: no connected peer has it."
    )


def test_the_bar_of_a_magnet_has_no_percentage_and_fits() -> None:
    status = SimpleNamespace(peers=3, known={})
    line = transfer_line(80, "some name", render.RESOLVING, status, MARKS)
    assert line == "some name  the metadata is not here yet  3 peers"
    assert cells(transfer_line(20, "some name", render.RESOLVING, status, MARKS)) <= 20
    assert TorrentState.RESOLVING.value == render.RESOLVING


def test_who_is_asked_for_the_metadata_is_a_supplier() -> None:
    status = SimpleNamespace(downloaded=0, pieces_have=0, state=TorrentState.RESOLVING)
    watch = SupplyWatch(0.0)
    assert watch.idle(3.0, status, [], True) == 0.0
    assert watch.idle(5.0, status, []) == 2.0
