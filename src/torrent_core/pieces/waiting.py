"""Links that wait for work, found by what they could do.

A block or some memory that came free is of use to few of the links that wait, and to look at
each of a thousand to find one would make every REJECT cost a thousand looks.  So the sets of
pieces that they could be asked for are the leaves of a tree whose inner nodes are unions: a
link that has any of the pieces in question is found, or is known not to exist, in as many
steps as the tree is high.
"""

from __future__ import annotations


class Waiting:
    """Sets of pieces by link.

    Costs two sets for each link that waited at one time, and O(log links) set operations for
    each change and each question.
    """

    __slots__ = ("_links", "_slots", "_turn", "_unions", "_vacant")

    def __init__(self) -> None:
        self._slots: dict[int, int] = {}
        self._links = [0]  # the ordinal in each slot
        self._vacant = [0]
        self._turn = 0
        self._unions = [
            0,
            0,
        ]  # node n has the children 2n and 2n + 1; slot s is the leaf len / 2 + s

    def put(self, ordinal: int, pieces: int) -> None:
        """The link waits, and could be asked for these pieces."""
        slot = self._slots.get(ordinal)
        if slot is None:
            if not self._vacant:
                self._grow()
            slot = self._slots[ordinal] = self._vacant.pop()
            self._links[slot] = ordinal
        self._set(slot, pieces)

    def drop(self, ordinal: int) -> None:
        """The link waits no longer.  Idempotent."""
        slot = self._slots.pop(ordinal, None)
        if slot is not None:
            self._set(slot, 0)
            self._vacant.append(slot)

    def has(self, ordinal: int, pieces: int) -> bool:
        """Whether the link waits and could be asked for any of these."""
        slot = self._slots.get(ordinal)
        return slot is not None and bool(self._unions[len(self._links) + slot] & pieces)

    def find(self, pieces: int) -> int | None:
        """A link that could be asked for any of these: the next one, round and round."""
        unions, at = self._unions, len(self._links) + self._turn
        if not unions[1] & pieces:
            return None
        while not unions[at] & pieces:  # up, to whatever comes after all that was seen
            at += 1
            while not at & 1:
                at //= 2
        while at < len(self._links):  # down, to the first that is meant
            at *= 2
            if not unions[at] & pieces:
                at += 1
        slot = at - len(self._links)
        self._turn = (slot + 1) % len(self._links)
        return self._links[slot]

    def _set(self, slot: int, pieces: int) -> None:
        unions, at = self._unions, len(self._links) + slot
        unions[at] = pieces
        while at > 1:
            at //= 2
            union = unions[2 * at] | unions[2 * at + 1]
            if union == unions[at]:
                return
            unions[at] = union

    def _grow(self) -> None:
        count = len(self._links)
        self._vacant = list(range(2 * count - 1, count - 1, -1))
        leaves = [*self._unions[count:], *([0] * count)]
        self._links += [0] * count
        self._unions = [0] * (2 * count) + leaves
        for at in range(2 * count - 1, 0, -1):
            self._unions[at] = self._unions[2 * at] | self._unions[2 * at + 1]
