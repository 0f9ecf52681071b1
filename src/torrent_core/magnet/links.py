"""The links of a magnet: opening, shaking hands, closing, and giving them away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from ..actions import Close, LinkLost, LinkReady, Send
from ..addresses import packed
from ..deadlines import Deadline, Deadlines
from ..errors import LocalProtocolError
from ..geometry import Geometry
from ..limits import MAX_UPLOAD_QUEUE
from ..link import DEFAULT_RESERVED, RESERVED_WITH_DHT, Link
from ..linkstate import LinkState
from ..peer.events import HandshakeDone, PeerEvent
from ..peer.outbox import Outbox
from ..pex import PexReceiver
from ..rates import Rate
from ..torrent import HandedLink
from ..torrent.dialled import one_too_many
from ..types import Address, Buffer, CloseReason, Identity, LinkId
from ..wire import extended
from ..wire.handshake import HANDSHAKE_LENGTH, INFO_HASH_END
from .context import Context
from .early import EarlyFramer

_NOTHING = Geometry(1, 1)
"""Of a torrent of which nothing is known.  It is asked about nothing but our own empty hands."""


class _NoSink:
    """Where blocks would go, if there were any."""

    def open_block(self, state: LinkState, index: int, begin: int, length: int) -> None:
        """Never called: a block is a fault here."""


@attrs.define(eq=False)
class EarlyLink:
    """One link with what its peer has said."""

    state: LinkState
    opened_at: float
    wire: Link
    candidates: list[Address]
    """Peers of the dial book whose link this is."""
    exchange: PexReceiver
    """Takes what the peer tells of others (BEP 11)."""
    framer: EarlyFramer | None = None
    """From the end of the handshakes on."""
    head: bytearray = attrs.field(factory=bytearray)
    """The peer's handshake as far as it has come."""
    metadata_id: int = 0
    """The peer's number for ut_metadata; 0 if it does not speak that."""
    was_useful: bool = False
    told_node: bool = False
    """The peer has said where its node of the DHT is."""
    gone: bool = False

    @property
    def id(self) -> LinkId:
        """The adapter's name for it."""
        return self.state.link

    @property
    def identity(self) -> Identity:
        """Who is at the other end, once hands are shaken."""
        return Identity(self.state.address.host, self.state.peer_id)

    def receive(self, data: Buffer, now: float) -> Iterator[PeerEvent]:
        """``Link.receive``, and the handshake is kept."""
        missing = HANDSHAKE_LENGTH - len(self.head)
        self.head += memoryview(data)[:missing]
        return self.wire.receive(data, now)

    def hand_over(self, piece_count: int) -> HandedLink:
        """All that a torrent of so many pieces needs to go on with it."""
        heard, dialled = bytes(self.head), not self.state.incoming
        if self.framer is not None:
            heard += self.framer.said.again(self.state, piece_count) + self.framer.tail
        return HandedLink(
            link=self.id,
            address=self.state.address,
            dialled=dialled,
            since=self.opened_at,
            candidates=tuple(self.candidates),
            greeted=dialled or len(self.head) >= INFO_HASH_END,
            shaken=self.framer is not None,
            unsent=self.wire.unsent,
            heard=heard,
        )


