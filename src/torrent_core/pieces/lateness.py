"""Which links and requests are late, and when a link has recovered.

Three judgements, from the mildest: a request that its link passes over again and again is
lost; a request whose own deadline passes is; and a link that delivers nothing for longer
than it should need is silent, loses everything, and is probed until it delivers.
"""

from __future__ import annotations

from ..limits import LATENESS_FLOOR, OVERTAKEN_LIMIT
from ..types import ReleaseCause
from .active import RequestInfo
from .manager import ActivePieceManager
from .outcome import Released
from .parole import Parole
from .refusals import Refusals
from .releases import Releases
from .requests import LinkRequests


class Lateness:
    """Judges links by what they deliver and what they do not."""

    __slots__ = ("_active", "_parole", "_refusals", "_releases")

    def __init__(
        self, active: ActivePieceManager, parole: Parole, refusals: Refusals, releases: Releases
    ) -> None:
        self._active = active
        self._parole = parole
        self._refusals = refusals
        self._releases = releases

    def progressed(self, link: LinkRequests, now: float) -> None:
        """The link has delivered something that it was asked for."""
        link.delivered(now)
        if link.snubbed:
            link.snubbed = False
            for info in link.out.values():  # its probe is a request like others again
                info.probe = False
                info.piece.add_holder(info)
                self._active.refresh(info.piece)

    def is_lost(self, link: LinkRequests, oldest: RequestInfo, now: float) -> bool:
        """A later request than the link's oldest was answered: is the oldest lost?

        It is when several were, and that not just now.  Order alone is no sign: engines that
        read the disk in threads answer out of order all the time.
        """
        if not oldest.overtaken:
            oldest.overtaken_since = now
        oldest.overtaken += 1
        passed_over = now - oldest.overtaken_since >= LATENESS_FLOOR
        if oldest.overtaken < OVERTAKEN_LIMIT or not passed_over:
            return False
        self._active.withdraw(oldest)
        self._refusals.refuse(link, oldest.piece.index, now)
        self._releases.released(link, ReleaseCause.OVERTAKEN, [oldest], cancel=True)
        return True

    def late(self, link: LinkRequests, now: float) -> Released:
        """The link's deadline has passed.

        A silent link loses everything and is snubbed; one that still delivers loses what is
        overdue.
        """
        void = [info for info in link.out.values() if info.deadline <= now]
        cause = ReleaseCause.TIMED_OUT
        if now >= link.silent_at(self._active.config.request_timeout):
            link.snub(now)
            void = list(link.out.values())
            cause = ReleaseCause.SNUBBED
            # Its probe must not reserve the same pieces for it for another round.
            for index in self._parole.held_by(link.state.ordinal):
                self._refusals.refuse(link, index, now)
        for info in void:
            self._active.withdraw(info)
            if cause is ReleaseCause.TIMED_OUT:
                self._refusals.refuse(link, info.piece.index, now)
        return self._releases.released(link, cause, void, cancel=True)
