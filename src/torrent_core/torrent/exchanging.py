"""Peer exchange (BEP 11) on the links of one torrent: who is told, and who tells us.

Private torrents neither offer it nor listen to it (BEP 27).
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from ..addresses import is_local, packed
from ..classes import define
from ..deadlines import Deadline, soonest
from ..errors import WireError
from ..limits import PEX_INTERVAL
from ..peer.events import ExtensionMessage
from ..pex import PexReceiver, PexSender
from ..types import Address, CloseReason, PeerSource
from ..wire import extended, pex
from .context import Context
from .dialling import Dialling
from .finding import Finding
from .links import Links, TorrentLink

EXCHANGE = "peers are exchanged"

_NAME, OUR_NUMBER = pex.NAME, pex.OUR_ID


@define(eq=False)
class _Exchange:
    """The exchange with one peer."""

    receiver: PexReceiver
    sender: PexSender = attrs.field(factory=PexSender)
    their_number: int = 0
    """What it calls the extension; 0: it does not want to be told."""


class Exchanging:
    """Tells each peer that wants to know whom else we are linked to, and takes in what it
    tells; ``close`` ends a link for a reason."""

    def __init__(
        self,
        context: Context,
        links: Links,
        dialling: Dialling,
        finding: Finding,
        close: Callable[[TorrentLink, CloseReason, str], None],
    ) -> None:
        self._context = context
        self._links = links
        self._dialling = dialling
        self._finding = finding
        self._close = close
        self._with: dict[int, _Exchange] = {}
        if context.config.exchange_peers and not context.metainfo.private:
            context.extensions[_NAME] = OUR_NUMBER

    @property
    def _is_on(self) -> bool:
        return _NAME in self._context.extensions

    def introduced(self, link: TorrentLink, hello: extended.ExtendedHandshake) -> None:
        """BEP 10: the peer says what it calls the extension, or nothing of it."""
        number = hello.m.get(_NAME)
        if number is None or not self._is_on:
            return
        exchange = self._exchange(link)
        was_off = not exchange.their_number
        exchange.their_number = number
        timer = EXCHANGE, link.state.ordinal
        if not number:
            self._context.timers.clear(timer)
        elif was_off:
            self._context.timers.set(timer, self._context.now)

    def _exchange(self, link: TorrentLink) -> _Exchange:
        ordinal = link.state.ordinal
        exchange = self._with.get(ordinal)
        if exchange is None:
            exchange = self._with[ordinal] = _Exchange(PexReceiver(link.state.address.host))
        return exchange

    def link_lost(self, link: TorrentLink) -> None:
        """A link is gone."""
        self._with.pop(link.state.ordinal, None)
        self._context.timers.clear((EXCHANGE, link.state.ordinal))

    def next_due(self) -> Deadline | None:
        """When peers are exchanged next, and with whom."""
        timers = self._context.timers
        dues = []
        for ordinal in self._with:
            when = timers.get((EXCHANGE, ordinal))
            if when is not None:
                address = self._links.live(ordinal).state.address
                dues.append(Deadline(when, f"exchange peers with {address}"))
        return soonest(*dues)

    # --- Telling -------------------------------------------------------------------------

    def tick(self, ordinal: int) -> None:
        """A minute has passed on that link."""
        context, link, exchange = self._context, self._links.live(ordinal), self._with[ordinal]
        context.timers.set((EXCHANGE, ordinal), context.now + PEX_INTERVAL)
        message = exchange.sender.next_message(self._others(link))
        if message is not None:
            link.wire.peer.send_extended(exchange.their_number, pex.encode(message))
            self._links.touch(link)

    def _others(self, link: TorrentLink) -> dict[Address, int]:
        """Those that may be told of on this link: local ones to local peers alone."""
        tell_local = is_local(link.state.address.host)
        others: dict[Address, int] = {}
        for other in self._links.active:
            address = other.listens_at
            if other is link or address is None or not other.is_open:
                continue
            if packed(address.host) is not None and (tell_local or not is_local(address.host)):
                others[address] = self._flags(other)
        return others

    def _flags(self, link: TorrentLink) -> int:
        state = link.state
        is_seed = state.pieces == self._context.metainfo.geometry.all_pieces
        seed = pex.IS_SEED if is_seed or state.upload_only else 0
        return seed | (0 if state.incoming else pex.IS_REACHABLE)

    # --- Being told ----------------------------------------------------------------------

    def received(self, link: TorrentLink, event: ExtensionMessage) -> None:
        """BEP 11: the peer tells whom it is linked to."""
        if event.ext_id != OUR_NUMBER or not self._is_on:
            return
        try:
            contacts = self._exchange(link).receiver.receive(event.payload, self._context.now)
        except WireError as error:
            self._close(link, CloseReason.PROTOCOL_ERROR, str(error))
            return
        peers = [contact.address for contact in contacts]
        self._finding.learn(PeerSource.EXCHANGE, peers, str(link.state.address))
        for contact in contacts:
            if contact.flags & pex.IS_SEED:
                self._dialling.book.note_seed(contact.address, self._context.now)
