"""When to announce which torrents on the local network, and what others announce there.

All torrents share one allowance, one announcement a minute (BEP 14), so an announcement
names as many as are due, those first that have waited longest.
"""

from __future__ import annotations

from typing import TypeAlias

from ..actions import Action, SendMulticast
from ..deadlines import Deadline, Deadlines
from ..errors import LocalDiscoveryError, LocalProtocolError
from ..events import MulticastReceived, PeersFound, Tick
from ..limits import MAX_LSD_HASHES, MAX_LSD_HEARD
from ..types import Address, InfoHash, PeerSource
from .announcement import format_announcement, parse_announcement
from .config import LsdConfig

Found: TypeAlias = Action | PeersFound

WHY = "announce on the local network"


class Lsd:
    """Local peer discovery for all torrents of a session that may be told of (BEP 27)."""

    __slots__ = (
        "_config",
        "_cookie",
        "_due",
        "_heard",
        "_heard_since",
        "_next_slot",
        "_now",
        "_port",
    )

    def __init__(self, port: int, cookie: bytes, config: LsdConfig | None = None) -> None:
        """``port`` is where we listen for peers; ``cookie``, a few random bytes, tells our
        own announcements from those of others.

        Raises LocalProtocolError for a port or cookie that cannot be announced.
        """
        if not 0 < port < 65536 or not 0 < len(cookie) <= 20:
            raise LocalProtocolError("local discovery needs a port and a cookie of 1 to 20 bytes")
        self._port = port
        self._cookie = cookie.hex().encode()
        self._config = config or LsdConfig()
        self._due: Deadlines[InfoHash] = Deadlines()
        self._next_slot = 0.0
        self._now = 0.0
        self._heard = 0
        self._heard_since = 0.0

    def add(self, info_hash: InfoHash, now: float) -> list[Found]:
        """Announce this torrent as soon as that is allowed, and regularly from then on.

        Raises LocalProtocolError if it is announced already, or is no info-hash.
        """
        if len(info_hash) != 20 or self._due.get(info_hash) is not None:
            raise LocalProtocolError("the torrent is announced here already, or is none")
        self._advance(now)
        self._due.set(info_hash, self._now)
        return self._announce()

    def remove(self, info_hash: InfoHash) -> None:
        """Announce it no more; no effect if it is not here."""
        self._due.clear(info_hash)

    def handle(self, event: MulticastReceived | Tick, now: float) -> list[Found]:
        """Take in what was heard, or announce what is due."""
        self._advance(now)
        return self._listen(event) if isinstance(event, MulticastReceived) else self._announce()

    def next_deadline(self) -> Deadline | None:
        """When the next announcement is due; None with nothing to announce."""
        first = self._due.soonest()
        return None if first is None else Deadline(max(first[0], self._next_slot), WHY)

    def due(self, info_hash: InfoHash) -> Deadline | None:
        """When this torrent is announced, or will be considered again if others go first;
        None if it is not here."""
        when = self._due.get(info_hash)
        return None if when is None else Deadline(max(when, self._next_slot), WHY)

    def _advance(self, now: float) -> None:
        self._now = max(self._now, now)

    def _announce(self) -> list[Found]:
        if self._now < self._next_slot:
            return []
        batch: list[InfoHash] = []
        while len(batch) < MAX_LSD_HASHES and (ready := self._due.pop_due(self._now)) is not None:
            batch.append(ready)
        if not batch:
            return []
        self._next_slot = self._now + self._config.gap
        for info_hash in batch:
            self._due.set(info_hash, self._now + self._config.interval)
        return [
            SendMulticast(group, format_announcement(group, self._port, batch, self._cookie))
            for group in self._config.groups
        ]

    def _listen(self, event: MulticastReceived) -> list[Found]:
        if not self._may_listen():
            return []
        try:
            heard = parse_announcement(event.data)
        except LocalDiscoveryError:
            return []
        if heard.cookie == self._cookie:
            return []
        peer = Address(event.address.host, heard.port)
        return [
            PeersFound(info_hash, PeerSource.LOCAL, (peer,))
            for info_hash in heard.info_hashes
            if self._due.get(info_hash) is not None
        ]

    def _may_listen(self) -> bool:
        """Whether this minute's allowance has room: anybody can fill a network."""
        if self._now - self._heard_since >= self._config.gap:
            self._heard_since, self._heard = self._now, 0
        self._heard += 1
        return self._heard <= MAX_LSD_HEARD
