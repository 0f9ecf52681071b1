"""Which incoming links are let in, before they have said anything."""

from __future__ import annotations

from .addresses import is_local
from .limits import (
    INCOMING_SHARE,
    MAX_LINKS_PER_ADDRESS,
    MAX_LINKS_PER_LOCAL_ADDRESS,
    MAX_PENDING_HANDSHAKES,
)
from .types import CloseReason, LinkId


class Admission:
    """Counts incoming links in all and by address."""

    __slots__ = ("_hosts", "_max_incoming", "_per_host")

    def __init__(self, max_links: int) -> None:
        self._max_incoming = max(1, int(max_links * INCOMING_SHARE))
        self._hosts: dict[LinkId, str] = {}
        self._per_host: dict[str, int] = {}

    def refusal(self, host: str, pending: int) -> CloseReason | None:
        """Why a link from ``host`` is not let in now, ``pending`` of them having said
        nothing yet; None if it is."""
        if pending >= MAX_PENDING_HANDSHAKES or len(self._hosts) >= self._max_incoming:
            return CloseReason.TOO_MANY_LINKS
        limit = MAX_LINKS_PER_LOCAL_ADDRESS if is_local(host) else MAX_LINKS_PER_ADDRESS
        if self._per_host.get(host, 0) >= limit:
            return CloseReason.TOO_MANY_LINKS
        return None

    def admit(self, link: LinkId, host: str) -> None:
        """The link is let in."""
        self._hosts[link] = host
        self._per_host[host] = self._per_host.get(host, 0) + 1

    def forget(self, link: LinkId) -> None:
        """The link is gone.  No effect if it was not let in."""
        host = self._hosts.pop(link, None)
        if host is None:
            return
        self._per_host[host] -= 1
        if not self._per_host[host]:
            del self._per_host[host]
