"""Placing bytes as an adapter does; and two machines of which one receives, and the other has
bytes placed."""

from __future__ import annotations

import copy
from typing import Any

from torrent_core.actions import Action
from torrent_core.events import BytesPlaced, BytesReceived, Event
from torrent_core.metainfo import Metainfo
from torrent_core.testing.payload import BLOCK
from torrent_core.torrent import Torrent
from torrent_core.types import LinkId, RandomSource

MOST = 64 * (BLOCK + 13)
"""What an adapter asks places for."""


def fill(places: list[memoryview], data: bytes | memoryview) -> int:
    """Put ``data`` into the places as far as they go; how much that was."""
    count = 0
    for place in places:
        part = data[count : count + len(place)]
        place[: len(part)] = part
        count += len(part)
    return count


class PlacedTwin(Torrent):
    """A torrent that takes block after block, beside which two others live: one is told the same,
    of the other whatever can be placed is placed.  What they answer must be the same, to the byte.

    An input that is longer than the places is two for all.
    """

    def __init__(self, metainfo: Metainfo, *, random: RandomSource, **settings: Any) -> None:
        self.twin = Torrent(metainfo, random=copy.deepcopy(random), **settings)
        self.third = Torrent(metainfo, random=copy.deepcopy(random), **settings)
        super().__init__(metainfo, random=random, **settings)
        self._context.scheduler.expected = lambda link, most: None

    def handle(self, event: Event, now: float) -> list[Action]:
        if not isinstance(event, BytesReceived):
            return self._both(event, event, now)
        data, actions = bytes(event.data), []
        while True:
            count, told = self._place(event.link, data)
            actions += self._both(BytesReceived(event.link, data[:count]), told, now)
            data = data[count:]
            if not data:
                return actions

    def _place(self, link: LinkId, data: bytes) -> tuple[int, Event]:
        """As much of the input as one event tells of, and how the twin is told."""
        places = self.twin.receive_into(link, MOST) if data else []
        if not places:
            return len(data), BytesReceived(link, data)
        count = fill(places, data)
        return count, BytesPlaced(link, count)

    def _both(self, event: Event, told: Event, now: float) -> list[Action]:
        actions = super().handle(event, now)
        for other, what in ((self.twin, told), (self.third, event)):
            assert other.handle(what, now) == actions, (event, what)
            assert other.next_deadline() == self.next_deadline()
            assert str(other.explain(now)) == str(self.explain(now))
        return actions
