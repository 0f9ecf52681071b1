"""One handshaken connection: what comes in becomes events, what the caller says bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..bitfield import to_wire
from ..deadlines import Deadline
from ..errors import LocalProtocolError, WireError
from ..geometry import Geometry
from ..limits import (
    IDLE_TIMEOUT,
    KEEPALIVE_INTERVAL,
    MAX_EXTENDED_MESSAGE,
    MAX_REQUEST_LENGTH,
)
from ..linkstate import LinkState
from ..types import BlockInfo, Buffer, CloseReason
from ..wire import messages as wire
from .events import BlockSink, Fault, PeerEvent
from .framing import Framer, Splitter
from .inbound import Inbound
from .landing import Landing
from .outbox import Outbox
from .states import Group, Lifecycle, Phase, Signal
from .uploads import UploadQueue


class PeerConnection:
    """The peer wire of one link, from the end of the handshakes on.

    ``receive`` and ``tick`` are lazy: run them to their end, or drop the link.  The verbs
    queue bytes for ``drain``.  Each raises LocalProtocolError, and has then changed nothing,
    when it is called on a link that is not open, before ``send_pieces``, or with values that
    have no place in this torrent.  A verb that would change nothing sends nothing.
    """

    __slots__ = (
        "_announced",
        "_framer",
        "_geometry",
        "_heard",
        "_life",
        "_outbox",
        "state",
        "uploads",
    )

    def __init__(
        self,
        state: LinkState,
        geometry: Geometry,
        sink: BlockSink,
        now: float,
        *,
        outbox: Outbox | None = None,
        life: Lifecycle | None = None,
        framer: Splitter | None = None,
    ) -> None:
        """``outbox`` and ``life`` are a link's, which shares them with its handshake;
        ``framer`` reads the input in place of the usual one."""
        self.state = state
        """The record of the link; only this machine writes to it."""
        self.uploads = UploadQueue()
        """What the peer asked for; ``take`` and ``is_wanted`` are for the caller to use."""
        self._geometry = geometry
        self._outbox = outbox or Outbox(state.up, now)
        self._life = life or Lifecycle(Phase.OPEN)
        if framer is None:
            inbound = Inbound(state, geometry, self.uploads, self._outbox)
            framer = Framer(state, geometry, sink, inbound.handlers())
        self._framer = framer
        self._heard = now
        self._announced = False

    @property
    def phase(self) -> Phase:
        """Where the link is in its life."""
        return self._life.phase

    # --- Input and time ----------------------------------------------------------------------

    def receive(self, data: Buffer, now: float) -> Iterator[PeerEvent]:
        """What ``data`` means, event by event; a ``Fault`` ends it and the link.

        Buffers in events are views on ``data`` or the sink's.
        """
        if self._life.phase is not Phase.OPEN or not len(data):
            return
        self._heard = max(self._heard, now)
        try:
            yield from self._framer.split(memoryview(data), now)
        except WireError as error:
            yield self._fault(CloseReason.PROTOCOL_ERROR, str(error))

    def landing(self, most: int) -> Landing | None:
        """Places for what comes next, ``most`` bytes at most; None if that is not known."""
        return self._framer.landing(most) if self._life.phase is Phase.OPEN else None

    def landed(self, landing: Landing, count: int, now: float) -> Iterator[PeerEvent]:
        """``receive`` for ``count`` bytes in the places of ``landing``, since which nothing else
        was received."""
        self._heard = max(self._heard, now)
        try:
            yield from landing.landed(count, now)
        except WireError as error:
            yield self._fault(CloseReason.PROTOCOL_ERROR, str(error))

    def tick(self, now: float) -> Iterator[PeerEvent]:
        """Do what is due: give the peer up, or queue a keep-alive."""
        if self._life.phase is not Phase.OPEN:
            return
        if now >= self._heard + IDLE_TIMEOUT:
            yield self._fault(CloseReason.IDLE_TIMEOUT, f"nothing for {IDLE_TIMEOUT:g} s")
        elif now >= self._outbox.last_drained + KEEPALIVE_INTERVAL:
            self._outbox.last_drained = now
            self._outbox.put(wire.encode(wire.KeepAlive()))

    def next_deadline(self) -> Deadline | None:
        """When ``tick`` has something to do; None once the link is closed."""
        if self._life.phase is not Phase.OPEN:
            return None
        idle = self._heard + IDLE_TIMEOUT
        keep_alive = self._outbox.last_drained + KEEPALIVE_INTERVAL
        if keep_alive < idle:
            return Deadline(keep_alive, "keep-alive")
        return Deadline(idle, "idle link")

    def postpone(self, seconds: float) -> None:
        """Do not hold the last ``seconds`` against the peer: nobody was there to listen."""
        self._heard += seconds

    def close(self) -> None:
        """Ignore all further input and have no more deadlines; closing twice does no harm.

        An iteration of ``receive`` that is under way is to be left, not finished.
        """
        self._life.signal(Signal.CLOSE)

    def detach_block(self) -> None:
        """Take back the view that ``open_block`` gave, if one is out."""
        self._framer.detach()

    def _fault(self, reason: CloseReason, detail: str) -> Fault:
        if self._life.phase is Phase.OPEN:
            self._life.signal(Signal.FAULT)
        return Fault(reason, detail)

    # --- Output ------------------------------------------------------------------------------

    def drain(self, now: float) -> bytes:
        """Everything queued since the last call; ``now`` counts as the time of our last send."""
        return self._outbox.drain(now)

    def sent(self, count: int, now: float) -> None:
        """So many drained bytes have left.  LocalProtocolError for more than are unsent."""
        self._outbox.sent(count, now)

    @property
    def unsent(self) -> int:
        """Bytes drained and not reported as sent."""
        return self._outbox.unsent

    # --- Verbs: what we have, and whether we want --------------------------------------------

    def send_pieces(self, have: int) -> None:
        """Say which pieces we have (a bit set); comes before every other verb, and once.

        BEP 3, bitfield; BEP 6, have all and have none.
        """
        self._life.require(Group.BASE, self.state)
        if self._announced:
            raise LocalProtocolError("the pieces were sent already")
        if have >> self._geometry.piece_count:
            raise LocalProtocolError("pieces that the torrent does not have")
        self._announced = True
        if self.state.fast and have in (0, self._geometry.all_pieces):
            self._outbox.put(wire.encode(wire.HaveAll() if have else wire.HaveNone()))
        elif have:
            self._outbox.put(wire.encode(wire.Bitfield(to_wire(have, self._geometry.piece_count))))

    def pieces_were_sent(self) -> None:
        """In place of ``send_pieces``: on this very connection, it was said before that we
        have none."""
        self._announced = True

    def have(self, indices: Iterable[int]) -> None:
        """BEP 3, have: these pieces are ours now.  Which are worth saying is for the caller."""
        self._require(Group.BASE)
        indices = self._existing(indices)
        self._outbox.put(wire.encode_haves(indices))

    def have_encoded(self, haves: bytes) -> None:
        """The same, of HAVEs encoded once for many links, for pieces that exist."""
        self._require(Group.BASE)
        self._outbox.put(haves)

    def set_interested(self, interested: bool) -> None:
        """BEP 3, interested and not interested."""
        self._require(Group.BASE)
        if self.state.am_interested is not interested:
            self.state.am_interested = interested
            self._outbox.put(wire.encode(wire.Interested() if interested else wire.NotInterested()))

    # --- Verbs: download ---------------------------------------------------------------------

    def request(self, blocks: Iterable[BlockInfo]) -> None:
        """BEP 3, request.  While the peer chokes us, only pieces it allowed fast (BEP 6)."""
        self._require(Group.BASE)
        blocks = list(blocks)
        if blocks and (self.state.peer_choking or not self._surely_fit(blocks)):
            for block in blocks:
                self._check_request(block)
        self._outbox.put(wire.encode_requests(blocks))

    def _surely_fit(self, blocks: list[BlockInfo]) -> bool:
        """Whether all are inside pieces that are not the last.  Of many at once that is soon
        seen; not sure are those of different shapes."""
        indices, begins, lengths = zip(*blocks, strict=True)
        if min(indices) < 0 or max(indices) >= self._geometry.piece_count - 1:
            return False
        if min(begins) < 0 or min(lengths) <= 0 or max(lengths) > MAX_REQUEST_LENGTH:
            return False
        longest: int = max(begins) + max(lengths)
        return longest <= self._geometry.piece_length

    def _check_request(self, block: BlockInfo) -> None:
        if block.length > MAX_REQUEST_LENGTH or not self._geometry.contains(*block):
            raise LocalProtocolError(f"{block} cannot be requested")
        if self.state.peer_choking and not self.state.allowed_fast >> block.piece & 1:
            raise LocalProtocolError(f"{block} requested while the peer chokes us")

    def cancel(self, blocks: Iterable[BlockInfo]) -> None:
        """BEP 3, cancel.  The peer may have answered already, and may still answer."""
        self._require(Group.BASE)
        blocks = list(blocks)
        for block in blocks:
            if not self._geometry.contains(*block):
                raise LocalProtocolError(f"{block} cannot have been requested")
        self._outbox.put(wire.encode_cancels(blocks))

    # --- Verbs: upload -----------------------------------------------------------------------

    def choke(self) -> None:
        """BEP 3, choke: turn all requests away but those for pieces granted (BEP 6)."""
        self._require(Group.BASE)
        if self.state.am_choking:
            return
        self.state.am_choking = True
        self._outbox.put(wire.encode(wire.Choke()))
        gone = self.uploads.keep_only(self.state.granted_fast)
        if self.state.fast:
            self._outbox.put(wire.encode_rejects(gone))

    def unchoke(self) -> None:
        """BEP 3, unchoke."""
        self._require(Group.BASE)
        if self.state.am_choking:
            self.state.am_choking = False
            self._outbox.put(wire.encode(wire.Unchoke()))

    def send_block(self, request: BlockInfo, data: Buffer) -> None:
        """BEP 3, piece: answer a request that is still wanted (``uploads.is_wanted``).

        ``data`` must stay as it is until ``drain``.
        """
        self._require(Group.BASE)
        if len(data) != request.length:
            raise LocalProtocolError(f"{len(data)} bytes for {request}")
        self._settle(request)
        self._outbox.put_block(request.piece, request.begin, data)

    def reject(self, request: BlockInfo) -> None:
        """BEP 6, reject request; where that is not agreed the request is only forgotten."""
        self._require(Group.BASE)
        self._settle(request)
        if self.state.fast:
            self._outbox.put(wire.encode_rejects((request,)))

    def allow_fast(self, indices: Iterable[int]) -> None:
        """BEP 6, allowed fast: the peer may request these pieces although we choke it."""
        self._require(Group.FAST)
        for index in self._existing(indices):
            if not self.state.granted_fast >> index & 1:
                self.state.granted_fast |= 1 << index
                self._outbox.put(wire.encode(wire.AllowedFast(index)))

    # --- Verbs: extensions -------------------------------------------------------------------

    def send_extended(self, ext_id: int, payload: bytes) -> None:
        """BEP 10: ``ext_id`` is the peer's number for the extension; 0 is the handshake."""
        self._require(Group.EXTENDED)
        if not 0 <= ext_id <= 0xFF or len(payload) > MAX_EXTENDED_MESSAGE - 2:
            raise LocalProtocolError(f"extended message {ext_id} of {len(payload)} bytes")
        self._outbox.put(wire.encode(wire.Extended(ext_id, payload)))

    def port(self, port: int) -> None:
        """BEP 5, port: where our DHT node listens (UDP)."""
        self._require(Group.BASE)
        if not 1 <= port <= 0xFFFF:
            raise LocalProtocolError(f"port {port}")
        self._outbox.put(wire.encode(wire.Port(port)))

    # --- What verbs share --------------------------------------------------------------------

    def _require(self, group: Group) -> None:
        self._life.require(group, self.state)
        if not self._announced:
            raise LocalProtocolError("send_pieces comes first")

    def _existing(self, indices: Iterable[int]) -> list[int]:
        checked = list(indices)
        for index in checked:
            if not 0 <= index < self._geometry.piece_count:
                raise LocalProtocolError(f"piece {index} does not exist")
        return checked

    def _settle(self, request: BlockInfo) -> None:
        if not self.uploads.remove(request):
            raise LocalProtocolError(f"{request} is not waiting for an answer")
