"""End-game: every wanted block is asked for or here, and some links have nothing to do.

1. The taker looks at the other links, the one that will need longest first.
2. It takes from the *end* of that link's queue, since those blocks come last.
3. It stops when it would not be much faster: what it has taken would take it more than
   half the time that the holder needs.  Without that rule equal links at the end of a fast
   download ask for everything twice.  A taker with nothing out may always try two blocks.
4. No block goes to more than ``MAX_BLOCK_HOLDERS`` links; probes of silent links do not
   count, since nobody relies on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..limits import BLOCK_SIZE, MAX_BLOCK_HOLDERS, MIN_PIPELINE
from .active import RequestInfo, Stage
from .requests import LinkRequests

WORTHWHILE = 0.5
"""The taker must need at most this share of the holder's time."""


def steal(
    taker: LinkRequests,
    links: Iterable[LinkRequests],
    usable: int,
    room: int,
    now: float,
) -> Iterator[RequestInfo]:
    """Requests of other links that ``taker`` should be asked to answer as well.

    At most ``room``; lazily, and to be noted by the caller as they come, so that each
    decision sees the ones before it.
    """
    others = [link for link in links if link is not taker and link.out]
    others.sort(key=lambda link: link.eta(now), reverse=True)
    for holder in others:
        patience = holder.eta(now) * WORTHWHILE
        for info in reversed(list(holder.out.values())):
            if not room:
                return
            if len(taker.out) >= MIN_PIPELINE and _eta_with_one_more(taker, now) > patience:
                break
            if usable >> info.piece.index & 1 and _may_share(info, taker):
                room -= 1
                yield info


def _eta_with_one_more(taker: LinkRequests, now: float) -> float:
    rate = taker.state.down.value(now)
    return (len(taker.out) + 1) * BLOCK_SIZE / rate if rate else float("inf")


def _may_share(info: RequestInfo, taker: LinkRequests) -> bool:
    piece = info.piece
    if piece.stage is not Stage.DOWNLOADING or piece.holders(info.block) >= MAX_BLOCK_HOLDERS:
        return False
    return all(held.link != taker.state.ordinal for held in piece.requests[info.block])
