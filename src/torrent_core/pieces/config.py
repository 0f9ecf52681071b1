"""What the download side of a torrent may be told; the defaults are the plan's."""

from __future__ import annotations

from ..classes import frozen
from ..limits import (
    CLEANUP_INTERVAL,
    MAX_ACTIVE_PIECES,
    MAX_BUFFERED_BYTES,
    REQUEST_TIMEOUT,
)


@frozen
class ActivePieceConfig:
    """Times in seconds, sizes in bytes."""

    request_timeout: float = REQUEST_TIMEOUT
    """Slack of one request beyond its queue, and the longest patience with a silent link."""
    max_active_pieces: int = MAX_ACTIVE_PIECES
    """Soft cap on pieces with blocks to ask for; grows with the links, yields to the idle."""
    max_buffered_bytes: int = MAX_BUFFERED_BYTES
    """Hard cap on memory for blocks, except that each torrent may always hold two segments: whole
    pieces, where these are a quarter of the cap or less, else 16 KiB to 256 KiB."""
    cleanup_interval: float = CLEANUP_INTERVAL
    """Longest gap between checks for timeouts while requests are out."""
