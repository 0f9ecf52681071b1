"""The record of one link: what both sides said, as data.

Written only by ``peer``; read by the scheduler and the choker through what ``torrent``
passes them.  Sets of pieces are integers (``bitfield``).
"""

from __future__ import annotations

from .classes import define
from .rates import Rate
from .types import Address, LinkId


@define(eq=False)
class LinkState:
    """One link as the protocol sees it.  BEP 3's four bits start as BEP 3 says."""

    ordinal: int
    """Our own number for the link: ascending, never used twice by one torrent."""
    link: LinkId
    """The adapter's name for it."""
    address: Address
    """The other end of the connection."""
    incoming: bool
    """Whether the peer dialled us."""
    down: Rate
    """Payload bytes of blocks received."""
    up: Rate
    """Payload bytes of blocks sent."""
    peer_id: bytes = b""
    """Twenty bytes once the handshake is done."""
    fast: bool = False
    """Both sides set the Fast Extension bit (BEP 6)."""
    extended: bool = False
    """Both sides set the extension protocol bit (BEP 10)."""
    am_choking: bool = True
    am_interested: bool = False
    peer_choking: bool = True
    peer_interested: bool = False
    pieces: int = 0
    """Set of pieces that the peer has."""
    allowed_fast: int = 0
    """Set of pieces that we may request although choked (BEP 6)."""
    granted_fast: int = 0
    """Set of pieces that the peer may request although choked (BEP 6)."""
    suggested: int = 0
    """Set of pieces that the peer would like us to fetch first (BEP 6)."""
    client: str = ""
    """The peer's ``v`` (BEP 10), printable, or empty."""
    reqq: int | None = None
    """Requests the peer is ready to queue (BEP 10), if it said something credible."""
    listen_port: int | None = None
    """The peer's own ``p`` (BEP 10)."""
    upload_only: bool = False
    """The peer says that it wants nothing (BEP 21)."""
