"""What may be set about how a session finds peers."""

from __future__ import annotations

import attrs

from ..classes import frozen
from ..errors import LocalProtocolError
from ..types import Address, Family
from ..wellknown import ROUTERS

_MIN_SECRET = 16


@frozen
class DiscoveryConfig:
    """Which means of finding peers there are, and what they begin with.

    Raises LocalProtocolError for a secret of fewer than 16 bytes, or no family.
    """

    secret: bytes = attrs.field(repr=False)
    """Random bytes of this run alone: what others must not guess is made of them."""
    trackers: bool = True
    """Announce to the trackers that a torrent names."""
    dht: bool = True
    """Take part in the DHT, while there is a torrent that it may be told of."""
    local: bool = True
    """Announce on the local network (BEP 14)."""
    families: tuple[Family, ...] = (Family.IPV4, Family.IPV6)
    """Over what we can be reached."""
    routers: tuple[Address, ...] = ROUTERS
    """Where to enter the DHT without nodes of an earlier run."""
    nodes: bytes | None = attrs.field(default=None, repr=False)
    """What the last ``SaveNodes`` of an earlier run held."""

    def __attrs_post_init__(self) -> None:
        if len(self.secret) < _MIN_SECRET:
            raise LocalProtocolError(f"a secret has at least {_MIN_SECRET} bytes")
        if not self.families:
            raise LocalProtocolError("no family to be reached by")
