"""Leaving out the payload of blocks, which the core never looks at.

A stream is the handshake and then messages, each with its length; of a PIECE (BEP 3) only
the header is kept.  Whoever has the kept bytes and the whole length finds out for himself
where payload belongs, so that nothing else need be written.
"""

from __future__ import annotations

import struct

from ..limits import BLOCK_SIZE, MAX_RECORD_BYTES, MAX_REQUEST_LENGTH
from ..types import Buffer
from ..wire.handshake import HANDSHAKE_LENGTH, PROTOCOL
from ..wire.messages import (
    PIECE,
    PIECE_HEADER,
    PIECE_OVERHEAD,
    PREFIX,
    REQUEST,
    piece_header,
)

_PREFIX = PREFIX.size
_WITH_ID = _PREFIX + 1
_HEADER = PIECE_HEADER.size
_WHOLE_BLOCK = piece_header(0, 0, BLOCK_SIZE)[:_WITH_ID]
"""How nearly every PIECE begins."""
_STRIDE = _HEADER + BLOCK_SIZE
_LONGEST_RUN = 16
"""Whole blocks that are looked at in one go: 256 KiB, the most that adapters receive."""

_RUNS = [
    struct.Struct(f"{_WITH_ID}s{_HEADER - _WITH_ID}s{BLOCK_SIZE}x" * count)
    for count in range(_LONGEST_RUN + 1)
]
_BEGINNINGS = [(_WHOLE_BLOCK,) * count for count in range(_LONGEST_RUN + 1)]
_REQUEST_LENGTH = 17
_BYTES = (bytes, bytearray, memoryview)


class Follower:
    """What a peer sends on one link, followed wherever it is cut.

    A stream that is not what it should be is kept whole from there on: the core closes such
    a link, and whatever it still reads is then there.
    """

    __slots__ = ("_greeting", "_head", "_keep", "_lost", "_skip", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        """By which the link goes in the trace."""
        self._greeting = len(PROTOCOL)  # bytes that must be those of the protocol's name
        self._head = b""  # of a message whose beginning only is here
        self._keep = 0  # bytes to come that are no payload, whatever they are
        self._skip = 0  # bytes of payload to come
        self._lost = False

    def elide(self, data: Buffer) -> bytes:
        """What must be kept of the next bytes.

        Raises TypeError or ValueError, with nothing changed, for what is not bytes or is more
        than a record may hold.
        """
        end = len(data)
        if not isinstance(data, _BYTES):
            raise TypeError(f"{type(data).__name__} where bytes belong")
        if end > MAX_RECORD_BYTES:
            raise ValueError(f"{end} bytes at once")
        if self._lost:
            return bytes(data)
        if isinstance(data, memoryview):
            data = bytes(data)
        kept: list[Buffer] = []
        at = self._skipped(end)
        while at < end:
            if not self._head and not self._keep and not self._greeting:
                at = self._elide_blocks(data, at, kept)
                if at == end:
                    break
            start = at
            at = self._advance(data, at)
            kept.append(data[start:at])
            at += self._skipped(end - at)
        return b"".join(kept)

    def _elide_blocks(self, data: bytes | bytearray, at: int, kept: list[Buffer]) -> int:
        """Nearly all that ever comes: one PIECE of a whole block after the other.  Returns
        where they end."""
        end = len(data)
        count = min((end - at) // _STRIDE, _LONGEST_RUN)
        heads = _RUNS[count].unpack_from(data, at)
        if heads[::2] == _BEGINNINGS[count]:
            kept += heads
            at += count * _STRIDE
        while end - at >= _HEADER and data.startswith(_WHOLE_BLOCK, at):
            kept.append(data[at : at + _HEADER])
            at += _STRIDE
        if at <= end:
            return at
        self._skip = at - end
        return end

    def expand(self, kept: bytes, length: int) -> bytes:
        """The next ``length`` bytes, of which ``kept`` was kept; payload is zeros.

        Raises ValueError if the two do not fit together.
        """
        if self._lost:
            return _checked(kept, length)
        parts: list[bytes] = []
        at, done = 0, self._skipped(length)
        parts.append(bytes(done))
        while at < len(kept):
            start = at
            at = self._advance(kept, at)
            if at == start:
                raise ValueError("more was kept than there was")
            parts.append(kept[start:at])
            done += at - start
            payload = self._skipped(max(0, length - done))
            parts.append(bytes(payload))
            done += payload
        return _checked(b"".join(parts), length)

    def _skipped(self, room: int) -> int:
        """How much of the next ``room`` bytes is payload that was announced; counts it off."""
        count = min(self._skip, room)
        self._skip -= count
        return count

    def _advance(self, data: Buffer, at: int) -> int:
        """Read on from ``at`` to where payload begins or ``data`` ends; returns that place."""
        end = len(data)
        while at < end and not self._skip:
            if self._lost:
                return end
            if self._greeting:
                at = self._greet(data, at)
            elif self._keep:
                count = min(self._keep, end - at)
                self._keep -= count
                at += count
            else:
                at = self._begin(data, at)
        return at

    def _greet(self, data: Buffer, at: int) -> int:
        said = bytes(data[at : at + self._greeting])
        expected = PROTOCOL[-self._greeting :]
        self._greeting -= len(said)
        if not expected.startswith(said):
            self._lost = True
        elif not self._greeting:
            self._keep = HANDSHAKE_LENGTH - len(PROTOCOL)
        return at + len(said)

    def _begin(self, data: Buffer, at: int) -> int:
        """Take of a message's head what is there and what is needed to judge it."""
        more = bytes(data[at : at + self._need() - len(self._head)])
        self._head += more
        if len(self._head) == self._need():
            self._judge(PREFIX.unpack_from(self._head)[0])
        return at + len(more)

    def _need(self) -> int:
        head = self._head
        if len(head) < _PREFIX or not any(head[:_PREFIX]):
            return _PREFIX
        return _HEADER if len(head) > _PREFIX and head[_PREFIX] == PIECE else _WITH_ID

    def _judge(self, length: int) -> None:
        """The head of a message of ``length`` bytes is complete."""
        is_piece = len(self._head) == _HEADER
        self._head = b""
        if not is_piece:
            self._keep = max(0, length - 1)
        elif PIECE_OVERHEAD <= length <= PIECE_OVERHEAD + MAX_REQUEST_LENGTH:
            self._skip = length - PIECE_OVERHEAD
        else:
            self._lost = True


def _checked(data: bytes, length: int) -> bytes:
    if len(data) != length:
        raise ValueError(f"{len(data)} bytes where {length} were received")
    return data


def elide_sent(data: bytes) -> bytes:
    """What is not payload of one ``Send``, which holds whole messages only."""
    end = len(data)
    # What a downloader sends is requests.  If each seventeenth byte is the id of one, there
    # is nothing else: each message then begins where the one before it ends.
    if data[_PREFIX::_REQUEST_LENGTH].count(REQUEST) * _REQUEST_LENGTH == end:
        return data
    at = HANDSHAKE_LENGTH if data.startswith(PROTOCOL) else 0
    parts = [data[:at]]
    while end - at > _HEADER:
        length: int = PREFIX.unpack_from(data, at)[0]
        stop = at + _PREFIX + length
        kept = _HEADER if length and data[at + _PREFIX] == PIECE else _PREFIX + length
        parts.append(data[at : at + kept])
        at = stop
    parts.append(data[at:])
    return b"".join(parts)
