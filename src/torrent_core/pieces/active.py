"""All download state of one piece, in one object: inspect it and you know everything.

Three facts per block: has it been received (from whom), who has been asked for it, and is
it free to be asked for.  The third is derived from the first two inside the mutators and
nowhere else.  A *probe*, the single request of a link that went silent, leaves its block
free: others may have it too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from itertools import islice, repeat
from operator import attrgetter
from typing import TypeAlias

from ..bitfield import indices, lowest, without
from ..classes import define
from ..errors import LocalProtocolError
from ..limits import BLOCK_SIZE
from ..types import BlockInfo, Buffer
from .segments import Segments


@define(eq=False)
class RequestInfo:
    """One block asked of one link."""

    link: int
    """Ordinal of the link."""
    piece: ActivePiece
    block: int
    """Index of the block within its piece."""
    info: BlockInfo
    """The block as REQUEST names it."""
    sent_at: float
    deadline: float
    """When it counts as lost; fixed when it was sent."""
    serial: int
    """Position among all requests ever sent to this link."""
    probe: bool = False
    """Sent to a snubbed link; does not keep others from asking."""
    overtaken: int = 0
    """Later requests to the same link that were answered before this one."""
    overtaken_since: float = 0.0
    """When the first of those was answered."""


class Stage(Enum):
    """Where a piece is on its way to the disk."""

    DOWNLOADING = "downloading"
    FLUSHING = "being stored, to be hashed from storage"
    HASHING = "being hashed"
    TRACING = "being hashed block by block, to see who spoiled it"
    WRITING = "being written"
    LEAVING = "no longer wanted, once its last write is over"


OPEN = 1
"""It has blocks that are free to be asked for and have places."""
DRY = 2
"""It has free blocks, and none of them has a place."""
ORPHANED = 4
"""It is open, and some of its free blocks were asked for before, in vain."""
IDLE = 8
"""It has memory that nobody works on."""


class ActivePiece(Segments):
    """One piece being downloaded; ``length`` in bytes, blocks counted from zero.

    Blocks are copied once, to their place, so that ``assemble`` is a view.  Links are named by
    their ordinals.
    """

    __slots__ = (
        "claims",
        "free",
        "index",
        "last_activity",
        "owner",
        "received",
        "released",
        "requests",
        "senders",
        "stage",
        "standing",
        "stored",
        "writing",
    )

    def __init__(
        self,
        index: int,
        length: int,
        now: float = 0.0,
        lend: Callable[[], bytearray] | None = None,
        *,
        span: int | None = None,
    ) -> None:
        """``lend`` and ``span`` as ``Segments`` has them."""
        super().__init__(length, lend, span)
        self.index = index
        self.received = 0
        """Set of blocks received, in memory or stored."""
        self.stored = 0
        """Set of received blocks that lie in the files."""
        self.writing = 0
        """Set of blocks that are out to be written, or queued for it: not to be touched."""
        self.free = self.all_blocks
        """Set of blocks neither received nor asked for (but by a probe), nor being written."""
        self.released = 0
        """Set of free blocks that had been asked for before, in vain."""
        self.requests: dict[int, list[RequestInfo]] = {}
        self.senders: dict[int, int] = {}
        """Who sent each received block."""
        self.claims: dict[int, int] = {}
        """Which link is writing a block into the buffer right now."""
        self.owner: int | None = None
        """The link that works on it by preference; nobody is kept out by that."""
        self.stage = Stage.DOWNLOADING
        self.standing = 0
        """Which sets of the ``ActivePieceManager`` it is in: its own note, set by ``refresh``."""
        self.last_activity = now

    # --- Queries -----------------------------------------------------------------------

    @property
    def have_all_blocks(self) -> bool:
        """Whether every block is received."""
        return self.received == self.all_blocks

    @property
    def blocks_received(self) -> int:
        """How many blocks are received."""
        return self.received.bit_count()

    @property
    def in_memory(self) -> int:
        """Set of blocks whose only copy is in memory."""
        return self.received & ~self.stored

    @property
    def unsaved(self) -> int:
        """Those of them that nobody has been told to write."""
        return self.received & ~self.stored & ~self.writing

    @property
    def buffered_bytes(self) -> int:
        """Bytes of blocks whose only copy is in memory."""
        return sum(self.block_length(block) for block in indices(self.in_memory))

    def has_block(self, block: int) -> bool:
        """Whether the block is received."""
        return bool(self.received >> block & 1)

    def is_requested(self, block: int) -> bool:
        """Whether any link has been asked for the block and may still answer in time."""
        return block in self.requests

    def block_info(self, block: int) -> BlockInfo:
        """The block as REQUEST names it."""
        return BlockInfo(self.index, block * BLOCK_SIZE, self.block_length(block))

    def block_infos(self, blocks: Sequence[int]) -> list[BlockInfo]:
        """The same of several blocks, in half the time."""
        index, last = self.index, self.blocks_needed - 1
        fields = zip(repeat(index), map(_begin_of, blocks), repeat(BLOCK_SIZE))
        infos = list(map(_named, repeat(BlockInfo), fields))
        if last in blocks:
            infos[blocks.index(last)] = self.block_info(last)
        return infos

    def free_blocks(self, limit: int) -> Sequence[int]:
        """The first blocks that may be asked for, being free with a place, at most ``limit``."""
        free = self.free & self.places
        if free == self.all_blocks:  # as of any whole piece that is opened
            return range(min(limit, self.blocks_needed))
        return list(islice(indices(free), limit))

    def get_needed_blocks(self, max_blocks: int | None = None) -> list[BlockInfo]:
        """Blocks that may be asked for, first ones first."""
        limit = self.blocks_needed if max_blocks is None else max_blocks
        return self.block_infos(self.free_blocks(limit))

    def get_contributing_peers(self) -> tuple[int, ...]:
        """Links that sent received blocks, in order of their first block."""
        return tuple(dict.fromkeys(self.senders.values()))

    def holders(self, block: int) -> int:
        """Links that have been asked for the block, probes not counted."""
        return sum(not info.probe for info in self.requests.get(block, ()))

    def stands(self) -> int:
        """The sets of pieces that it belongs to as it is now."""
        if self.stage is not Stage.DOWNLOADING:
            return 0
        standing = IDLE if self.idle else 0
        if not self.free:
            return standing
        if not self.free & self.places:
            return standing | DRY
        return standing | OPEN | (ORPHANED if self.released else 0)

    # --- Memory ------------------------------------------------------------------------

    @property
    def idle(self) -> int:
        """Set of the first blocks of segments in memory that nobody works on: nothing in
        them is asked for, but by a probe, or being written."""
        if self.stage is not Stage.DOWNLOADING:
            return 0
        spare = (self.free | self.received) & ~self.writing & self.places
        if self.is_whole:
            return 1 if spare == self.all_blocks else 0
        # A long piece has thousands of segments: fold the blocks of all onto their firsts.
        beyond = -self.blocks_needed % self.span
        spare |= ((1 << beyond) - 1) << self.blocks_needed
        step = 1
        while step < self.span:
            spare &= spare >> step
            step *= 2
        return spare & self._firsts

    def is_spent(self, segment: int) -> bool:
        """Whether a segment can be dropped: nothing in it is unsaved, asked for, being
        written, or arriving."""
        mask = self.segment_blocks(segment)
        if (self.in_memory | self.writing) & mask:
            return False
        if not self.requests and not self.claims:
            return True
        first = segment * self.span
        blocks = range(first, min(first + self.span, self.blocks_needed))
        return not any(block in self.requests or block in self.claims for block in blocks)

    # --- Requests ----------------------------------------------------------------------

    def add_requests(self, infos: Sequence[RequestInfo]) -> None:
        """A link has been asked for these blocks, one at least: all are probes or none is."""
        requests = self.requests
        fresh = dict(zip(map(_block_of, infos), map(list, zip(infos, strict=True)), strict=True))
        if not requests.keys().isdisjoint(fresh):
            for block, asked in fresh.items():
                asked[:0] = requests.get(block, ())
        requests.update(fresh)
        if not infos[0].probe:
            held = sum(map(_set_of, fresh))
            self.free = without(self.free, held)
            self.released = without(self.released, held)

    def add_holder(self, info: RequestInfo) -> None:
        """The request keeps others from asking for its block (a probe does not)."""
        bit = 1 << info.block
        self.free &= ~bit
        self.released &= ~bit

    def remove_request(self, info: RequestInfo) -> None:
        """The request is void; its block is free again if nobody else holds it."""
        held = self.requests[info.block]
        held.remove(info)
        if not held:
            del self.requests[info.block]
        bit = 1 << info.block
        if not self.received & bit and not self.holders(info.block):
            self.free |= bit
            self.released |= bit

    def clear_requests_for_peer(self, link: int) -> list[RequestInfo]:
        """Void every request of one link; returns them, in order of blocks."""
        return self._clear(lambda info: info.link == link)

    def check_timeouts(self, now: float) -> list[RequestInfo]:
        """Void every request whose deadline has passed; returns them, in order of blocks."""
        return self._clear(lambda info: info.deadline <= now)

    def _clear(self, gone: _Test) -> list[RequestInfo]:
        cleared = [info for held in self.requests.values() for info in held if gone(info)]
        for info in cleared:
            self.remove_request(info)
        return cleared

    # --- Blocks ------------------------------------------------------------------------

    def add_block(
        self, block: int, data: Buffer, link: int, now: float
    ) -> tuple[RequestInfo, ...] | None:
        """Take a block in; returns the other links' requests for it, or None if it is a
        duplicate (and then nothing has changed).

        The requests for the block are forgotten, so the ones returned are owed a CANCEL.
        Bytes that the link wrote into its claimed place are not copied again.
        Raises LocalProtocolError for a length that is not the block's.
        """
        length = len(data)
        if length != BLOCK_SIZE or block + 1 == self.blocks_needed:  # one call less for most
            self._check_length(block, length)
        bit = 1 << block
        if self.received & bit:
            return None
        if not self.claims or self.claims.pop(block, None) != link:
            buffer = self._buffer
            if buffer is not None:  # a call less for most
                begin = block * BLOCK_SIZE
                buffer[begin : begin + length] = data
            else:
                self.block_view(block)[:] = data
        self.received |= bit
        if self.free & bit:
            self.free ^= bit
            self.released &= ~bit
        self.senders[block] = link
        self.last_activity = now
        held = self.requests.pop(block, None)
        if held is None or (len(held) == 1 and held[0].link == link):
            return _NOBODY
        return tuple(info for info in held if info.link != link)

    def _check_length(self, block: int, length: int) -> None:
        if length != self.block_length(block):
            raise LocalProtocolError(f"block {block} of piece {self.index}: wrong length")

    def begin_writing(self, blocks: int) -> None:
        """These received blocks are to be written as they are now."""
        self.writing |= blocks

    def end_writing(self, blocks: int) -> None:
        """Their write is over.  Those forgotten meanwhile may be asked for again."""
        self.writing &= ~blocks
        self.free |= blocks & ~self.received

    def mark_stored(self, blocks: int) -> None:
        """These received blocks now lie in the files."""
        self.stored |= blocks & self.received

    def restore(self, blocks: int) -> None:
        """These blocks lie in the files since an earlier run."""
        self.received |= blocks
        self.stored |= blocks
        self.free &= ~blocks

    def discard(self, blocks: int) -> None:
        """These received blocks are not to be believed: they are to be fetched again, those
        that are being written once that is over."""
        blocks &= self.received
        self.received &= ~blocks
        self.stored &= ~blocks
        self.free |= blocks & ~self.writing
        self.released |= blocks & ~self.writing
        for block in indices(blocks):
            del self.senders[block]

    def reset(self) -> None:
        """Forget every block: the piece failed its hash and starts over.

        What is being written may not change, and is not asked for until that is over: an
        older write that came last would spoil a newer one.
        """
        self.received = self.stored = self.released = 0
        self.free = self.all_blocks & ~self.writing
        for block in self.requests:
            if self.holders(block):
                self.free &= ~(1 << block)
        self.senders.clear()
        self.stage = Stage.DOWNLOADING

    def assemble(self) -> memoryview:
        """A whole piece, as a view on its memory.

        Raises LocalProtocolError while blocks are missing, or may lie in the files alone.
        """
        absent = self.all_blocks & ~self.in_memory
        if absent or self._buffer is None:
            missing = lowest(absent or self.all_blocks)
            raise LocalProtocolError(f"piece {self.index}: block {missing} is not in memory")
        return self._buffer


_Test: TypeAlias = Callable[[RequestInfo], bool]
_named = tuple.__new__
"""Makes a named tuple of a tuple; the class itself would call Python code for that."""

_block_of = attrgetter("block")

_begin_of = BLOCK_SIZE.__mul__
"""Where a block begins in its piece."""

_set_of = (1).__lshift__
"""The set of one block."""

_NOBODY: tuple[RequestInfo, ...] = ()
