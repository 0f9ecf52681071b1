"""Who leaves a full book, so that somebody else may be entered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from ..types import Address, PeerSource
from .candidate import Candidate


def least_worth(
    candidates: Iterable[Candidate],
    waits: Callable[[Address], bool],
    newcomer: PeerSource,
    count: int,
) -> list[Candidate]:
    """Up to ``count`` strangers that may go for one that ``newcomer`` told of, least worth first.

    First those whom nobody will dial again, then those with most failures, then those with
    only gossip behind them.  Gossip displaces nobody who has not failed, or whoever
    sends most of it would own the book.
    """

    def may_go(candidate: Candidate) -> bool:
        if candidate.is_named or not candidate.is_idle:
            return False
        if candidate.failures or not waits(candidate.address):
            return True
        return candidate.is_gossip and newcomer is not PeerSource.EXCHANGE

    def worth(candidate: Candidate) -> tuple[bool, int, bool]:
        return waits(candidate.address), -candidate.failures, not candidate.is_gossip

    return list(islice(sorted(filter(may_go, candidates), key=worth), count))
