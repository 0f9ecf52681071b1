"""Whose memory is given up when a link could work and there is no memory for it.

A link is refused memory only after it has found nothing to do in what is in memory.  So
pieces that nobody works on are of no use to it: the one that was left first gives way.  What
came of it is written to its place in the files and stays received; only its memory goes.
This is looked at when memory was refused, and at no other time.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from ..classes import frozen
from ..limits import LATENESS_FLOOR
from .active import ActivePiece, RequestInfo
from .manager import ActivePieceManager
from .requests import LinkRequests


@frozen
class Vacated:
    """Memory that is to be given up."""

    piece: ActivePiece
    blocks: int
    """Set of the blocks of the idle segments."""
    probes: tuple[RequestInfo, ...]
    """Requests to silent links for some of them: withdrawn, each owed a CANCEL."""


class Relief:
    """Remembers which links lack memory, and makes room for them."""

    __slots__ = ("_active", "_asked", "_lacking", "_silent")

    def __init__(self, active: ActivePieceManager) -> None:
        self._active = active
        self._lacking: dict[int, LinkRequests] = {}
        self._silent: dict[int, LinkRequests] = {}
        self._asked = False

    def refused(self, link: LinkRequests) -> None:
        """There is no memory for what ``link`` could be asked for."""
        lacking, other = self._lacking, self._silent
        if link.snubbed:
            lacking, other = other, lacking
        other.pop(link.state.ordinal, None)
        lacking[link.state.ordinal] = link
        self._asked = True

    @property
    def is_due(self) -> bool:
        """Whether any link was refused since ``take_refused`` was last called."""
        return self._asked

    def forget(self, ordinal: int) -> None:
        """The link lacks no memory any longer."""
        self._lacking.pop(ordinal, None)
        self._silent.pop(ordinal, None)

    def take_refused(self) -> Iterator[LinkRequests]:
        """The links that lack memory, those first that are not silent; none if no link was
        refused any since this was last called."""
        asked, self._asked = self._asked, False
        return chain(self._lacking.values(), self._silent.values()) if asked else iter(())

    def make_room(self, now: float, link: LinkRequests | None = None) -> Vacated | None:
        """The memory to be given up, for ``link`` or another torrent; None if there is none.

        What a silent link was given lately stays with it in two cases.  Another silent link
        does not take it: that one will hardly answer either, and several of them would take
        one another's memory for ever at one moment.  And nobody takes what is too short for
        him, as a last piece may be: it would go back to the silent link in the same step.
        """
        for piece in self._active.memory.idle_pieces():
            segments = piece.segments_of(piece.idle)
            if link is None or not self._stays(piece, segments, link, now):
                blocks = sum(map(piece.segment_blocks, segments))
                return Vacated(piece, blocks, tuple(self._withdraw(piece, blocks)))
            if link.snubbed:
                break  # those left later have been given to silent links later
        return None

    def _stays(
        self, piece: ActivePiece, segments: list[int], link: LinkRequests, now: float
    ) -> bool:
        if not piece.requests or now >= piece.last_activity + LATENESS_FLOOR:
            return False
        return link.snubbed or not self._suffices(piece, segments)

    def _suffices(self, piece: ActivePiece, segments: list[int]) -> bool:
        """Whether any segment would have room once these are given back."""
        memory = self._active.memory
        return memory.budget.room + sum(map(piece.segment_length, segments)) >= memory.segment_size

    def _withdraw(self, piece: ActivePiece, blocks: int) -> list[RequestInfo]:
        held = [info for requests in piece.requests.values() for info in requests]
        probes = [info for info in held if blocks >> info.block & 1]
        for info in probes:
            self._active.withdraw(info)
        for block in [block for block in piece.claims if blocks >> block & 1]:
            self._active.break_claims(piece, block)
        return probes
