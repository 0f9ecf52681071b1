"""The pieces being downloaded, made on demand within a memory budget, and who was asked
for what.

An active piece need not hold memory: one that nobody can go on with may lie in the files
as far as it came, and is *dry* until it is asked for again.

The request book has two indices, by piece (``ActivePiece.requests``) and by link
(``LinkRequests.out``).  Both change here and nowhere else, so they cannot drift apart: a
separate counter of requests out once drifted to 23,715 against a limit of 50 in another
engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..bitfield import lowest, without
from ..budget import Budget
from ..deadlines import Deadlines
from ..errors import LocalProtocolError
from ..geometry import Geometry
from ..limits import BLOCK_SIZE
from ..linkstate import LinkState
from ..registry import Registry
from ..types import BlockInfo, InfoHash
from .active import DRY, IDLE, OPEN, ORPHANED, ActivePiece, RequestInfo, Stage
from .config import ActivePieceConfig
from .memory import PieceMemory
from .requests import LinkRequests


class ActivePieceManager:
    """Active pieces by index, and the request books of all links by ordinal.

    ``on_activated`` and ``on_deactivated`` tell the picker that a piece became active or
    ceased to be.  ``on_detach`` tells a link that the place it
    is writing a block into is no longer its own.
    """

    __slots__ = (
        "_deadlines",
        "_geometry",
        "_last_check",
        "_on_activated",
        "_on_deactivated",
        "_on_detach",
        "_pieces",
        "config",
        "dry",
        "full",
        "links",
        "memory",
        "open",
        "orphaned",
        "owned",
    )

    def __init__(
        self,
        geometry: Geometry,
        config: ActivePieceConfig | None = None,
        *,
        budget: Budget | None = None,
        owner: InfoHash = b"",
        on_activated: Callable[[int], None] = lambda index: None,
        on_deactivated: Callable[[int], None] = lambda index: None,
        on_detach: Callable[[int], None] = lambda link: None,
    ) -> None:
        self.config = config or ActivePieceConfig()
        self._geometry = geometry
        budget = budget or Budget(self.config.max_buffered_bytes)
        self.memory = PieceMemory(geometry, budget, owner)
        self._on_activated = on_activated
        self._on_deactivated = on_deactivated
        self._on_detach = on_detach
        self._pieces: Registry[int, ActivePiece] = Registry()
        self._deadlines: Deadlines[int] = Deadlines()
        self._last_check = 0.0
        self.links: dict[int, LinkRequests] = {}
        """The request book of each link, by ordinal."""
        self.open = 0
        """Set of active pieces with blocks that are free to be asked for and have places."""
        self.dry = 0
        """Set of active pieces whose free blocks have no places (``provide``)."""
        self.full: list[tuple[ActivePiece, int]] = []
        """Segments of pieces that are not whole, whose last block has come since the caller
        last emptied this: (piece, set of blocks), to be written."""
        self.orphaned = 0
        """Set of open pieces some of whose free blocks were asked for before, in vain."""
        self.owned = 0
        """Set of active pieces that some link works on by preference."""

    # --- Pieces ------------------------------------------------------------------------

    def get_or_create(self, index: int, now: float) -> ActivePiece | None:
        """The active piece ``index``, made now if memory allows; None if it does not."""
        piece = self._pieces.get(index)
        if piece is None:
            piece = self.begin(index, now)
            if piece is not None:
                self.refresh(piece)
        return piece

    def begin(self, index: int, now: float) -> ActivePiece | None:
        """The same of a piece that is not active, some of whose blocks are asked for next
        (``request``): not before that is it among the open ones."""
        piece = self._make(index, now)
        if not self.memory.take(piece, 0):
            return None
        self._activate(piece)
        return piece

    def refuses(self, pieces: int) -> bool:
        """Whether ``get_or_create`` would make none of this set, for lack of memory; as there,
        the owner is then told when there is some."""
        if not pieces or self.memory.has_room:
            return False
        last = self.last_piece
        if pieces >> last & 1 and self.memory.has_room_for(self._geometry.piece_size(last)):
            return False  # it may be shorter than all others
        self.memory.wait()
        return True

    def restore(self, index: int, blocks: int, now: float) -> None:
        """Go on with a piece of which these blocks lie in the files since an earlier run.

        It takes no memory until it is asked for.
        """
        piece = self._make(index, now)
        piece.restore(blocks)
        self._activate(piece)
        self.refresh(piece)

    def _make(self, index: int, now: float) -> ActivePiece:
        length = self._geometry.piece_size(index)
        return ActivePiece(index, length, now, self.memory.lend, span=self.memory.span)

    def _activate(self, piece: ActivePiece) -> None:
        self._pieces.add(piece.index, piece)
        self._on_activated(piece.index)

    def get(self, index: int) -> ActivePiece | None:
        """The active piece ``index``, or None."""
        return self._pieces.get(index)

    @property
    def last_piece(self) -> int:
        """Index of the piece that may be shorter than the others."""
        return self._geometry.piece_count - 1

    def has(self, index: int) -> bool:
        """Whether piece ``index`` is active."""
        return index in self._pieces

    def remove(self, index: int) -> list[RequestInfo]:
        """Let a piece go, done or not; returns the requests for it that were out.

        Those are withdrawn, and owed a CANCEL.  No effect if the piece is not active.  What
        is being written must stay as it is until that is over: such a piece is LEAVING
        first, and is gone after ``settle_write``.
        """
        piece = self._pieces.get(index)
        if piece is None:
            return []
        orphans = [info for held in piece.requests.values() for info in held]
        for info in orphans:
            self.withdraw(info)
        self.break_claims(piece)
        self.disown(piece)
        if piece.writing:
            self._leave(piece)
        else:
            self._drop(piece)
        return orphans

    def _leave(self, piece: ActivePiece) -> None:
        before, piece.stage = piece.stage, Stage.LEAVING
        if before is Stage.DOWNLOADING:  # of any other stage it is in no set
            self.refresh(piece)

    def _drop(self, piece: ActivePiece) -> None:
        self._pieces.remove(piece.index)
        self._leave(piece)
        for segment in piece.segments:
            self.memory.give(piece, segment)
        self._on_deactivated(piece.index)

    @property
    def blocks_per_piece(self) -> int:
        """Blocks of every piece but the last."""
        return self._geometry.blocks_per_piece

    @property
    def active_indices(self) -> list[int]:
        """Indices of the active pieces, oldest first."""
        return self._pieces.keys()

    @property
    def active_pieces(self) -> list[ActivePiece]:
        """The active pieces, oldest first."""
        return self._pieces.active

    @property
    def active_count(self) -> int:
        """How many pieces are active."""
        return len(self._pieces)

    @property
    def total_buffered_bytes(self) -> int:
        """Bytes of buffers allocated under the budget, by all torrents: O(1)."""
        return self.memory.budget.used

    def own(self, piece: ActivePiece, link: LinkRequests) -> None:
        """``link`` works on ``piece`` from now on, and on no other; nobody else does."""
        if link.current is not None:
            self.disown(link.current)
        if piece.owner is not None:
            # Its former owner must not keep it as its current piece: once the piece is gone,
            # that link would go on asking for it.
            self.disown(piece)
        link.current = piece
        piece.owner = link.state.ordinal
        self.owned |= 1 << piece.index

    def disown(self, piece: ActivePiece) -> None:
        """Nobody works on ``piece`` by preference any longer."""
        if piece.owner is None:
            return
        self.links[piece.owner].current = None
        piece.owner = None
        self.owned = without(self.owned, 1 << piece.index)

    def refresh(self, piece: ActivePiece) -> None:
        """Put ``piece`` into the sets that it belongs to now, and out of all others."""
        moved = piece.standing ^ (standing := piece.stands())
        if not moved:
            return
        piece.standing = standing
        bit = 1 << piece.index
        if moved & OPEN:
            self.open ^= bit
        if moved & DRY:
            self.dry ^= bit
        if moved & ORPHANED:
            self.orphaned ^= bit
        if moved & IDLE:
            self.memory.note_idle(piece, idle=bool(standing & IDLE))

    # --- Requests ----------------------------------------------------------------------

    def add_link(self, state: LinkState, now: float) -> LinkRequests:
        """Open the request book of a link."""
        if state.ordinal in self.links:
            raise LocalProtocolError(f"link {state.ordinal} has a request book already")
        requests = self.links[state.ordinal] = LinkRequests(state, now)
        return requests

    def remove_link(self, ordinal: int) -> list[RequestInfo]:
        """Close the book of a link; returns the requests that became void.  Idempotent."""
        requests = self.links.get(ordinal)
        if requests is None:
            return []
        void = self.clear_requests_for_peer(ordinal)
        self.unclaim(requests)
        if requests.current is not None:
            self.disown(requests.current)
        self._deadlines.clear(ordinal)  # what it delivered last may not have disarmed it yet
        del self.links[ordinal]
        return void

    def request(
        self, link: LinkRequests, piece: ActivePiece, blocks: Sequence[int], now: float
    ) -> list[BlockInfo]:
        """Note that ``link`` is asked for these blocks; returns them as REQUEST names them."""
        base = piece.index * self._geometry.blocks_per_piece
        if not self._deadlines:
            self._last_check = now  # nothing was out that could have been late
        asked = link.ask(base, piece, blocks, now, self.config.request_timeout)
        self.refresh(piece)
        return asked

    def key(self, index: int, begin: int) -> int:
        """The number of a block over the whole torrent."""
        return index * self._geometry.blocks_per_piece + begin // BLOCK_SIZE

    def forget(self, info: RequestInfo) -> None:
        """The peer will not answer this request (REJECT, or CHOKE without BEP 6)."""
        link = self.links[info.link]
        del link.out[self.key_of(info)]
        self._release(link, info)

    def withdraw(self, info: RequestInfo) -> None:
        """We give this request up; the peer may answer it all the same."""
        link = self.links[info.link]
        link.withdraw(self.key_of(info))
        self._release(link, info)

    def is_block(self, index: int, begin: int, length: int) -> bool:
        """Whether (index, begin, length) is exactly one of the torrent's blocks."""
        return self._geometry.is_block(index, begin, length)

    def key_of(self, info: RequestInfo) -> int:
        """The key of a request in its link's book."""
        return info.piece.index * self._geometry.blocks_per_piece + info.block

    def clear_requests_for_peer(self, ordinal: int) -> list[RequestInfo]:
        """Void everything asked of one link; costs what it clears."""
        link = self.links.get(ordinal)
        if link is None:
            return []
        void = list(link.out.values())
        for info in void:
            self.forget(info)
        return void

    def rearm(self, link: LinkRequests) -> None:
        """Set the link's deadline anew, after anything about its requests changed."""
        self._deadlines.put(link.state.ordinal, link.due(self.config.request_timeout))

    def check_timeouts(self, now: float) -> list[LinkRequests]:
        """Links with something late at ``now``, each once; costs what it finds."""
        self._last_check = now
        late = []
        while (ordinal := self._deadlines.pop_due(now)) is not None:
            late.append(self.links[ordinal])
        return late

    @property
    def busy(self) -> int:
        """How many links have requests out."""
        return len(self._deadlines)

    def next_timeout(self) -> float | None:
        """When to check again: when the first request or link will be late, and at least
        every ``cleanup_interval`` while anything is out."""
        first = self._deadlines.soonest()
        if first is None:
            return None
        return min(first[0], self._last_check + self.config.cleanup_interval)

    def _release(self, link: LinkRequests, info: RequestInfo) -> None:
        info.piece.remove_request(info)
        self.refresh(info.piece)
        self.rearm(link)

    # --- Claims ------------------------------------------------------------------------

    def claim(self, link: LinkRequests, piece: ActivePiece, block: int) -> memoryview:
        """Where ``link`` may write the payload of a block that arrives in parts.

        The block's place in the piece, or a buffer of its own while another link is
        writing there: two writers in one place could spoil a block already received.
        """
        if block in piece.claims:
            return memoryview(bytearray(piece.block_length(block)))
        piece.claims[block] = link.state.ordinal
        link.claim = (piece, block)
        return piece.block_view(block)

    def unclaim(self, link: LinkRequests) -> None:
        """``link`` writes into no piece any longer."""
        if link.claim is not None:
            piece, block = link.claim
            link.claim = None
            del piece.claims[block]

    def break_claims(self, piece: ActivePiece, block: int | None = None) -> None:
        """Nobody may write into ``piece`` (or its ``block``) any longer."""
        for claimed in [block] if block is not None else list(piece.claims):
            ordinal = piece.claims.pop(claimed, None)
            if ordinal is not None:
                self.links[ordinal].claim = None
                self.links[ordinal].detached = self.key(piece.index, claimed * BLOCK_SIZE)
                self._on_detach(ordinal)

    # --- Memory ------------------------------------------------------------------------

    def provide(self, piece: ActivePiece, now: float) -> bool:
        """Give the first free block of a dry piece a place; False if memory is refused."""
        if not self.memory.take(piece, lowest(piece.free) // piece.span):
            return False
        piece.last_activity = now
        self.refresh(piece)
        return True

    def has_place(self, piece: ActivePiece, block: int) -> bool:
        """Whether the block has a place, which it is given now if there is memory to spare."""
        if piece.places >> block & 1:
            return True
        if not self.memory.has_room:
            return False
        self.memory.take(piece, block // piece.span)
        self.refresh(piece)
        return True

    def note_block(self, piece: ActivePiece, block: int) -> bool:
        """A block came that was not the last of its piece: its segment may be ready to be
        written.  Whether it is not, and nobody works on it any longer."""
        if piece.is_whole:
            return piece.free | piece.received == piece.all_blocks
        blocks = piece.segment_blocks(block // piece.span)
        if piece.received & blocks == blocks:
            self.full.append((piece, blocks))
            return False
        return not blocks & ~(piece.free | piece.received)

    def settle_write(self, piece: ActivePiece, blocks: int, *, wanted: bool) -> None:
        """A write of these blocks is over, well or not: what that kept in memory may go.

        ``wanted`` says of a piece that is LEAVING whether it is to be had after all.
        """
        piece.end_writing(blocks)
        if piece.stage is Stage.LEAVING and not piece.writing:
            if not wanted:
                self._drop(piece)
                return
            piece.stage = Stage.DOWNLOADING
        self.free_spent(piece, blocks)

    def free_spent(self, piece: ActivePiece, blocks: int) -> bool:
        """Give back the memory of those segments, of the ones with any of ``blocks``, that
        have nothing in them to keep; whether there were any."""
        touched = piece.segments_of(blocks & piece.places)
        spent = [segment for segment in touched if piece.is_spent(segment)]
        for segment in spent:
            self.memory.give(piece, segment)
        if piece.stage is Stage.DOWNLOADING:
            self.refresh(piece)
        return bool(spent)
