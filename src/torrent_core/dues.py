"""When each torrent of a session has something to do, asked of it as seldom as can be."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Generic, Protocol, TypeVar

from .deadlines import Deadline, Deadlines
from .types import InfoHash


class Member(Protocol):
    """What goes by an info-hash in a session."""

    @property
    def info_hash(self) -> InfoHash: ...

    def next_deadline(self) -> Deadline | None: ...


M = TypeVar("M", bound=Member)


class Dues(Generic[M]):
    """Deadlines by info-hash.  ``is_here`` says whether a torrent is in the session still.

    A torrent that takes several events in turn is asked for its deadline once.  It is asked before
    another moves, as that may take what they share; and the order of equal ones is that in which
    torrents were added.  So nothing depends on when any of this is asked for.
    """

    __slots__ = ("_deadlines", "_is_here", "_moving", "_next_rank", "_ranks", "_reasons")

    def __init__(self, is_here: Callable[[M], bool]) -> None:
        self._is_here = is_here
        self._deadlines: Deadlines[InfoHash] = Deadlines()
        self._reasons: dict[InfoHash, str] = {}
        self._ranks: dict[InfoHash, int] = {}
        self._next_rank = count(1).__next__
        self._moving: M | None = None

    def add(self, info_hash: InfoHash) -> None:
        """A torrent is new."""
        self._ranks[info_hash] = self._next_rank()

    def forget(self, info_hash: InfoHash) -> None:
        """It is gone."""
        del self._ranks[info_hash]
        self._deadlines.clear(info_hash)
        self._reasons.pop(info_hash, None)

    def turn_to(self, torrent: M) -> None:
        """A torrent is about to move, and its deadline with it."""
        if torrent is not self._moving:
            self.settle()
            self._moving = torrent

    def settle(self) -> None:
        """Ask who moved last: others than the session are about to tell torrents something."""
        torrent, self._moving = self._moving, None
        if torrent is None or not self._is_here(torrent):
            return
        due = torrent.next_deadline()
        if due is None:
            self._deadlines.clear(torrent.info_hash)
        else:
            self._deadlines.set(torrent.info_hash, due.when, self._ranks[torrent.info_hash])
            self._reasons[torrent.info_hash] = due.why

    def first(self) -> Deadline | None:
        """What comes first."""
        self.settle()
        first = self._deadlines.soonest()
        return None if first is None else Deadline(first[0], self._reasons[first[1]])

    def pop_due(self, now: float) -> InfoHash | None:
        """The next torrent that has something to do now."""
        self.settle()
        return self._deadlines.pop_due(now)
