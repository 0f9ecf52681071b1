"""The order in which a torrent's trackers are tried (BEP 12)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..types import RandomSource


class Tiers:
    """Tiers of URLs, each shuffled once; who answers moves to the front of its tier.

    A URL that is named twice counts where it stands first.
    """

    __slots__ = ("_tiers",)

    def __init__(self, tiers: Iterable[Sequence[str]], random: RandomSource) -> None:
        seen: set[str] = set()
        self._tiers: list[list[str]] = []
        for tier in tiers:
            urls = [url for url in dict.fromkeys(tier) if url not in seen]
            seen.update(urls)
            self._tiers.append(_shuffled(urls, random))

    def order(self) -> list[str]:
        """Every URL, the first to try first."""
        return [url for tier in self._tiers for url in tier]

    def promote(self, url: str) -> None:
        """The tracker has answered: it is the first of its tier from now on."""
        for tier in self._tiers:
            if url in tier:
                tier.remove(url)
                tier.insert(0, url)


def _shuffled(urls: list[str], random: RandomSource) -> list[str]:
    """Fisher and Yates; our source of randomness has no shuffle."""
    for last in range(len(urls) - 1, 0, -1):
        other = int(random.random() * (last + 1))
        urls[last], urls[other] = urls[other], urls[last]
    return urls
