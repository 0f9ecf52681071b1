"""One peer that we may dial: what is known of it, as data."""

from __future__ import annotations

from ..classes import define
from ..limits import (
    MAX_STRANGER_FAILURES,
    REDIAL_BASE,
    REDIAL_MAX,
    STRANGER_REDIAL_BASE,
)
from ..types import Address, PeerSource

_BITS = {source: 1 << number for number, source in enumerate(PeerSource)}
_NAMED = _BITS[PeerSource.NAMED]
_GOSSIP = _BITS[PeerSource.EXCHANGE]

MOST_FAILURES = 16
"""Failures are not counted beyond this: the pause is the longest by then."""


@define(eq=False)
class Candidate:
    """One peer, named by the caller or a *stranger* that others told us of."""

    address: Address
    wanted: bool = True
    """False once dropped; it then only waits for its dial or link to end."""
    dial_id: int | None = None
    """The dial under way, if any; cancelled ones are, until they are answered."""
    connected: bool = False
    failures: int = 0
    """Dials that came to nothing, and links of no use, since the last good link."""
    told_by: int = 0
    """Bit set of who told us."""
    is_seed: bool = False
    """It had everything when we last heard of it."""

    @property
    def is_idle(self) -> bool:
        """Neither connected nor being dialled."""
        return self.dial_id is None and not self.connected

    @property
    def is_named(self) -> bool:
        """The caller named it: it is dialled for as long as the torrent runs."""
        return bool(self.told_by & _NAMED)

    @property
    def is_gossip(self) -> bool:
        """Nobody but other peers told us of it."""
        return self.told_by == _GOSSIP

    @property
    def is_given_up(self) -> bool:
        """A stranger that failed too often."""
        return not self.is_named and self.failures >= MAX_STRANGER_FAILURES

    @property
    def pause(self) -> float:
        """Seconds from the end of a dial or link to the next dial, jitter apart."""
        if not self.failures:
            return REDIAL_BASE
        base = REDIAL_BASE if self.is_named else STRANGER_REDIAL_BASE
        return min(base * 2.0 ** (self.failures - 1), REDIAL_MAX)

    @property
    def sources(self) -> tuple[PeerSource, ...]:
        """Who told us, in the order of ``PeerSource``."""
        return tuple(source for source, bit in _BITS.items() if self.told_by & bit)

    def heard_from(self, source: PeerSource) -> None:
        """``source`` tells of it."""
        self.told_by |= _BITS[source]

    def failed(self) -> None:
        """A dial came to nothing, or its link was of no use."""
        self.failures = min(self.failures + 1, MOST_FAILURES)
