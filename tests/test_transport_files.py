"""Storage jobs on real files: what is written is read back, and what fails is told."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core.actions import (
    CreateFiles,
    HashBlocks,
    HashPiece,
    ReadBlocks,
    StatFiles,
    WriteBlocks,
)
from torrent_core.events import (
    BlocksHashed,
    BlocksRead,
    FilesStated,
    PieceHashed,
    StorageFailed,
    Written,
)
from torrent_core.types import BlockInfo, FileStat, Span, StorageFault
from transport_kit import torrent
from transports.disk import files as files_module
from transports.disk import jobs
from transports.disk.files import TorrentFiles, allocate
from transports.disk.handles import HandleCache
from transports.disk.jobs import perform

IH = bytes(20)


def in_folder(metainfo, folder, limit=64, **options) -> TorrentFiles:
    return TorrentFiles(metainfo, str(folder), HandleCache(limit), **options)


@pytest.fixture
def files(tmp_path):
    made = in_folder(torrent([("t/a", 10), ("t/sub/b", 0), ("t/sub/c", 20)]), tmp_path)
    yield made
    made.close()


def write(files, *chunks):
    parts = tuple((Span(*span), memoryview(data)) for span, data in chunks)
    return perform(files, WriteBlocks(IH, 1, 0, parts))


def read(files, *spans):
    return perform(files, ReadBlocks(IH, 2, 0, tuple(Span(*span) for span in spans)))


def spans_of(metainfo, begin, length):
    """Where a range of the payload lies, told the slow way."""
    spans = []
    for index, entry in enumerate(metainfo.files):
        first = max(begin, entry.offset)
        last = min(begin + length, entry.offset + entry.length)
        if first < last:
            spans.append(Span(index, first - entry.offset, last - first))
    return tuple(spans)


layouts = st.lists(st.tuples(st.integers(0, 300), st.booleans()), min_size=1, max_size=8).filter(
    lambda sizes: sum(size for size, _ in sizes)
)


@pytest.mark.uncovered
@given(layouts, st.integers(1, 64), st.randoms(use_true_random=False), st.integers(1, 4))
def test_a_payload_written_in_any_order_is_read_back_and_hashed(layout, piece, shuffle, limit):
    names = [(f"t/{index % 3}/{index}", size) for index, (size, _) in enumerate(layout)]
    pads = [index for index, (_, pad) in enumerate(layout) if pad]
    metainfo = torrent(names, piece_length=piece, pads=pads)
    payload = bytearray(random.Random(1).randbytes(metainfo.total_length))
    for index in pads:
        entry = metainfo.files[index]
        payload[entry.offset : entry.offset + entry.length] = bytes(entry.length)
    pieces = list(range(metainfo.piece_count))
    shuffle.shuffle(pieces)
    with tempfile.TemporaryDirectory() as folder:
        files = in_folder(metainfo, folder, limit)
        for index in pieces:
            spans = spans_of(metainfo, index * piece, metainfo.geometry.piece_size(index))
            chunks, at = [], index * piece
            for span in spans:
                chunks.append((span, bytes(payload[at : at + span.length])))
                at += span.length
            assert write(files, *chunks) == Written(IH, 1)
            digest = hashlib.sha1(payload[index * piece : at]).digest()
            assert perform(files, HashPiece(IH, 3, index, None, spans)) == PieceHashed(
                IH, 3, digest
            )
        whole = read(files, *spans_of(metainfo, 0, metainfo.total_length))
        assert whole == BlocksRead(IH, 2, payload)
        assert len(files._handles) <= limit
        files.close()
        assert not any(os.path.exists(files.path(index)) for index in pads)


def test_a_piece_in_memory_is_hashed_where_it_is(files):
    job = HashPiece(IH, 1, 0, memoryview(b"abc"), ())
    assert perform(files, job) == PieceHashed(IH, 1, hashlib.sha1(b"abc").digest())


def store(files, spans, data, expected):
    job = HashPiece(IH, 1, 0, memoryview(data), spans, expected=expected)
    answer = perform(files, job)
    assert answer == PieceHashed(IH, 1, hashlib.sha1(data).digest(), (), answer.written)
    return answer.written


def test_a_piece_that_is_as_expected_is_written_with_its_hash(files):
    spans = (Span(0, 5, 5), Span(2, 0, 20))
    data = bytes(range(25))
    assert store(files, spans, data, hashlib.sha1(data).digest())
    assert read(files, *spans) == BlocksRead(IH, 2, data)


def test_padding_that_comes_with_a_piece_is_not_written(tmp_path):
    files = in_folder(torrent([("a", 10), (".pad/6", 6), ("b", 20)], pads=[1]), tmp_path)
    spans = (Span(0, 0, 10), Span(1, 0, 6), Span(2, 0, 8))
    data = b"a" * 10 + bytes(6) + b"b" * 8
    assert store(files, spans, data, hashlib.sha1(data).digest())
    assert read(files, *spans) == BlocksRead(IH, 2, data)
    assert not os.path.exists(files.path(1))
    files.close()


@pytest.mark.parametrize("expected", [b"", bytes(20)])
def test_a_piece_that_is_not_as_expected_is_not_written(files, tmp_path, expected):
    assert not store(files, (Span(0, 0, 10),), bytes(10), expected)
    assert not os.path.exists(files.path(0))


def test_a_piece_that_cannot_be_written_with_its_hash_is_only_hashed(files, tmp_path):
    (tmp_path / "t").write_bytes(b"in the way")
    assert not store(files, (Span(0, 0, 10),), bytes(10), hashlib.sha1(bytes(10)).digest())


def test_blocks_in_memory_are_hashed_one_by_one_in_their_order(files):
    blocks = [(BlockInfo(0, begin, 2), memoryview(b"abcd")[begin : begin + 2]) for begin in (0, 2)]
    assert perform(files, HashBlocks(IH, 2, 0, tuple(blocks))) == BlocksHashed(
        IH, 2, (hashlib.sha1(b"ab").digest(), hashlib.sha1(b"cd").digest())
    )


def test_a_long_piece_is_hashed_from_storage_in_bounded_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "HASH_CHUNK", 7)
    files = in_folder(torrent([("a", 100)]), tmp_path)
    write(files, ((0, 0, 100), bytes(range(100))))
    answer = perform(files, HashPiece(IH, 1, 0, None, (Span(0, 0, 50), Span(0, 50, 50))))
    assert answer == PieceHashed(IH, 1, hashlib.sha1(bytes(range(100))).digest())
    files.close()


@pytest.mark.parametrize("chunk", [5_000, 16_384, 100_000])
def test_digests_of_blocks_come_with_that_of_their_piece(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(jobs, "HASH_CHUNK", chunk)
    data = random.Random(1).randbytes(40_000)
    spans = (Span(0, 0, 17_000), Span(0, 17_000, 23_000))
    files = in_folder(torrent([("a", len(data))]), tmp_path)
    write(files, ((0, 0, len(data)), data))
    parts = [data[at : at + 16_384] for at in range(0, len(data), 16_384)]
    expected = tuple(hashlib.sha1(parts[block]).digest() for block in (2, 0))
    right = PieceHashed(IH, 1, hashlib.sha1(data).digest(), expected)
    assert perform(files, HashPiece(IH, 1, 0, None, spans, (2, 0))) == right
    assert perform(files, HashPiece(IH, 1, 0, memoryview(data), spans, (2, 0))) == right
    files.close()


def test_nothing_is_made_before_the_first_write_and_then_only_what_is_written(files, tmp_path):
    assert list(tmp_path.iterdir()) == []
    assert write(files, ((2, 5, 3), b"xyz")) == Written(IH, 1)
    assert (tmp_path / "t" / "sub" / "c").read_bytes() == b"\0\0\0\0\0xyz"
    assert not (tmp_path / "t" / "a").exists()


def test_created_files_exist_and_are_cut_but_never_lengthened(files, tmp_path):
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "a").write_bytes(b"0123456789 and more")
    assert perform(files, CreateFiles(IH, 4, (0, 1, 2))) == Written(IH, 4)
    assert (tmp_path / "t" / "a").read_bytes() == b"0123456789"
    assert (tmp_path / "t" / "sub" / "b").read_bytes() == b""
    assert (tmp_path / "t" / "sub" / "c").read_bytes() == b""


def test_padding_is_not_created_and_reads_as_zeros(tmp_path):
    files = in_folder(torrent([("a", 5), ("pad", 3)], pads=[1]), tmp_path)
    assert perform(files, CreateFiles(IH, 1, (1,))) == Written(IH, 1)
    assert read(files, (1, 0, 3)) == BlocksRead(IH, 2, bytearray(3))
    assert list(tmp_path.iterdir()) == []


def test_preallocation_reserves_the_whole_file_at_its_first_write(tmp_path):
    files = in_folder(torrent([("a", 50_000)]), tmp_path, preallocate=True)
    write(files, ((0, 10, 1), b"x"))
    assert (tmp_path / "a").stat().st_size == 50_000
    files.close()
    (tmp_path / "a").write_bytes(b"y" * 60_000)
    write(files, ((0, 10, 1), b"x"))
    assert (tmp_path / "a").stat().st_size == 60_000
    files.close()


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS])
def test_where_space_cannot_be_reserved_the_file_stays_sparse(tmp_path, monkeypatch, number):
    def refuse(fd, offset, length):
        raise OSError(number, "no")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    files = in_folder(torrent([("a", 50)]), tmp_path, preallocate=True)
    assert write(files, ((0, 0, 1), b"x")) == Written(IH, 1)
    files.close()


def test_a_disk_too_full_to_reserve_is_told_and_no_descriptor_leaks(tmp_path, monkeypatch):
    def refuse(fd, offset, length):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    files = in_folder(torrent([("a", 50)]), tmp_path, preallocate=True)
    before = len(os.listdir("/proc/self/fd"))
    answer = write(files, ((0, 0, 1), b"x"))
    assert answer.fault is StorageFault.DISK_FULL
    assert len(os.listdir("/proc/self/fd")) == before


def test_systems_without_preallocation_leave_files_sparse(monkeypatch, tmp_path):
    monkeypatch.delattr(os, "posix_fallocate")
    with open(tmp_path / "a", "wb") as file:
        allocate(file.fileno(), 100)
    assert (tmp_path / "a").stat().st_size == 0


def test_files_are_stated_with_size_and_time_and_none_where_missing(files, tmp_path):
    write(files, ((0, 0, 10), b"0123456789"))
    (tmp_path / "t" / "sub").mkdir()
    (tmp_path / "t" / "sub" / "b").mkdir()
    answer = perform(files, StatFiles(IH, 9))
    stat = (tmp_path / "t" / "a").stat()
    assert answer == FilesStated(IH, 9, (FileStat(10, stat.st_mtime_ns), None, None))


def test_files_replaced_on_disk_are_seen_once_they_were_stated(files, tmp_path):
    write(files, ((0, 0, 10), b"0123456789"))
    assert read(files, (0, 0, 3)).data == b"012"
    os.replace(tmp_path / "t" / "a", tmp_path / "elsewhere")
    (tmp_path / "t" / "a").write_bytes(b"abcdefghij")
    perform(files, StatFiles(IH, 9))
    assert read(files, (0, 0, 3)).data == b"abc"
    assert write(files, ((0, 0, 1), b"X")) == Written(IH, 1)
    assert (tmp_path / "elsewhere").read_bytes() == b"0123456789"


def test_reading_past_the_end_or_of_nothing_is_missing_and_names_the_path(files, tmp_path):
    path = str(tmp_path / "t" / "a")
    answer = read(files, (0, 0, 4))
    assert answer == StorageFailed(
        IH, 2, StorageFault.MISSING, f"{path}: No such file or directory"
    )
    write(files, ((0, 0, 3), b"abc"))
    answer = read(files, (0, 0, 4))
    assert answer == StorageFailed(IH, 2, StorageFault.MISSING, f"{path}: shorter than expected")


@pytest.mark.parametrize(
    ("number", "fault"),
    [
        (errno.ENOSPC, StorageFault.DISK_FULL),
        (errno.EDQUOT, StorageFault.DISK_FULL),
        (errno.EACCES, StorageFault.PERMISSION),
        (errno.EPERM, StorageFault.PERMISSION),
        (errno.EROFS, StorageFault.PERMISSION),
        (errno.EIO, StorageFault.OTHER),
    ],
)
def test_the_systems_refusals_are_told_by_kind_and_path(files, monkeypatch, number, fault):
    def refuse(fd, data, offset):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "pwrite", refuse)
    answer = write(files, ((2, 0, 3), b"abc"))
    assert answer == StorageFailed(IH, 1, fault, f"{files.path(2)}: {os.strerror(number)}")


def test_a_file_that_cannot_be_cut_is_told(files, tmp_path):
    (tmp_path / "t" / "a").mkdir(parents=True)
    answer = perform(files, CreateFiles(IH, 4, (0,)))
    assert answer.fault is StorageFault.OTHER
    assert answer.detail.startswith(files.path(0))


def test_a_file_where_a_folder_should_be_is_told(files, tmp_path):
    (tmp_path / "t").write_bytes(b"")
    answer = write(files, ((2, 0, 3), b"abc"))
    assert answer.fault is StorageFault.OTHER
    assert files.path(2) in answer.detail


def test_short_writes_and_reads_are_carried_on(files, monkeypatch):
    pwrite, preadv = os.pwrite, os.preadv
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: pwrite(fd, data[:2], at))
    monkeypatch.setattr(os, "preadv", lambda fd, to, at: preadv(fd, [to[0][:3]], at))
    write(files, ((2, 4, 11), b"hello world"))
    assert read(files, (2, 4, 11)).data == b"hello world"


class TestSymbolicLinks:
    """A link in the target folder is never a way out of it."""

    @pytest.fixture
    def outside(self, tmp_path_factory):
        return tmp_path_factory.mktemp("outside")

    def test_a_linked_file_is_neither_written_nor_read_nor_stated(self, files, tmp_path, outside):
        victim = outside / "victim"
        victim.write_bytes(b"precious...")
        (tmp_path / "t").mkdir()
        (tmp_path / "t" / "a").symlink_to(victim)
        assert write(files, ((0, 0, 3), b"abc")).fault is StorageFault.PERMISSION
        assert read(files, (0, 0, 3)).fault is StorageFault.PERMISSION
        assert perform(files, CreateFiles(IH, 1, (0,))).fault is StorageFault.PERMISSION
        assert perform(files, StatFiles(IH, 1)).files[0] is None
        assert victim.read_bytes() == b"precious..."

    def test_a_linked_folder_is_not_entered(self, files, tmp_path, outside):
        (outside / "c").write_bytes(b"precious" * 3)
        (tmp_path / "t").mkdir()
        (tmp_path / "t" / "sub").symlink_to(outside)
        answer = write(files, ((2, 0, 3), b"abc"))
        assert answer.fault is StorageFault.PERMISSION
        assert "symbolic link" in answer.detail
        assert read(files, (2, 0, 3)).fault is StorageFault.PERMISSION
        assert perform(files, StatFiles(IH, 1)).files[2] is None
        assert (outside / "c").read_bytes() == b"precious" * 3
        assert sorted(os.listdir(outside)) == ["c"]

    def test_a_link_to_a_folder_that_does_not_exist_makes_none(self, files, tmp_path, outside):
        (tmp_path / "t").symlink_to(outside / "new")
        assert write(files, ((2, 0, 3), b"abc")).fault is StorageFault.PERMISSION
        assert os.listdir(outside) == []

    def test_the_download_folder_itself_may_be_a_link(self, tmp_path, outside):
        (tmp_path / "link").symlink_to(outside)
        files = in_folder(torrent([("t/a", 3)]), tmp_path / "link")
        assert write(files, ((0, 0, 3), b"abc")) == Written(IH, 1)
        assert (outside / "t" / "a").read_bytes() == b"abc"
        files.close()


def test_a_pipe_in_place_of_a_file_does_not_block(files, tmp_path):
    (tmp_path / "t").mkdir()
    os.mkfifo(tmp_path / "t" / "a")
    assert isinstance(read(files, (0, 0, 3)), StorageFailed)


def test_sync_flushes_each_file_and_folder_written_since_the_last(files, tmp_path, monkeypatch):
    synced: list[str] = []
    monkeypatch.setattr(files_module, "fsync_path", synced.append)
    write(files, ((0, 0, 1), b"x"), ((2, 0, 1), b"y"))
    files.sync()
    t = str(tmp_path / "t")
    assert set(synced) == {files.path(0), files.path(2), t, f"{t}/sub", str(tmp_path)}
    assert len(synced) == len(set(synced))
    synced.clear()
    files.sync()
    assert synced == []
    write(files, ((2, 0, 1), b"z"))
    files.sync()
    assert synced == [files.path(2)]


def test_what_could_not_be_synced_is_synced_the_next_time(files, monkeypatch):
    synced: list[str] = []

    def fail(path):
        synced.append(path)
        raise OSError(errno.EIO, "broken", path)

    write(files, ((0, 0, 1), b"x"))
    monkeypatch.setattr(files_module, "fsync_path", fail)
    with pytest.raises(OSError, match="broken"):
        files.sync()
    monkeypatch.setattr(files_module, "fsync_path", synced.append)
    files.sync()
    assert files.path(0) in synced


def test_syncing_what_was_deleted_meanwhile_is_no_error(files):
    write(files, ((0, 0, 1), b"x"))
    os.unlink(files.path(0))
    files.sync()
    assert not os.path.exists(files.path(0))


class TestHandleCache:
    """Descriptors, counted by a fake opener and a real close."""

    @pytest.fixture
    def opened(self):
        return []

    def opener(self, opened):
        def make() -> int:
            opened.append(os.open(os.devnull, os.O_RDONLY))
            return opened[-1]

        return make

    @staticmethod
    def is_open(fd):
        try:
            os.fstat(fd)
        except OSError:
            return False
        return True

    def test_a_handle_is_opened_once_and_the_least_recently_used_is_closed(self, opened):
        cache = HandleCache(2)
        for index in (0, 1, 0, 2):
            with cache.use((1, index, False), self.opener(opened)) as fd:
                assert self.is_open(fd)
        assert len(opened) == 3
        assert [self.is_open(fd) for fd in opened] == [True, False, True]
        cache.drop()
        assert len(cache) == 0
        assert not self.is_open(opened[0])

    def test_a_handle_in_use_is_closed_only_afterwards(self, opened):
        cache = HandleCache(1)
        with cache.use((1, 0, False), self.opener(opened)) as fd:
            with cache.use((1, 1, False), self.opener(opened)):
                assert self.is_open(fd)
            cache.drop()
            assert self.is_open(fd)
        assert not any(self.is_open(fd) for fd in opened)

    def test_only_the_owners_handles_are_dropped(self, opened):
        cache = HandleCache()
        for owner in (cache.new_owner(), cache.new_owner()):
            with cache.use((owner, 0, False), self.opener(opened)):
                pass
        cache.drop(1)
        assert [self.is_open(fd) for fd in opened] == [False, True]
        cache.drop()

    def test_of_two_threads_that_open_one_file_both_may_use_what_they_got(self, opened):
        cache = HandleCache()

        def slow() -> int:
            with cache.use((1, 0, False), self.opener(opened)):
                return self.opener(opened)()

        with cache.use((1, 0, False), slow) as fd:
            assert self.is_open(fd)
        assert [self.is_open(fd) for fd in opened] == [False, True]
        cache.drop()
