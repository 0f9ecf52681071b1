"""From a stream of bytes to messages, in place.

This is the hot path.  Work is per message, never per byte: messages are read where they lie
in the input, and of an input's last, incomplete message only what has come is kept.  The
payload of an incomplete PIECE is not even kept here: once its header is in, it goes straight
to where the block belongs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from struct import Struct
from typing import Protocol, TypeAlias

from ..bitfield import wire_length
from ..errors import WireError
from ..geometry import Geometry
from ..limits import BLOCK_SIZE, MAX_PLACED_BLOCKS, MIN_BLOCKS_TOGETHER
from ..linkstate import LinkState
from ..wire.messages import (
    BITFIELD,
    BODY_LENGTHS,
    HAVE,
    PIECE,
    PIECE_HEADER,
    PIECE_OVERHEAD,
    PREFIX,
    check_length,
    max_message_length,
)
from .events import Block, BlockSink, BlocksReceived, PeerEvent, RunsReceived
from .haves import Haves
from .landing import HEADER, STRIDE, Landing

Handler: TypeAlias = Callable[[memoryview], PeerEvent | None]
"""Takes the fields of a message whose length is right; raises WireError for what they say."""

_PREFIX = PREFIX.size
_WITH_ID = _PREFIX + 1
_LONG = (MIN_BLOCKS_TOGETHER - 1) * STRIDE
"""Bytes of an input from which on it may hold that many blocks."""

_WHOLE_BLOCK = PIECE_OVERHEAD + BLOCK_SIZE

_BLOCKS = Struct(f"{PIECE_HEADER.format}{BLOCK_SIZE}x")
"""The header of one such after the other."""


_HAVES = Struct(">IBI")
_WHOLE_HAVE = _HAVES.size - _PREFIX
_HAVE_HEAD = _HAVES.pack(_WHOLE_HAVE, HAVE, 0)[:_WITH_ID]


class Splitter(Protocol):
    """Takes the input of one link apart; ``Framer`` is the one for a torrent that is known."""

    def split(self, data: memoryview, now: float) -> Iterator[PeerEvent]: ...

    def detach(self) -> None: ...

    def landing(self, most: int) -> Landing | None: ...


class _Arriving:
    """A block of which only a part has come."""

    __slots__ = ("begin", "filled", "index", "length", "target")

    def __init__(self, index: int, begin: int, length: int, target: memoryview | None) -> None:
        self.index = index
        self.begin = begin
        self.length = length
        self.target = target
        self.filled = 0

    def fill(self, data: memoryview) -> int:
        """Take what is still missing from the start of ``data``; returns how much that was."""
        before, missing = self.filled, self.length - self.filled
        if len(data) > missing:
            data = data[:missing]
        self.filled = before + len(data)
        if self.target is not None:
            self.target[before : self.filled] = data
        return len(data)


class Framer:
    """Splits the input of one link.  ``handlers`` has one entry for each of the 256 ids, of
    which those of PIECE and HAVE are not used."""

    __slots__ = (
        "_arriving",
        "_bounds",
        "_geometry",
        "_handlers",
        "_haves",
        "_limit",
        "_sink",
        "_state",
        "_tail",
    )

    def __init__(
        self, state: LinkState, geometry: Geometry, sink: BlockSink, handlers: list[Handler]
    ) -> None:
        self._state = state
        self._geometry = geometry
        self._sink = sink
        self._haves = Haves(state, geometry)
        self._handlers = [*handlers]
        self._handlers[HAVE] = self._haves.read
        self._limit = max_message_length(geometry.piece_count)
        self._bounds = _bounds(geometry)
        self._tail = bytearray()
        self._arriving: _Arriving | None = None

    def split(self, data: memoryview, now: float) -> Iterator[PeerEvent]:
        """What the messages that end in ``data`` mean, one after the other, but for HAVEs: they
        are told of together, at the end.

        Raises WireError at the first that breaks the protocol, after all that came before it.
        """
        if len(data) < _LONG:
            return self._split(data, now)
        landing = self._landing(len(data) // STRIDE + 1)  # one of them may have begun before
        if landing is None or not (taken := landing.take(data)):
            return self._split(data, now)
        return chain(self._landed(landing, taken, now), self._split(data[taken:], now))

    def _split(self, data: memoryview, now: float) -> Iterator[PeerEvent]:
        """The same of input that was not foreseen."""
        at, end = 0, len(data)
        blocks: list[Block] = []
        try:
            if self._arriving is not None:
                at = self._continue_block(self._arriving, data, blocks, now)
            elif self._tail:
                at, event = self._resume(data, now)
                if event is not None:
                    yield event
            while at < end:
                if end - at >= STRIDE:
                    at = self._whole_blocks(data, at, blocks, now)
                if blocks:
                    yield BlocksReceived(blocks)
                    blocks = []
                if data[at : at + _WITH_ID] == _HAVE_HEAD:
                    at = self._whole_haves(data, at)
                ready = at + self._need(data[at : at + _WITH_ID])
                if ready > end:
                    break
                taken, event = self._act(data[at:ready], data[ready:], now)
                at = ready + taken
                if event is not None:
                    yield event
        except WireError:
            gained = self._haves.told()
            if gained is not None:
                yield gained
            raise
        if blocks:
            yield BlocksReceived(blocks)
        self._tail += data[at:]
        if self._haves.indices and (gained := self._haves.told()) is not None:
            yield gained

    def _whole_blocks(self, data: memoryview, at: int, blocks: list[Block], now: float) -> int:
        """Take the whole blocks that lie at ``at``, one upon the other; returns where they end.

        Nearly everything that ever comes is a block of the usual length, of a piece that is
        not the last.  ``_act`` would do for these too, and does for all else.
        """
        before = len(blocks)
        whole = (len(data) - at) // STRIDE * STRIDE
        last, last_begin = self._geometry.piece_count - 1, self._geometry.piece_length - BLOCK_SIZE
        for length, message_id, index, begin in _BLOCKS.iter_unpack(data[at : at + whole]):
            if length != _WHOLE_BLOCK or message_id != PIECE or index >= last or begin > last_begin:
                break
            payload = data[at + HEADER : at + STRIDE]
            blocks.append((index, begin, BLOCK_SIZE, payload))
            at += STRIDE
        if len(blocks) > before:
            self._state.down.add((len(blocks) - before) * BLOCK_SIZE, now)
        return at

    def _whole_haves(self, data: memoryview, at: int) -> int:
        """Take the whole HAVEs that lie at ``at``, one upon the other; returns where they end.

        Among leechers they are most of what comes.  ``_act`` would do for these too.
        """
        whole = (len(data) - at) // _HAVES.size * _HAVES.size
        for length, message_id, index in _HAVES.iter_unpack(data[at : at + whole]):
            if length != _WHOLE_HAVE or message_id != HAVE:
                break
            self._haves.add(index)
            at += _HAVES.size
        return at

    # --- In place ----------------------------------------------------------------------------

    def landing(self, most: int) -> Landing | None:
        """Places for what comes next, ``most`` bytes at most; None if that is not known."""
        return self._landing(most // STRIDE)

    def _landing(self, most: int) -> Landing | None:
        """The same for so many blocks."""
        if self._tail:
            return None
        block = self._arriving
        runs = self._sink.expected(self._state, min(most, MAX_PLACED_BLOCKS))
        if runs is None:
            return None
        if block is None:
            return Landing(runs, None, self._landed)
        index, first, _, place = runs[0]
        if block.target is None or (index, first * BLOCK_SIZE) != (block.index, block.begin):
            return None
        if block.target.obj is not place.obj:  # while another link was writing there
            return None
        return Landing(runs, block.target[block.filled :], self._landed)

    def _landed(self, landing: Landing, count: int, now: float) -> Iterator[PeerEvent]:
        """What ``count`` bytes in the places of ``landing`` mean; raises as ``split``."""
        blocks = 0
        if self._arriving is not None:
            rest = landing.rest
            self._arriving.filled += min(count, rest)
            if count < rest:
                return
            count -= rest
            self._arriving = None
            blocks = 1
        whole = landing.agreed(count) // STRIDE
        blocks += whole
        if blocks:
            self._state.down.add(blocks * BLOCK_SIZE, now)
            yield RunsReceived(landing.filled(blocks))
        if whole * STRIDE < count:
            yield from self._split(memoryview(landing.gathered(whole, count)), now)

    def detach(self) -> None:
        """Write no more to the sink's view; the rest of that block is dropped."""
        if self._arriving is not None:
            self._arriving.target = None

    def _need(self, head: memoryview | bytearray) -> int:
        """How many bytes from its start a message needs before it can be acted on.

        Judges what is there: a length as soon as the prefix is in, an id as soon as that is.
        """
        if len(head) < _PREFIX:
            return _PREFIX
        length: int = PREFIX.unpack_from(head)[0]
        if length > self._limit:
            raise WireError(f"message of {length} bytes", "message length")
        if length == 0:
            return _PREFIX
        if len(head) < _WITH_ID:
            return _WITH_ID
        message_id = head[_PREFIX]
        check_length(message_id, length, self._bounds[message_id])
        return HEADER if message_id == PIECE else _PREFIX + length

    def _act(
        self, message: memoryview, rest: memoryview, now: float
    ) -> tuple[int, PeerEvent | None]:
        """Act on a message that has what it needs; also returns how much of ``rest`` it took."""
        if len(message) == _PREFIX:
            return 0, None
        if message[_PREFIX] == PIECE:
            return self._begin_block(message, rest, now)
        return 0, self._handlers[message[_PREFIX]](message[_WITH_ID:])

    def _begin_block(
        self, header: memoryview, rest: memoryview, now: float
    ) -> tuple[int, PeerEvent | None]:
        length, _, index, begin = PIECE_HEADER.unpack(header)
        size = length - PIECE_OVERHEAD
        if not self._geometry.contains(index, begin, size):
            raise WireError(f"block of {size} bytes at {begin} of piece {index}", "piece")
        if len(rest) >= size:
            self._state.down.add(size, now)
            return size, BlocksReceived([(index, begin, size, rest[:size])])
        target = self._sink.open_block(self._state, index, begin, size)
        self._arriving = _Arriving(index, begin, size, target)
        return self._arriving.fill(rest), None

    def _resume(self, data: memoryview, now: float) -> tuple[int, PeerEvent | None]:
        """Go on with the message whose head the last input left unfinished; also returns how
        much was taken."""
        at = 0
        need = self._need(self._tail)
        while len(self._tail) < need:
            if at == len(data):
                return at, None
            more = data[at : at + need - len(self._tail)]
            self._tail += more
            at += len(more)
            need = self._need(self._tail)
        # A copy, since a handler's view would keep the tail from being reused.
        message = memoryview(bytes(self._tail))
        self._tail.clear()
        taken, event = self._act(message, data[at:], now)
        return at + taken, event

    def _continue_block(
        self, block: _Arriving, data: memoryview, blocks: list[Block], now: float
    ) -> int:
        """Take the rest of a block, or more of it; returns how much that was."""
        taken = block.fill(data)
        if block.filled == block.length:
            self._arriving = None
            self._state.down.add(block.length, now)
            blocks.append((block.index, block.begin, block.length, block.target))
        return taken


def _bounds(geometry: Geometry) -> list[tuple[int, int]]:
    """Least and greatest body length for each of the 256 ids, in this torrent."""
    anything = (1, max_message_length(geometry.piece_count))
    bounds = [BODY_LENGTHS.get(message_id, anything) for message_id in range(256)]
    bitfield = 1 + wire_length(geometry.piece_count)
    bounds[BITFIELD] = (bitfield, bitfield)
    return bounds
