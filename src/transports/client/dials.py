"""Why dials came to nothing: the core only counts them, but a person wants to know."""

from __future__ import annotations

from collections.abc import Callable

from torrent_core.actions import CancelDial, Close, Dial, Send
from torrent_core.classes import frozen
from torrent_core.events import DialFailed, Event, LinkOpened
from torrent_core.types import Address

from ..faces import Feed, Network, ReceiveInto

NO_ANSWER = "no answer"
"""What is said of a dial that the core gave up."""


@frozen
class PeerUnreachable:
    """A dial came to nothing; whichever torrent wanted it will dial again."""

    address: Address
    """As the peer was named."""
    detail: str
    """Why, in the system's own words."""


class DialWatch:
    """A network around another one, of which it tells every dial that failed."""

    def __init__(self, network: Network, tell: Callable[[PeerUnreachable], None]) -> None:
        self._network = network
        self._tell = tell
        self._feed: Feed
        self._dials: dict[int, Address] = {}
        self._given_up: set[int] = set()
        self.send: Callable[[Send], None] = network.send
        self.close: Callable[[Close], None] = network.close

    def attach(self, feed: Feed, receive_into: ReceiveInto) -> None:
        """Answer by ``feed``."""
        self._feed = feed
        self._network.attach(self._heard, receive_into)

    def dial(self, action: Dial) -> None:
        """Start to connect."""
        self._dials[action.dial_id] = action.address
        self._network.dial(action)

    def cancel_dial(self, action: CancelDial) -> None:
        """Give up a connection attempt; no effect if it is answered already."""
        if action.dial_id in self._dials:
            self._given_up.add(action.dial_id)
        self._network.cancel_dial(action)

    def _heard(self, event: Event) -> None:
        if isinstance(event, DialFailed):
            detail = NO_ANSWER if event.dial_id in self._given_up else event.detail
            self._tell(PeerUnreachable(self._forget(event.dial_id), detail))
        elif isinstance(event, LinkOpened) and event.dial_id is not None:
            self._forget(event.dial_id)
        self._feed(event)

    def _forget(self, dial_id: int) -> Address:
        self._given_up.discard(dial_id)
        return self._dials.pop(dial_id)
