"""End-game: all that a link could send is here or asked of others, and it has room for more.

That is a question about one link, not about the torrent: an idle link helps a slow one with
what both have, whatever else is missing that neither can send.

1. The taker looks at the other links, of many at a few in turn, the one that will need
   longest first.
2. It takes from the *end* of that link's queue, since those blocks come last.
3. A block is worth asking for twice if its holder will need a while for it, and the taker at
   most half of that.  Without that rule equal links at the end of a fast download ask for
   everything twice; a CANCEL takes a round trip to be of use, and blocks that the peer has
   handed to its socket come whatever we say.
4. A link whose rate is not known may try two blocks; two such links wait for each other a
   moment first, since either may be about to answer.
5. No block goes to more than ``MAX_BLOCK_HOLDERS`` links, and to the third only if it would
   beat both others; probes of silent links do not count, since nobody relies on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import inf

from ..limits import BLOCK_SIZE, ENDGAME_PATIENCE, MAX_BLOCK_HOLDERS, MIN_PIPELINE
from .active import RequestInfo, Stage
from .requests import LinkRequests

WORTHWHILE = 0.5
"""The taker must need at most this share of the holder's time."""


def steal(
    taker: LinkRequests,
    links: Mapping[int, LinkRequests],
    seen: Iterable[LinkRequests],
    usable: int,
    room: int,
    now: float,
) -> Iterator[RequestInfo]:
    """Requests of other links that ``taker`` should be asked to answer as well.

    ``seen`` are those that it looks at.  At most ``room``; lazily, and to be noted by the
    caller as they come, so that each decision sees the ones before it.
    """
    rate = taker.speed(now)
    for holder in _slowest_first(taker, seen, now, known=rate > 0.0):
        position = len(holder.out)
        for info in reversed(holder.out.values()):
            if not room:
                return
            takes = _seconds(len(taker.out) + 1, rate)
            if not _is_worthwhile(takes, holder.wait(position, now)):
                break
            position -= 1
            if usable >> info.piece.index & 1 and _may_share(info, taker, links, takes, now):
                room -= 1
                yield info


def _slowest_first(
    taker: LinkRequests, links: Iterable[LinkRequests], now: float, *, known: bool
) -> list[LinkRequests]:
    """The links that blocks may be taken from; ``known``: the taker's rate is."""
    slow = []
    for link in links:
        if link.out and link is not taker:
            wait = link.wait(len(link.out), now)
            answering = wait == inf and now - link.last_progress < ENDGAME_PATIENCE
            if wait > ENDGAME_PATIENCE and (known or not answering):
                slow.append((wait, link))
    slow.sort(key=lambda pair: pair[0], reverse=True)
    return [link for _, link in slow]


def _seconds(blocks: int, rate: float) -> float:
    """How long the taker needs for so many blocks; of one that is unknown, for the first few."""
    if rate:
        return blocks * BLOCK_SIZE / rate
    return 0.0 if blocks <= MIN_PIPELINE else inf


def _is_worthwhile(takes: float, wait: float) -> bool:
    return wait > ENDGAME_PATIENCE and takes < inf and takes <= wait * WORTHWHILE


def _may_share(
    info: RequestInfo,
    taker: LinkRequests,
    links: Mapping[int, LinkRequests],
    takes: float,
    now: float,
) -> bool:
    piece = info.piece
    if piece.stage is not Stage.DOWNLOADING or piece.holders(info.block) >= MAX_BLOCK_HOLDERS:
        return False
    for held in piece.requests[info.block]:
        if held.link == taker.state.ordinal:
            return False
        if held is not info and not held.probe:
            other = links[held.link]
            if not _is_worthwhile(takes, other.wait(other.position(held), now)):
                return False
    return True
