"""Saying why nothing moves, when nothing does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio

from torrent_core.accounts import Entry, Explanation
from torrent_core.bitfield import indices

from .screens import Screen
from .watch import REFRESH, WatchedStatus

if TYPE_CHECKING:
    from transports.client.handle import TorrentHandle

STILL_AFTER = 5.0
"""Seconds without progress after which people wonder; also the least between two answers."""

LOOK_AGAIN = 1.0
"""Seconds between looks at the reasons while nothing moves."""


class Stillness:
    """When to look for a reason, and whether the one found is worth saying again."""

    def __init__(self, now: float) -> None:
        self.since = now
        """When something moved last."""
        self._seen: object = None
        self._look_at = now + STILL_AFTER
        self._said: object = None

    def is_due(self, now: float, status: WatchedStatus) -> bool:
        """Whether nothing has moved for long enough to look for the reason now."""
        seen = (status.state, status.downloaded, status.pieces_have, status.checking)
        if seen != self._seen:
            self._seen, self.since = seen, now
            self._look_at = max(self._look_at, now + STILL_AFTER)
        if now < self._look_at:
            return False
        self._look_at = now + LOOK_AGAIN
        return True

    def is_news(self, now: float, explanation: Explanation) -> bool:
        """Whether to say it: something is missing, and the reason is not the one said last."""
        if not explanation.entries or explanation.gist == self._said:
            return False
        self._said, self._look_at = explanation.gist, now + STILL_AFTER
        return True


async def tell_why_still(torrent: TorrentHandle, screen: Screen) -> None:
    """Whenever nothing has moved for STILL_AFTER seconds, say why; until cancelled."""
    stillness = Stillness(anyio.current_time())
    while True:
        now = anyio.current_time()
        if stillness.is_due(now, torrent.status):
            explanation = torrent.explain()
            if stillness.is_news(now, explanation):
                _show(torrent, screen, explanation)
                still = f"nothing has moved for {now - stillness.since:.0f} s"
                screen.note(f"{still}: {explanation.text()}")
        await anyio.sleep(REFRESH)


def _show(torrent: TorrentHandle, screen: Screen, explanation: Explanation) -> None:
    status = torrent.status
    fields: dict[str, object] = {"explain": as_fields(explanation)}
    screen.event("explain", status.state.value, status, fields)


def as_fields(explanation: Explanation) -> dict[str, object]:
    """An explanation as plain values, for JSON; moments in seconds from now."""

    def left(when: float) -> float:
        return round(max(0.0, when - explanation.now), 3)

    return {
        "text": explanation.text(),
        "missing_blocks": explanation.missing_blocks,
        "missing_pieces": explanation.missing_pieces,
        "entries": [_entry(entry, explanation, left) for entry in explanation.reasons],
        "scheduled": [{"what": what, "in": left(when)} for when, what in explanation.scheduled],
    }


def _entry(
    entry: Entry, explanation: Explanation, left: Callable[[float], float]
) -> dict[str, object]:
    """``pieces`` counts them, and ``first_piece`` is one to look for: all may be very many.
    It is None while the metadata is not here."""
    addresses = explanation.addresses
    return {
        "account": entry.account.name.lower(),
        "why": entry.why,
        "blocks": entry.blocks,
        "pieces": entry.pieces.bit_count(),
        "first_piece": next(indices(entry.pieces), None),
        "peers": [str(addresses[link]) for link in entry.links if link in addresses],
        "until": None if entry.until is None else left(entry.until),
    }