class Links:
    """Live links by the adapter's id, and those that wait for their ``LinkClosed``."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._links: dict[LinkId, EarlyLink] = {}
        self._by_ordinal: dict[int, EarlyLink] = {}
        self._by_peer_id: dict[bytes, EarlyLink] = {}
        self._closing: dict[LinkId, EarlyLink] = {}
        self._touched: dict[int, EarlyLink] = {}
        self._deadlines: Deadlines[int] = Deadlines()
        self._last_ordinal = 0

    # --- Finding -----------------------------------------------------------------------

    def get(self, link: LinkId) -> EarlyLink | None:
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

    def find(self, ordinal: int) -> EarlyLink | None:
        """The live link of that ordinal."""
        return self._by_ordinal.get(ordinal)

    def named(self, ordinals: Iterable[int]) -> dict[LinkId, Address]:
        """The live links of these ordinals, and their other ends."""
        found = [self._by_ordinal[ordinal] for ordinal in ordinals if ordinal in self._by_ordinal]
        return {link.id: link.state.address for link in found}

    @property
    def active(self) -> list[EarlyLink]:
        """The live links, oldest first."""
        return list(self._links.values())

    def to(self, address: Address) -> list[EarlyLink]:
        """The live links with that other end, or to the peer that listens there."""
        return [
            link
            for link in self._links.values()
            if link.state.address == address or address in link.candidates
        ]

    def __len__(self) -> int:
        return len(self._links)

    # --- Opening -----------------------------------------------------------------------

    def open(self, link: LinkId, address: Address, *, dialled: bool, since: float) -> EarlyLink:
        """Take a connection in; our handshake goes out at once if we dialled."""
        context = self._context
        now = context.now
        self._last_ordinal += 1
        ordinal = self._last_ordinal
        state = LinkState(ordinal, link, address, not dialled, down=Rate(now), up=Rate(now))
        wire = Link(
            state,
            info_hash=context.info_hash,
            peer_id=context.peer_id,
            geometry=_NOTHING,
            sink=_NoSink(),
            now=now,
            since=since,
            reserved=DEFAULT_RESERVED if context.config.dht_port is None else RESERVED_WITH_DHT,
            make_framer=self._make_framer,
        )
        candidates = [address] if dialled else []
        made = EarlyLink(state, since, wire, candidates, PexReceiver(address.host))
        self._links[link] = self._by_ordinal[ordinal] = made
        self.touch(made)
        return made

    def _make_framer(self, state: LinkState, outbox: Outbox) -> EarlyFramer:
        framer = self._by_ordinal[state.ordinal].framer = EarlyFramer(state, outbox)
        return framer

    def surplus(self, link: EarlyLink) -> EarlyLink | None:
        """A peer has just named itself: which link to it is one too many, if any."""
        peer_id = link.state.peer_id
        first = self._by_peer_id.get(peer_id)
        if first is None:
            return None
        return one_too_many(first, link, we_are_greater=self._context.peer_id > peer_id)

    def shaken(self, link: EarlyLink, event: HandshakeDone) -> None:
        """Hands are shaken: say that we have nothing, and want metadata."""
        context, peer_id = self._context, event.handshake.peer_id
        self._by_peer_id[peer_id] = link
        peer = link.wire.peer
        peer.send_pieces(0)
        if link.state.extended:
            hello = extended.ExtendedHandshake(
                m=context.extensions,
                v=context.config.client_name,
                p=context.config.listen_port,
                reqq=MAX_UPLOAD_QUEUE,
                yourip=packed(link.state.address.host),
            )
            peer.send_extended(0, extended.encode(hello))
        ready = LinkReady(context.info_hash, link.id, link.state.address, peer_id)
        context.actions.append(ready)

    # --- Closing -----------------------------------------------------------------------

    def close(self, link: EarlyLink, reason: CloseReason, detail: str = "") -> None:
        """Say what is owed, close, and wait for the adapter's ``LinkClosed``."""
        self._flush_one(link)
        self._context.actions.append(Close(link.id, reason, detail))
        self._closing[link.id] = link
        self.lost(link, reason, detail)

    def closed(self, link: LinkId) -> EarlyLink | None:
        """The adapter says that the connection is gone; returns it if that is news."""
        self._closing.pop(link, None)
        return self._links.get(link)

    def lost(self, link: EarlyLink, reason: CloseReason, detail: str) -> None:
        """Forget a link."""
        state = link.state
        link.gone = True
        link.wire.close()
        self._forget(link)
        gone = LinkLost(self._context.info_hash, link.id, state.address, reason, detail)
        self._context.actions.append(gone)

    def give_away(self, piece_count: int) -> list[HandedLink]:
        """All live links, for a torrent of so many pieces; they are not ours any more."""
        handed = [link.hand_over(piece_count) for link in self.active]
        for link in self.active:
            link.gone = True
            self._forget(link)
        return handed

    def _forget(self, link: EarlyLink) -> None:
        ordinal = link.state.ordinal
        del self._links[link.id], self._by_ordinal[ordinal]
        self._touched.pop(ordinal, None)
        self._deadlines.clear(ordinal)
        if self._by_peer_id.get(link.state.peer_id) is link:
            del self._by_peer_id[link.state.peer_id]

    # --- The end of a step ---------------------------------------------------------------

    def touch(self, link: EarlyLink) -> None:
        """The link may have something to send, or another deadline, when the step ends."""
        self._touched[link.state.ordinal] = link

    def flush(self) -> None:
        """One ``Send`` for each link that has something to say."""
        for link in self._touched.values():
            self._flush_one(link)
            self._rearm(link)
        self._touched.clear()

    def _flush_one(self, link: EarlyLink) -> None:
        data = link.wire.drain(self._context.now)
        if data:
            self._context.actions.append(Send(link.id, data))

    def _rearm(self, link: EarlyLink) -> None:
        due = link.wire.next_deadline()
        self._deadlines.put(link.state.ordinal, None if due is None else due.when)

    def pop_due(self) -> EarlyLink | None:
        """The next link whose own deadline has come."""
        ordinal = self._deadlines.pop_due(self._context.now)
        return None if ordinal is None else self._by_ordinal[ordinal]

    def postpone(self, seconds: float) -> None:
        """Hold the last ``seconds`` against no peer."""
        for link in self._links.values():
            link.wire.postpone(seconds)
            self._rearm(link)

    def next_deadline(self) -> Deadline | None:
        """The first deadline of any link."""
        first = self._deadlines.soonest()
        return None if first is None else self._by_ordinal[first[1]].wire.next_deadline()
