"""What the tests of the download side share: a scheduler with scripted peers and a clock.

``Swarm`` does what a torrent does around the scheduler, and no more: it fills dirty links at
the end of each step, carries CANCELs to the peers, and takes completed pieces to their end.
``Peer`` is the other side: what it was asked and has not answered, which is what the request
book must agree with.
"""

from __future__ import annotations

from random import Random

import attrs

from pieces_disk import Files, Write
from torrent_core.bitfield import indices
from torrent_core.budget import Budget
from torrent_core.geometry import Geometry
from torrent_core.limits import BLOCK_SIZE, ENDGAME_PATIENCE, MAX_BLOCK_HOLDERS
from torrent_core.linkstate import LinkState
from torrent_core.pieces import (
    ActivePiece,
    ActivePieceConfig,
    ActivePieceManager,
    LinkRequests,
    Outcome,
    PieceManager,
    PiecePicker,
    Released,
    RequestInfo,
    RequestScheduler,
    Stage,
)
from torrent_core.rates import Rate
from torrent_core.types import Address, BlockInfo

PLENTY = 1 << 40
TORRENT = b"t" * 20


def make_state(
    ordinal: int = 1,
    *,
    pieces: int = 0,
    fast: bool = False,
    choking: bool = False,
    reqq: int | None = None,
    now: float = 0.0,
) -> LinkState:
    """A link as the peer machine would describe it."""
    state = LinkState(
        ordinal, f"link {ordinal}", Address("192.0.2.1", ordinal), False, Rate(now), Rate(now)
    )
    state.pieces, state.fast, state.peer_choking, state.reqq = pieces, fast, choking, reqq
    return state


