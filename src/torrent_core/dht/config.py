"""What may be set about our part in the DHT."""

from __future__ import annotations

from ..classes import frozen
from ..types import Address, Family


@frozen
class DhtConfig:
    """Settings of a ``Dht``; the defaults suit a client that is on all day."""

    routers: tuple[Address, ...] = ()
    """Where to begin, by name or literal; ``ROUTERS`` has some."""
    families: tuple[Family, ...] = (Family.IPV4, Family.IPV6)
    """The DHTs to take part in (BEP 32)."""
    read_only: bool = False
    """Ask, and answer nobody: for those who cannot be reached, or pay by the byte (BEP 43)."""
