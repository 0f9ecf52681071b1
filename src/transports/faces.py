"""The faces between a driver and what it drives: one for each side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from torrent_core.actions import (
    Action,
    CancelDial,
    CancelFetch,
    Close,
    Dial,
    Fetch,
    Report,
    Resolve,
    SaveNodes,
    Send,
    SendDatagram,
    SendMulticast,
    StorageAction,
)
from torrent_core.deadlines import Deadline
from torrent_core.events import Event
from torrent_core.types import LinkId

Feed: TypeAlias = Callable[[Event], None]
"""Tells the machine what happened."""

ReceiveInto: TypeAlias = Callable[[LinkId, int], list[memoryview]]
"""Places for the next bytes of a link, so many at most: ``Session.receive_into``."""

Clock: TypeAlias = Callable[[], float]
"""Seconds on any clock that does not run backwards."""


class Machine(Protocol):
    """The face of every machine of the core."""

    def handle(self, event: Event, now: float, /) -> list[Action]: ...

    def next_deadline(self) -> Deadline | None: ...


class Network(Protocol):
    """Carries out link actions; must answer by the feed it was given.

    What is read may be put where ``receive_into`` says, or anywhere else."""

    def attach(self, feed: Feed, receive_into: ReceiveInto) -> None: ...

    def dial(self, action: Dial) -> None: ...

    def cancel_dial(self, action: CancelDial) -> None: ...

    def send(self, action: Send) -> None: ...

    def close(self, action: Close) -> None: ...


class Storage(Protocol):
    """Carries out storage actions; must answer by the feed it was given."""

    def attach(self, feed: Feed, report: Callable[[Report], None]) -> None: ...

    def submit(self, action: StorageAction) -> None: ...


class Discoverer(Protocol):
    """Carries out what is wanted to find peers; must answer by the feed it was given.

    ``fetch`` and ``resolve`` are answered exactly once.  The others are not answered, and
    one that cannot be carried out is dropped.
    """

    def attach(self, feed: Feed) -> None: ...

    def fetch(self, action: Fetch) -> None: ...

    def cancel_fetch(self, action: CancelFetch) -> None: ...

    def resolve(self, action: Resolve) -> None: ...

    def send_datagram(self, action: SendDatagram) -> None: ...

    def send_multicast(self, action: SendMulticast) -> None: ...

    def save_nodes(self, action: SaveNodes) -> None: ...
