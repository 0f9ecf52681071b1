"""How many links have each piece, kept so that whole-set questions are a few big-int steps.

The counts lie in *bit-planes*: plane ``k`` is the set of pieces whose count has bit ``k``
set.  Adding a set of pieces is then binary addition with carry over all pieces at once, and
the rarest members of a set are found by walking the planes from the top, each time keeping
those without the bit if there are any.  Both cost about one big-int operation per plane,
whatever the number of pieces that change; a table of counts would cost one step a piece.

Links that have everything are only counted: they say nothing about which piece is rare.
"""

from __future__ import annotations

from ..bitfield import has, without


class Availability:
    """Counts over the pieces of one torrent; links are named by their ordinals."""

    __slots__ = ("_all", "_planes", "_seeds")

    def __init__(self, all_pieces: int) -> None:
        self._all = all_pieces
        self._planes: list[int] = []
        self._seeds: set[int] = set()  # asked for membership and size only

    def gain(self, link: int, gained: int, has_now: int) -> None:
        """``link`` has the pieces ``gained`` in addition; ``has_now`` is all it has."""
        if gained == has_now == self._all:
            self._seeds.add(link)
        else:
            self._add(gained)

    def lose(self, link: int, pieces: int) -> None:
        """``link``, which had ``pieces``, is gone."""
        if link in self._seeds:
            self._seeds.remove(link)
        else:
            self._subtract(pieces)

    def rarest(self, candidates: int) -> int:
        """Those of a non-empty set that the fewest links have."""
        for plane in reversed(self._planes):
            fewer = without(candidates, plane)
            if fewer:
                candidates = fewer
        return candidates

    def count(self, index: int) -> int:
        """Links that have piece ``index``."""
        counted = sum(has(plane, index) << k for k, plane in enumerate(self._planes))
        return counted + len(self._seeds)

    @property
    def available(self) -> int:
        """The set of pieces that at least one link has."""
        if self._seeds:
            return self._all
        some = 0
        for plane in self._planes:
            some |= plane
        return some

    def bucket(self, count: int) -> int:
        """The set of pieces that exactly ``count`` links have."""
        count -= len(self._seeds)
        if count < 0 or count >> len(self._planes):
            return 0
        members = self._all
        for k, plane in enumerate(self._planes):
            members &= plane if count >> k & 1 else ~plane
        return members

    def _add(self, carry: int) -> None:
        planes = self._planes
        for k, plane in enumerate(planes):
            planes[k] = plane ^ carry
            carry &= plane
            if not carry:
                return
        if carry:
            planes.append(carry)

    def _subtract(self, borrow: int) -> None:
        planes = self._planes
        for k, plane in enumerate(planes):
            planes[k] = plane = plane ^ borrow
            borrow &= plane
            if not borrow:
                break
        while planes and not planes[-1]:
            planes.pop()
