"""The table of live links: who is linked, by every name, and what each owes at a step's end.

A torrent and a magnet have one each.  What is said on a link is for a subclass to know; here
it opens, has deadlines, sends and closes.
"""

from __future__ import annotations

from typing import Protocol

from ..actions import Close, LinkLost, LinkReady, Send
from ..addresses import packed
from ..deadlines import Deadline, Deadlines
from ..errors import LocalProtocolError
from ..geometry import Geometry
from ..limits import MAX_UPLOAD_QUEUE
from ..link import DEFAULT_RESERVED, RESERVED_WITH_DHT, Link, MakeFramer
from ..linkstate import LinkState
from ..peer.events import BlockSink, HandshakeDone
from ..rates import Rate
from ..registry import Registry
from ..types import Address, CloseReason, LinkId
from ..wire import extended
from .handed import HandedLink
from .live import L, LinkContext


class _Own(Protocol[L]):
    """What each table does for itself."""

    def _make(self, wire: Link, handed: HandedLink) -> L:
        """The record of a link that is taken in."""
        ...

    def _begin(self, link: L, event: HandshakeDone) -> None:
        """Say what comes after the handshake, and report the link."""
        ...


class LinkTable(_Own[L]):
    """Live links by the adapter's id, and those that wait for their ``LinkClosed``.

    ``geometry``, ``sink`` and ``make_framer`` are for the ``Link`` of each.
    """

    def __init__(
        self,
        context: LinkContext,
        geometry: Geometry,
        sink: BlockSink,
        make_framer: MakeFramer | None = None,
    ) -> None:
        self._context = context
        self._geometry = geometry
        self._sink = sink
        self._make_framer = make_framer
        self._links: Registry[LinkId, L] = Registry()
        self._by_ordinal: dict[int, L] = {}
        self._by_peer_id: dict[bytes, L] = {}
        self._closing: dict[LinkId, L] = {}
        self._touched: dict[int, L] = {}
        self._deadlines: Deadlines[int] = Deadlines()
        self._last_ordinal = 0

    # --- Finding -----------------------------------------------------------------------

    def get(self, link: LinkId) -> L | None:
        """The live link of that id; None between its ``Close`` and its ``LinkClosed``.

        Raises LocalProtocolError for an id that is neither.
        """
        found = self._links.get(link)
        if found is None and link not in self._closing:
            raise LocalProtocolError(f"no link {link!r}")
        return found

    def is_known(self, link: LinkId) -> bool:
        """Whether the id is in use, or waits for its ``LinkClosed``."""
        return link in self._links or link in self._closing

    def find(self, ordinal: int) -> L | None:
        """The live link of that ordinal."""
        return self._by_ordinal.get(ordinal)

    def live(self, ordinal: int) -> L:
        """The same, of a link that is known to live: it has requests out, or a slot."""
        return self._by_ordinal[ordinal]

    @property
    def active(self) -> list[L]:
        """The live links, oldest first."""
        return self._links.active

    def to(self, address: Address) -> list[L]:
        """The live links with that other end, or to the peer that listens there."""
        return [
            link
            for link in self._links
            if link.state.address == address or address in link.candidates
        ]

    def __len__(self) -> int:
        return len(self._links)

    # --- Opening -----------------------------------------------------------------------

    def open(self, link: LinkId, address: Address, *, dialled: bool, since: float) -> L:
        """Take a connection in; our handshake goes out at once if we dialled."""
        candidates = (address,) if dialled else ()
        return self.take(HandedLink(link, address, dialled, since, candidates))

    def take(self, handed: HandedLink) -> L:
        """Take a connection in, as far as it has come."""
        context = self._context
        now = context.now
        self._last_ordinal += 1
        state = LinkState(
            ordinal=self._last_ordinal,
            link=handed.link,
            address=handed.address,
            incoming=not handed.dialled,
            down=Rate(now),
            up=Rate(now),
        )
        wire = Link(
            state,
            info_hash=context.info_hash,
            peer_id=context.peer_id,
            geometry=self._geometry,
            sink=self._sink,
            now=now,
            since=handed.since,
            greeted=handed.greeted,
            unsent=handed.unsent,
            reserved=DEFAULT_RESERVED if context.dht_port is None else RESERVED_WITH_DHT,
            make_framer=self._make_framer,
        )
        made = self._make(wire, handed)
        self._links.add(handed.link, made)
        self._by_ordinal[state.ordinal] = made
        self.arm(made)
        self.touch(made)
        return made

    def surplus(self, link: L) -> L | None:
        """A peer has just named itself: which link to it is one too many, if any."""
        peer_id = link.state.peer_id
        first = self._by_peer_id.get(peer_id)
        if first is None:
            return None
        return one_too_many(first, link, we_are_greater=self._context.peer_id > peer_id)

    def shaken(self, link: L, event: HandshakeDone) -> None:
        """Hands are shaken, and the link is the peer's only one: say what is owed."""
        self._by_peer_id[link.state.peer_id] = link
        self._begin(link, event)

    def _introduce(self, link: L, offers: dict[bytes, int], size: int | None = None) -> None:
        """BEP 10: ``offers`` are our numbers of extensions, ``size`` is of the metadata that
        the peer may ask for (BEP 9)."""
        if not link.state.extended:
            return
        hello = extended.ExtendedHandshake(
            m=offers,
            metadata_size=size,
            v=self._context.config.client_name,
            p=self._context.config.listen_port,
            reqq=MAX_UPLOAD_QUEUE,
            yourip=packed(link.state.address.host),
        )
        link.wire.peer.send_extended(0, extended.encode(hello))

    def _report_ready(self, link: L) -> None:
        state, context = link.state, self._context
        ready = LinkReady(context.info_hash, link.id, state.address, state.peer_id)
        context.actions.append(ready)

    # --- Closing -----------------------------------------------------------------------

    def close(self, link: L, reason: CloseReason, detail: str = "") -> None:
        """Say what is owed, close, and wait for the adapter's ``LinkClosed``."""
        self.flush_one(link)
        self._context.actions.append(Close(link.id, reason, detail))
        self._closing[link.id] = link
        self._end(link, reason, detail)

    def closed(self, link: LinkId) -> L | None:
        """The adapter says that the connection is gone; returns it if that is news."""
        closing = self._closing.pop(link, None)
        if closing is not None:
            self._settle(closing)
        return self._links.get(link)

    def lost(self, link: L, reason: CloseReason, detail: str) -> None:
        """Forget a link, of which no ``LinkClosed`` is to come."""
        self._end(link, reason, detail)
        self._settle(link)

    def _end(self, link: L, reason: CloseReason, detail: str) -> None:
        link.wire.close()
        self._drop(link)
        gone = LinkLost(self._context.info_hash, link.id, link.state.address, reason, detail)
        self._context.actions.append(gone)

    def _drop(self, link: L) -> None:
        """It is not ours any more; nobody is told."""
        ordinal, peer_id = link.state.ordinal, link.state.peer_id
        link.gone = True
        self._links.remove(link.id)
        del self._by_ordinal[ordinal]
        self._touched.pop(ordinal, None)
        self._deadlines.clear(ordinal)
        if self._by_peer_id.get(peer_id) is link:
            del self._by_peer_id[peer_id]

    def _settle(self, link: L) -> None:
        """The connection is gone, so that its totals are final."""

    # --- The end of a step ---------------------------------------------------------------

    def touch(self, link: L) -> None:
        """The link may have something to send when the step ends."""
        self._touched[link.state.ordinal] = link

    def flush(self) -> None:
        """One ``Send`` for each link that has something to say."""
        for link in self._touched.values():
            self.flush_one(link)
        self._touched.clear()

    def flush_one(self, link: L) -> None:
        """Send what one link has queued."""
        data = link.wire.drain(self._context.now)
        if data:
            self._context.actions.append(Send(link.id, data))

    # --- Time ----------------------------------------------------------------------------

    def pop_due(self) -> list[L]:
        """The links whose own deadlines have come: each is to be armed anew."""
        due: list[L] = []
        while (first := self._first()) is not None and first[0].when <= self._context.now:
            due.append(first[1])
            self._deadlines.clear(first[1].state.ordinal)
        return due

    def arm(self, link: L) -> None:
        """Note when something is due of the link."""
        self._note(link, link.wire.next_deadline())

    def postpone(self, seconds: float) -> None:
        """Hold the last ``seconds`` against no peer; what is due of ours stays due."""
        for link in self._links:
            link.wire.postpone(seconds)
            self.arm(link)

    def next_deadline(self) -> Deadline | None:
        """The first deadline of any link."""
        due = self._first()
        return None if due is None else due[0]

    def _first(self) -> tuple[Deadline, L] | None:
        """The first deadline of any link, and whose it is.

        Once hands are shaken, whatever is said or heard puts a link's deadline off, so that what is
        noted is too early at worst: it is looked at when it seems to be the first, and not with
        every message.
        """
        while (first := self._deadlines.soonest()) is not None:
            link = self._by_ordinal[first[1]]
            due = link.wire.next_deadline()
            if due is not None and due.when <= first[0]:
                return due, link
            self._note(link, due)
        return None

    def _note(self, link: L, due: Deadline | None) -> None:
        self._deadlines.put(link.state.ordinal, None if due is None else due.when)


def one_too_many(first: L, link: L, *, we_are_greater: bool) -> L:
    """Which of two links to the same peer is to be closed, ``link`` being the later one.

    Where each side dialled the other, the link opened by the greater peer id stays, as in
    libtorrent: both sides come to the same answer, in whatever order hands are shaken.
    Otherwise the first stays.  What the book was to be told of the other goes to it.
    """
    crossed = first.state.incoming is not link.state.incoming
    if crossed and we_are_greater is not link.state.incoming:
        first, link = link, first
    first.candidates += link.candidates
    link.candidates = []
    return link