def payload(info: BlockInfo) -> bytes:
    """The true content of a block: no two blocks of a test have the same."""
    stamp = (info.piece << 16 | info.begin // BLOCK_SIZE).to_bytes(4, "big")
    return (stamp * (info.length // 4 + 1))[: info.length]


def content(piece: ActivePiece) -> bytes:
    """What the piece must consist of."""
    return b"".join(payload(piece.block_info(block)) for block in range(piece.blocks_needed))


def blocks_of(asked: list[BlockInfo]) -> list[tuple[int, int]]:
    """Blocks as (piece, number of the block)."""
    return [(info.piece, info.begin // BLOCK_SIZE) for info in asked]


@attrs.define(eq=False)
class Owed:
    """A request that the peer has not answered; it may answer a cancelled one as well."""

    info: BlockInfo
    cancelled: bool = False


@attrs.define(eq=False)
class Arriving:
    """A block of which the first half has come; ``place`` is None if it is not kept."""

    info: BlockInfo
    place: memoryview | None


@attrs.define(eq=False)
class Peer:
    """The other end of one link."""

    book: LinkRequests
    queue: list[Owed] = attrs.field(factory=list)
    arriving: Arriving | None = None

    @property
    def ordinal(self) -> int:
        return self.book.state.ordinal

    @property
    def state(self) -> LinkState:
        return self.book.state

    @property
    def live(self) -> list[BlockInfo]:
        """Blocks it was asked for and not told to forget."""
        return [owed.info for owed in self.queue if not owed.cancelled]

    def answered(self, info: BlockInfo, *, live_first: bool = True) -> bool:
        """Strike one request for the block off; whether there was one.

        A block is taken as the answer to the live request if there is one; a REJECT, or a
        block that was not kept, as that to the one given up.
        """
        for cancelled in (not live_first, live_first):
            for owed in self.queue:
                if owed.info == info and owed.cancelled is cancelled:
                    self.queue.remove(owed)
                    return True
        return False

    def cancel(self, info: BlockInfo) -> None:
        for owed in self.queue:
            if owed.info == info and not owed.cancelled:
                owed.cancelled = True
                return
        raise AssertionError(f"CANCEL for {info}, which was not asked for")


class Swarm:
    """A scheduler among peers, on a clock of its own."""

    def __init__(
        self,
        pieces: int = 4,
        blocks: int = 4,
        *,
        cut: int = 0,
        wanted: int | None = None,
        memory: int = PLENTY,
        config: ActivePieceConfig | None = None,
    ) -> None:
        """``cut``: bytes by which the last piece is shorter than the others."""
        length = blocks * BLOCK_SIZE
        self.geometry = Geometry(pieces * length - cut, length)
        self.verified = PieceManager(self.geometry, bytes(20 * pieces))
        self.picker = PiecePicker(self.verified, Random(1))
        self.budget = Budget(memory)
        self.active = ActivePieceManager(
            self.geometry,
            config,
            budget=self.budget,
            owner=TORRENT,
            on_activated=self.picker.activated,
            on_deactivated=self.picker.deactivated,
            on_detach=self._detach,
        )
        self.scheduler = RequestScheduler(self.picker, self.active)
        self.files = Files(self.scheduler, self.cancel)
        self.peers: dict[int, Peer] = {}
        self.completed: list[ActivePiece] = []
        self.now = 0.0
        self._last_ordinal = 0
        self.picker.set_wanted(self.geometry.all_pieces if wanted is None else wanted)

    # --- Links -------------------------------------------------------------------------

    def join(
        self,
        pieces: int | None = None,
        *,
        fast: bool = False,
        choking: bool = False,
        reqq: int | None = None,
    ) -> Peer:
        """A link opens, and says at once which pieces it has (default: all)."""
        self._last_ordinal += 1
        has = self.geometry.all_pieces if pieces is None else pieces
        state = make_state(
            self._last_ordinal, pieces=has, fast=fast, choking=choking, reqq=reqq, now=self.now
        )
        peer = self.peers[state.ordinal] = Peer(self.scheduler.add_link(state, self.now))
        self.scheduler.gained(peer.book, has)
        self.settle()
        return peer

    def leave(self, peer: Peer) -> Released:
        del self.peers[peer.ordinal]
        return self.released(self.scheduler.remove_link(peer.book))

    def gain(self, peer: Peer, pieces: int) -> None:
        new = pieces & ~peer.state.pieces
        peer.state.pieces |= new
        self.scheduler.gained(peer.book, new)
        self.settle()

    def choke(self, peer: Peer) -> Released:
        peer.state.peer_choking = True
        if not peer.state.fast:
            peer.queue.clear()
        return self.released(self.scheduler.choked(peer.book))

    def unchoke(self, peer: Peer) -> None:
        peer.state.peer_choking = False
        self.scheduler.touch(peer.book)
        self.settle()

    def allow_fast(self, peer: Peer, pieces: int) -> None:
        peer.state.allowed_fast |= pieces
        self.scheduler.touch(peer.book)
        self.settle()

    def reject(self, peer: Peer, info: BlockInfo) -> Released:
        peer.answered(info, live_first=False)
        return self.released(self.scheduler.rejected(peer.book, info.piece, info.begin, self.now))

    # --- Blocks ------------------------------------------------------------------------

    def deliver(self, peer: Peer, info: BlockInfo | None = None) -> Outcome:
        """One block comes, by default what the peer was asked first; then the step ends."""
        outcome = self.receive(peer, peer.live[0] if info is None else info)
        self.settle()
        return outcome

    def receive(self, peer: Peer, info: BlockInfo, data: memoryview | None = None) -> Outcome:
        """One block comes; the step goes on."""
        peer.answered(info)
        peer.state.down.add(info.length, self.now)
        kept = memoryview(payload(info)) if data is None else data
        return self.received(peer, info, kept)

    def received(self, peer: Peer, info: BlockInfo, data: memoryview | None) -> Outcome:
        outcome = self.scheduler.block_received(peer.book, info.piece, info.begin, data, self.now)
        for other in outcome.duplicates:
            self.cancel(other)
        if outcome.lost is not None:
            self.cancel(outcome.lost)
        piece = outcome.completed
        if piece is not None and piece.stage is Stage.HASHING:
            self.completed.append(piece)
        elif piece is not None:
            self.files.store(piece, piece.unsaved)
        return outcome

    def deliver_all(self, peer: Peer) -> None:
        """The peer answers everything, until nothing more is asked of it."""
        while peer.live:
            self.deliver(peer)

    def begin(self, peer: Peer, info: BlockInfo) -> None:
        """The first half of a block comes."""
        place = self.scheduler.open_block(peer.book, info.piece, info.begin, info.length)
        if place is not None:
            half = info.length // 2
            place[:half] = payload(info)[:half]
        peer.arriving = Arriving(info, place)

    def finish(self, peer: Peer) -> Outcome:
        """The second half comes."""
        arriving = peer.arriving
        assert arriving is not None
        peer.arriving = None
        info, place = arriving.info, arriving.place
        if place is not None:
            half = info.length // 2
            place[half:] = payload(info)[half:]
        peer.answered(info, live_first=place is not None)
        peer.state.down.add(info.length, self.now)
        outcome = self.received(peer, info, place)
        self.settle()
        return outcome

    def _detach(self, ordinal: int) -> None:
        peer = self.peers.get(ordinal)
        if peer is not None and peer.arriving is not None:
            peer.arriving.place = None

    # --- Pieces ------------------------------------------------------------------------

    def written(self, write: Write, *, fine: bool = True) -> None:
        """The storage answers a write."""
        piece = self.files.answer(write, fine=fine)
        if piece is not None:
            self.completed.append(piece)
        self.settle()

    def passed(self, piece: ActivePiece) -> None:
        """The piece is verified and written."""
        self.completed.remove(piece)
        self.scheduler.parole.release(piece.index)
        self.verified.mark_verified(piece.index)
        self.active.remove(piece.index)
        self.scheduler.touch_hungry()
        self.settle()

    def failed(self, piece: ActivePiece) -> None:
        """The piece failed its hash: blame a sole contributor, else nobody yet."""
        self.completed.remove(piece)
        contributors = piece.get_contributing_peers()
        proven = len(contributors) == 1 and not piece.stored
        if not proven:
            self.scheduler.parole.sentence(piece.index)
        self.scheduler.retry(piece)
        if proven and contributors[0] in self.peers:
            self.leave(self.peers[contributors[0]])
        self.settle()

    def want(self, wanted: int) -> None:
        """The set of wanted pieces changes."""
        self.picker.set_wanted(wanted)
        for piece in self.active.active_pieces:
            if not wanted >> piece.index & 1 and piece.stage is Stage.DOWNLOADING:
                for info in self.scheduler.abandon(piece.index):
                    self.cancel(info)
        for peer in self.peers.values():
            self.scheduler.touch(peer.book)
        self.settle()

    # --- Time --------------------------------------------------------------------------

    def tick(self, now: float | None = None) -> list[Released]:
        """Time passes to ``now``, by default to the next deadline; what is late is freed."""
        due = self.scheduler.next_deadline()
        if now is None:
            assert due is not None
            now = due[0]
        self.now = max(self.now, now)
        released = self.scheduler.tick(self.now)
        for one in released:
            self._cancel_all(one)
        self.settle()
        return released

    def late(self) -> list[Released]:
        """Time passes until something is late."""
        while not (released := self.tick()):
            pass
        return released

    def review(self) -> None:
        """Links with room look at slower ones."""
        self.tick(self.now + ENDGAME_PATIENCE)

    # --- The end of a step ---------------------------------------------------------------

    def settle(self) -> dict[int, list[BlockInfo]]:
        """Ask every dirty link; returns what each was asked, by ordinal, in order."""
        asked: dict[int, list[BlockInfo]] = {}
        self._fill(asked)
        while self.files.settle(self.now):
            self._fill(asked)
        return asked

    def _fill(self, asked: dict[int, list[BlockInfo]]) -> None:
        while (book := self.scheduler.next_dirty()) is not None:
            blocks = self.scheduler.fill(book, self.now)
            if blocks:
                ordinal = book.state.ordinal
                asked.setdefault(ordinal, []).extend(blocks)
                self.peers[ordinal].queue += map(Owed, blocks)
                self._check(book, blocks)
            elif self.scheduler.parole.holders:
                outpaced = self.scheduler.challenge(book, self.now)
                if outpaced is not None:
                    self._cancel_all(outpaced)

    def _check(self, book: LinkRequests, asked: list[BlockInfo]) -> None:
        """Nothing is asked in vain, or of too many."""
        assert book.state.reqq is None or len(book.out) <= book.state.reqq
        for info in asked:
            piece, block = self.active.get(info.piece), info.begin // BLOCK_SIZE
            assert piece is not None
            assert piece.stage is Stage.DOWNLOADING
            assert not piece.has_block(block)
            assert piece.places >> block & 1
            assert book.usable >> info.piece & 1
            assert self.picker.missing >> info.piece & 1
            assert book.snubbed or piece.holders(block) <= MAX_BLOCK_HOLDERS

    def released(self, released: Released) -> Released:
        self._cancel_all(released)
        self.settle()
        return released

    def _cancel_all(self, released: Released) -> None:
        for info in released.requests:
            if released.cancel:
                self.cancel(info)

    def cancel(self, info: RequestInfo) -> None:
        if info.link in self.peers:
            self.peers[info.link].cancel(info.info)

    # --- Looking -----------------------------------------------------------------------

    def missing(self) -> list[int]:
        return list(indices(self.picker.missing))


# --- Beginnings that several tests share -----------------------------------------------------

FIRST, SECOND = BlockInfo(0, 0, BLOCK_SIZE), BlockInfo(0, BLOCK_SIZE, BLOCK_SIZE)


def pieces_of(peer: Peer) -> set[int]:
    return {info.piece for info in peer.live}


def two_links(pieces: int = 1, blocks: int = 4) -> tuple[Swarm, Peer, Peer]:
    """Two links with everything; the first is asked for the first two blocks of a piece."""
    swarm = Swarm(pieces, blocks)
    first = swarm.join()
    return swarm, first, swarm.join()


def busy_and_idle(*, fast: bool = False) -> tuple[Swarm, Peer, Peer]:
    """A busy link, and one that has the same piece and nothing to do yet.

    Neither has a rate, so that the one does not help the other for a moment.
    """
    swarm = Swarm(2, 2)
    return swarm, swarm.join(0b01, fast=fast), swarm.join(0b01)


def finish(swarm: Swarm, peers: list[Peer]) -> None:
    """The peers answer in turn; every completed piece passes."""
    for _ in range(1000):
        for piece in list(swarm.completed):
            assert bytes(piece.assemble()) == content(piece)
            swarm.passed(piece)
        busy = [peer for peer in peers if peer.live]
        if not busy:
            return
        for peer in busy:
            swarm.now += 0.01
            if peer.live:
                swarm.deliver(peer)
