"""What the trackers of a session are told of us, and how much is out at once."""

from __future__ import annotations

from ..classes import frozen
from ..errors import LocalProtocolError
from ..limits import MAX_REQUESTS_OUT, NUM_WANT
from ..types import Family


@frozen
class TrackerConfig:
    """Raises LocalProtocolError for a port that is none, no family at all, or a
    ``max_out`` that has no room for one announce."""

    port: int
    """Where we listen: what trackers tell other peers."""
    num_want: int = NUM_WANT
    """Peers asked for with each announce."""
    max_out: int = MAX_REQUESTS_OUT
    """Fetches and UDP exchanges at once, all torrents together."""
    families: tuple[Family, ...] = (Family.IPV4, Family.IPV6)
    """What we are reachable by: each announce goes out once from each (BEP 7)."""
    supports_encryption: bool = False
    """Whether we take encrypted links; only then is it said (``supportcrypto``)."""

    def __attrs_post_init__(self) -> None:
        if not 0 < self.port < 65536:
            raise LocalProtocolError(f"no peer can listen on port {self.port}")
        if not self.families:
            raise LocalProtocolError("no family to announce by")
        if self.max_out < len(self.families):
            raise LocalProtocolError(f"{self.max_out} requests are not one announce")
