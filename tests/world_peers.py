"""Scripted peers for ``world``: they speak real wire bytes, and check what they are told.

``Peer`` is a passive end that keeps the books of a link; ``Seed`` serves as an honest client
does.  The others differ from ``Seed`` in the one way that their name says.
"""

from __future__ import annotations

from collections.abc import Iterable

from torrent_core.bitfield import to_wire
from torrent_core.limits import MAX_PIPELINE
from torrent_core.metainfo import Metainfo
from torrent_core.types import BlockInfo
from torrent_core.wire import messages as wire
from torrent_core.wire.handshake import Handshake
from torrent_core.wire.handshake import encode as encode_handshake
from world import BLOCK, Disk, Line, World


class Peer:
    """One end of a link.  Says hello, notes what it hears, and does nothing by itself."""

    def __init__(
        self,
        world: World,
        disk: Disk,
        payload: bytes,
        *,
        have: Iterable[int] | None = None,
        fast: bool = True,
        extended: bool = False,
        latency: float = 0.01,
        rate: float = float("inf"),
        chunk: int = 0,
        peer_id: bytes | None = None,
    ) -> None:
        """``have`` None is everything; ``chunk`` cuts what is sent into so many bytes."""
        self.world = world
        self.disk = disk
        self.meta: Metainfo = disk.metainfo
        self.payload = payload
        self.have = set(range(self.meta.piece_count) if have is None else have)
        self.fast = fast
        self.extended = extended
        self.latency = latency
        self.rate = rate
        self.chunk = chunk
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

    # --- The link --------------------------------------------------------------------------

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
        if self.fast and len(self.have) in (0, whole):
            self.say(wire.HaveAll() if self.have else wire.HaveNone())
        elif self.have:
            self.say(wire.Bitfield(to_wire(sum(1 << index for index in self.have), whole)))

    def say(self, *messages: wire.Message) -> float:
        """Send messages; returns when the last byte has left."""
        return self.say_bytes(b"".join(map(wire.encode, messages)))

    def say_bytes(self, data: bytes) -> float:
        """Send bytes, in chunks if so told; returns when the last has left."""
        assert self.line is not None
        step = self.chunk or len(data) or 1
        left = self.world.now
        for at in range(0, len(data), step):
            left = self.line.send(data[at : at + step], self.rate)
        return left

    def leave(self, detail: str = "") -> None:
        """Close the connection."""
        assert self.line is not None
        self.alive = False
        self.line.close(detail)

    def closed(self) -> None:
        """The connection is gone."""
        self.alive = False

    def received(self, data: bytes) -> None:
        """Bytes came: split them, check them, act."""
        if not self.alive:
            return
        self._head += data
        if not self._shaken:
            if len(self._head) < 68:
                return
            assert self._head[28:48] == self.meta.info_hash
            self._shaken, self._head = True, self._head[68:]
        while len(self._head) >= 4:
            end = 4 + int.from_bytes(self._head[:4], "big")
            if len(self._head) < end:
                return
            message = wire.decode(self._head[4:end])
            self._head = self._head[end:]
            self.heard.append(message)
            self.note(message)

    # --- The books -------------------------------------------------------------------------

    def note(self, message: wire.Message) -> None:
        """Keep the books of the link, check the message against them, then act."""
        match message:
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
            case wire.Have(index):
                self._check_has(index)
                self.their_pieces.add(index)
                self.on_have(index)
            case wire.Bitfield() | wire.HaveAll():
                every = isinstance(message, wire.HaveAll)
                bits = b"\xff" * len(self.have) if every else getattr(message, "data", b"")
                for index in range(self.meta.piece_count):
                    if every or bits[index >> 3] << (index & 7) & 0x80:
                        self._check_has(index)
                        self.their_pieces.add(index)
                        self.on_have(index)
            case wire.Request(index, begin, length):
                self._note_request(BlockInfo(index, begin, length))
            case wire.Cancel(index, begin, length):
                self.cancelled.add(BlockInfo(index, begin, length))
                self.on_cancel(BlockInfo(index, begin, length))
            case wire.Piece(index, begin, data):
                assert bytes(data) == self.block(BlockInfo(index, begin, len(data)))
                self.blocks_got[BlockInfo(index, begin, len(data))] = bytes(data)
                self.on_block(BlockInfo(index, begin, len(data)))
            case wire.Reject(index, begin, length):
                self.on_rejected(BlockInfo(index, begin, length))
            case wire.AllowedFast(index):
                self.granted.add(index)

    def _check_has(self, index: int) -> None:
        assert self.disk.holds(index), f"piece {index} was announced before it was written"

    def _note_request(self, block: BlockInfo) -> None:
        assert block.piece in self.have, "request for a piece that this peer lacks"
        assert self.meta.geometry.is_block(*block), f"{block} is not one of our blocks"
        # A block given up crosses with its CANCEL, and may be wanted again: then it is fair.
        assert block not in self.asked or block in self.cancelled, f"{block} was asked for twice"
        self.asked[block] = self.world.now
        assert len(self.asked) <= MAX_PIPELINE
        self.on_request(block)

    def block(self, block: BlockInfo) -> bytes:
        """The right bytes."""
        start = block.piece * self.meta.piece_length + block.begin
        return self.payload[start : start + block.length]

    # --- Saying ----------------------------------------------------------------------------

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

    # --- What differs ------------------------------------------------------------------------

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


