"""Pieces that failed their hash with several contributors: one link alone per retry.

Until such a piece is fetched whole from one link, nobody can tell who spoiled it.  A link
that takes a paroled piece becomes its holder; blocks of others are not accepted for it.  If
the holder leaves, is choked or falls silent, what it sent is dropped and the next link
starts over: mixing would leave blame unsettled again.
"""

from __future__ import annotations

from .requests import LinkRequests


class Parole:
    """Which pieces are reserved for one link, and for whom."""

    __slots__ = ("holders",)

    def __init__(self) -> None:
        self.holders: dict[int, int | None] = {}
        """Ordinal of the link for which each such piece is reserved, or None: for the next."""

    def sentence(self, index: int) -> None:
        """From now on piece ``index`` is fetched from one link at a time."""
        self.holders[index] = None

    def release(self, index: int) -> None:
        """Piece ``index`` passed, or is not wanted any longer."""
        self.holders.pop(index, None)

    def closed_to(self, link: LinkRequests) -> int:
        """Set of pieces reserved for links other than ``link``."""
        closed = 0
        for index, holder in self.holders.items():
            if holder is not None and holder != link.state.ordinal:
                closed |= 1 << index
        return closed

    @property
    def everything(self) -> int:
        """Set of all paroled pieces: end-game must not share them."""
        return sum(1 << index for index in self.holders)

    def is_closed_to(self, index: int, ordinal: int) -> bool:
        """Whether blocks of piece ``index`` from this link are refused."""
        return index in self.holders and self.holders[index] != ordinal

    def take(self, index: int, ordinal: int) -> None:
        """The link is asked for piece ``index``: it holds the parole, if there is one."""
        if index in self.holders:
            self.holders[index] = ordinal

    def held_by(self, ordinal: int) -> list[int]:
        """The pieces reserved for this link."""
        return [index for index, holder in self.holders.items() if holder == ordinal]

    def vacate(self, index: int) -> None:
        """The next link may take piece ``index``."""
        if index in self.holders:
            self.holders[index] = None

    def __len__(self) -> int:
        return len(self.holders)
