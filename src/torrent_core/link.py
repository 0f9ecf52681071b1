"""One connection as a stack: the handshake, then the peer wire."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from .deadlines import Deadline
from .errors import LocalProtocolError, WireError
from .geometry import Geometry
from .limits import HANDSHAKE_TIMEOUT
from .linkstate import LinkState
from .peer.connection import PeerConnection
from .peer.events import BlockSink, Fault, HandshakeDone, PeerEvent
from .peer.framing import Splitter
from .peer.landing import Landing
from .peer.outbox import Outbox
from .peer.states import Lifecycle, Phase, Signal
from .peer.uploads import UploadQueue
from .types import Buffer, CloseReason
from .wire import handshake as wire
from .wire.handshake import Handshake

DEFAULT_RESERVED = b"\0\0\0\0\0\x10\0\x04"
"""Reserved bytes that offer BEP 10 and BEP 6."""

RESERVED_WITH_DHT = b"\0\0\0\0\0\x10\0\x05"
"""The same, and a node of the DHT (BEP 5)."""

MakeFramer: TypeAlias = Callable[[LinkState, Outbox], Splitter]
"""Makes what reads a link's input once hands are shaken."""


class Link:
    """A connection to one peer about one torrent.

    Who dialled speaks first.  Who was dialled answers once the peer has named our torrent, so
    that nobody learns from us which torrents we do *not* share with it.  ``peer`` has the
    verbs, from the moment that ``HandshakeDone`` is yielded.
    """

    __slots__ = (
        "_geometry",
        "_greeted",
        "_greeting",
        "_head",
        "_life",
        "_make_framer",
        "_ours",
        "_outbox",
        "_peer",
        "_since",
        "_sink",
        "state",
    )

    def __init__(
        self,
        state: LinkState,
        *,
        info_hash: bytes,
        peer_id: bytes,
        geometry: Geometry,
        sink: BlockSink,
        now: float,
        since: float | None = None,
        reserved: bytes = DEFAULT_RESERVED,
        greeted: bool = False,
        unsent: int = 0,
        make_framer: MakeFramer | None = None,
    ) -> None:
        """``info_hash``, ``peer_id`` and ``reserved`` are what we say; ``since`` is when the
        connection opened, if that was before ``now``.

        A connection that somebody else has had before has ``greeted`` if our handshake is
        under way already, and ``unsent`` bytes that are still to leave.  ``make_framer`` is
        for a torrent of which nothing is known but its name.

        Raises LocalProtocolError when one of them does not have its length.
        """
        self.state = state
        """The record of the link; only the link's own machines write to it."""
        self._geometry = geometry
        self._sink = sink
        self._since = now if since is None else since
        self._outbox = Outbox(state.up, now, unsent)
        self._make_framer = make_framer
        self._life = Lifecycle()
        self._head = bytearray()
        self._peer: PeerConnection | None = None
        self._ours = Handshake(info_hash, peer_id, reserved)
        try:
            self._greeting = wire.encode(self._ours)
        except WireError as error:
            raise LocalProtocolError(str(error)) from error
        self._greeted = greeted
        if not state.incoming and not greeted:
            self._greet()

    @property
    def phase(self) -> Phase:
        """Where the link is in its life."""
        return self._life.phase

    @property
    def is_open(self) -> bool:
        """Whether handshakes are through and the link is not closed."""
        return self._life.phase is Phase.OPEN

    @property
    def peer(self) -> PeerConnection:
        """The peer wire.  LocalProtocolError before the handshakes are through."""
        if self._peer is None:
            raise LocalProtocolError("the handshakes are not through")
        return self._peer

    @property
    def uploads(self) -> UploadQueue | None:
        """What the peer asked for; None before the handshakes are through."""
        return None if self._peer is None else self._peer.uploads

    # --- Input and time ----------------------------------------------------------------------

    def receive(self, data: Buffer, now: float) -> Iterator[PeerEvent]:
        """What ``data`` means, event by event; as ``PeerConnection.receive``."""
        if self._peer is not None:
            return self._peer.receive(data, now)
        return self._shake(memoryview(data), now)

    def landing(self, most: int) -> Landing | None:
        """Places for what comes next; as ``PeerConnection.landing``."""
        return None if self._peer is None else self._peer.landing(most)

    def tick(self, now: float) -> Iterator[PeerEvent]:
        """Do what is due."""
        if self._peer is not None:
            return self._peer.tick(now)
        return self._watch_handshake(now)

    def next_deadline(self) -> Deadline | None:
        """When ``tick`` has something to do; None once the link is closed."""
        if self._peer is not None:
            return self._peer.next_deadline()
        if self._life.phase is Phase.CLOSED:
            return None
        return Deadline(self._since + HANDSHAKE_TIMEOUT, "handshake")

    def postpone(self, seconds: float) -> None:
        """Do not hold the last ``seconds`` against the peer: nobody was there to listen."""
        self._since += seconds
        if self._peer is not None:
            self._peer.postpone(seconds)

    def close(self) -> None:
        """Ignore all further input and have no more deadlines; as ``PeerConnection.close``."""
        self._life.signal(Signal.CLOSE)

    def detach_block(self) -> None:
        """Take back the view that ``open_block`` gave, if one is out."""
        if self._peer is not None:
            self._peer.detach_block()

    # --- Output ------------------------------------------------------------------------------

    def drain(self, now: float) -> bytes:
        """Everything queued since the last call; ``now`` counts as the time of our last send."""
        return self._outbox.drain(now)

    def sent(self, count: int, now: float) -> None:
        """So many drained bytes have left.  LocalProtocolError for more than are unsent."""
        self._outbox.sent(count, now)

    @property
    def has_output(self) -> bool:
        """Whether there is anything to drain."""
        return self._outbox.has_output

    @property
    def unsent(self) -> int:
        """Bytes drained and not reported as sent."""
        return self._outbox.unsent

    @property
    def backlog(self) -> int:
        """Bytes that the peer has not taken yet, drained or not."""
        return self._outbox.backlog

    # --- Handshake ---------------------------------------------------------------------------

    def _shake(self, data: memoryview, now: float) -> Iterator[PeerEvent]:
        if self._life.phase is Phase.CLOSED:
            return
        taken = min(len(data), wire.HANDSHAKE_LENGTH - len(self._head))
        self._head += data[:taken]
        fault = self._judge_start()
        if fault is not None:
            yield fault
            return
        theirs = wire.decode(self._head)
        if theirs is None:
            return
        if theirs.peer_id == self._ours.peer_id:
            yield self._fault(CloseReason.SELF_CONNECTION, "its peer id is ours")
            return
        peer = self._open(theirs, now)
        yield HandshakeDone(theirs)
        yield from peer.receive(data[taken:], now)

    def _judge_start(self) -> Fault | None:
        """Look at the protocol and the torrent as far as they are named; greet when right."""
        try:
            named = wire.peek_info_hash(self._head)
        except WireError as error:
            return self._fault(CloseReason.WRONG_PROTOCOL, str(error))
        if named is None:
            return None
        if named != self._ours.info_hash:
            return self._fault(CloseReason.WRONG_TORRENT, f"it named {named.hex()}")
        if not self._greeted:
            self._greet()
        return None

    def _greet(self) -> None:
        self._greeted = True
        self._outbox.put(self._greeting)

    def _open(self, theirs: Handshake, now: float) -> PeerConnection:
        state = self.state
        state.peer_id = theirs.peer_id
        state.fast = self._ours.fast and theirs.fast
        state.extended = self._ours.extended and theirs.extended
        self._life.signal(Signal.SHAKEN)
        make = self._make_framer
        self._peer = PeerConnection(
            state,
            self._geometry,
            self._sink,
            now,
            outbox=self._outbox,
            life=self._life,
            framer=None if make is None else make(state, self._outbox),
        )
        return self._peer

    def _watch_handshake(self, now: float) -> Iterator[PeerEvent]:
        if self._life.phase is Phase.HANDSHAKE and now >= self._since + HANDSHAKE_TIMEOUT:
            detail = f"{len(self._head)} of {wire.HANDSHAKE_LENGTH} bytes came"
            yield self._fault(CloseReason.HANDSHAKE_TIMEOUT, detail)

    def _fault(self, reason: CloseReason, detail: str) -> Fault:
        self._life.signal(Signal.FAULT)
        return Fault(reason, detail)
