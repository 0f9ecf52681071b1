"""What a session tells discovery of its torrents, and the torrents of what discovery found.

A torrent is announced while it downloads or seeds.  It is looked at whenever it has moved,
at the end of the step, so that no part of discovery is ever called from within a torrent.
"""

from __future__ import annotations

from hashlib import sha1
from itertools import count
from typing import TYPE_CHECKING, TypeAlias

from .actions import TrackerReplied
from .classes import define
from .deadlines import Deadline
from .discovery import Discovery, DiscoveryConfig, Found
from .errors import LocalProtocolError
from .events import DatagramReceived, Fetched, FetchFailed, MulticastReceived, Resolved, Tick
from .types import Address, Family, InfoHash, RandomSource, TorrentState, Totals

if TYPE_CHECKING:
    from .dht import Dht
    from .magnet import Magnet
    from .torrent import Torrent

DISCOVERY_EVENTS = (Fetched, FetchFailed, Resolved, DatagramReceived, MulticastReceived)
"""What a session hands on to discovery."""

_Heard = Fetched | FetchFailed | Resolved | DatagramReceived | MulticastReceived | Tick

_Seeker: TypeAlias = "Torrent | Magnet"

_ANNOUNCED = (TorrentState.RESOLVING, TorrentState.DOWNLOADING, TorrentState.SEEDING)
_ENDED = (TorrentState.STOPPING, TorrentState.STOPPED)

_DHT = "the DHT"
"""How it goes among those who tell a torrent its own address."""


@define(eq=False)
class _Announced:
    """A torrent that discovery knows, as it last saw it."""

    torrent: _Seeker
    state: TorrentState
    was_whole: bool
    """Nothing was left to fetch when it was announced, or since."""
    is_short: bool = False
    """It lacks peers, and the trackers have been asked for more since they last answered."""


