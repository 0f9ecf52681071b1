"""A shared amount of something scarce: memory, links, dials under way.

One ``Budget`` serves all torrents of a session.  Who is refused is remembered, so that it
can be told when something comes free: nobody polls, and nobody is forgotten.  Who holds
what it could do without offers it, and is asked for it once somebody is refused.
"""

from __future__ import annotations

from .types import InfoHash


class Budget:
    """Counts what is taken out of ``limit``, who waits for more, and who could give way."""

    __slots__ = ("_asked", "_offers", "limit", "refused", "told", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        """What is taken; above the limit only by force."""
        self.refused: dict[InfoHash, None] = {}
        """Who waits, in order."""
        self.told: dict[InfoHash, None] = {}
        """Who was refused before something came free (``take_waiting``)."""
        self._offers: dict[InfoHash, None] = {}
        self._asked = True  # whether the offers have been asked since anything changed

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
        self.told.pop(owner, None)  # it was refused again since
        if owner not in self.refused:
            self.refused[owner] = None
            self._asked = False

    def give(self, amount: int) -> None:
        """Return ``amount``: those who wait are to be told."""
        self.used -= amount
        self.told.update(self.refused)
        self.refused.clear()

    def forget(self, owner: InfoHash) -> None:
        """``owner`` waits no longer, and offers nothing."""
        self.refused.pop(owner, None)
        self.told.pop(owner, None)
        self._offers.pop(owner, None)

    def take_waiting(self) -> list[InfoHash]:
        """Those refused before something came free, in order; they are then forgotten."""
        waiting = list(self.told)
        self.told.clear()
        return waiting

    # --- Giving way --------------------------------------------------------------------

    def offer(self, owner: InfoHash) -> None:
        """``owner`` holds what it could do without."""
        if owner not in self._offers:
            self._offers[owner] = None
            self._asked = False

    def retract(self, owner: InfoHash) -> None:
        """``owner`` needs all it holds."""
        self._offers.pop(owner, None)

    def take_offer(self) -> InfoHash | None:
        """Who is to be asked to give way, if anybody waits: the oldest offer.

        None until somebody else waits or offers: whoever gives way does so in his time.
        """
        if self._asked or not self.refused:
            return None
        self._asked = True
        return next(iter(self._offers), None)
