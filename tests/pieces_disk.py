"""The files of a scheduler's swarm, and the writes that are out to them."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from torrent_core.bitfield import indices
from torrent_core.pieces import ActivePiece, LinkRequests, RequestInfo, RequestScheduler, Stage


@attrs.define(eq=False)
class Write:
    """Blocks that are out to be written: they must stay as they are until it is answered."""

    piece: ActivePiece
    blocks: dict[int, tuple[memoryview, bytes]]

    @property
    def numbers(self) -> int:
        """The set of the blocks."""
        return sum(1 << block for block in self.blocks)


class Files:
    """Does what a torrent's storage side does: takes writes, and gives memory back."""

    def __init__(
        self, scheduler: RequestScheduler, on_withdrawn: Callable[[RequestInfo], None]
    ) -> None:
        self.scheduler = scheduler
        self.on_withdrawn = on_withdrawn
        self.out: list[Write] = []
        self.blocks: dict[tuple[int, int], bytes] = {}
        """What lies in the files, by piece and block."""

    def store(self, piece: ActivePiece, blocks: int) -> None:
        """Hand these blocks to the disk."""
        if blocks:
            held = {block: piece.block_view(block) for block in indices(blocks)}
            self.out.append(Write(piece, {at: (view, bytes(view)) for at, view in held.items()}))
            piece.begin_writing(blocks)
            self.scheduler.active.refresh(piece)

    def settle(self, now: float) -> bool:
        """Write what is full, and give way where memory was refused; whether any did."""
        active = self.scheduler.active
        for piece, blocks in active.full:
            if piece.stage is Stage.DOWNLOADING:
                self.store(piece, blocks & piece.unsaved)
        active.full.clear()
        refused = self.scheduler.relief.take_refused()
        gave = [self.give_way(link, now) for link in list(refused)[len(self.out) :]]
        return any(gave)

    def give_way(self, link: LinkRequests, now: float) -> bool:
        """Give up what nobody works on, for ``link``."""
        vacated = self.scheduler.relief.make_room(now, link)
        if vacated is None:
            return False
        piece = vacated.piece
        if self.scheduler.active.free_spent(piece, vacated.blocks):
            self.scheduler.touch_hungry()
        self.store(piece, vacated.blocks & piece.unsaved)
        for info in vacated.probes:
            self.scheduler.touch(self.scheduler.active.links[info.link])
            self.on_withdrawn(info)
        return True

    def answer(self, write: Write, *, fine: bool = True) -> ActivePiece | None:
        """A write is over; returns the piece if all of it lies in the files now."""
        self.out.remove(write)
        piece = write.piece
        for block, (view, data) in write.blocks.items():
            assert view == data, "a block changed while it was being written"
            self.blocks[piece.index, block] = data
        if not fine:
            self.out.append(write)  # it is tried again, later
            return None
        piece.mark_stored(write.numbers)
        wanted = bool(self.scheduler.picker.missing >> piece.index & 1)
        self.scheduler.active.settle_write(piece, write.numbers, wanted=wanted)
        self.scheduler.touch_hungry()
        if piece.stage is Stage.FLUSHING and piece.stored == piece.all_blocks:
            piece.stage = Stage.HASHING
            return piece
        return None

    def read(self, piece: ActivePiece) -> bytes:
        """The piece as it lies in the files."""
        return b"".join(self.blocks[piece.index, block] for block in range(piece.blocks_needed))
