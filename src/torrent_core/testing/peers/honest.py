"""Peers that keep to the protocol: one that serves, one that fetches."""

from __future__ import annotations

from typing import Any

from ...limits import BLOCK_SIZE
from ...types import BlockInfo
from ...wire import messages as wire
from ..line import Line
from ..promises import count
from .base import Peer

_KEEP_ALIVE = 100.0
"""Seconds between keep-alives: below the two minutes of BEP 3."""


class Honest(Peer):
    """Unchokes whoever is interested, and serves in order of requests at its rate."""

    _busy = False

    def opened(self, line: Line) -> None:
        """A link stands."""
        self._busy = False
        super().opened(line)
        self._keep_alive(line)

    def _keep_alive(self, line: Line) -> None:
        def again() -> None:
            if line.open:
                self.say(wire.KeepAlive())
                self._keep_alive(line)

        self.world.at(self.world.now + _KEEP_ALIVE, again)

    def on_interested(self) -> None:
        """We are interesting."""
        self.unchoke()

    def on_request(self, block: BlockInfo) -> None:
        """They ask."""
        if self.choking and block.piece not in self.allowed:
            self.refuse(block)
        else:
            self.pump()

    def pump(self) -> None:
        """Answer the oldest request, unless an answer is still leaving."""
        if self._busy or not self.alive or not self.asked:
            return
        self._busy = True
        self.world.at(self.serve(next(iter(self.asked))), self._next)

    def serve(self, block: BlockInfo) -> float:
        """Answer one request; returns when the next may be answered."""
        return self.give(block)

    def _next(self) -> None:
        self._busy = False
        self.pump()


class Leech(Peer):
    """Wants everything, asks for ``depth`` blocks at a time once unchoked."""

    wants = True

    def __init__(self, *where: Any, depth: int = 4, **options: Any) -> None:
        super().__init__(*where, **options)
        self.depth = count("depth", depth, least=1)
        self.told = False

    def opened(self, line: Line) -> None:
        """A link stands."""
        self.told = False
        self.mine: dict[BlockInfo, None] = {}
        super().opened(line)

    def on_have(self, index: int) -> None:
        """They have a piece."""
        if self.wants and not self.told:
            self.told = True
            self.say(wire.Interested())
        self.ask()

    def on_unchoked(self) -> None:
        """We may ask."""
        self.ask()

    def ask(self) -> None:
        """Fill the pipeline."""
        for index in sorted(self.their_pieces - self.have):
            for block in self._blocks(index):
                if self.their_choking or len(self.mine) >= self.depth:
                    return
                if block not in self.mine and block not in self.blocks_got:
                    self.mine[block] = None
                    self.say(wire.Request(*block))

    def _blocks(self, index: int) -> list[BlockInfo]:
        size = self.meta.geometry.piece_size(index)
        return [
            BlockInfo(index, begin, min(BLOCK_SIZE, size - begin))
            for begin in range(0, size, BLOCK_SIZE)
        ]

    def on_block(self, block: BlockInfo) -> None:
        """They answered."""
        self.mine.pop(block, None)
        self.ask()

    def on_rejected(self, block: BlockInfo) -> None:
        """They will not answer."""
        self.mine.pop(block, None)

    @property
    def complete(self) -> bool:
        """Whether every block came."""
        geometry = self.meta.geometry
        return len(self.blocks_got) == geometry.blocks_in(geometry.all_pieces)
