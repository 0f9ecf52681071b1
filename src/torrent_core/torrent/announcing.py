"""Telling peers what became ours: HAVEs are gathered for a moment and sent together."""

from __future__ import annotations

from .context import Context
from .links import Links

HAVES = "HAVEs are due"


class Announcing:
    """The pieces that became ours and that nobody has been told of yet."""

    def __init__(self, context: Context, links: Links) -> None:
        self._context = context
        self._links = links
        self._haves: list[int] = []

    def add(self, index: int) -> None:
        """Piece ``index`` became ours."""
        context = self._context
        if not self._haves:
            context.timers.set((HAVES, 0), context.now + context.config.have_delay)
        self._haves.append(index)

    def flush(self) -> None:
        """Say so now."""
        self._context.timers.clear((HAVES, 0))
        self._links.announce(self._haves)
        self._haves.clear()

    def drop(self) -> None:
        """Nobody is left to be told."""
        self._context.timers.clear((HAVES, 0))
        self._haves.clear()
