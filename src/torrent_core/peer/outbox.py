"""Bytes on their way to the peer: queued, drained to the adapter, sent.

Positions are absolute offsets in everything ever queued, so that each fact has one number:
what is queued, what was drained, what was sent.  Payload is marked by its offsets, so that
the upload rate counts blocks as they leave and not as they are queued.
"""

from __future__ import annotations

from collections import deque

from ..errors import LocalProtocolError
from ..rates import Rate
from ..types import Buffer
from ..wire.messages import piece_header


class Outbox:
    """The outgoing half of one connection."""

    __slots__ = ("_drained", "_parts", "_payloads", "_queued", "_sent", "_up", "last_drained")

    def __init__(self, up: Rate, now: float, unsent: int = 0) -> None:
        """``unsent`` bytes were given to the adapter before, and are still to leave."""
        self._up = up
        self._parts: list[Buffer] = []
        self._payloads: deque[tuple[int, int]] = deque()
        self._queued = self._drained = unsent
        self._sent = 0
        self.last_drained = now
        """When bytes last went to the adapter: the moment of our last send."""

    def put(self, data: bytes) -> None:
        """Queue protocol bytes; none at all is nothing to send."""
        if data:
            self._parts.append(data)
            self._queued += len(data)

    def put_block(self, index: int, begin: int, data: Buffer) -> None:
        """Queue a PIECE.  ``data`` is not copied until ``drain``."""
        header = piece_header(index, begin, len(data))
        start = self._queued + len(header)
        self._parts += (header, data)
        self._queued = start + len(data)
        self._payloads.append((start, self._queued))

    def drain(self, now: float) -> bytes:
        """Everything queued since the last call, joined once."""
        if not self._parts:
            return b""
        self.last_drained = max(self.last_drained, now)
        self._drained = self._queued
        data = b"".join(self._parts)
        self._parts.clear()
        return data

    def sent(self, count: int, now: float) -> None:
        """So many drained bytes have left.

        Raises LocalProtocolError for more than are unsent.
        """
        if not 0 <= count <= self.unsent:
            raise LocalProtocolError(f"{count} bytes sent of {self.unsent}")
        before, self._sent = self._sent, self._sent + count
        payload = 0
        while self._payloads and self._payloads[0][0] < self._sent:
            start, end = self._payloads[0]
            payload += min(end, self._sent) - max(start, before)
            if end > self._sent:
                break
            self._payloads.popleft()
        if payload:
            self._up.add(payload, now)

    @property
    def has_output(self) -> bool:
        """Whether there is anything to drain."""
        return bool(self._parts)

    @property
    def unsent(self) -> int:
        """Bytes drained and not reported as sent."""
        return self._drained - self._sent

    @property
    def backlog(self) -> int:
        """Bytes that the peer has not taken yet, drained or not."""
        return self._queued - self._sent
