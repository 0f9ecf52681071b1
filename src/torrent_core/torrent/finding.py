"""New peers: what others tell of them goes into the book, within bounds."""

from __future__ import annotations

from collections.abc import Iterable

from ..actions import PeersLearned
from ..addresses import can_be_dialled, unpacked
from ..candidates import ExternalAddress
from ..events import PeersFound
from ..limits import MAX_PEERS_FOUND
from ..types import Address, PeerSource
from ..wire.extended import ExtendedHandshake
from .dialling import OF_PRIVATE, Dialling
from .live import LinkContext, LiveLink


class Finding:
    """Feeds the book of one torrent."""

    def __init__(self, context: LinkContext, dialling: Dialling) -> None:
        self._context = context
        self._dialling = dialling
        self._external = ExternalAddress()

    def found(self, event: PeersFound) -> None:
        """Somebody told of peers: those that can be, as many as one report may hold."""
        self.learn(event.source, event.peers[:MAX_PEERS_FOUND], event.detail)

    def learn(self, source: PeerSource, peers: Iterable[Address], detail: str) -> None:
        """Enter peers, and report how many are new."""
        if self._context.is_private and source not in OF_PRIVATE:
            return
        if source is PeerSource.NAMED:
            count = self._name(peers)
        else:
            count = self._dialling.book.found(source, peers, self._context.now)
        self._dialling.stale = True
        if count:
            report = PeersLearned(self._context.info_hash, source, count, detail)
            self._context.actions.append(report)

    def _name(self, peers: Iterable[Address]) -> int:
        book = self._dialling.book
        before = len(book)
        for address in filter(can_be_dialled, peers):
            self._dialling.add(address)
        return len(book) - before

    def introduced(self, link: LiveLink, hello: ExtendedHandshake) -> None:
        """BEP 10: a peer said where it listens (``p``), and where it sees us (``yourip``)."""
        context, host = self._context, link.state.address.host
        if link.state.incoming and not link.candidates and link.state.listen_port is not None:
            address = Address(host, link.state.listen_port)
            enter = not context.is_private
            if self._dialling.book.met(address, context.now, enter=enter):
                link.candidates.append(address)
        if hello.yourip is not None:
            self.seen_at(unpacked(hello.yourip), host)

    def seen_at(self, host: str, teller: str) -> None:
        """``teller`` (an address or a URL) sees us at ``host``."""
        if self._external.vote(host, teller):
            port = self._context.config.listen_port or 0
            hosts = self._external.hosts
            self._dialling.book.set_external(Address(host, port) for host in hosts)
