"""A passive end of a link: keeps its books, and checks what it is told."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from ...bitfield import to_wire
from ...limits import MAX_PIPELINE
from ...metainfo import Metainfo
from ...types import BlockInfo
from ...wire import messages as wire
from ...wire.handshake import HANDSHAKE_LENGTH, INFO_HASH_END, Handshake
from ...wire.handshake import encode as encode_handshake
from ..disk import Disk
from ..line import Line, LinkProfile
from ..payload import Content
from ..promises import ImpossibleParameter, count, expect
from ..world import World

_PREFIX = 4
_INFO_HASH = slice(INFO_HASH_END - 20, INFO_HASH_END)


class Peer:
    """One end of a link.  Says hello, notes what it hears, and does nothing by itself.

    It speaks real wire bytes.  What a machine must never tell a peer raises PromiseBroken:
    requests for what the peer does not have, pieces announced before they are written.
    """

    def __init__(
        self,
        world: World,
        disk: Disk,
        payload: Content,
        *,
        have: Iterable[int] | None = None,
        fast: bool = True,
        extended: bool = False,
        profile: LinkProfile | None = None,
        latency: float | None = None,
        rate: float | None = None,
        chunk: int = 0,
        peer_id: bytes | None = None,
    ) -> None:
        """``have`` None is everything; ``fast`` and ``extended`` offer BEP 6 and BEP 10.

        ``disk`` is that of the machine at the other end.  ``latency`` and ``rate`` (bytes a
        second to the machine) go into ``profile``; ``chunk`` cuts what is sent into so many
        bytes.  Raises ImpossibleParameter.
        """
        self.world = world
        self.disk = disk
        self.meta: Metainfo = disk.metainfo
        self.payload = payload
        self.have = self._pieces("have", have)
        self.claims = self.have
        """What it says that it has."""
        self.fast = fast
        self.extended = extended
        self.profile = profile or LinkProfile()
        if latency is not None:
            self.latency = latency
        if rate is not None:
            self.rate = rate
        self.chunk = count("chunk", chunk)
        self.peer_id = peer_id or b"-PY0000-%012d" % next(world.ids)
        self.line: Line | None = None
        self.alive = False
        self.choking = True
        self.allowed: set[int] = set()
        self.their_choking = True
        self.their_interest = False
        self.their_pieces: set[int] = set()
        self.granted: set[int] = set()
        self.asked: dict[BlockInfo, float] = {}
        """Requests that wait for an answer, and when they came."""
        self.cancelled: set[BlockInfo] = set()
        self.heard: list[wire.Message] = []
        self.blocks_sent = 0
        self.blocks_got: dict[BlockInfo, bytes] = {}
        self._head = b""
        self._shaken = False

    def _pieces(self, name: str, pieces: Iterable[int] | None) -> set[int]:
        every = range(self.meta.piece_count)
        found = set(every if pieces is None else pieces)
        if not found <= set(every):
            raise ImpossibleParameter(name, sorted(found), f"pieces below {len(every)}")
        return found

    @property
    def latency(self) -> float:
        """Seconds from one end to the other."""
        return self.profile.latency

    @latency.setter
    def latency(self, latency: float) -> None:
        self.profile = attrs.evolve(self.profile, latency=latency)

    @property
    def rate(self) -> float:
        """Bytes a second that it can send."""
        return self.profile.down

    @rate.setter
    def rate(self, rate: float) -> None:
        self.profile = attrs.evolve(self.profile, down=rate)

    # --- The link ------------------------------------------------------------------------

    def opened(self, line: Line) -> None:
        """A link stands: the handshake goes out, and what we have right behind it."""
        self.line = line
        self.alive = True
        self.their_choking, self.their_interest, self.choking = True, False, True
        self.asked.clear()
        self.allowed.clear()
        self._head, self._shaken = b"", False
        self.hello()

    def hello(self) -> None:
        """The handshake, and which pieces we have."""
        self.say_bytes(encode_handshake(self.handshake()))
        self.say_pieces()

    def handshake(self) -> Handshake:
        """Ours."""
        reserved = bytearray(8)
        reserved[7] |= 4 * self.fast
        reserved[5] |= 16 * self.extended
        return Handshake(self.meta.info_hash, self.peer_id, bytes(reserved))

    def say_pieces(self) -> None:
        """HAVE ALL, HAVE NONE or BITFIELD."""
        whole = self.meta.piece_count
        if self.fast and len(self.claims) in (0, whole):
            self.say(wire.HaveAll() if self.claims else wire.HaveNone())
        elif self.claims:
            self.say(wire.Bitfield(to_wire(sum(1 << index for index in self.claims), whole)))

    def say(self, *messages: wire.Message) -> float:
        """Send messages; returns when the last byte has left."""
        return self.say_bytes(b"".join(map(wire.encode, messages)))

    def say_bytes(self, data: bytes) -> float:
        """Send bytes, in chunks if so told; returns when the last has left."""
        line = self._line()
        step = self.chunk or len(data) or 1
        left = self.world.now
        for at in range(0, len(data), step):
            left = line.send(data[at : at + step])
        return left

    def leave(self, detail: str = "") -> None:
        """Close the connection."""
        self.alive = False
        self._line().close(detail)

    def _line(self) -> Line:
        if self.line is None:
            raise ImpossibleParameter("line", None, "that of a connected peer")
        return self.line

    def closed(self) -> None:
        """The connection is gone."""
        self.alive = False

    def received(self, data: bytes) -> None:
        """Bytes came: split them, check them, act."""
        if not self.alive:
            return
        data = self._head + data if self._head else data
        at = 0
        if not self._shaken:
            if len(data) < HANDSHAKE_LENGTH:
                self._head = data
                return
            expect(data[_INFO_HASH] == self.meta.info_hash, "a handshake for another torrent")
            self._shaken, at = True, HANDSHAKE_LENGTH
        while len(data) - at >= _PREFIX:
            end = at + _PREFIX + int.from_bytes(data[at : at + _PREFIX], "big")
            if len(data) < end:
                break
            message = wire.decode(data[at + _PREFIX : end])
            at = end
            self.heard.append(message)
            self.note(message)
        self._head = data[at:]

    # --- The books -----------------------------------------------------------------------

    def note(self, message: wire.Message) -> None:
        """Keep the books of the link, check the message against them, then act."""
        match message:
            case wire.Request() | wire.Cancel() | wire.Reject() | wire.Piece():
                self._note_block(message)
            case wire.Choke():
                self.their_choking = True
            case wire.Unchoke():
                self.their_choking = False
                self.on_unchoked()
            case wire.Interested():
                self.their_interest = True
                self.on_interested()
            case wire.NotInterested():
                self.their_interest = False
            case wire.AllowedFast(index):
                self.granted.add(index)
            case wire.Have(index):
                self._note_have(index)
            case wire.HaveAll():
                for index in range(self.meta.piece_count):
                    self._note_have(index)
            case wire.Bitfield(data):
                for index in range(self.meta.piece_count):
                    if data[index >> 3] << (index & 7) & 0x80:
                        self._note_have(index)

    def _note_have(self, index: int) -> None:
        expect(self.disk.holds(index), "piece {} was announced before it was written", index)
        self.their_pieces.add(index)
        self.on_have(index)

    def _note_block(self, message: wire.Request | wire.Cancel | wire.Reject | wire.Piece) -> None:
        match message:
            case wire.Request(index, begin, length):
                self._note_request(BlockInfo(index, begin, length))
            case wire.Cancel(index, begin, length):
                self.cancelled.add(BlockInfo(index, begin, length))
                self.on_cancel(BlockInfo(index, begin, length))
            case wire.Piece(index, begin, data):
                block = BlockInfo(index, begin, len(data))
                expect(data == self.block(block), "{} came with wrong bytes", block)
                self.blocks_got[block] = bytes(data)
                self.on_block(block)
            case _:
                self.on_rejected(BlockInfo(message.index, message.begin, message.length))

    def _note_request(self, block: BlockInfo) -> None:
        expect(block.piece in self.claims, "{} was asked of one who lacks it", block)
        expect(self.meta.geometry.is_block(*block), "{} is not one of our blocks", block)
        # A block given up crosses with its CANCEL, and may be wanted again: then it is fair.
        twice = block in self.asked and block not in self.cancelled
        expect(not twice, "{} was asked for twice", block)
        self.asked[block] = self.world.now
        expect(len(self.asked) <= MAX_PIPELINE, "{} requests are out", len(self.asked))
        self.on_request(block)

    def block(self, block: BlockInfo) -> bytes:
        """The right bytes."""
        start = block.piece * self.meta.piece_length + block.begin
        return self.payload[start : start + block.length]

    # --- Saying --------------------------------------------------------------------------

    def give(self, block: BlockInfo, data: bytes | None = None) -> float:
        """Send a block, asked for or not; returns when it has left."""
        self.asked.pop(block, None)
        self.blocks_sent += 1
        content = self.block(block) if data is None else data
        return self.say(wire.Piece(block.piece, block.begin, content))

    def refuse(self, block: BlockInfo) -> None:
        """REJECT, where BEP 6 is agreed."""
        del self.asked[block]
        if self.fast:
            self.say(wire.Reject(*block))

    def unchoke(self) -> None:
        """Stop choking."""
        self.choking = False
        self.say(wire.Unchoke())

    def choke(self) -> None:
        """Choke: without BEP 6 all requests are void, with it they are rejected."""
        self.choking = True
        self.say(wire.Choke())
        for block in list(self.asked):
            if block.piece not in self.allowed:
                self.refuse(block)

    # --- What differs --------------------------------------------------------------------

    def on_interested(self) -> None:
        """We are interesting."""

    def on_unchoked(self) -> None:
        """We may ask."""

    def on_have(self, index: int) -> None:
        """They have a piece."""

    def on_request(self, block: BlockInfo) -> None:
        """They ask; the request is in ``asked``."""

    def on_cancel(self, block: BlockInfo) -> None:
        """They ask no longer.  BEP 6: answer all the same, unless it is answered already."""
        if block in self.asked:
            self.refuse(block)

    def on_block(self, block: BlockInfo) -> None:
        """They answered."""

    def on_rejected(self, block: BlockInfo) -> None:
        """They will not answer."""
