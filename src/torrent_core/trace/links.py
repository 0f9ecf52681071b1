"""The links of a run: their numbers, and where each one's stream has got to.

Recording and replaying keep the same book by the same events, so that a number means the
same link in both.
"""

from __future__ import annotations

from ..events import Event, LinkClosed, LinkOpened
from ..types import LinkId
from .elide import Follower

GONE = 0
"""The number of every link that is not open."""


class Links:
    """The links that are open, by the adapter's names for them."""

    __slots__ = ("_last", "followers")

    def __init__(self) -> None:
        self.followers: dict[LinkId, Follower] = {}
        """Of each open link its stream."""
        self._last = GONE

    def number(self, link: LinkId) -> int:
        """By which ``link`` goes in the trace."""
        follower = self.followers.get(link)
        return GONE if follower is None else follower.number

    def open(self, event: LinkOpened) -> bool:
        """A link is about to be opened, and may be named by what follows from it.

        Returns whether it is a new one.
        """
        if event.link in self.followers:
            return False
        self._last += 1
        self.followers[event.link] = Follower(self._last)
        return True

    def settle(self, event: Event, *, opened: bool, taken: bool) -> None:
        """The step is over; ``opened`` is what ``open`` returned, ``taken`` whether the
        machine took the event."""
        if isinstance(event, LinkOpened):
            if opened and not taken:
                self._last = self.followers.pop(event.link).number - 1
        elif isinstance(event, LinkClosed) and taken:
            self.followers.pop(event.link, None)
