"""Who is not let in, nor dialled, any more: peers that are proven to have sent spoiled data.

What is banned is a peer id at an address.  That alone would not stop anybody, since a peer id
is the peer's own invention, so the bare address is *barred* too.  But several people may
share one: it is barred only while no other peer of it has proven good by sending a part of
a verified piece.  An address that whole swarms may share (``is_local``), and one with good
peers, is closed to strangers once as many of its peer ids are banned as are remembered.
"""

from __future__ import annotations

from ..addresses import is_local
from ..limits import MAX_BANNED_ADDRESSES, MAX_IDENTITIES_PER_ADDRESS, MAX_PROVEN_ADDRESSES
from ..types import Identity

_Known = dict[str, dict[bytes, None]]


class Bans:
    """Guilty and proven peers, by address.  Bounded; what is oldest is forgotten first."""

    __slots__ = ("_absolved", "_good", "_guilty")

    def __init__(self) -> None:
        self._guilty: _Known = {}
        self._good: _Known = {}
        self._absolved: Identity | None = None  # the last one noted, if nothing came since

    def convict(self, peer: Identity) -> list[str]:
        """The peer is proven guilty, whatever good it sent before.

        Returns the addresses that may be barred now, or not any longer.
        """
        self._absolved = None
        good = self._good.get(peer.host, {})
        good.pop(peer.peer_id, None)
        if not good:
            self._good.pop(peer.host, None)
        if self._is_full(peer.host):
            return [peer.host]
        return [peer.host, *_note(self._guilty, peer, MAX_BANNED_ADDRESSES)]

    def absolve(self, peer: Identity) -> list[str]:
        """The peer sent a part of a piece that is verified; no effect if it is guilty.

        Returns the addresses that may be barred now, or not any longer.
        """
        if peer == self._absolved or self.is_guilty(peer):
            return []  # from one peer comes piece after piece, and to note it again is no news
        self._absolved = peer
        is_news = peer.peer_id not in self._good.get(peer.host, ())
        forgotten = _note(self._good, peer, MAX_PROVEN_ADDRESSES)
        return [peer.host, *forgotten] if is_news else []

    def is_guilty(self, peer: Identity) -> bool:
        """Whether this very peer is banned."""
        return peer.peer_id in self._guilty.get(peer.host, ())

    def refuses(self, peer: Identity) -> bool:
        """Whether a link to this peer is not kept."""
        if self.is_guilty(peer):
            return True
        if peer.peer_id in self._good.get(peer.host, ()):
            return False
        return self._is_full(peer.host) or self.bars(peer.host)

    def bars(self, host: str) -> bool:
        """Whether nobody at this address is worth a dial."""
        if host not in self._guilty or host in self._good:
            return False
        return self._is_full(host) or not is_local(host)

    def _is_full(self, host: str) -> bool:
        return len(self._guilty.get(host, ())) >= MAX_IDENTITIES_PER_ADDRESS


def _note(known: _Known, peer: Identity, limit: int) -> list[str]:
    """Remember the peer as the last one of the last address; returns what is forgotten."""
    ids = known.pop(peer.host, {})
    ids.pop(peer.peer_id, None)
    ids[peer.peer_id] = None
    known[peer.host] = ids
    if len(ids) > MAX_IDENTITIES_PER_ADDRESS:
        del ids[next(iter(ids))]
    if len(known) <= limit:
        return []
    forgotten = next(iter(known))
    del known[forgotten]
    return [forgotten]
