"""Tells trackers, DHT and local network of the torrents, and brings home what they answer.

There is one rule here: a private torrent is told to its trackers and to nobody else
(BEP 27).  It holds because the other parts never hear of such a torrent, so that they have
nothing to announce and recognise nothing that is said of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import TypeAlias

from ..deadlines import Deadline, soonest
from ..errors import LocalProtocolError
from ..events import (
    DatagramReceived,
    Fetched,
    FetchFailed,
    MulticastReceived,
    PeersFound,
    Resolved,
    Tick,
)
from ..types import Address, InfoHash, PeerSource
from .parts import DhtPart, Found, LocalPart, TrackerPart

_Event: TypeAlias = Fetched | FetchFailed | Resolved | DatagramReceived | MulticastReceived | Tick


class Discovery:
    """All that finds peers for the torrents of a session.

    What its methods return is to be done or reported, but for ``PeersFound``: that is for
    the torrent it names, which is one of those added and not removed.
    """

    __slots__ = ("_dht", "_in_dht", "_local", "_now", "_port", "_private", "_trackers")

    def __init__(
        self,
        port: int | None,
        *,
        trackers: TrackerPart | None = None,
        dht: DhtPart | None = None,
        local: LocalPart | None = None,
    ) -> None:
        """``port`` is where we listen for peers, None if nowhere; a part that is None is
        not there, and nothing is asked of it.

        ``trackers`` and ``dht`` draw the ids of what they ask for from one counter, so that
        no two are the same.
        """
        self._port = port
        self._trackers = trackers
        self._dht = dht
        self._in_dht = False
        self._local = local
        self._private: dict[InfoHash, bool] = {}
        self._now = 0.0

    # --- Torrents ----------------------------------------------------------------------

    def added(
        self, info_hash: InfoHash, private: bool, tiers: Sequence[Sequence[str]], now: float
    ) -> list[Found]:
        """Begin to look for peers of a torrent, and to announce that we take part.

        Raises LocalProtocolError if it was added before and not removed.
        """
        if info_hash in self._private:
            raise LocalProtocolError("peers of the torrent are being looked for already")
        self._advance(now)
        found: list[Found] = []
        if self._trackers is not None:
            found += self._trackers.add(info_hash, tiers, self._now, private)
        if not private:
            found += self._search(info_hash)
        if self._local is not None and not private:
            found += self._local.add(info_hash, self._now)
        self._private[info_hash] = private
        return self._for_torrents(found)

    def removed(self, info_hash: InfoHash, now: float) -> list[Found]:
        """Look for no more peers; trackers are told, and ``is_stopping`` until they are.

        Raises LocalProtocolError for a torrent that is not here, as do the methods below.
        """
        private = self._named(info_hash)
        self._advance(now)
        if not private:
            self._withdraw(info_hash)
        found = [] if self._trackers is None else self._trackers.stop(info_hash, self._now)
        del self._private[info_hash]
        return self._for_torrents(found)

    def is_stopping(self, info_hash: InfoHash) -> bool:
        """Whether a tracker has still to be told that we left."""
        return self._trackers is not None and self._trackers.is_stopping(info_hash)

    def turned_private(self, info_hash: InfoHash) -> None:
        """A magnet link's metadata says that the torrent is private (BEP 27): from now on
        its trackers alone."""
        if not self._named(info_hash):
            self._withdraw(info_hash)
            self._private[info_hash] = True

    def completed(self, info_hash: InfoHash, now: float) -> list[Found]:
        """The last piece came: trackers count it."""
        self._named(info_hash)
        self._advance(now)
        if self._trackers is None:
            return []
        return self._for_torrents(self._trackers.completed(info_hash, self._now))

    def short_of_peers(self, info_hash: InfoHash, now: float) -> list[Found]:
        """The torrent could use more peers than it knows: trackers are asked as soon as they
        allow it.  Searches of the DHT go on by themselves."""
        self._named(info_hash)
        self._advance(now)
        if self._trackers is None:
            return []
        return self._for_torrents(self._trackers.want_peers(info_hash, self._now))

    def scrape(self, info_hash: InfoHash, url: str, now: float) -> list[Found]:
        """Ask this tracker for its figures of the swarm."""
        self._named(info_hash)
        if self._trackers is None:
            raise LocalProtocolError("there are no trackers here to scrape")
        self._advance(now)
        return self._for_torrents(self._trackers.scrape(info_hash, url, self._now))

    def node_seen(self, info_hash: InfoHash, address: Address, now: float) -> list[Found]:
        """A peer of this torrent says that it has a node of the DHT there (BEP 5, PORT).

        An address where none can be is the peer's doing, and ignored."""
        if self._named(info_hash) or self._dht is None or not self._in_dht:
            return []
        if not _may_be(address):
            return []
        self._advance(now)
        return self._for_torrents(self._dht.add_node(address, self._now))

    # --- The session as a whole ----------------------------------------------------------

    def start(self, now: float) -> list[Found]:
        """Enter the DHT, and look there for the torrents that were added before."""
        self._advance(now)
        if self._dht is None:
            return []
        found = self._dht.start(self._now)
        self._in_dht = True
        for info_hash, private in self._private.items():
            if not private:
                found += self._search(info_hash)
        return self._for_torrents(found)

    def stop(self, now: float) -> list[Found]:
        """Leave the DHT, and keep what is worth it for the next time."""
        self._advance(now)
        if self._dht is None:
            return []
        self._in_dht = False
        return self._for_torrents(self._dht.stop(self._now))

    def handle(self, event: _Event, now: float) -> list[Found]:
        """Take one event in.

        What comes unasked from the network, and concerns no part that is here, is ignored.
        Raises LocalProtocolError for the answer to a question that nobody has asked.
        """
        match event:
            case Fetched() | FetchFailed():
                found = self._fetched(event, now)
            case Resolved():
                found = self._resolved(event, now)
            case DatagramReceived():
                found = self._datagram(event, now)
            case MulticastReceived():
                self._advance(now)
                found = [] if self._local is None else self._local.handle(event, self._now)
            case _:
                found = self._tick(event, now)
        return self._for_torrents(found)

    def next_deadline(self) -> Deadline | None:
        """When ``handle(Tick(), ...)`` is owed at the latest, and why; None if never."""
        return soonest(*(part.next_deadline() for part in self._parts()))

    def dues(self, info_hash: InfoHash) -> list[Deadline]:
        """What each part does next to find peers of this torrent; nothing of one that does
        nothing for it."""
        dues = (part.due(info_hash) for part in self._parts())
        return [due for due in dues if due is not None]

    # --- Inside ----------------------------------------------------------------------------

    def _parts(self) -> list[TrackerPart | DhtPart | LocalPart]:
        parts = (self._trackers, self._dht, self._local)
        return [part for part in parts if part is not None]

    def _search(self, info_hash: InfoHash) -> list[Found]:
        if self._dht is None or not self._in_dht:
            return []
        return self._dht.search(info_hash, self._port, self._now)

    def _fetched(self, event: Fetched | FetchFailed, now: float) -> list[Found]:
        if self._trackers is None or not self._trackers.owns(event.fetch_id):
            raise LocalProtocolError(f"no fetch {event.fetch_id} is under way")
        self._advance(now)
        return self._trackers.handle(event, self._now)

    def _resolved(self, event: Resolved, now: float) -> list[Found]:
        for part in (self._trackers, self._dht):
            if part is not None and part.owns(event.resolve_id):
                self._advance(now)
                return part.handle(event, self._now)
        raise LocalProtocolError(f"no host name {event.resolve_id} is being resolved")

    def _datagram(self, event: DatagramReceived, now: float) -> list[Found]:
        """Trackers and DHT share a port: a tracker's answer is one that is waited for."""
        self._advance(now)
        if self._trackers is not None and self._trackers.takes(event):
            return self._trackers.handle(event, self._now)
        return [] if self._dht is None else self._dht.handle(event, self._now)

    def _tick(self, event: Tick, now: float) -> list[Found]:
        self._advance(now)
        found: list[Found] = []
        for part in self._parts():
            deadline = part.next_deadline()
            if deadline is not None and deadline.when <= self._now:
                found += part.handle(event, self._now)
        return found

    def _for_torrents(self, found: list[Found]) -> list[Found]:
        """Without peers that nobody may have: an answer may still have been out when its
        torrent went, or turned out to be private."""
        return [f for f in found if not isinstance(f, PeersFound) or self._wanted(f)]

    def _wanted(self, told: PeersFound) -> bool:
        private = self._private.get(told.torrent)
        return private is False or (private is True and told.source is PeerSource.TRACKER)

    def _withdraw(self, info_hash: InfoHash) -> None:
        if self._dht is not None:
            self._dht.forget(info_hash)
        if self._local is not None:
            self._local.remove(info_hash)

    def _named(self, info_hash: InfoHash) -> bool:
        """Whether the torrent is private."""
        private = self._private.get(info_hash)
        if private is None:
            raise LocalProtocolError("no peers of this torrent are being looked for")
        return private

    def _advance(self, now: float) -> None:
        self._now = max(self._now, now)


def _may_be(address: Address) -> bool:
    """Whether a node can be here: literal hosts have nodes, names do not."""
    try:
        ip_address(address.host)
    except ValueError:
        return False
    return 0 < address.port < 65536
