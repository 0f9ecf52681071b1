"""Peers that others announced to us.

One entry for a torrent and a place (BEP 33 has one for each host); what was announced longest
ago goes first, when its time is over or a bound is reached.
"""

from __future__ import annotations

from ..classes import frozen
from ..limits import (
    DHT_STORED_PEERS,
    DHT_STORED_SECONDS,
    DHT_STORED_TORRENTS,
    DHT_STORED_TOTAL,
)
from ..types import Address, InfoHash, RandomSource
from .bloom import filter_of
from .hosts import place_of


@frozen
class StoredPeer:
    """One peer, as it was last announced."""

    address: Address
    seed: bool


class PeerStore:
    """Peers by torrent.  Each dict is in the order of the latest announce."""

    __slots__ = ("_ages", "_torrents")

    def __init__(self) -> None:
        self._torrents: dict[InfoHash, dict[bytes, StoredPeer]] = {}
        self._ages: dict[tuple[InfoHash, bytes], float] = {}

    def __len__(self) -> int:
        """Peers of all torrents."""
        return len(self._ages)

    @property
    def torrent_count(self) -> int:
        """Torrents that have any."""
        return len(self._torrents)

    def add(self, info_hash: InfoHash, peer: StoredPeer, now: float) -> None:
        """A peer announced itself."""
        self.expire(now)
        place = place_of(peer.address)
        self._remove(info_hash, place)
        peers = self._torrents.pop(info_hash, {})
        self._torrents[info_hash] = peers
        if len(peers) >= DHT_STORED_PEERS:
            self._remove(info_hash, next(iter(peers)))
        elif len(self._torrents) > DHT_STORED_TORRENTS:
            self._remove_torrent(next(iter(self._torrents)))
        elif len(self._ages) >= DHT_STORED_TOTAL:
            self._remove(*next(iter(self._ages)))
        self._torrents.setdefault(info_hash, peers)[place] = peer
        self._ages[info_hash, place] = now

    def expire(self, now: float) -> None:
        """Forget what was announced too long ago."""
        while self._ages:
            key = next(iter(self._ages))
            if now - self._ages[key] < DHT_STORED_SECONDS:
                break
            self._remove(*key)

    def sample(
        self, info_hash: InfoHash, count: int, no_seeds: bool, random: RandomSource
    ) -> list[Address]:
        """Up to ``count`` peers of a torrent, by chance; without seeds if so asked."""
        stored = self._torrents.get(info_hash, {}).values()
        peers = [peer.address for peer in stored if not (no_seeds and peer.seed)]
        if len(peers) <= count:
            return peers
        # Each place of the answer is drawn from what the earlier ones have left over.
        for place in range(count):
            other = place + int(random.random() * (len(peers) - place))
            peers[place], peers[other] = peers[other], peers[place]
        return peers[:count]

    def filters(self, info_hash: InfoHash) -> tuple[bytes, bytes] | None:
        """Bloom filters of the hosts of its seeds and of its other peers (BEP 33); None for a
        torrent that nobody announced."""
        stored = self._torrents.get(info_hash)
        if stored is None:
            return None
        seeds = filter_of(peer.address.host for peer in stored.values() if peer.seed)
        return seeds, filter_of(peer.address.host for peer in stored.values() if not peer.seed)

    def _remove(self, info_hash: InfoHash, place: bytes) -> None:
        if self._ages.pop((info_hash, place), None) is None:
            return
        peers = self._torrents[info_hash]
        del peers[place]
        if not peers:
            del self._torrents[info_hash]

    def _remove_torrent(self, info_hash: InfoHash) -> None:
        for place in self._torrents.pop(info_hash):
            del self._ages[info_hash, place]
