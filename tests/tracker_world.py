"""Trackers on virtual time: the driver's part, and scripted trackers that answer.

``TrackerWorld`` carries out what ``Trackers`` wants.  A tracker is a function from what was
asked to what it answers; without one, a URL is silent, and a host has no address.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable
from itertools import count
from typing import TypeVar
from urllib.parse import parse_qsl, unquote_to_bytes, urlsplit

import attrs

from torrent_core import bencode
from torrent_core.actions import (
    CancelFetch,
    Fetch,
    Resolve,
    SendDatagram,
    TrackerFailed,
    TrackerReplied,
)
from torrent_core.events import (
    DatagramReceived,
    Fetched,
    FetchFailed,
    PeersFound,
    Resolved,
    Tick,
)
from torrent_core.trackers import Found, TrackerConfig, TrackerEvent, Trackers
from torrent_core.types import Address, Family, InfoHash, Totals
from torrent_core.wire.compact import family_of, pack_all
from torrent_core.wire.udp_tracker import (
    AnnounceRequest,
    AnnounceResponse,
    ConnectRequest,
    ConnectResponse,
    Request,
    Response,
    decode_request,
    encode_response,
)

T = TypeVar("T")
HASH: InfoHash = bytes(range(20))
PEER_ID = b"-TC0100-abcdefghijkl"
KEY = 0xC0FFEE01
PEERS = (Address("10.0.0.1", 6881), Address("2001:db8::1", 6882))
DELAY = 0.05
"""One way trip of everything, in seconds."""

HttpTracker = Callable[[Fetch], tuple[int, bytes] | str | None]
"""(status, body), or why the fetch fails, or None for no answer at all."""
UdpTracker = Callable[[Address, Request], Response | None]


def body(**fields: object) -> bytes:
    """A bencoded dictionary; underscores in names become spaces."""
    return bencode.encode({name.replace("_", " "): item for name, item in fields.items()})  # type: ignore[misc]


def good(
    interval: int = 1800, peers: Iterable[Address] = PEERS, **more: object
) -> tuple[int, bytes]:
    """A usual answer."""
    known = list(peers)
    packed = {"peers": pack_all(known, Family.IPV4), "peers6": pack_all(known, Family.IPV6)}
    return 200, body(interval=interval, **packed, **more)


def query(fetch: Fetch) -> dict[str, str]:
    """The parameters of a URL, bytes as latin-1."""
    return dict(parse_qsl(urlsplit(fetch.url).query, encoding="latin-1", strict_parsing=True))


def event_of(fetch: Fetch) -> str:
    """What a fetch announces; empty for nothing in particular."""
    return query(fetch).get("event", "")


def hash_of(fetch: Fetch) -> bytes:
    """The torrent that a fetch is about."""
    return unquote_to_bytes(query(fetch)["info_hash"].encode("latin-1"))


def udp_server(interval: int = 1800, peers: Iterable[Address] = PEERS, drop: int = 0) -> UdpTracker:
    """A UDP tracker that minds its connection ids; the first ``drop`` datagrams are lost."""
    lost = iter(range(drop))

    def answer(address: Address, request: Request) -> Response | None:
        if next(lost, None) is not None:
            return None
        if isinstance(request, ConnectRequest):
            return ConnectResponse(request.transaction_id, 77)
        if isinstance(request, AnnounceRequest) and request.connection_id == 77:
            family = family_of(address.host)
            mine = tuple(peer for peer in peers if family_of(peer.host) is family)
            return AnnounceResponse(request.transaction_id, interval, 3, 4, mine)
        return None

    return answer


@attrs.define(eq=False)
class TrackerWorld:
    """One ``Trackers`` and all that it can reach; ``log`` has (when, action) of everything."""

    config: TrackerConfig = attrs.field(factory=lambda: TrackerConfig(port=6881))
    seed: int = 0
    http: dict[str, HttpTracker] = attrs.field(factory=dict)
    """By host."""
    udp: dict[Address, UdpTracker] = attrs.field(factory=dict)
    names: dict[str, tuple[str, ...]] = attrs.field(factory=dict)
    totals: dict[InfoHash, Totals] = attrs.field(factory=dict)
    now: float = 0.0
    log: list[tuple[float, Found]] = attrs.field(factory=list)
    trackers: Trackers = attrs.field(init=False)
    fetches: dict[int, Fetch] = attrs.field(factory=dict)
    """Out, and not answered."""
    most_out: int = 0
    _pending: list[tuple[float, int, TrackerEvent]] = attrs.field(factory=list)
    _serial: Iterable[int] = attrs.field(factory=count)

    def __attrs_post_init__(self) -> None:
        ids = count(1)
        self.trackers = Trackers(
            PEER_ID,
            KEY,
            random.Random(self.seed),
            lambda info_hash: self.totals.get(info_hash, Totals(1, 2, 3)),
            self.config,
            lambda: next(ids),
        )

    # --- The caller's verbs ----------------------------------------------------------------

    def add(self, *tiers: Iterable[str], info_hash: InfoHash = HASH, private: bool = False) -> None:
        self.carry_out(
            self.trackers.add(info_hash, [list(tier) for tier in tiers], self.now, private)
        )

    def completed(self, info_hash: InfoHash = HASH) -> None:
        self.totals[info_hash] = Totals(1, 5, 0)
        self.carry_out(self.trackers.completed(info_hash, self.now))

    def stop(self, info_hash: InfoHash = HASH) -> None:
        self.carry_out(self.trackers.stop(info_hash, self.now))

    def want_peers(self, info_hash: InfoHash = HASH) -> None:
        self.carry_out(self.trackers.want_peers(info_hash, self.now))

    def scrape(self, url: str, info_hash: InfoHash = HASH) -> None:
        self.carry_out(self.trackers.scrape(info_hash, url, self.now))

    # --- Time ------------------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        end = self.now + seconds
        while (moment := self._next()) is not None and moment <= end:
            self.now = max(self.now, moment)
            if self._pending and self._pending[0][0] <= self.now:
                self.handle(heapq.heappop(self._pending)[2])
            else:
                self.handle(Tick())
        self.now = end

    def _next(self) -> float | None:
        deadline = self.trackers.next_deadline()
        moments = [self._pending[0][0]] if self._pending else []
        if deadline is not None:
            moments.append(deadline.when)
        return min(moments, default=None)

    def handle(self, event: TrackerEvent) -> None:
        if isinstance(event, Fetched | FetchFailed):
            self.fetches.pop(event.fetch_id)
        self.carry_out(self.trackers.handle(event, self.now))

    # --- The driver's part -----------------------------------------------------------------

    def carry_out(self, actions: list[Found]) -> None:
        for action in actions:
            self.log.append((self.now, action))
            if isinstance(action, Fetch):
                self._fetch(action)
            elif isinstance(action, CancelFetch) and action.fetch_id in self.fetches:
                self._later(FetchFailed(action.fetch_id, "cancelled"))
            elif isinstance(action, Resolve):
                hosts = self.names.get(action.host, ())
                self._later(Resolved(action.resolve_id, hosts))
            elif isinstance(action, SendDatagram):
                self._send(action)
        self.most_out = max(self.most_out, len(self.fetches))

    def _fetch(self, fetch: Fetch) -> None:
        self.fetches[fetch.fetch_id] = fetch
        tracker = self.http.get(urlsplit(fetch.url).hostname or "", lambda _: None)
        answer = tracker(fetch)
        if isinstance(answer, str):
            self._later(FetchFailed(fetch.fetch_id, answer))
        elif answer is not None:
            self._later(Fetched(fetch.fetch_id, *answer))

    def _send(self, action: SendDatagram) -> None:
        answer = self.udp.get(action.address, lambda *_: None)(
            action.address, decode_request(action.data)
        )
        if answer is not None:
            family = family_of(action.address.host)
            assert family is not None
            self._later(DatagramReceived(action.address, encode_response(answer, family)))

    def _later(self, event: TrackerEvent) -> None:
        if isinstance(event, FetchFailed) and event.detail == "cancelled":
            # It is answered once, whatever was on its way.
            self._pending = [
                entry
                for entry in self._pending
                if getattr(entry[2], "fetch_id", None) != event.fetch_id
            ]
            heapq.heapify(self._pending)
        when = self.now + 2 * DELAY
        heapq.heappush(self._pending, (when, next(iter(self._serial)), event))

    # --- What happened ---------------------------------------------------------------------

    def all(self, kind: type[T]) -> list[T]:
        """Every action of a kind, in order."""
        return [action for _, action in self.log if isinstance(action, kind)]

    def times(self, kind: type[Found] | type[object]) -> list[float]:
        """When each of a kind came."""
        return [when for when, action in self.log if isinstance(action, kind)]

    def events(self, host: str) -> list[str]:
        """What a host was told over IPv4, in order."""
        return [
            event_of(fetch)
            for fetch in self.all(Fetch)
            if urlsplit(fetch.url).hostname == host and fetch.family is not Family.IPV6
        ]

    @property
    def found(self) -> list[Address]:
        return [peer for found in self.all(PeersFound) for peer in found.peers]

    @property
    def replies(self) -> list[TrackerReplied]:
        return self.all(TrackerReplied)

    @property
    def failures(self) -> list[TrackerFailed]:
        return self.all(TrackerFailed)

    @property
    def datagrams(self) -> list[tuple[float, Address, Request]]:
        return [
            (when, action.address, decode_request(action.data))
            for when, action in self.log
            if isinstance(action, SendDatagram)
        ]
