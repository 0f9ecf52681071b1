"""Digests of pieces read from files."""

from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transports.disk import hashing
from transports.disk.hashing import PieceReader, SourceFile, digests


@given(st.lists(st.binary(max_size=40), max_size=8), st.integers(1, 50), st.integers(1, 4))
def test_digests_are_those_of_the_files_laid_end_to_end(
    contents: list[bytes], piece_length: int, threads: int
) -> None:
    whole = b"".join(contents)
    with TemporaryDirectory() as folder:
        files = []
        for number, content in enumerate(contents):
            path = Path(folder) / str(number)
            path.write_bytes(content)
            files.append(SourceFile(path, len(content)))
        reader = PieceReader(files, piece_length)
        found = list(digests(reader, threads))
    assert [digest.piece for digest in found] == list(range(reader.piece_count))
    assert sum(digest.length for digest in found) == len(whole)
    assert [digest.sha1 for digest in found] == [
        hashlib.sha1(whole[at : at + piece_length]).digest()
        for at in range(0, len(whole), piece_length)
    ]


def test_pieces_of_padding_and_long_reads_are_hashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashing, "READ_SIZE", 7)
    (tmp_path / "f").write_bytes(b"x" * 20)
    reader = PieceReader([SourceFile(tmp_path / "f", 20), SourceFile(None, 20)], 40)
    assert reader.digest(0).sha1 == hashlib.sha1(b"x" * 20 + bytes(20)).digest()
    assert reader.files_of(0) == [0, 1]


def test_what_is_absent_or_short_has_no_digest(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"x")
    (tmp_path / "whole").write_bytes(b"xx")
    files = [SourceFile(tmp_path / name, 2) for name in ("gone", "short", "whole")]
    found = [digest.sha1 for digest in digests(PieceReader(files, 2))]
    assert found == [None, None, hashlib.sha1(b"xx").digest()]


def test_what_cannot_be_read_is_raised_and_ends_the_hashing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "f").write_bytes(b"x" * 100)

    def refuse(*_arguments: object, **_options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(PermissionError):
        list(digests(PieceReader([SourceFile(tmp_path / "f", 100)], 10), threads=1))
