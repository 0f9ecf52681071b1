"""Peers that say no, or do not answer: how long each is left alone, and about what.

A piece that a link rejected, or let time out, is not asked of that link for two seconds,
then four, up to a minute.  A link that rejects everything, whatever the piece, is left
alone as a whole in the same way: otherwise it would be asked for one piece after another
as fast as it can say no.

What was asked before a pause began often fails all at once.  That is one refusal, not many:
while a pause runs, nothing makes it longer.
"""

from __future__ import annotations

from ..deadlines import Deadlines
from ..limits import MAX_REFUSAL_BACKOFF, MAX_REJECTIONS, REFUSAL_BACKOFF
from .requests import LinkRequests, Refusal

_WHOLE_LINK = -1


class Refusals:
    """Backoffs of (link, piece) and of whole links, and when each ends."""

    __slots__ = ("_deadlines",)

    def __init__(self) -> None:
        self._deadlines: Deadlines[tuple[int, int]] = Deadlines()

    def rejected(self, link: LinkRequests, piece: int, now: float) -> None:
        """The peer rejected a block of ``piece`` although it does not choke us."""
        self.refuse(link, piece, now)
        link.rejections += 1
        if link.rejections >= MAX_REJECTIONS and not link.rests:
            link.resting, link.rests = _next(link.resting, now), True
            self._deadlines.set((link.state.ordinal, _WHOLE_LINK), link.resting.until)

    def refuse(self, link: LinkRequests, piece: int, now: float) -> None:
        """Leave the link alone about ``piece`` for a while."""
        last = link.refusals.get(piece)
        if _runs(last, now):
            return
        refusal = link.refusals[piece] = _next(last, now)
        link.refused |= 1 << piece
        self._deadlines.set((link.state.ordinal, piece), refusal.until)

    def removed(self, link: LinkRequests) -> None:
        """The link is gone."""
        for piece in link.refusals:
            self._deadlines.clear((link.state.ordinal, piece))
        self._deadlines.clear((link.state.ordinal, _WHOLE_LINK))

    def pop_due(self, links: dict[int, LinkRequests], now: float) -> list[LinkRequests]:
        """Links that may be asked again for something, as of ``now``."""
        eased = []
        while (key := self._deadlines.pop_due(now)) is not None:
            ordinal, piece = key
            link = links[ordinal]
            if piece == _WHOLE_LINK:
                link.rests = False
            else:
                link.refused &= ~(1 << piece)
            eased.append(link)
        return eased

    def soonest(self) -> float | None:
        """When the first backoff ends."""
        return self._deadlines.next_at()


def _runs(refusal: Refusal | None, now: float) -> bool:
    return refusal is not None and now < refusal.until


def _next(last: Refusal | None, now: float) -> Refusal:
    delay = REFUSAL_BACKOFF if last is None else min(2 * last.delay, MAX_REFUSAL_BACKOFF)
    return Refusal(now + delay, delay)
