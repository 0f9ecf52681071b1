"""What a peer says before it is known how many pieces there are.

Nothing of it can be judged yet, and all of it counts once the metadata is here: it is kept,
within bounds, and said again to the ``Torrent`` that takes the link over.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from ..bitfield import indices, to_wire
from ..classes import define
from ..errors import WireError
from ..limits import MAX_ALLOWED_FAST, MAX_PIECES, MAX_REPLY_BACKLOG, MAX_UNKNOWN_MESSAGES
from ..linkstate import LinkState
from ..peer.events import ExtensionHandshake, ExtensionMessage, PeerEvent, PortReceived
from ..peer.outbox import Outbox
from ..types import BlockInfo
from ..wire import extended
from ..wire import messages as wire
from ..wire.extended import ExtendedHandshake

_PREFIX = wire.PREFIX.size
_LONGEST = wire.max_message_length(MAX_PIECES)
_FAST = (wire.HaveAll, wire.HaveNone, wire.Suggest, wire.AllowedFast, wire.Reject)


@define(eq=False)
class Said:
    """What one peer has told so far; choke and interest are in its ``LinkState``."""

    bitfield: bytes | None = None
    """As it came: its length will tell whether it is of this torrent."""
    all: bool = False
    """HAVE ALL was said."""
    haves: bytearray = attrs.field(factory=bytearray)
    """Pieces of HAVEs, one bit each, grown as far as needed."""
    allowed: dict[int, None] = attrs.field(factory=dict)
    suggested: dict[int, None] = attrs.field(factory=dict)
    port: int | None = None
    hello: ExtendedHandshake | None = None
    """Its extension handshakes, later ones over earlier ones."""

    def have(self, piece: int) -> None:
        """HAVE was said.  Raises WireError for a piece that no torrent has."""
        if piece >= MAX_PIECES:
            raise WireError(f"piece {piece} does not exist", "have")
        at = piece >> 3
        if at >= len(self.haves):
            self.haves.extend(bytes(at + 1 - len(self.haves)))
        self.haves[at] |= 1 << (piece & 7)

    def add_hello(self, value: ExtendedHandshake) -> None:
        """A field that is not named again does not change (BEP 10)."""
        if self.hello is None:
            self.hello = value
            return
        news = {
            field.name: getattr(value, field.name)
            for field in attrs.fields(ExtendedHandshake)
            if getattr(value, field.name) is not None
        }
        self.hello = attrs.evolve(self.hello, **news | {"m": {**self.hello.m, **value.m}})

    def again(self, state: LinkState, piece_count: int) -> bytes:
        """The messages that say all this to one who knows how many pieces there are.

        What cannot be true of so many is said as well: it is for the other to judge.
        """
        said: list[wire.Message] = []
        if self.hello is not None:
            said.append(wire.Extended(0, extended.encode(self.hello)))
        if self.bitfield is not None:
            said.append(wire.Bitfield(self.bitfield))
        if self.all:
            said.append(wire.HaveAll())
        said += self._haves(piece_count)
        said += [wire.AllowedFast(piece) for piece in self.allowed]
        said += [wire.Suggest(piece) for piece in self.suggested]
        if not state.peer_choking:
            said.append(wire.Unchoke())
        if state.peer_interested:
            said.append(wire.Interested())
        if self.port is not None:
            said.append(wire.Port(self.port))
        return b"".join(map(wire.encode, said))

    def _haves(self, piece_count: int) -> list[wire.Message]:
        pieces = int.from_bytes(self.haves, "little")
        beyond = pieces >> piece_count
        if beyond:
            return [wire.Have(piece_count + next(indices(beyond)))]
        return [wire.Bitfield(to_wire(pieces, piece_count))] if pieces else []


class EarlyFramer:
    """Reads the input of a link in place of ``peer.framing``, and keeps what it says."""

    __slots__ = ("_outbox", "_state", "_tail", "_unknown", "said")

    def __init__(self, state: LinkState, outbox: Outbox) -> None:
        self.said = Said()
        self._state = state
        self._outbox = outbox
        self._tail = bytearray()
        self._unknown = 0

    @property
    def tail(self) -> bytes:
        """What has come of a message that is not complete."""
        return bytes(self._tail)

    def detach(self) -> None:
        """No block is ever under way here."""

    def landing(self, most: int) -> None:
        """Nothing of what comes is known before."""

    def split(self, data: memoryview, now: float) -> Iterator[PeerEvent]:
        """What the messages that end in ``data`` mean, one after the other.

        Raises WireError at the first that breaks the protocol, after all that came before it.
        """
        self._tail += data
        at = 0
        while (body := self._next_body(at)) is not None:
            at += _PREFIX + len(body)
            event = self._take(wire.decode(body))
            if event is not None:
                # Whoever takes the link over while this is looked at must find only the rest.
                del self._tail[:at]
                at = 0
                yield event
        del self._tail[:at]

    def _next_body(self, at: int) -> bytes | None:
        if len(self._tail) - at < _PREFIX:
            return None
        length: int = wire.PREFIX.unpack_from(self._tail, at)[0]
        if length > _LONGEST:
            raise WireError(f"message of {length} bytes", "message length")
        start, end = at + _PREFIX, at + _PREFIX + length
        return None if len(self._tail) < end else bytes(self._tail[start:end])

    def _take(self, message: wire.Message) -> PeerEvent | None:
        if isinstance(message, _FAST) and not self._state.fast:
            raise WireError("Fast Extension message without the Fast Extension", "message id")
        match message:
            case wire.Choke() | wire.Unchoke():
                self._state.peer_choking = isinstance(message, wire.Choke)
            case wire.Interested() | wire.NotInterested():
                self._state.peer_interested = isinstance(message, wire.Interested)
            case wire.Bitfield() | wire.Have() | wire.HaveAll():
                self._gain(message)
            case wire.AllowedFast(piece):
                _note(self.said.allowed, piece)
            case wire.Suggest(piece):
                _note(self.said.suggested, piece)
            case wire.Request(index, begin, length):
                self._refuse(BlockInfo(index, begin, length))
            case wire.Piece():
                raise WireError("a block before there were any to ask for", "piece")
            case wire.Port(port) if port:
                self.said.port = port
                return PortReceived(port)
            case wire.Extended(ext_id, payload) if self._state.extended:
                return self._extended(ext_id, payload)
            case wire.Unknown() | wire.Extended():
                self._count_unknown()
        return None

    def _gain(self, message: wire.Bitfield | wire.Have | wire.HaveAll) -> None:
        match message:
            case wire.Bitfield(data):
                self.said.bitfield = _joined(self.said.bitfield or b"", data)
            case wire.Have(piece):
                self.said.have(piece)
            case _:
                self.said.all = True

    def _refuse(self, request: BlockInfo) -> None:
        """We have nothing, and said so."""
        if self._state.fast:
            if self._outbox.backlog > MAX_REPLY_BACKLOG:
                raise WireError("asks for more than it reads", "request")
            self._outbox.put(wire.encode_rejects((request,)))

    def _extended(self, ext_id: int, payload: bytes) -> PeerEvent | None:
        if ext_id:
            return ExtensionMessage(ext_id, payload)
        try:
            value = extended.decode(payload)
        except WireError:
            return None  # what it said before still stands
        self.said.add_hello(value)
        self._state.client = value.v or self._state.client
        self._state.listen_port = value.p or self._state.listen_port
        return ExtensionHandshake(value)

    def _count_unknown(self) -> None:
        self._unknown += 1
        if self._unknown > MAX_UNKNOWN_MESSAGES:
            raise WireError(f"more than {MAX_UNKNOWN_MESSAGES} unknown messages", "message id")


def _note(pieces: dict[int, None], piece: int) -> None:
    """Advice, of which nobody needs much (as ``peer.inbound`` has it)."""
    if len(pieces) < MAX_ALLOWED_FAST:
        pieces[piece] = None


def _joined(before: bytes, data: bytes) -> bytes:
    """Two bitfields as one: what a peer has once said, it has.  Where their lengths differ one
    of them is wrong, and the torrent judges the last."""
    if len(before) != len(data):
        return data
    return bytes(one | other for one, other in zip(before, data, strict=True))
