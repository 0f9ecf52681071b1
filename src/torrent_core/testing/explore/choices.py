"""What may happen next, as values that a person can read and a run can be repeated from."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class What(Enum):
    """Kinds of step; the value completes "peer 0" or stands alone."""

    OPEN = "connects, and has every piece"
    OPEN_EMPTY = "connects, and has nothing"
    HAVE = "gains piece"
    UNCHOKE = "unchokes us"
    CHOKE = "chokes us"
    ANSWER = "answers its oldest request"
    ANSWER_NEWEST = "answers its newest request"
    CORRUPT = "answers its oldest request with garbage"
    CORRUPT_NEWEST = "answers its newest request with garbage"
    LATE = "answers the oldest request that was withdrawn"
    REJECT = "rejects its oldest request"
    REJECT_LATE = "rejects the oldest request that was withdrawn"
    LEAVE = "disconnects"
    STORAGE = "the storage answers job"
    STORAGE_FAILS = "the storage fails job"
    TICK = "the deadline comes"
    WAIT = "nobody calls for a while, of the choices number"


_ALONE = (What.TICK,)
_NUMBERED = (What.STORAGE, What.STORAGE_FAILS, What.WAIT)


class Choice(NamedTuple):
    """One step: of which peer, or of which of the storage jobs that are out, oldest first."""

    what: What
    which: int = 0
    piece: int = 0

    def __str__(self) -> str:
        if self.what in _ALONE:
            return self.what.value
        if self.what in _NUMBERED:
            return f"{self.what.value} {self.which}"
        piece = f" {self.piece}" if self.what is What.HAVE else ""
        return f"peer {self.which} {self.what.value}{piece}"


Path = tuple[Choice, ...]
"""A run from the start: together with its ``Setting`` it is all that is needed to repeat it."""


def listing(path: Path) -> str:
    """A run as numbered lines."""
    return "\n".join(f"{number:4}. {choice}" for number, choice in enumerate(path, 1))