class Finder:
    """Discovery of one session; without a ``config`` there is none, and nothing costs time."""

    __slots__ = (
        "_announced",
        "_answered",
        "_deadline",
        "_dht",
        "_discovery",
        "_found",
        "_in_dht",
        "_is_on",
        "_leaving",
        "_moved",
        "_nodes",
        "_outside",
    )

    def __init__(
        self,
        config: DiscoveryConfig | None,
        *,
        peer_id: bytes,
        port: int | None,
        random: RandomSource,
    ) -> None:
        """``port`` is where we listen for peers.

        Raises LocalProtocolError if ``config`` wants it told and there is none.
        """
        self._is_on = config is not None
        self._announced: dict[InfoHash, _Announced] = {}
        self._answered: list[_Announced] = []
        self._leaving: dict[InfoHash, None] = {}
        self._moved: dict[InfoHash, _Seeker] = {}
        self._nodes: list[tuple[InfoHash, Address]] = []
        self._found: list[Found] = []
        self._in_dht = False
        self._outside: tuple[str, ...] = ()
        self._deadline: Deadline | None = None
        self._dht: Dht | None = None
        self._discovery = Discovery(port)
        if config is not None:
            self._begin(config, peer_id, port, random)

    def _begin(
        self, config: DiscoveryConfig, peer_id: bytes, port: int | None, random: RandomSource
    ) -> None:
        # A third of all machines, which a session without discovery need not wait for.
        from .dht import Dht, DhtConfig
        from .lsd import GROUP_IPV4, GROUP_IPV6, Lsd, LsdConfig
        from .trackers import TrackerConfig, Trackers

        new_id = count(1).__next__
        trackers = local = None
        if (config.trackers or config.local) and port is None:
            raise LocalProtocolError("trackers and the local network are told where we listen")
        if config.trackers and port is not None:
            key = int.from_bytes(_derived(config.secret, b"key")[:4], "big")
            policy = TrackerConfig(port, families=config.families)
            trackers = Trackers(peer_id, key, random, self._totals, policy, new_id)
        if config.dht:
            table = DhtConfig(routers=config.routers, families=config.families)
            secret = _derived(config.secret, b"tokens")
            self._dht = Dht(secret, random, table, new_id, config.nodes)
        if config.local and port is not None:
            known = {Family.IPV4: GROUP_IPV4, Family.IPV6: GROUP_IPV6}
            groups = tuple(known[family] for family in config.families)
            cookie = _derived(config.secret, b"cookie")[:4]
            local = Lsd(port, cookie, LsdConfig(groups=groups))
        self._discovery = Discovery(port, trackers=trackers, dht=self._dht, local=local)

    # --- The session ---------------------------------------------------------------------

    def note(self, torrent: _Seeker) -> None:
        """The torrent may have moved."""
        if not self._is_on:
            return
        known = self._announced.get(torrent.info_hash)
        if known is None:
            moved = torrent.state in _ANNOUNCED
        else:
            moved = (
                torrent is not known.torrent
                or torrent.state is not known.state
                or torrent.is_short_of_peers is not known.is_short
            )
        if moved:
            self._moved[torrent.info_hash] = torrent

    def node_seen(self, info_hash: InfoHash, address: Address) -> None:
        """A peer of this torrent says that it has a node of the DHT there (BEP 5, PORT)."""
        if info_hash in self._announced:
            self._nodes.append((info_hash, address))

    def handle(self, event: _Heard, now: float) -> None:
        """Take in what came for discovery; ``settle`` has what follows.

        Raises LocalProtocolError, and has then changed nothing, for an answer that nobody
        waits for.
        """
        self._take(self._discovery.handle(event, now))

    def tick(self, now: float) -> None:
        """Do what is due."""
        if self._deadline is not None and self._deadline.when <= now:
            self.handle(Tick(), now)

    def settle(self, now: float) -> list[Found]:
        """The end of a step: what is to be done, and who is to be told of peers.

        To be called until it is empty: what a torrent was told may make it want something."""
        if not self._found:
            # By now they know of the peers that came with the answer.
            answered, self._answered = self._answered, []
            for known in answered:
                if known.torrent.info_hash not in self._moved:
                    self.note(known.torrent)
        while self._moved or self._nodes:
            moved, self._moved = self._moved, {}
            for torrent in moved.values():
                self._look_at(torrent, now)
            nodes, self._nodes = self._nodes, []
            for info_hash, address in nodes:
                if info_hash in self._announced:
                    self._take(self._discovery.node_seen(info_hash, address, now))
        found, self._found = self._found, []
        return found

    @property
    def is_idle(self) -> bool:
        """Whether ``settle`` would have nothing to do."""
        return not (self._moved or self._found or self._nodes or self._answered)

    @property
    def is_leaving(self) -> bool:
        """Whether a tracker has still to be told that we left a torrent."""
        leaving = self._discovery.is_stopping
        self._leaving = {name: None for name in self._leaving if leaving(name)}
        return bool(self._leaving)

    def next_deadline(self) -> Deadline | None:
        """When ``tick`` has something to do, and why."""
        return self._deadline

    def dues(self, info_hash: InfoHash) -> list[Deadline]:
        """What is done next to find peers of this torrent, by each means."""
        return self._discovery.dues(info_hash)

    # --- Torrents --------------------------------------------------------------------------

    def _look_at(self, torrent: _Seeker, now: float) -> None:
        known = self._announced.get(torrent.info_hash)
        if known is None:
            self._add(torrent, now)
        elif torrent.state in _ENDED:
            self._remove(known, now)
        else:
            self._update(known, torrent, now)

    def _add(self, torrent: _Seeker, now: float) -> None:
        info_hash = torrent.info_hash
        is_whole = not torrent.totals.left
        self._announced[info_hash] = _Announced(torrent, torrent.state, is_whole)
        if not torrent.is_private and not self._in_dht:
            self._in_dht = True
            self._take(self._discovery.start(now))
        self._take(self._discovery.added(info_hash, torrent.is_private, torrent.trackers, now))
        for host in self._outside:
            torrent.seen_at(host, _DHT)
        self.note(torrent)

    def _update(self, known: _Announced, torrent: _Seeker, now: float) -> None:
        info_hash = torrent.info_hash
        if torrent.is_private and not known.torrent.is_private:
            self._discovery.turned_private(info_hash)
        before, known.state = known.state, torrent.state
        known.torrent = torrent
        self._leave_dht(now)
        if torrent.state is TorrentState.SEEDING and not known.was_whole:
            known.was_whole = not torrent.totals.left
            if known.was_whole and before is TorrentState.DOWNLOADING:  # else it was on the disk
                self._take(self._discovery.completed(info_hash, now))
        known.is_short = torrent.is_short_of_peers
        if known.is_short:
            self._take(self._discovery.short_of_peers(info_hash, now))

    def _remove(self, known: _Announced, now: float) -> None:
        info_hash = known.torrent.info_hash
        self._take(self._discovery.removed(info_hash, now))
        if self._discovery.is_stopping(info_hash):
            self._leaving[info_hash] = None
        del self._announced[info_hash]
        self._leave_dht(now)

    def _leave_dht(self, now: float) -> None:
        """If no torrent needs it any longer."""
        if self._in_dht and all(each.torrent.is_private for each in self._announced.values()):
            self._in_dht = False
            self._take(self._discovery.stop(now))

    def _totals(self, info_hash: InfoHash) -> Totals:
        return self._announced[info_hash].torrent.totals

    # --- What was found ----------------------------------------------------------------------

    def _take(self, found: list[Found]) -> None:
        for value in found:
            if isinstance(value, TrackerReplied):
                self._replied(value)
        self._found += found
        self._deadline = self._discovery.next_deadline()
        outside = () if self._dht is None else self._dht.hosts
        if outside != self._outside:
            self._outside = outside
            self._seen_at(outside)

    def _replied(self, reply: TrackerReplied) -> None:
        """A tracker has said all it will for a while; who still lacks peers asks again."""
        known = self._announced[reply.torrent]  # of ``stopped``, no answer is reported
        known.is_short = False
        self._answered.append(known)
        if reply.external_ip:
            known.torrent.seen_at(reply.external_ip, reply.url)

    def _seen_at(self, hosts: tuple[str, ...]) -> None:
        for known in self._announced.values():
            for host in hosts:
                known.torrent.seen_at(host, _DHT)


def _derived(secret: bytes, purpose: bytes) -> bytes:
    """A secret of one purpose, which tells nothing of those of others."""
    return sha1(purpose + secret).digest()