class Seed(Peer):
    """Unchokes whoever is interested, and serves in order of requests at its rate."""

    _busy = False

    def opened(self, line: Line) -> None:
        self._busy = False
        super().opened(line)
        self._keep_alive(line)

    def _keep_alive(self, line: Line) -> None:
        def again() -> None:
            if line.open:
                self.say(wire.KeepAlive())
                self._keep_alive(line)

        self.world.at(self.world.now + 100.0, again)

    def on_interested(self) -> None:
        self.unchoke()

    def on_request(self, block: BlockInfo) -> None:
        if self.choking and block.piece not in self.allowed:
            if self.fast:
                self.refuse(block)
            else:
                del self.asked[block]
        else:
            self.pump()

    def pump(self) -> None:
        """Answer the oldest request, unless an answer is still leaving."""
        if self._busy or not self.alive or not self.asked:
            return
        self._busy = True
        self.world.at(self.serve(next(iter(self.asked))), self._next)

    def serve(self, block: BlockInfo) -> float:
        """Answer one request; returns when the answer has left."""
        return self.give(block)

    def _next(self) -> None:
        self._busy = False
        self.pump()


class Silent(Seed):
    """Falls silent after ``blocks`` blocks: unchokes, takes requests, and says no more."""

    blocks = 0

    def serve(self, block: BlockInfo) -> float:
        if self.blocks_sent >= self.blocks:
            return float("inf")
        return super().serve(block)


class Choker(Seed):
    """Has everything and chokes for ever."""

    def on_interested(self) -> None:
        pass


class Leaver(Seed):
    """Closes each link once it has sent ``blocks`` blocks on it."""

    blocks = 3
    detail = ""
    _before = 0

    def opened(self, line: Line) -> None:
        self._before = self.blocks_sent
        super().opened(line)

    def serve(self, block: BlockInfo) -> float:
        left = super().serve(block)
        if self.blocks_sent - self._before == self.blocks:
            self.world.at(left, lambda: self.leave(self.detail))
        return left


class Corrupter(Seed):
    """Every block is spoiled."""

    def serve(self, block: BlockInfo) -> float:
        data = self.block(block)
        return self.give(block, bytes([data[0] ^ 0xFF]) + data[1:])


class Rejecter(Seed):
    """Says that it has everything, unchokes, and rejects each request."""

    def serve(self, block: BlockInfo) -> float:
        self.refuse(block)
        return self.world.now


class Leech(Peer):
    """Wants everything, asks for ``depth`` blocks at a time once unchoked."""

    depth = 4
    wants = True

    def on_have(self, index: int) -> None:
        if self.wants and not self.told:
            self.told = True
            self.say(wire.Interested())
        self.ask()

    told = False

    def opened(self, line: Line) -> None:
        self.told = False
        self.mine: dict[BlockInfo, None] = {}
        super().opened(line)

    def on_unchoked(self) -> None:
        self.ask()

    def ask(self) -> None:
        """Fill the pipeline."""
        geometry = self.meta.geometry
        for index in sorted(self.their_pieces - self.have):
            for number in range(geometry.block_count(index)):
                if self.their_choking or len(self.mine) >= self.depth:
                    return
                length = min(BLOCK, geometry.piece_size(index) - number * BLOCK)
                block = BlockInfo(index, number * BLOCK, length)
                if block not in self.mine and block not in self.blocks_got:
                    self.mine[block] = None
                    self.say(wire.Request(*block))

    def on_block(self, block: BlockInfo) -> None:
        self.mine.pop(block, None)
        self.ask()

    def on_rejected(self, block: BlockInfo) -> None:
        self.mine.pop(block, None)

    @property
    def complete(self) -> bool:
        """Whether every block came."""
        geometry = self.meta.geometry
        blocks = sum(geometry.block_count(index) for index in range(geometry.piece_count))
        return len(self.blocks_got) == blocks
