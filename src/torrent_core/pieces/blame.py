"""Who spoiled a piece, from digests of its blocks: those it failed with, those it passed with.

A piece that fails its hash says only that some block of it is wrong.  Once it has passed,
every block's true digest is known, and whoever had sent one with another digest is proven
guilty: however many had sent the rest, and whether or not they are still connected.

Digests are taken of blocks in memory alone.  What went through the files may have been
spoiled there, and proves nothing against who sent it.
"""

from __future__ import annotations

from typing import NamedTuple

from ..limits import MAX_REMEMBERED_DIGESTS
from ..types import Identity


class Sample(NamedTuple):
    """What somebody sent as a block of a piece that failed."""

    block: int
    sender: Identity
    digest: bytes


class Blame:
    """Samples of pieces that failed and have not passed yet; at most ``limit`` of them."""

    __slots__ = ("_limit", "_samples")

    def __init__(self, limit: int = MAX_REMEMBERED_DIGESTS) -> None:
        self._limit = limit
        self._samples: dict[int, dict[Sample, None]] = {}

    def remember(self, index: int, samples: list[Sample]) -> None:
        """Piece ``index`` failed with these.

        Where there are too many, the pieces that failed longest ago are forgotten.
        """
        kept = self._samples.pop(index, {})
        kept.update(dict.fromkeys(samples))
        self._samples[index] = kept
        while len(self) > self._limit:
            del self._samples[next(iter(self._samples))]

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
        for sample in self._samples.pop(index, ()):
            if digests.get(sample.block, sample.digest) != sample.digest:
                guilty[sample.sender] = None
        return list(guilty)

    def __len__(self) -> int:
        """Samples remembered."""
        return sum(len(samples) for samples in self._samples.values())
