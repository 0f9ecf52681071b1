"""The files of one torrent, and whoever hashes them, with their delays and failures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha1

from .. import actions as act
from .. import events as ev
from ..actions import Action
from ..events import StorageEvent
from ..limits import BLOCK_SIZE
from ..metainfo import Metainfo
from ..types import Buffer, FileStat, Span, StorageFault
from .payload import Content
from .promises import duration

Fault = Callable[[Action], StorageFault | None]
"""Which action fails, and how."""


def healthy(action: Action) -> StorageFault | None:
    """Nothing fails."""
    return None


class Disk:
    """The files of one torrent in memory, outliving any machine.

    In ``manual`` mode nothing is answered until ``World.answer`` is called.
    """

    def __init__(self, metainfo: Metainfo) -> None:
        self.metainfo = metainfo
        self.files: list[bytearray | None] = [None] * len(metainfo.files)
        self.mtimes = [0] * len(metainfo.files)
        self.writes = 0
        self.resume: bytes | None = None
        """What was saved last."""
        self.delays: dict[type, float] = {}
        """Seconds that an answer takes, by type of action."""
        self.stalled_until = 0.0
        """No answer before this moment."""
        self.fault: Fault = healthy
        self.eager = False
        """Whether what is hashed and right is written at once (``HashPiece.expected``)."""
        self.manual = False
        self.pending: list[Action] = []
        """Actions that wait for ``World.answer``."""
        self.done: list[Action] = []
        """Actions in the order in which they were carried out."""

    def answered_at(self, action: Action, now: float) -> float:
        """When an action that is asked for now will be answered."""
        delay = duration("delay", self.delays.get(type(action), 0.0))
        return max(now + delay, self.stalled_until)

    # --- Files -----------------------------------------------------------------------------

    def fill(self, payload: Content) -> None:
        """Put the whole payload in place, as another program would."""
        for index, file in enumerate(self.metainfo.files):
            self.files[index] = bytearray(payload[file.offset : file.offset + file.length])
            self.mtimes[index] += 1

    def read(self, piece: int) -> bytes:
        """What lies where ``piece`` belongs; short where files are."""
        size = self.metainfo.geometry.piece_size(piece)
        start = piece * self.metainfo.piece_length
        parts = []
        for index, file in enumerate(self.metainfo.files):
            begin, end = max(start, file.offset), min(start + size, file.offset + file.length)
            if begin < end:
                parts.append(self._read(Span(index, begin - file.offset, end - begin)))
        return b"".join(parts)

    def holds(self, piece: int) -> bool:
        """Whether the right bytes are there."""
        return self.digest(piece, self.read(piece)) == self.metainfo.piece_hash(piece)

    def stats(self) -> tuple[FileStat | None, ...]:
        """Size and time of every file."""
        sizes = map(self._size, range(len(self.files)))
        return tuple(
            None if size is None else FileStat(size, mtime)
            for size, mtime in zip(sizes, self.mtimes, strict=True)
        )

    def digest(self, piece: int, data: Buffer) -> bytes:
        """SHA-1 of ``data``, which is or should be ``piece``."""
        return sha1(data).digest()

    def _size(self, file: int) -> int | None:
        data = self.files[file]
        return None if data is None else len(data)

    def _read(self, span: Span) -> bytes:
        """What is there of a span."""
        return bytes(self.files[span.file] or b"")[span.offset : span.offset + span.length]

    def _write(self, file: int, offset: int, data: Buffer) -> None:
        content = self.files[file]
        if content is None:
            content = self.files[file] = bytearray()
        if len(content) < offset:
            content.extend(bytes(offset - len(content)))
        content[offset : offset + len(data)] = data

    # --- Actions ---------------------------------------------------------------------------

    def perform(self, action: Action) -> StorageEvent:
        """Carry an action out; returns its one answer."""
        self.done.append(action)
        name, job = self.metainfo.info_hash, getattr(action, "job", 0)
        fault = self.fault(action)
        if fault is not None:
            return ev.StorageFailed(name, job, fault, "made to fail")
        match action:
            case act.HashPiece(data=data) if data is not None:
                return self._hashed(action, data)
            case act.HashBlocks(chunks=chunks):
                return ev.BlocksHashed(name, job, tuple(sha1(data).digest() for _, data in chunks))
            case act.HashPiece(spans=spans) | act.ReadBlocks(spans=spans):
                return self._read_all(action, job, spans)
            case act.WriteBlocks(chunks=spread):
                for span, data in spread:
                    self._change(span.file, span.offset, data)
                return ev.Written(name, job)
            case act.CreateFiles(files=files):
                for file in files:
                    self._change(file, 0, b"")
                return ev.Written(name, job)
        return ev.FilesStated(name, job, self.stats())

    def _read_all(self, action: Action, job: int, spans: Iterable[Span]) -> StorageEvent:
        name = self.metainfo.info_hash
        content = b"".join(map(self._read, spans))
        if len(content) != sum(span.length for span in spans):
            return ev.StorageFailed(name, job, StorageFault.MISSING)
        if isinstance(action, act.HashPiece):
            return self._hashed(action, content)
        return ev.BlocksRead(name, job, content)

    def _hashed(self, action: act.HashPiece, data: Buffer) -> StorageEvent:
        digest = self.digest(action.piece, data)
        starts = [block * BLOCK_SIZE for block in action.blocks]
        blocks = tuple(sha1(data[start : start + BLOCK_SIZE]).digest() for start in starts)
        written = self.eager and digest == action.expected and self._stores(action, data)
        return ev.PieceHashed(action.torrent, action.job, digest, blocks, written)

    def _stores(self, action: act.HashPiece, data: Buffer) -> bool:
        """Write a piece that is right, unless a write would fail; whether it is written."""
        view, chunks = memoryview(data), []
        for span in action.spans:
            chunks.append((span, view[: span.length]))
            view = view[span.length :]
        write = act.WriteBlocks(action.torrent, action.job, action.piece, tuple(chunks))
        if self.fault(write) is not None:
            return False
        for span, part in chunks:
            self._change(span.file, span.offset, part)
        return True

    def _change(self, file: int, offset: int, data: Buffer) -> None:
        self._write(file, offset, data)
        self.writes += 1
        self.mtimes[file] = self.writes
