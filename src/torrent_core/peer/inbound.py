"""What the peer's messages mean: one handler per id, each a step of the link's state.

PIECE and HAVE are not here: ``framing`` deals with them.  No message that is short may cost a
look at a whole set of pieces, each time that it is sent: of millions that is 0.1 ms.
"""

from __future__ import annotations

from ..bitfield import from_wire, has, without
from ..errors import WireError
from ..geometry import Geometry
from ..limits import (
    MAX_ALLOWED_FAST,
    MAX_REPLY_BACKLOG,
    MAX_REQUEST_LENGTH,
    MAX_UNKNOWN_MESSAGES,
)
from ..linkstate import LinkState
from ..types import BlockInfo
from ..wire import extended
from ..wire import messages as wire
from .events import (
    Choked,
    ExtensionHandshake,
    ExtensionMessage,
    FastAllowed,
    InterestChanged,
    PeerEvent,
    PiecesGained,
    PieceSuggested,
    PortReceived,
    RequestRejected,
    Unchoked,
    UploadCancelled,
    UploadRequested,
)
from .framing import Handler
from .outbox import Outbox
from .states import GROUP_OF, Group, agreed
from .uploads import UploadQueue

_EXTENSION_HANDSHAKE = 0


class Inbound:
    """Turns one link's messages, PIECE apart, into changes of its state and events."""

    __slots__ = (
        "_allowed",
        "_geometry",
        "_outbox",
        "_said_all",
        "_state",
        "_suggested",
        "_unknown",
        "_uploads",
    )

    def __init__(
        self, state: LinkState, geometry: Geometry, uploads: UploadQueue, outbox: Outbox
    ) -> None:
        self._state = state
        self._geometry = geometry
        self._uploads = uploads
        self._outbox = outbox
        self._unknown = 0
        self._said_all = False
        # The same pieces as in the link's state, for looks at a single one.
        self._allowed: set[int] = set()
        self._suggested: set[int] = set()

    def handlers(self) -> list[Handler]:
        """The handler of each of the 256 ids, given what the handshakes agreed."""
        table: list[Handler] = [self._on_unknown] * 256
        groups = agreed(self._state)
        for message_id, handler in self._meanings().items():
            if GROUP_OF[message_id] in groups:
                table[message_id] = handler
            elif GROUP_OF[message_id] is Group.FAST:
                table[message_id] = self._on_uninvited
        return table

    def _meanings(self) -> dict[int, Handler]:
        return {
            wire.CHOKE: self._on_choke,
            wire.UNCHOKE: self._on_unchoke,
            wire.INTERESTED: self._on_interested,
            wire.NOT_INTERESTED: self._on_not_interested,
            wire.BITFIELD: self._on_bitfield,
            wire.REQUEST: self._on_request,
            wire.CANCEL: self._on_cancel,
            wire.PORT: self._on_port,
            wire.SUGGEST: self._on_suggest,
            wire.HAVE_ALL: self._on_have_all,
            wire.HAVE_NONE: self._on_have_none,
            wire.REJECT: self._on_reject,
            wire.ALLOWED_FAST: self._on_allowed_fast,
            wire.EXTENDED: self._on_extended,
        }

    # --- Choke and interest ------------------------------------------------------------------

    def _on_choke(self, body: memoryview) -> PeerEvent | None:
        if self._state.peer_choking:
            return None
        self._state.peer_choking = True
        return Choked()

    def _on_unchoke(self, body: memoryview) -> PeerEvent | None:
        if not self._state.peer_choking:
            return None
        self._state.peer_choking = False
        return Unchoked()

    def _on_interested(self, body: memoryview) -> PeerEvent | None:
        return self._interest(True)

    def _on_not_interested(self, body: memoryview) -> PeerEvent | None:
        return self._interest(False)

    def _interest(self, interested: bool) -> PeerEvent | None:
        if self._state.peer_interested is interested:
            return None
        self._state.peer_interested = interested
        return InterestChanged(interested)

    # --- What the peer has -------------------------------------------------------------------

    def _on_bitfield(self, body: memoryview) -> PeerEvent | None:
        return self._gain(from_wire(body, self._geometry.piece_count))

    def _on_have_all(self, body: memoryview) -> PeerEvent | None:
        if self._said_all:
            return None
        self._said_all = True
        return self._gain(self._geometry.all_pieces)

    def _on_have_none(self, body: memoryview) -> PeerEvent | None:
        return None

    def _gain(self, pieces: int) -> PeerEvent | None:
        # The BEPs allow a bitfield only as the first message.  Clients have sent it late and
        # twice, and nobody can take back a piece, so the union is always right.
        new = without(pieces, self._state.pieces)
        if not new:
            return None
        self._state.pieces |= new
        return PiecesGained(new)

    # --- What the peer asks of us ------------------------------------------------------------

    def _on_request(self, body: memoryview) -> PeerEvent | None:
        request = BlockInfo(*wire.RANGE.unpack(body))
        if request.length > MAX_REQUEST_LENGTH or not self._geometry.contains(*request):
            if not self._state.fast:
                raise WireError(f"{request} cannot be served", "request")
            self._refuse(request)
            return None
        if self._uploads.is_wanted(request):
            return None
        may = not self._state.am_choking or has(self._state.granted_fast, request.piece)
        if not may or self._uploads.is_full:
            self._refuse(request)
            return None
        self._uploads.add(request)
        return UploadRequested(*request)

    def _on_cancel(self, body: memoryview) -> PeerEvent | None:
        request = BlockInfo(*wire.RANGE.unpack(body))
        if not self._uploads.remove(request):
            return None  # answered already: the two crossed
        self._refuse(request)
        return UploadCancelled(*request)

    def _refuse(self, request: BlockInfo) -> None:
        """Answer as far as BEP 6 is agreed; without it, silence is the answer."""
        if not self._state.fast:
            return
        if self._outbox.backlog > MAX_REPLY_BACKLOG:
            raise WireError("asks for more than it reads", "request")
        self._outbox.put(wire.encode_rejects((request,)))

    # --- What the peer offers and declines ---------------------------------------------------

    def _on_reject(self, body: memoryview) -> PeerEvent | None:
        index, begin, length = wire.RANGE.unpack(body)
        if not self._geometry.contains(index, begin, length):
            raise WireError(f"{length} bytes at {begin} of piece {index}", "reject")
        return RequestRejected(index, begin, length)

    def _on_allowed_fast(self, body: memoryview) -> PeerEvent | None:
        index = _index(body)
        if not self._is_news(index, self._allowed):
            return None
        self._state.allowed_fast |= 1 << index
        return FastAllowed(index)

    def _on_suggest(self, body: memoryview) -> PeerEvent | None:
        index = _index(body)
        if not self._is_news(index, self._suggested):
            return None
        self._state.suggested |= 1 << index
        return PieceSuggested(index)

    def _is_news(self, index: int, known: set[int]) -> bool:
        # Both messages are advice.  Bad advice is not taken, as in libtorrent, and a peer with
        # more of it than anybody needs is not listened to.
        if index >= self._geometry.piece_count or index in known or len(known) >= MAX_ALLOWED_FAST:
            return False
        known.add(index)
        return True

    # --- Extensions --------------------------------------------------------------------------

    def _on_port(self, body: memoryview) -> PeerEvent | None:
        port: int = wire.PORT_FIELD.unpack(body)[0]
        return PortReceived(port) if port else None

    def _on_extended(self, body: memoryview) -> PeerEvent | None:
        if body[0] != _EXTENSION_HANDSHAKE:
            return ExtensionMessage(body[0], bytes(body[1:]))
        try:
            value = extended.decode(body[1:])
        except WireError:
            return None  # what it said before still stands
        self._note(value)
        return ExtensionHandshake(value)

    def _note(self, value: extended.ExtendedHandshake) -> None:
        """Keep what the link's record has a place for; a field not named does not change."""
        state = self._state
        if value.v is not None:
            state.client = value.v
        if value.reqq is not None:
            state.reqq = value.reqq
        if value.p is not None:
            state.listen_port = value.p
        if value.upload_only is not None:
            state.upload_only = value.upload_only

    # --- Strangers ---------------------------------------------------------------------------

    def _on_uninvited(self, body: memoryview) -> PeerEvent | None:
        raise WireError("Fast Extension message without the Fast Extension", "message id")

    def _on_unknown(self, body: memoryview) -> PeerEvent | None:
        self._unknown += 1
        if self._unknown > MAX_UNKNOWN_MESSAGES:
            raise WireError(f"more than {MAX_UNKNOWN_MESSAGES} unknown messages", "message id")
        return None


def _index(body: memoryview) -> int:
    index: int = wire.PREFIX.unpack(body)[0]
    return index
