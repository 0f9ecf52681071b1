"""Policy of local peer discovery."""

from __future__ import annotations

from ..classes import frozen
from ..limits import LSD_GAP, LSD_INTERVAL
from ..types import Address

GROUP_IPV4 = Address("239.192.152.143", 6771)
"""Where announcements go over IPv4 (BEP 14)."""

GROUP_IPV6 = Address("ff15::efc0:988f", 6771)
"""Where announcements go over IPv6 (BEP 14)."""


@frozen
class LsdConfig:
    """Times are seconds."""

    interval: float = LSD_INTERVAL
    """Between announcements of one torrent."""
    gap: float = LSD_GAP
    """Between announcements of whatever torrents, at least."""
    groups: tuple[Address, ...] = (GROUP_IPV4, GROUP_IPV6)
    """Each announcement is sent to all of these."""
