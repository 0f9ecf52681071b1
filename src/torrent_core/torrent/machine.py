"""What a torrent and a magnet do alike: one step after the other, and links from open to closed.

Each composes parts of its own around that, and says what else it takes, what it makes of the
rest that peers say, and what ends its steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Generic, Protocol, TypeAlias

from ..actions import Action
from ..deadlines import Deadline
from ..errors import LocalProtocolError
from ..events import (
    AddPeer,
    BytesReceived,
    DialFailed,
    DropPeer,
    Event,
    LinkClosed,
    LinkOpened,
    PeersFound,
    Sent,
    Tick,
)
from ..limits import SLEPT
from ..peer import events as peer
from ..types import Address, CloseReason, InfoHash, TorrentState
from .dialling import Dialling
from .finding import Finding
from .linktable import LinkTable
from .live import L, LinkContext
from .waking import lateness

NodeSeen: TypeAlias = Callable[[Address], None]
"""Is told where a peer says that it has a node of the DHT."""


class _Own(Protocol):
    """What each machine does for itself."""

    def next_deadline(self) -> Deadline | None:
        """When ``handle(Tick(), ...)`` is owed at the latest, and why; None if never."""
        ...

    def _settle(self) -> None:
        """The end of every step."""
        ...

    def _postpone_requests(self, seconds: float) -> None:
        """What peers were asked for is not late for that long."""
        ...

    def _sent(self, event: Sent) -> None:
        """Bytes have left."""
        ...


class LinkMachine(_Own, Generic[L]):
    """A machine that has links and dials for more."""

    _kind: ClassVar[str]
    """What it is called in errors."""
    _on_event: dict[type, Callable[[Any], None]]
    _on_peer: dict[type, Callable[[L, Any], None]]

    def __init__(
        self,
        context: LinkContext,
        links: LinkTable[L],
        dialling: Dialling,
        node_seen: NodeSeen | None,
    ) -> None:
        """A subclass enters both tables once it has all its parts."""
        self._context = context
        self._links = links
        self._dialling = dialling
        self._finding = Finding(context, dialling)
        self._node_seen = node_seen

    # --- The face ----------------------------------------------------------------------

    def handle(self, event: Event, now: float) -> list[Action]:
        """Take one event in; returns what is to be done, in order.

        Raises LocalProtocolError, and has then changed nothing, for an event that breaks the
        contract in ``events``.  Nothing that a peer or a disk does raises.
        """
        handler = self._on_event.get(type(event))
        if handler is None:
            raise LocalProtocolError(f"a {self._kind} does not take {type(event).__name__}")
        context = self._context
        before = context.now
        if now > before:
            context.now = now
        late = 0.0
        if now - before > SLEPT:  # else nothing can be that late
            late = lateness(self.next_deadline(), before, now)
            self.postpone(late)
        try:
            handler(event)
        except LocalProtocolError:
            context.now = before
            self.postpone(-late)
            raise
        return self._end_step()

    def postpone(self, seconds: float) -> None:
        """Hold the last ``seconds`` against no link: nobody was there to listen."""
        if seconds:
            self._links.postpone(seconds)
            self._postpone_requests(seconds)

    def seen_at(self, host: str, teller: str) -> None:
        """``teller`` (a tracker's URL, BEP 24; an address) sees us at ``host``, an address.

        Once several agree, nobody is dialled there, and dials are in the order of BEP 40."""
        self._finding.seen_at(host, teller)

    @property
    def info_hash(self) -> InfoHash:
        """The torrent's name."""
        return self._context.info_hash

    @property
    def state(self) -> TorrentState:
        """What it is doing."""
        return self._context.state

    @property
    def is_private(self) -> bool:
        """Whether its trackers alone may tell of its peers (BEP 27)."""
        return self._context.is_private

    # --- Routing -----------------------------------------------------------------------

    def _event_table(self) -> dict[type, Callable[[Any], None]]:
        return {
            BytesReceived: self._bytes_received,
            Sent: self._sent,
            LinkOpened: self._link_opened,
            LinkClosed: self._link_closed,
            DialFailed: self._dial_failed,
            Tick: self._tick,
            PeersFound: self._named(self._finding.found),
            AddPeer: self._named(self._add_peer),
            DropPeer: self._named(self._drop_peer),
        }

    def _peer_table(self) -> dict[type, Callable[[L, Any], None]]:
        return {
            peer.HandshakeDone: self._shaken,
            peer.PortReceived: self._has_node,
            peer.Fault: self._fault,
        }

    def _named(self, command: Callable[[Any], None]) -> Callable[[Any], None]:
        """``command`` for events that name this torrent, and no other."""

        def handle(event: Any) -> None:
            self._check_name(event.torrent)
            command(event)

        return handle

    def _check_name(self, info_hash: InfoHash) -> None:
        if info_hash != self.info_hash:
            raise LocalProtocolError("the event is for another torrent")

    def _end_step(self) -> list[Action]:
        self._settle()
        actions = self._context.actions
        self._context.actions = []
        return actions

    # --- What a subclass adds to ---------------------------------------------------------

    def _opened(self, link: L) -> None:
        """A link is new."""

    def _after_input(self, link: L) -> None:
        """A link that lives has been heard."""
        if link.wire.has_output:
            self._links.touch(link)

    def _forget(self, link: L) -> None:
        """What hangs on a link that is gone."""
        self._context.budgets.links.give(1)
        self._dialling.link_lost(link)

    # --- Links -------------------------------------------------------------------------

    def _bytes_received(self, event: BytesReceived) -> None:
        link = self._links.get(event.link)
        if link is not None:
            self._take_in(link, link.receive(event.data, self._context.now))

    def _take_in(self, link: L, said: Iterator[peer.PeerEvent]) -> None:
        for happened in said:
            self._on_peer[type(happened)](link, happened)
            if link.gone:
                return
        self._after_input(link)

    def _link_opened(self, event: LinkOpened) -> None:
        if self._links.is_known(event.link):
            raise LocalProtocolError(f"link {event.link!r} is open already")
        address, wanted = event.address, True
        if event.dial_id is not None:
            self._check_dial(event.dial_id)
            address, wanted = self._dialling.opened(event.dial_id)
        else:
            self._context.budgets.links.take(1, self.info_hash, force=True)
        now = self._context.now
        since = now if event.since is None else min(event.since, now)
        dialled = event.dial_id is not None
        link = self._links.open(event.link, address, dialled=dialled, since=since)
        self._opened(link)
        if not wanted:
            self._close(link, CloseReason.DROPPED)
        elif not self._context.is_running:
            self._close(link, CloseReason.STOPPING)

    def _dial_failed(self, event: DialFailed) -> None:
        self._check_dial(event.dial_id)
        self._dialling.failed(event.dial_id)

    def _check_dial(self, dial_id: int) -> None:
        if not self._dialling.knows(dial_id):
            raise LocalProtocolError(f"no dial {dial_id} is under way")

    def _link_closed(self, event: LinkClosed) -> None:
        link = self._links.closed(event.link)
        if link is not None:
            failed = bool(event.detail)
            reason = CloseReason.CONNECTION_FAILED if failed else CloseReason.REMOTE_CLOSED
            self._links.lost(link, reason, event.detail)
            self._forget(link)

    def _close(self, link: L, reason: CloseReason, detail: str = "") -> None:
        self._links.close(link, reason, detail)
        self._forget(link)

    # --- What peers say ------------------------------------------------------------------

    def _shaken(self, link: L, event: peer.HandshakeDone) -> None:
        if self._context.bans.refuses(link.identity):
            self._close(link, CloseReason.BANNED)
            return
        surplus = self._links.surplus(link)
        if surplus is not None:
            self._close(surplus, CloseReason.DUPLICATE_PEER)
        if surplus is not link:
            self._links.shaken(link, event)
            self._links.arm(link)  # after a sleep, a keep-alive is owed before a handshake was

    def _has_node(self, link: L, event: peer.PortReceived) -> None:
        """BEP 5: the peer has a node of the DHT.  What it says again is not looked at."""
        if self._node_seen is not None and not link.told_node:
            link.told_node = True
            self._node_seen(Address(link.state.address.host, event.port))

    def _fault(self, link: L, event: peer.Fault) -> None:
        if event.reason is CloseReason.SELF_CONNECTION:
            self._dialling.is_ourselves(link)
        self._close(link, event.reason, event.detail)

    # --- Commands and time ---------------------------------------------------------------

    def _add_peer(self, event: AddPeer) -> None:
        self._dialling.add(event.address)

    def _drop_peer(self, event: DropPeer) -> None:
        self._dialling.drop(event.address)
        for link in self._links.to(event.address):
            self._close(link, CloseReason.DROPPED)

    def _tick(self, _event: Tick) -> None:
        self._dialling.stale = True
        for link in self._links.pop_due():
            for happened in link.wire.tick(self._context.now):
                self._on_peer[type(happened)](link, happened)
            if not link.gone:
                self._links.arm(link)
                self._links.touch(link)
