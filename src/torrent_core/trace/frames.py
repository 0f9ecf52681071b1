"""The file: eight bytes that name it, then frames, each with two checks.

    frame = length (4) | check of the body (4) | check of these eight bytes (4) | body

Bodies are one zlib stream, flushed at the end of each, so that what comes before a place is
readable whatever comes after it.  Each check is a CRC-32 that goes on from the one before,
so that frames cannot be lost, doubled or exchanged unseen; the one of the head is there so
that a length that is wrong is not taken for the end of the file.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from ..errors import TraceError
from ..limits import MAX_FRAME_BYTES
from ..types import Buffer

NAME = b"TCTRACE"
"""How every trace begins, whatever its version."""

VERSION = 1
"""The eighth byte."""

LEVEL = 1
"""zlib's fastest: the rest of a trace is what cannot be guessed."""

Sink = Callable[[bytes], object]
"""Takes the bytes of a trace in order; it must not raise."""

_HEAD = struct.Struct("<II")
_CHECK = struct.Struct("<I")


class FrameWriter:
    """Writes the name at once, and a frame for each call of ``write``."""

    __slots__ = ("_check", "_deflate", "_ended", "_sink")

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._deflate = zlib.compressobj(LEVEL)
        self._check = 0
        self._ended = False
        sink(NAME + bytes((VERSION,)))

    def write(self, data: bytes) -> None:
        """Put ``data`` into a frame of its own; none at all marks the end of the trace.

        No effect after the end.
        """
        if self._ended:
            return
        self._ended = not data
        body = (
            self._deflate.compress(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH) if data else b""
        )
        check = zlib.crc32(body, self._check)
        head = _HEAD.pack(len(body), check)
        self._check = zlib.crc32(head, check)
        self._sink(head + _CHECK.pack(self._check) + body)


class Frame(NamedTuple):
    """What one frame holds, and where in the file it begins."""

    offset: int
    data: bytes


class FrameReader:
    """Iterates over the frames of a trace that comes in chunks.

    Raises TraceError at the first byte of whatever is not as it was written.
    """

    def __init__(self, chunks: Iterable[Buffer]) -> None:
        self._chunks = iter(chunks)
        self._held = bytearray()
        self._inflate = zlib.decompressobj()
        self._check = 0
        self.offset = 0
        """How much of the file has been read and found right."""
        self.ended = False
        """The mark of the end was found: whoever wrote this came to its end."""

    def __iter__(self) -> Iterator[Frame]:
        if not self._read_name():
            return
        while (frame := self._next()) is not None:
            yield frame

    def _read_name(self) -> bool:
        """Whether all of the name is there, and right."""
        name = NAME + bytes((VERSION,))
        whole = self._fill(len(name))
        for at, (got, expected) in enumerate(zip(self._held, name, strict=False)):
            if got != expected:
                foreign = "not a trace" if at < len(NAME) else f"version {got} of the format"
                raise TraceError(foreign, f"byte {at}")
        if whole:
            self._take(len(name))
        return whole

    def _next(self) -> Frame | None:
        start = self.offset
        head_size = _HEAD.size + _CHECK.size
        if not self._fill(head_size):
            return None
        length, body_check = _HEAD.unpack_from(self._held)
        check = zlib.crc32(self._held[: _HEAD.size], body_check)
        if check != _CHECK.unpack_from(self._held, _HEAD.size)[0]:
            raise self._damaged()
        if not self._fill(head_size + length):
            return None
        body = bytes(memoryview(self._held)[head_size : head_size + length])
        if zlib.crc32(body, self._check) != body_check:
            raise self._damaged()
        data = self._inflated(body)
        self._check = check
        self._take(head_size + length)
        if length:
            return Frame(start, data)
        self.ended = True
        if self._fill(1):
            raise TraceError("bytes after the end", f"byte {self.offset}")
        return None

    def _inflated(self, body: bytes) -> bytes:
        try:
            data = self._inflate.decompress(body, MAX_FRAME_BYTES)
        except zlib.error as error:
            raise self._damaged() from error
        if self._inflate.unconsumed_tail:
            raise TraceError("a frame that is too large", f"byte {self.offset}")
        return data

    def _damaged(self) -> TraceError:
        return TraceError("damaged", f"byte {self.offset}")

    def _fill(self, count: int) -> bool:
        """Hold ``count`` bytes; False if the file ends before."""
        while len(self._held) < count:
            chunk = next(self._chunks, None)
            if chunk is None:
                return False
            self._held += chunk
        return True

    def _take(self, count: int) -> None:
        del self._held[:count]
        self.offset += count
