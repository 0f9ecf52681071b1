"""What is there before a download begins: a part of it, or somebody else's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from torrent_core.metainfo import Metainfo, parse_torrent
from transports.cli import main
from transports.cli.existing import claim, foreign_files
from transports.cli.failures import CommandFailed

KIB = 1024


@pytest.fixture
def payload(tmp_path: Path) -> Path:
    """Pieces of 16 KiB: ``a`` and ``b`` share one, ``c`` lies in that of ``b``'s end."""
    root = tmp_path / "seed" / "payload"
    root.mkdir(parents=True)
    (root / "a").write_bytes(os.urandom(20 * KIB))
    (root / "b").write_bytes(os.urandom(20 * KIB))
    (root / "c").write_bytes(os.urandom(100))
    (root / "d").write_bytes(b"")
    return root


@pytest.fixture
def metainfo(payload: Path, tmp_path: Path) -> Metainfo:
    path = tmp_path / "t.torrent"
    assert main(["create", str(payload), "-o", str(path), "--piece-length", "16384"]) == 0
    return parse_torrent(path.read_bytes())


def foreign(metainfo: Metainfo, payload: Path) -> list[str]:
    return [found.path.name for found in foreign_files(metainfo, payload.parent, quiet=True)]


def test_what_is_whole_is_ours(metainfo: Metainfo, payload: Path) -> None:
    assert foreign(metainfo, payload) == []


def test_what_is_not_there_or_empty_or_only_set_aside_is_no_hindrance(
    metainfo: Metainfo, payload: Path
) -> None:
    (payload / "a").unlink()
    (payload / "b").write_bytes(b"")
    (payload / "c").unlink()
    with (payload / "c").open("wb") as sparse:
        sparse.truncate(10 * KIB)
    assert foreign(metainfo, payload) == []


def test_a_file_with_one_right_piece_is_ours_though_it_is_short_or_long(
    metainfo: Metainfo, payload: Path
) -> None:
    os.truncate(payload / "a", 17 * KIB)
    with (payload / "b").open("ab") as file:
        file.write(b"more")
    assert foreign(metainfo, payload) == []


def test_a_file_that_no_piece_can_prove_is_judged_by_its_size(
    metainfo: Metainfo, payload: Path
) -> None:
    (payload / "b").unlink()
    assert foreign(metainfo, payload) == []
    (payload / "c").write_bytes(b"something short")
    assert foreign(metainfo, payload) == ["c"]


def test_a_file_of_another_content_is_foreign_and_so_is_one_that_should_be_empty(
    metainfo: Metainfo, payload: Path
) -> None:
    (payload / "a").write_bytes(b"x" * 20 * KIB)
    (payload / "d").write_bytes(b"x")
    assert foreign(metainfo, payload) == ["a", "d"]


def test_the_refusal_names_the_first_and_counts_the_others(
    metainfo: Metainfo, payload: Path
) -> None:
    (payload / "a").write_bytes(b"x" * 20 * KIB)
    (payload / "d").write_bytes(b"x")
    with pytest.raises(CommandFailed) as caught:
        claim(metainfo, payload.parent, force=False, quiet=True)
    assert str(caught.value) == (
        f"{payload}/a (and 1 other file like it) holds something else"
        " (no piece of it is right); --force overwrites it"
    )
    claim(metainfo, payload.parent, force=True, quiet=True)
    claim(metainfo, payload.parent, force=False, quiet=True)  # from now on it is ours


def test_resume_data_of_an_earlier_run_makes_it_ours(metainfo: Metainfo, payload: Path) -> None:
    (payload / "a").write_bytes(b"x")
    folder = payload.parent / ".torrent-core"
    folder.mkdir()
    (folder / f"{metainfo.info_hash.hex()}.resume").write_bytes(b"")
    claim(metainfo, payload.parent, force=False, quiet=True)


def test_a_folder_that_takes_no_mark_is_left_to_the_download_to_complain_of(
    metainfo: Metainfo, payload: Path
) -> None:
    (payload.parent / ".torrent-core").write_bytes(b"a file in the way")
    claim(metainfo, payload.parent, force=False, quiet=True)
