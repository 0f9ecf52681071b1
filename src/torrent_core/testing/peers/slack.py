"""Peers that serve badly: they fall silent, choke, leave, refuse, or take their time."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ...types import BlockInfo
from ..line import Line
from ..promises import count, interval
from .honest import Honest


class Silent(Honest):
    """Falls silent after ``blocks`` blocks: unchokes, takes requests, and says no more."""

    def __init__(self, *where: Any, blocks: int = 0, **options: Any) -> None:
        super().__init__(*where, **options)
        self.blocks = count("blocks", blocks)

    def serve(self, block: BlockInfo) -> float:
        """No answer once enough was given."""
        if self.blocks_sent >= self.blocks:
            return math.inf
        return super().serve(block)


class Choker(Honest):
    """Has everything and chokes for ever."""

    def on_interested(self) -> None:
        """We are interesting, and do not care."""


class Leaver(Honest):
    """Closes each link once it has sent ``blocks`` blocks on it; ``detail`` as in LinkClosed."""

    def __init__(self, *where: Any, blocks: int = 3, detail: str = "", **options: Any) -> None:
        super().__init__(*where, **options)
        self.blocks = count("blocks", blocks, least=1)
        self.detail = detail
        self._before = 0

    def opened(self, line: Line) -> None:
        """A link stands."""
        self._before = self.blocks_sent
        super().opened(line)

    def serve(self, block: BlockInfo) -> float:
        """Answer, and leave after the last."""
        left = super().serve(block)
        if self.blocks_sent - self._before == self.blocks:
            self.world.at(left, lambda: self.leave(self.detail))
        return left


class Flapper(Honest):
    """Chokes and unchokes in turn, each for ``period`` seconds."""

    def __init__(self, *where: Any, period: float = 1.0, **options: Any) -> None:
        super().__init__(*where, **options)
        self.period = interval("period", period)
        self._flapping: Line | None = None

    def on_interested(self) -> None:
        """We are interesting, for a while."""
        if self._flapping is not self.line:
            self._flapping = self.line
            self._flap(self.line)

    def _flap(self, line: Line | None) -> None:
        if self.alive and self.line is line:
            if self.choking:
                self.unchoke()
            else:
                self.choke()
            self.world.at(self.world.now + self.period, lambda: self._flap(line))


class Trickle(Honest):
    """Gives one block every ``every`` seconds."""

    def __init__(self, *where: Any, every: float = 5.0, **options: Any) -> None:
        super().__init__(*where, **options)
        self.every = interval("every", every)

    def serve(self, block: BlockInfo) -> float:
        """Answer, and rest."""
        return max(super().serve(block), self.world.now + self.every)


class Rejecter(Honest):
    """Says that it has everything, unchokes, and rejects each request."""

    def serve(self, block: BlockInfo) -> float:
        """No."""
        self.refuse(block)
        return self.world.now


class Liar(Honest):
    """Says that it has ``claims`` (None: everything), and has only ``have`` (None: nothing).

    Requests for the rest are rejected where BEP 6 is agreed, and otherwise left unanswered.
    """

    def __init__(
        self,
        *where: Any,
        have: Iterable[int] | None = None,
        claims: Iterable[int] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*where, have=have or (), **options)
        self.claims = self._pieces("claims", claims)

    def serve(self, block: BlockInfo) -> float:
        """Answer with what is there."""
        if block.piece in self.have:
            return super().serve(block)
        self.refuse(block)
        return self.world.now


class CancelIgnorer(Honest):
    """Answers each request, whether it was cancelled or not."""

    def on_cancel(self, block: BlockInfo) -> None:
        """They ask no longer, and get it all the same."""
