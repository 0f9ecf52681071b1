"""Worker threads, resume files, and what the driver hears of them."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from contextlib import asynccontextmanager

import anyio
import pytest

from torrent_core.actions import HashPiece, ReadBlocks, SaveResume, StatFiles, Warned, WriteBlocks
from torrent_core.events import BlocksRead, FilesStated, PieceHashed, Written
from torrent_core.types import Span
from transport_kit import PATIENCE, NoNetwork, Script, torrent
from transports.disk import files as files_module
from transports.disk import resumefile
from transports.disk import workers as disk_module
from transports.disk.atonce import LONGEST_AT_ONCE
from transports.disk.files import TorrentFiles
from transports.disk.handles import HandleCache
from transports.disk.resumefile import ResumeFile, replace_file
from transports.disk.workers import Disk
from transports.driver import Driver

META = torrent([("a", 5), ("b", 5)])
IH = META.info_hash


class Rig:
    """A disk with a driver that only listens."""

    def __init__(self, folder) -> None:
        self.script = Script()
        self.disk = Disk()
        self.driver = Driver(self.script, lambda: 0.0, self.disk, NoNetwork())
        self.reports: list[object] = []
        self.driver.subscribe(self.reports.append)
        self.path = os.path.join(folder, "resume", "r")
        self.storage = self.disk.register(META, str(folder), self.path)

    async def settle(self) -> None:
        with anyio.fail_after(PATIENCE):
            await self.disk.settle(IH)


@asynccontextmanager
async def rig(folder):
    made = Rig(folder)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(made.disk.run)
        yield made
        tasks.cancel_scope.cancel()
    await made.disk.aclose()
    assert len(made.disk.handles) == 0


def write(job, file, data):
    return WriteBlocks(IH, job, 0, ((Span(file, 0, len(data)), memoryview(data)),))


@pytest.mark.anyio
async def test_every_job_is_answered_once(tmp_path):
    async with rig(tmp_path) as r:
        for job in range(50):
            r.disk.submit(write(job, job % 2, b"12345"))
        await r.settle()
        r.disk.submit(ReadBlocks(IH, 60, 0, (Span(0, 0, 5), Span(1, 0, 5))))
        r.disk.submit(StatFiles(IH, 61))
        await r.settle()
    answers = {event.job: event for event in r.script.events}
    assert len(r.script.events) == 52
    assert answers[17] == Written(IH, 17)
    assert answers[60] == BlocksRead(IH, 60, bytearray(b"1234512345"))
    assert isinstance(answers[61], FilesStated)


@pytest.mark.anyio
async def test_resume_data_is_saved_after_the_files_are_synced(tmp_path, monkeypatch):
    order: list[str] = []
    real = os.fsync

    def fsync(fd):
        order.append(os.path.basename(os.readlink(f"/proc/self/fd/{fd}")).split(".")[0])
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    async with rig(tmp_path) as r:
        r.disk.submit(write(1, 0, b"12345"))
        await r.settle()
        r.disk.submit(SaveResume(IH, b"state"))
        await r.settle()
    assert order.index("a") < order.index("r") < order.index("resume")
    assert r.storage.resume.load() == b"state"
    assert r.reports == []


@pytest.mark.anyio
async def test_resume_data_that_cannot_be_saved_is_a_warning(tmp_path):
    (tmp_path / "resume").write_bytes(b"a file where the folder should be")
    async with rig(tmp_path) as r:
        r.disk.submit(SaveResume(IH, b"state"))
        await r.settle()
        [warning] = r.reports
        assert isinstance(warning, Warned)
        assert "resume" in warning.text
        assert r.driver.failure is None


@pytest.mark.anyio
async def test_a_bug_on_a_worker_ends_run(tmp_path, monkeypatch):
    monkeypatch.setattr(disk_module, "perform", lambda files, job: {}["a bug"])
    r = Rig(tmp_path)
    r.disk.submit(StatFiles(IH, 1))
    with pytest.raises(KeyError, match="a bug"), anyio.fail_after(PATIENCE):
        await r.disk.run()
    await r.disk.aclose()


@pytest.mark.anyio
async def test_a_disk_that_hangs_does_not_keep_the_client_from_closing(tmp_path, monkeypatch):
    monkeypatch.setattr(disk_module, "CLOSE_TIMEOUT", 0.01)
    release, done = threading.Event(), threading.Event()

    def hang(files, job):
        release.wait(PATIENCE)
        done.set()

    monkeypatch.setattr(disk_module, "perform", hang)
    async with rig(tmp_path) as r:
        for job in range(10):
            r.disk.submit(StatFiles(IH, job))
    assert not done.is_set()
    release.set()
    for thread in r.disk._pool._threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert r.script.events == []


@pytest.mark.anyio
async def test_torrents_are_settled_apart_and_forgotten(tmp_path, monkeypatch):
    other = torrent([("c", 5)])
    release = threading.Event()
    perform = disk_module.perform

    def slow(files, job):
        if job.torrent == IH:
            release.wait(PATIENCE)
        return perform(files, job)

    monkeypatch.setattr(disk_module, "perform", slow)
    async with rig(tmp_path) as r:
        r.disk.register(other, str(tmp_path), str(tmp_path / "other"))
        r.disk.submit(StatFiles(IH, 1))
        r.disk.submit(StatFiles(other.info_hash, 2))
        with anyio.fail_after(PATIENCE):
            await r.disk.settle(other.info_hash)
        assert [event.job for event in r.script.events] == [2]
        r.disk.unregister(other.info_hash)
        with pytest.raises(KeyError):
            r.disk.submit(StatFiles(other.info_hash, 3))
        release.set()
        await r.settle()


@pytest.mark.anyio
async def test_large_pieces_are_hashed_off_the_event_loop(tmp_path, monkeypatch):
    main, hashing = threading.get_ident(), []
    perform = disk_module.perform

    def watched(files, job):
        hashing.append(threading.get_ident())
        return perform(files, job)

    monkeypatch.setattr(disk_module, "perform", watched)
    async with rig(tmp_path) as r:
        data = memoryview(bytes(LONGEST_AT_ONCE + 1))
        r.disk.submit(HashPiece(IH, 1, 0, data, ()))
        assert not r.script.events
        await r.settle()
    assert [event.job for event in r.script.events] == [1]
    assert len(hashing) == 1
    assert hashing != [main]


@pytest.mark.anyio
async def test_a_piece_whose_file_is_open_is_answered_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(files_module, "is_buffered", lambda device: True)
    async with rig(tmp_path) as r:
        r.disk.submit(write(1, 0, b"abcde"))
        await r.settle()
        span, digest = Span(0, 0, 5), hashlib.sha1(b"12345").digest()
        r.disk.submit(HashPiece(IH, 2, 0, memoryview(b"12345"), (span,), expected=digest))
        assert r.script.events == [Written(IH, 1), PieceHashed(IH, 2, digest, written=True)]
    assert (tmp_path / "a").read_bytes() == b"12345"


def a_resume_file(folder) -> ResumeFile:
    files = TorrentFiles(META, str(folder), HandleCache())
    return ResumeFile(str(folder / "deep" / "down" / "r"), files)


def test_saved_resume_data_is_loaded_and_deleted(tmp_path):
    resume = a_resume_file(tmp_path)
    assert resume.load() is None
    resume.save(b"one", 1)
    resume.save(b"two", 2)
    assert resume.load() == b"two"
    assert os.listdir(os.path.dirname(resume.path)) == ["r"]
    resume.delete()
    resume.delete()
    assert resume.load() is None


def test_an_older_save_that_comes_late_changes_nothing(tmp_path):
    resume = a_resume_file(tmp_path)
    resume.save(b"new", 2)
    resume.save(b"old", 1)
    assert resume.load() == b"new"


def test_loading_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(resumefile, "MAX_RESUME_BYTES", 4)
    resume = a_resume_file(tmp_path)
    resume.save(b"0123456789", 1)
    assert resume.load() == b"0123"


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_save_that_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, step):
    path = str(tmp_path / "r")
    replace_file(path, b"old")

    def fail(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space"):
        replace_file(path, b"new")
    assert os.listdir(tmp_path) == ["r"]
    with open(path, "rb") as file:
        assert file.read() == b"old"


def test_data_that_cannot_be_synced_keeps_the_old_resume_file(tmp_path, monkeypatch):
    resume = a_resume_file(tmp_path)
    resume.save(b"old", 1)

    def fail():
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(resume._files, "sync", fail, raising=False)
    with pytest.raises(OSError, match="broken"):
        resume.save(b"new", 2)
    assert resume.load() == b"old"
    monkeypatch.undo()
    resume.save(b"again", 2)
    assert resume.load() == b"again"


def test_an_idle_pool_has_no_answers():
    pool = disk_module.WorkerPool(1)
    assert pool.answers() == []
    anyio.run(pool.aclose)
    assert not pool._threads[0].is_alive()
