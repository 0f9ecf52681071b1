"""What the loop itself hashes and writes, and what it leaves to threads."""

from __future__ import annotations

import hashlib
import itertools
import os
import socket
import sys
from pathlib import Path

import pytest

from torrent_core.actions import HashPiece
from torrent_core.events import PieceHashed
from torrent_core.types import Span
from transport_kit import torrent
from transports.disk import files as files_module
from transports.disk import mounts
from transports.disk.atonce import LONGEST_AT_ONCE, REST, TOO_LONG, AtOnce, waits
from transports.disk.files import TorrentFiles
from transports.disk.handles import HandleCache

DATA = b"0123456789"
META = torrent([("a", 10), ("b", 10)], piece_length=16384)


class Clock:
    """Goes on by ``step`` with each look at it."""

    def __init__(self) -> None:
        self.now, self.step = 100.0, 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TorrentFiles:
    """File 0 is open, in a file system that buffers."""
    monkeypatch.setattr(files_module, "is_buffered", lambda device: True)
    made = TorrentFiles(META, str(tmp_path), HandleCache())
    with made.writing(0):
        return made


def job(data: bytes = DATA, file: int = 0, *, in_memory: bool = True) -> HashPiece:
    view = memoryview(data) if in_memory else None
    span = Span(file, 0, len(data))
    return HashPiece(META.info_hash, 7, 0, view, (span,), expected=hashlib.sha1(data).digest())


def test_a_piece_of_an_open_file_is_hashed_and_written(
    files: TorrentFiles, clock: Clock, tmp_path: Path
) -> None:
    answer = AtOnce(clock).perform(files, job())
    digest = hashlib.sha1(DATA).digest()
    assert answer == PieceHashed(META.info_hash, 7, digest, written=True)
    assert (tmp_path / "a").read_bytes() == DATA


def test_a_file_that_must_be_opened_is_for_a_thread(files: TorrentFiles, clock: Clock) -> None:
    assert AtOnce(clock).perform(files, job(file=1)) is None
    files.close()
    assert AtOnce(clock).perform(files, job()) is None


def test_a_file_system_that_may_make_one_wait_is_for_a_thread(
    files: TorrentFiles, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_module, "is_buffered", lambda device: False)
    with files.writing(1):
        assert AtOnce(clock).perform(files, job(file=1)) is None
    assert AtOnce(clock).perform(files, job()) is not None


def test_what_lies_in_files_is_for_a_thread(files: TorrentFiles, clock: Clock) -> None:
    assert AtOnce(clock).perform(files, job(in_memory=False)) is None


def test_a_long_piece_is_for_a_thread(files: TorrentFiles, clock: Clock) -> None:
    assert AtOnce(clock).perform(files, job(bytes(LONGEST_AT_ONCE))) is not None
    assert AtOnce(clock).perform(files, job(bytes(LONGEST_AT_ONCE + 1))) is None


def test_once_it_waited_long_threads_do_it_for_a_while(files: TorrentFiles, clock: Clock) -> None:
    at_once = AtOnce(clock, itertools.count().__next__)
    clock.step = 1.01 * TOO_LONG
    assert at_once.perform(files, job()) is not None
    clock.step = 0.0
    clock.now += 0.99 * REST
    assert at_once.perform(files, job()) is None
    clock.now += 0.02 * REST
    assert at_once.perform(files, job()) is not None


def test_what_took_long_without_waiting_is_done_at_once_again(
    files: TorrentFiles, clock: Clock
) -> None:
    at_once = AtOnce(clock, lambda: 7)  # others had the processor
    clock.step = 1.01 * TOO_LONG
    assert at_once.perform(files, job()) is not None
    assert at_once.perform(files, job()) is not None


@pytest.mark.skipif(sys.platform != "linux", reason="counted by Linux")
def test_who_waits_is_counted() -> None:
    before = waits()
    silent, reader = socket.socketpair()
    with silent, reader:
        reader.settimeout(0.001)
        with pytest.raises(TimeoutError):
            reader.recv(1)
    assert waits() > before


def test_padding_is_quick(tmp_path: Path) -> None:
    meta = torrent([("a", 5), (".pad/5", 5)], pads=[1])
    files = TorrentFiles(meta, str(tmp_path), HandleCache())
    assert files.is_quick(Span(1, 0, 5))
    assert not files.is_quick(Span(0, 0, 5))


TABLE = """\
24 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
25 24 0:23 / /dev/shm rw - tmpfs tmpfs rw
26 24 0:40 / /net rw - nfs4 server:/ rw
27 24 0:41 / /a\\040b rw - fuse.sshfs there: rw
28 24 0:42 / /odd rw
"""


@pytest.mark.parametrize(
    ("device", "buffered"),
    [
        (os.makedev(254, 0), True),
        (os.makedev(0, 23), True),
        (os.makedev(0, 40), False),
        (os.makedev(0, 41), False),
        (os.makedev(0, 42), False),
        (os.makedev(9, 9), False),
    ],
)
def test_a_file_system_is_judged_by_its_kind(
    device: int, buffered: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(TABLE)
    monkeypatch.setattr(mounts, "MOUNTS", str(table))
    assert mounts.is_buffered.__wrapped__(device) is buffered


def test_where_there_is_no_table_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "MOUNTS", "/nowhere/mountinfo")
    assert not mounts.is_buffered.__wrapped__(os.makedev(254, 0))
