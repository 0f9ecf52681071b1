"""When each torrent is looked for: now, every 15 minutes, and a few at a time.

A search waits while its DHT is not reached yet, and while as many as may are under way;
whoever waits longest is next.  One that few nodes answered, where we know few, is repeated
after pauses that double, and as soon as there are others to ask.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..classes import frozen
from ..deadlines import Deadline, Deadlines, soonest
from ..limits import DHT_K, DHT_LOOKUPS, DHT_SEARCH_AGAIN, DHT_SEARCH_INTERVAL, DHT_SEARCH_RETRY
from ..types import Family, InfoHash
from .bloom import EMPTY, estimate, union
from .lookup import Lookup, Purpose
from .overlay import Overlay


@frozen
class SwarmSize:
    """About how many hosts take part in a torrent, as the DHT counts them (BEP 33)."""

    seeds: int
    peers: int


class Searches:
    """The torrents that we look for, in both DHTs."""

    __slots__ = ("_began", "_due", "_overlays", "_pauses", "_purposes", "_waiting")

    def __init__(self, overlays: Iterable[Overlay]) -> None:
        self._overlays = list(overlays)
        self._purposes: dict[InfoHash, Purpose] = {}
        self._began: dict[InfoHash, float] = {}
        self._pauses: dict[InfoHash, float] = {}  # after the next search, of those few answered
        self._due: Deadlines[InfoHash] = Deadlines()
        self._waiting: dict[Family, dict[InfoHash, None]] = {o.family: {} for o in self._overlays}

    def add(self, info_hash: InfoHash, purpose: Purpose, now: float) -> None:
        """Look for a torrent from now on; for one that is known, again as soon as may be."""
        self._purposes[info_hash] = purpose
        began = self._began.get(info_hash)
        self._not_later(info_hash, now if began is None else max(now, began + DHT_SEARCH_AGAIN))

    def forget(self, info_hash: InfoHash) -> None:
        """Look for it no longer; no effect if it is not known."""
        self._purposes.pop(info_hash, None)
        self._began.pop(info_hash, None)
        self._pauses.pop(info_hash, None)
        self._due.clear(info_hash)
        for overlay in self._overlays:
            self._waiting[overlay.family].pop(info_hash, None)
            overlay.forget(info_hash)

    def run(self, now: float) -> None:
        """Begin what is due and has room, and note what has ended."""
        if any(overlay.grew for overlay in self._overlays):
            self._hurry(now)
        while (info_hash := self._due.pop_due(now)) is not None:
            self._began[info_hash] = now
            self._due.set(info_hash, now + DHT_SEARCH_INTERVAL)
            if info_hash in self._pauses:
                self._pauses[info_hash] = min(2 * self._pauses[info_hash], DHT_SEARCH_INTERVAL)
            for overlay in self._overlays:
                if info_hash not in overlay.searches:
                    self._waiting[overlay.family][info_hash] = None
        for overlay in self._overlays:
            self._fill(overlay, now)
            self._note_ended(overlay, now)

    def _fill(self, overlay: Overlay, now: float) -> None:
        waiting = self._waiting[overlay.family]
        while waiting and len(overlay.searches) < DHT_LOOKUPS and overlay.is_ready:
            info_hash = next(iter(waiting))
            del waiting[info_hash]
            overlay.search(info_hash, self._purposes[info_hash], now)

    def _note_ended(self, overlay: Overlay, now: float) -> None:
        ended, overlay.ended = overlay.ended, []
        for lookup in ended:
            self._not_later(lookup.target, now + self._pause_after(lookup))

    def _pause_after(self, lookup: Lookup) -> float:
        if lookup.replies < DHT_K and not any(o.is_populated for o in self._overlays):
            return self._pauses.setdefault(lookup.target, DHT_SEARCH_RETRY)
        self._pauses.pop(lookup.target, None)
        return DHT_SEARCH_INTERVAL if lookup.replies else DHT_SEARCH_AGAIN

    def _hurry(self, now: float) -> None:
        """There are nodes that were not asked; they come in bootstraps, and so not often."""
        for overlay in self._overlays:
            overlay.grew = False
        for info_hash in self._pauses:
            self._pauses[info_hash] = DHT_SEARCH_RETRY
            self._not_later(info_hash, max(now, self._began[info_hash] + DHT_SEARCH_RETRY))

    def _not_later(self, info_hash: InfoHash, when: float) -> None:
        known = self._due.get(info_hash)
        self._due.set(info_hash, when if known is None else min(when, known))

    # --- What it says -------------------------------------------------------------------------

    def next_at(self) -> float | None:
        """When the next search is due."""
        return self._due.next_at()

    def due(self, info_hash: InfoHash) -> Deadline | None:
        """What happens next for this torrent: an answer to a search under way, else the next
        search; None if it is not looked for."""
        when = self._due.get(info_hash)
        if when is None:
            return None
        under_way = [o for o in self._overlays if info_hash in o.searches]
        in_line = [o for o in self._overlays if info_hash in self._waiting[o.family]]
        # One that is not reached counts while none is: it may never be.
        in_line = [o for o in in_line if o.is_ready] or ([] if self._is_reached() else in_line)
        why = "a search in the DHT"
        if not any(overlay.is_answered for overlay in self._overlays):
            why = "a search in the DHT, which has not answered yet"
        for overlays in (under_way, in_line):
            answer = soonest(*(overlay.next_deadline() for overlay in overlays))
            if answer is not None and answer.when < when:
                return Deadline(answer.when, why)
        return Deadline(when, why)

    def _is_reached(self) -> bool:
        return any(overlay.is_ready for overlay in self._overlays)

    def is_wanted(self, info_hash: InfoHash) -> bool:
        """Whether this torrent is looked for at all."""
        return info_hash in self._purposes

    def is_under_way(self, info_hash: InfoHash) -> bool:
        """Whether this torrent is being looked for now, or waits for its turn, and not for a
        DHT that cannot be reached."""
        return any(
            info_hash in overlay.searches
            or (info_hash in self._waiting[overlay.family] and overlay.may_be_reached)
            for overlay in self._overlays
        )

    def size(self, info_hash: InfoHash) -> SwarmSize | None:
        """What the latest searches counted; None if nobody who answered counts."""
        seeds = peers = EMPTY
        for overlay in self._overlays:
            lookup = overlay.latest(info_hash)
            if lookup is not None:
                seeds, peers = (
                    union(seeds, lookup.seed_filter),
                    union(peers, lookup.peer_filter),
                )
        if seeds == peers == EMPTY:
            return None
        return SwarmSize(round(estimate(seeds)), round(estimate(peers)))
