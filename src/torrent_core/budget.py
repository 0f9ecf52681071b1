"""A shared amount of something scarce: memory, links, dials under way.

One ``Budget`` serves all torrents of a session.  Who is refused is remembered, so that it
can be told when something comes free: nobody polls, and nobody is forgotten.
"""

from __future__ import annotations

from .types import InfoHash


class Budget:
    """Counts what is taken out of ``limit``, and who waits for more."""

    __slots__ = ("_freed", "_refused", "limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        """What is taken; above the limit only by force."""
        self._refused: dict[InfoHash, None] = {}
        self._freed = False

    @property
    def room(self) -> int:
        """What may still be taken."""
        return max(0, self.limit - self.used)

    def take(self, amount: int, owner: InfoHash, *, force: bool = False) -> bool:
        """Take ``amount``; False, and ``owner`` waits from now on, if that is too much.

        ``force`` takes it whatever the limit says.
        """
        if self.used + amount > self.limit and not force:
            self.wait(owner)
            return False
        self.used += amount
        return True

    def wait(self, owner: InfoHash) -> None:
        """``owner`` wants to be told when something comes free."""
        self._refused[owner] = None

    def give(self, amount: int) -> None:
        """Return ``amount``."""
        self.used -= amount
        self._freed = True

    def forget(self, owner: InfoHash) -> None:
        """``owner`` waits no longer."""
        self._refused.pop(owner, None)

    def take_waiting(self) -> list[InfoHash]:
        """Those refused, in order, if anything came free since; they are then forgotten."""
        if not self._freed or not self._refused:
            return []
        waiting = list(self._refused)
        self._refused.clear()
        self._freed = False
        return waiting
