"""What happens when requests of one link become void, whatever the cause.

Their blocks are free again the moment they leave the request book; what is left to do is to
look for somebody to take them in the same step, to let go of what the link worked on, and
to start pieces over that were reserved for it.
"""

from __future__ import annotations

from ..types import ReleaseCause
from .active import ActivePiece, RequestInfo, Stage
from .asking import Asking
from .manager import ActivePieceManager
from .outcome import Released
from .parole import Parole
from .requests import LinkRequests

_SILENCED = (ReleaseCause.DISCONNECTED, ReleaseCause.CHOKED, ReleaseCause.SNUBBED)
"""Causes after which a link is not going on with anything."""


class Releases:
    """Lets go of what a link was asked for, and of what was kept for it."""

    __slots__ = ("_active", "_asking", "_parole")

    def __init__(self, active: ActivePieceManager, parole: Parole, asking: Asking) -> None:
        self._active = active
        self._parole = parole
        self._asking = asking

    def released(
        self, link: LinkRequests, cause: ReleaseCause, void: list[RequestInfo], *, cancel: bool
    ) -> Released:
        """These requests have left the book for ``cause``; ``cancel``: a CANCEL is owed."""
        ordinal = link.state.ordinal
        lost = {info.piece.index for info in void}
        alone = cause in _SILENCED
        if alone and link.current is not None:
            self._active.disown(link.current)
        started_over = False
        for index in self._parole.held_by(ordinal):
            piece = self._active.get(index)
            if (alone or index in lost) and piece and piece.stage is Stage.DOWNLOADING:
                self.start_over(piece)
                started_over = True
        if void or started_over:
            self._asking.touch_hungry()
        if ordinal in self._active.links:
            self._asking.touch(link)
        return Released(link.state, cause, tuple(void), cancel)

    def start_over(self, piece: ActivePiece) -> None:
        """Forget every block of a piece; the next link may take it."""
        self._parole.vacate(piece.index)
        self._active.break_claims(piece)
        piece.reset()
        self._active.refresh(piece)
