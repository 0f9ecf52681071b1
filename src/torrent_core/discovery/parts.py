"""What discovery needs of each of its parts.

They are stated here as faces rather than imported: a session without a DHT has none, and an
embedder with a tracker of its own kind brings that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

from ..actions import Action
from ..deadlines import Deadline
from ..events import (
    DatagramReceived,
    Fetched,
    FetchFailed,
    MulticastReceived,
    PeersFound,
    Resolved,
    Tick,
)
from ..types import Address, InfoHash

Found: TypeAlias = Action | PeersFound
"""What a part answers: what it wants done, and the peers it was told of."""

TrackerEvent: TypeAlias = Fetched | FetchFailed | Resolved | DatagramReceived | Tick
DhtEvent: TypeAlias = DatagramReceived | Resolved | Tick
LocalEvent: TypeAlias = MulticastReceived | Tick


class _Part(Protocol):
    def next_deadline(self) -> Deadline | None: ...

    def due(self, info_hash: InfoHash, /) -> Deadline | None: ...


class TrackerPart(_Part, Protocol):
    """Announces torrents to their trackers (``torrent_core.trackers``)."""

    def add(
        self, info_hash: InfoHash, tiers: Sequence[Sequence[str]], now: float, is_private: bool, /
    ) -> list[Found]: ...

    def completed(self, info_hash: InfoHash, now: float, /) -> list[Found]: ...

    def stop(self, info_hash: InfoHash, now: float, /) -> list[Found]: ...

    def is_stopping(self, info_hash: InfoHash, /) -> bool: ...

    def want_peers(self, info_hash: InfoHash, now: float, /) -> list[Found]: ...

    def scrape(self, info_hash: InfoHash, url: str, now: float, /) -> list[Found]: ...

    def owns(self, request_id: int, /) -> bool: ...

    def takes(self, event: DatagramReceived, /) -> bool: ...

    def handle(self, event: TrackerEvent, now: float, /) -> list[Found]: ...


class DhtPart(_Part, Protocol):
    """Searches the DHT, and announces our port there (``torrent_core.dht``)."""

    def start(self, now: float, /) -> list[Found]: ...

    def stop(self, now: float, /) -> list[Found]: ...

    def add_node(self, address: Address, now: float, /) -> list[Found]: ...

    def search(self, info_hash: InfoHash, port: int | None, now: float, /) -> list[Found]: ...

    def forget(self, info_hash: InfoHash, /) -> None: ...

    def owns(self, request_id: int, /) -> bool: ...

    def handle(self, event: DhtEvent, now: float, /) -> list[Found]: ...


class LocalPart(_Part, Protocol):
    """Announces torrents on the local network (``torrent_core.lsd``)."""

    def add(self, info_hash: InfoHash, now: float, /) -> list[Found]: ...

    def remove(self, info_hash: InfoHash, /) -> None: ...

    def handle(self, event: LocalEvent, now: float, /) -> list[Found]: ...
