"""Which piece to open next: the rarest that the link has, ties by injected randomness.

One owner of one invariant: ``candidates`` is exactly wanted and not had and not active.
Every way out of "active" (verified, failed, abandoned, no longer wanted) leads through a
method here, so that nothing is lost between the sets.
"""

from __future__ import annotations

from ..bitfield import random_member, without
from ..types import RandomSource
from .availability import Availability
from .verified import PieceManager


class PiecePicker:
    """The pieces that may be opened, and the order in which they are."""

    __slots__ = ("_active", "_random", "_verified", "availability", "candidates", "wanted")

    def __init__(self, verified: PieceManager, random: RandomSource) -> None:
        self.availability = Availability(verified.geometry.all_pieces)
        self.wanted = 0
        """Set of pieces that are to be fetched if they are not ours."""
        self.candidates = 0
        """Wanted, not had, not active: derived, and kept in step by every method."""
        self._verified = verified
        self._active = 0
        self._random = random

    @property
    def missing(self) -> int:
        """Set of wanted pieces that are not ours yet."""
        return without(self.wanted, self._verified.bitfield)

    def set_wanted(self, wanted: int) -> None:
        """Replace the set of wanted pieces; also to be called when a check has replaced
        the set of verified ones."""
        self.wanted = wanted
        self.candidates = without(self.missing, self._active)

    def activated(self, index: int) -> None:
        """Piece ``index`` is being downloaded: no candidate."""
        bit = 1 << index
        self._active |= bit
        self.candidates = without(self.candidates, bit)

    def deactivated(self, index: int) -> None:
        """Piece ``index`` is active no longer: selectable again, unless it is ours now."""
        bit = 1 << index
        self._active = without(self._active, bit)
        if self.wanted & bit and not self._verified.is_verified(index):
            self.candidates |= bit

    def pick(self, usable: int, suggested: int) -> int | None:
        """A candidate among ``usable``, or None.

        Pieces that the peer suggests come first (BEP 6: it has them at hand), then the
        rarest.
        """
        among = self.candidates & usable
        if not among:
            return None
        hinted = among & suggested
        rarest = self.availability.rarest(hinted or among)
        return random_member(rarest, self._random.getrandbits(32))
