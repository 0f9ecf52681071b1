"""Tokens: who announces proves that he gets what is sent to his address (BEP 5).

Nothing is remembered: a token is a digest of the address, the torrent, the current period of
five minutes, and a secret.  One of the period before is good as well.
"""

from __future__ import annotations

from hashlib import blake2b

from ..limits import DHT_TOKEN_SECONDS
from ..types import InfoHash
from ..wire.contacts import pack_host

_BYTES = 8


class Tokens:
    """Makes tokens and knows its own again."""

    __slots__ = ("_key",)

    def __init__(self, secret: bytes) -> None:
        self._key = blake2b(secret, digest_size=32).digest()

    def make(self, host: str, info_hash: InfoHash, now: float) -> bytes:
        """The token for a host that asked about a torrent."""
        return self._of(host, info_hash, _period(now))

    def is_good(self, token: bytes, host: str, info_hash: InfoHash, now: float) -> bool:
        """Whether we gave this token to this host, for this torrent, at most ten minutes ago."""
        period = _period(now)
        return token in (self._of(host, info_hash, p) for p in (period, period - 1))

    def _of(self, host: str, info_hash: InfoHash, period: int) -> bytes:
        text = period.to_bytes(8, "big", signed=True) + info_hash + pack_host(host)
        return blake2b(text, key=self._key, digest_size=_BYTES).digest()


def _period(now: float) -> int:
    return int(now // DHT_TOKEN_SECONDS)
