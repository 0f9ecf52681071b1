"""What a torrent may be told, and what it shares with its neighbours."""

from __future__ import annotations

import attrs

from ..budget import Budget
from ..classes import frozen
from ..limits import (
    HAVE_DELAY,
    MAX_BUFFERED_BYTES,
    MAX_HALF_OPEN,
    MAX_LINKS,
    RESUME_INTERVAL,
    UPLOAD_SLOTS,
)
from ..pieces import ActivePieceConfig

CLIENT_NAME = "torrent-core 0.1.0"
"""What we call ourselves in the extension handshake (BEP 10, ``v``)."""


@frozen
class TorrentConfig:
    """Policy of one torrent; times in seconds."""

    active: ActivePieceConfig = attrs.field(factory=ActivePieceConfig)
    upload_slots: int = UPLOAD_SLOTS
    """Interested links unchoked at once; 0 uploads nothing."""
    have_delay: float = HAVE_DELAY
    """HAVEs are gathered for so long before they are sent."""
    resume_interval: float = RESUME_INTERVAL
    """Resume data is saved so long after the first unsaved progress."""
    listen_port: int | None = None
    """Our own port, told to peers (BEP 10, ``p``)."""
    dht_port: int | None = None
    """Where our node of the DHT listens, told to peers that have one too (BEP 5, PORT); those
    of private torrents are not told."""
    client_name: str = CLIENT_NAME
    exchange_peers: bool = True
    """Offer and take peer exchange (BEP 11); private torrents never do."""


def _memory() -> Budget:
    return Budget(MAX_BUFFERED_BYTES)


def _links() -> Budget:
    return Budget(MAX_LINKS)


def _half_open() -> Budget:
    return Budget(MAX_HALF_OPEN)


@frozen
class Budgets:
    """What all torrents of a session draw on together."""

    memory: Budget = attrs.field(factory=_memory)
    """Bytes of memory for blocks: what is in memory, and what has been asked for."""
    links: Budget = attrs.field(factory=_links)
    """Links and dials of all torrents."""
    half_open: Budget = attrs.field(factory=_half_open)
    """Dials under way."""
