"""Storage actions carried out: each is one blocking call from action to answer."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from typing import TypeAlias

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
    StorageEvent,
    StorageFailed,
    Written,
)
from torrent_core.types import FileStat, Span, StorageFault

from .blocks import BlockHasher
from .files import TorrentFiles

HASH_CHUNK = 1024 * 1024
"""Bytes read at once while hashing from storage: pieces may be 512 MiB."""

Job: TypeAlias = HashPiece | HashBlocks | WriteBlocks | ReadBlocks | StatFiles | CreateFiles

FAULTS = {
    errno.ENOSPC: StorageFault.DISK_FULL,
    errno.EDQUOT: StorageFault.DISK_FULL,
    errno.EACCES: StorageFault.PERMISSION,
    errno.EPERM: StorageFault.PERMISSION,
    errno.EROFS: StorageFault.PERMISSION,
    errno.ENOENT: StorageFault.MISSING,
}
"""Kinds of failure by the system's error number; all others are OTHER."""


def perform(files: TorrentFiles, job: Job) -> StorageEvent:
    """Carry out one storage action; what the system refuses becomes ``StorageFailed``."""
    try:
        return _PERFORM[type(job)](files, job)
    except OSError as error:
        fault = FAULTS.get(error.errno or 0, StorageFault.OTHER)
        where = error.filename or files.folder
        return StorageFailed(job.torrent, job.job, fault, f"{where}: {error.strerror or error}")


def _hash(files: TorrentFiles, job: HashPiece) -> StorageEvent:
    digests: tuple[bytes, ...] = ()
    if job.data is not None and not job.blocks:  # as nearly always
        digest = hashlib.sha1(job.data).digest()
    else:
        digest, digests = _hash_parts(files, job)
    written = digest == job.expected and job.data is not None and _stores(files, job, job.data)
    return PieceHashed(job.torrent, job.job, digest, digests, written)


def _hash_parts(files: TorrentFiles, job: HashPiece) -> tuple[bytes, tuple[bytes, ...]]:
    """The digests of the piece, and of each of its ``job.blocks``."""
    sha1, blocks = hashlib.sha1(), BlockHasher() if job.blocks else None
    for view in _parts(files, job):
        sha1.update(view)
        if blocks is not None:
            blocks.update(view)
    return sha1.digest(), () if blocks is None else blocks.digests(job.blocks)


def _stores(files: TorrentFiles, job: HashPiece, data: memoryview) -> bool:
    """Write a piece that is right, while it is in the caches; whether that went well.

    Why it did not is said when it is asked for by itself.
    """
    try:
        for span in job.spans:
            if not files.is_pad(span.file):
                _write_span(files, span, data[: span.length])
            data = data[span.length :]
    except OSError:
        return False
    return True


def _parts(files: TorrentFiles, job: HashPiece) -> Iterator[memoryview]:
    """What is to be hashed, in order; each part is gone with the next."""
    if job.data is not None:
        yield job.data
        return
    buffer = memoryview(bytearray(min(HASH_CHUNK, sum(span.length for span in job.spans))))
    for span in job.spans:
        for part in _cut(span):
            view = buffer[: part.length]
            _read(files, part, view)
            yield view


def _hash_blocks(files: TorrentFiles, job: HashBlocks) -> StorageEvent:
    digests = tuple(hashlib.sha1(data).digest() for _, data in job.chunks)
    return BlocksHashed(job.torrent, job.job, digests)


def _write(files: TorrentFiles, job: WriteBlocks) -> StorageEvent:
    for span, data in job.chunks:
        if not files.is_pad(span.file):
            _write_span(files, span, data)
    return Written(job.torrent, job.job)


def _write_span(files: TorrentFiles, span: Span, data: memoryview) -> None:
    try:
        with files.writing(span.file) as fd:
            written = 0
            while written < len(data):
                written += os.pwrite(fd, data[written:], span.offset + written)
    except OSError as error:
        raise _named(error, files.path(span.file)) from error
    finally:
        files.touched(span.file)


def _read_blocks(files: TorrentFiles, job: ReadBlocks) -> StorageEvent:
    data = bytearray(sum(span.length for span in job.spans))
    view = memoryview(data)
    for span in job.spans:
        _read(files, span, view[: span.length])
        view = view[span.length :]
    return BlocksRead(job.torrent, job.job, data)


def _read(files: TorrentFiles, span: Span, view: memoryview) -> None:
    """Fill ``view``; a file that ends too early is reported as missing."""
    if files.is_pad(span.file):
        view[:] = bytes(len(view))
        return
    path = files.path(span.file)
    try:
        with files.reading(span.file) as fd:
            filled = 0
            while filled < len(view):
                count = os.preadv(fd, [view[filled:]], span.offset + filled)
                if not count:
                    raise OSError(errno.ENOENT, "shorter than expected")
                filled += count
    except OSError as error:
        raise _named(error, path) from error


def _stat(files: TorrentFiles, job: StatFiles) -> StorageEvent:
    # A check begins with this: files that were replaced meanwhile must be opened afresh.
    files.close()
    return FilesStated(
        job.torrent,
        job.job,
        tuple(
            None if found is None else FileStat(found.st_size, found.st_mtime_ns)
            for found in files.statuses()
        ),
    )


def _make(files: TorrentFiles, job: CreateFiles) -> StorageEvent:
    for index in job.files:
        if not files.is_pad(index):
            _make_file(files, index, files.metainfo.files[index].length)
    return Written(job.torrent, job.job)


def _make_file(files: TorrentFiles, index: int, length: int) -> None:
    try:
        with files.writing(index) as fd:
            if os.fstat(fd).st_size > length:
                os.ftruncate(fd, length)
    except OSError as error:
        raise _named(error, files.path(index)) from error
    finally:
        files.touched(index)


def _cut(span: Span) -> Iterator[Span]:
    """The span in parts of at most ``HASH_CHUNK``."""
    for at in range(0, span.length, HASH_CHUNK):
        yield Span(span.file, span.offset + at, min(HASH_CHUNK, span.length - at))


def _named(error: OSError, path: str) -> OSError:
    """The same error with the file it is about."""
    return OSError(error.errno, error.strerror or str(error), error.filename or path)


_PERFORM: dict[type, Callable[..., StorageEvent]] = {
    HashPiece: _hash,
    HashBlocks: _hash_blocks,
    WriteBlocks: _write,
    ReadBlocks: _read_blocks,
    StatFiles: _stat,
    CreateFiles: _make,
}
