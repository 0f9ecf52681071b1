"""Peers that break the protocol, or try how far it stretches."""

from __future__ import annotations

from typing import Any

from ...types import BlockInfo
from ...wire import extended
from ...wire import messages as wire
from ...wire.handshake import encode as encode_handshake
from ..line import Line
from ..promises import count, interval
from .honest import Honest

_CLIENT = "absurd"
_HELLO = 0
"""Number of the extension handshake (BEP 10)."""


class Corrupter(Honest):
    """Spoils one block in ``every``, the first of them at once."""

    def __init__(self, *where: Any, every: int = 1, **options: Any) -> None:
        super().__init__(*where, **options)
        self.every = count("every", every, least=1)

    def serve(self, block: BlockInfo) -> float:
        """Answer, perhaps with wrong bytes."""
        data = self.block(block)
        if self.blocks_sent % self.every == 0:
            data = bytes([data[0] ^ 0xFF]) + data[1:]
        return self.give(block, data)


class AbsurdReqq(Honest):
    """Says that it would queue ``reqq`` requests (BEP 10), and serves like anybody."""

    def __init__(self, *where: Any, reqq: int = 2**32 + 1, **options: Any) -> None:
        super().__init__(*where, **{**options, "extended": True})
        self.reqq = reqq

    def hello(self) -> None:
        """The handshake, which pieces we have, and the number."""
        super().hello()
        hello = extended.ExtendedHandshake(v=_CLIENT, reqq=self.reqq)
        self.say(wire.Extended(_HELLO, extended.encode(hello)))


class GarbageSender(Honest):
    """Sends ``size`` random bytes after ``blocks`` blocks, or in place of its handshake."""

    def __init__(
        self, *where: Any, blocks: int | None = None, size: int = 4096, **options: Any
    ) -> None:
        """``blocks`` None is in place of the handshake."""
        super().__init__(*where, **options)
        self.blocks = None if blocks is None else count("blocks", blocks)
        self.size = count("size", size, least=1)

    def hello(self) -> None:
        """The handshake, or none."""
        if self.blocks is None:
            self._garbage()
        else:
            super().hello()

    def serve(self, block: BlockInfo) -> float:
        """Answer, or babble."""
        if self.blocks_sent == self.blocks:
            del self.asked[block]
            return self._garbage()
        return super().serve(block)

    def _garbage(self) -> float:
        return self.say_bytes(self.world.random.randbytes(self.size))


class SlowHandshake(Honest):
    """Says its handshake a byte at a time, one every ``every`` seconds."""

    def __init__(self, *where: Any, every: float = 1.0, **options: Any) -> None:
        super().__init__(*where, **options)
        self.every = interval("every", every)

    def hello(self) -> None:
        """Byte by byte, and then which pieces we have."""
        self._say_next(self.line, encode_handshake(self.handshake()))

    def _say_next(self, line: Line | None, rest: bytes) -> None:
        if not self.alive or self.line is not line:
            return
        if not rest:
            self.say_pieces()
            return
        self.say_bytes(rest[:1])
        self.world.at(self.world.now + self.every, lambda: self._say_next(line, rest[1:]))
