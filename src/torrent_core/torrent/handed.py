"""A live link that somebody else has begun, as all that a torrent must know of it."""

from __future__ import annotations

from ..classes import frozen
from ..types import Address, LinkId
from ..wire import metadata, pex

HANDED_EXTENSIONS = (metadata.NAME, pex.NAME)
"""What may have been offered on it (BEP 10)."""


@frozen
class HandedLink:
    """What both sides have said on a connection that goes on under other hands."""

    link: LinkId
    address: Address
    dialled: bool
    """We opened it."""
    since: float
    """When it opened."""
    candidates: tuple[Address, ...] = ()
    """Peers of the dial book whose link it is."""
    greeted: bool = False
    """Our handshake is under way, or there."""
    shaken: bool = False
    """Both handshakes are through, and we said that we have nothing."""
    unsent: int = 0
    """Bytes that we sent and that have not left."""
    heard: bytes = b""
    """What the peer has said, its handshake first, as if it said it now."""
