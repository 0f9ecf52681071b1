"""What we take from one peer: as much as BEP 11 lets it say, as often as it may.

What it *drops* is of no use to us: whether a peer can be reached we see when we dial it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from ..addresses import can_be_dialled, is_local
from ..errors import WireError
from ..limits import (
    MAX_PEX_CONTACTS,
    MAX_PEX_FIRST_CONTACTS,
    MAX_PEX_MESSAGES,
    PEX_INTERVAL,
    PEX_PATIENCE,
)
from ..types import Buffer
from ..wire.pex import Contact, PeerExchange, decode


class PexReceiver:
    """Reads the messages of the peer at ``host``."""

    __slots__ = ("_came", "_is_local", "_last_read")

    def __init__(self, host: str) -> None:
        self._is_local = is_local(host)
        self._came: deque[float] = deque(maxlen=MAX_PEX_MESSAGES)
        self._last_read: float | None = None

    def receive(self, payload: Buffer, now: float) -> list[Contact]:
        """The contacts that the peer added; none of a message that came too soon after
        another, which is not read.

        Left out are those that cannot be dialled, local ones unless the peer is local
        itself, and of one public host all but the first.  Raises WireError, for which the
        link is to be closed as libtorrent does, for what is no message, and where the peer
        floods us: MAX_PEX_MESSAGES came before this one within PEX_INTERVAL.
        """
        if len(self._came) == MAX_PEX_MESSAGES and now < self._came[0] + PEX_INTERVAL:
            raise WireError("peer exchange far more often than once a minute", "ut_pex")
        self._came.append(now)
        last = self._last_read
        if last is not None and now < last + PEX_PATIENCE:
            return []
        self._last_read = now
        limit = MAX_PEX_FIRST_CONTACTS if last is None else MAX_PEX_CONTACTS
        return list(self._credible(decode(payload, limit)))

    def _credible(self, message: PeerExchange) -> Iterator[Contact]:
        hosts = set()
        for contact in message.added:
            host = contact.address.host
            if not can_be_dialled(contact.address):
                continue
            if is_local(host):
                if self._is_local:
                    yield contact
            elif host not in hosts:
                hosts.add(host)
                yield contact
