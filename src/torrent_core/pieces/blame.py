"""Who spoiled a piece, from digests of its blocks: those it failed with, those it passed with.

A piece that fails its hash says only that some block of it is wrong.  Once it has passed,
every block's true digest is known, and whoever had sent one with another digest is proven
guilty: however many had sent the rest, and whether or not they are still connected.

Samples are taken of blocks in memory alone, at the latest before they are written.  What
went through the files may have been spoiled there, and proves nothing against who sent it.
"""

from __future__ import annotations

from typing import NamedTuple

from ..limits import MAX_REMEMBERED_DIGESTS
from ..types import Identity


class Sample(NamedTuple):
    """What somebody sent as a block of a piece that failed, or may fail."""

    block: int
    sender: Identity
    digest: bytes


class Blame:
    """Samples of pieces that have not passed yet; at most ``limit`` of them."""

    __slots__ = ("_count", "_limit", "_samples")

    def __init__(self, limit: int = MAX_REMEMBERED_DIGESTS) -> None:
        self._limit = limit
        self._samples: dict[int, dict[Sample, None]] = {}
        self._count = 0

    def remember(self, index: int, samples: list[Sample]) -> None:
        """These were sent as blocks of piece ``index``.

        Where there are too many, the oldest ones are forgotten of the piece of which none has
        come for the longest time.
        """
        kept = self._samples.pop(index, {})
        before = len(kept)
        kept.update(dict.fromkeys(samples))
        self._samples[index] = kept
        self._count += len(kept) - before
        while self._count > self._limit:
            self._forget_one()

    def _forget_one(self) -> None:
        index, kept = next(iter(self._samples.items()))
        del kept[next(iter(kept))]
        self._count -= 1
        if not kept:
            del self._samples[index]

    def blocks(self, index: int) -> int:
        """Set of the blocks of piece ``index`` of which there are samples."""
        found = 0
        for sample in self._samples.get(index, ()):
            found |= 1 << sample.block
        return found

    def settle(self, index: int, digests: dict[int, bytes]) -> list[Identity]:
        """Piece ``index`` passed with these digests by block: who sent others, each once.

        Its samples are forgotten; those of a block without digest convict nobody.
        """
        guilty: dict[Identity, None] = {}
        samples = self._samples.pop(index, {})
        self._count -= len(samples)
        for sample in samples:
            if digests.get(sample.block, sample.digest) != sample.digest:
                guilty[sample.sender] = None
        return list(guilty)

    def __len__(self) -> int:
        """Samples remembered."""
        return self._count
