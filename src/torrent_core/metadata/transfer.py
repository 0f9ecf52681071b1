"""Fetching the info dictionary from many peers at once, of whom any may lie (BEP 9).

Peers that claim the same size share a *copy*: each piece of it is asked of one, and of more
if it does not come.  When a copy is whole, its hash is taken.  If that is wrong and one peer
sent all of it, the peer is guilty, and is named.  If several did, nobody knows who spoiled
it: from then on each of them, and whoever else claims that size, has a copy of his own, which
begins with what it sent already.  So a liar spoils nothing but what is shared with it, once.

Copies take turns, since memory is bounded: those that had no turn for nothing go first, of
these the smallest.  What peers claim costs no memory; only what they send does.
"""

from __future__ import annotations

from hashlib import sha1
from itertools import count

from ..classes import frozen
from ..deadlines import Deadline, Deadlines
from ..limits import (
    MAX_LARGE_COPIES,
    MAX_METADATA_DOUBLES,
    MAX_METADATA_SIZE,
    MAX_SMALL_COPIES,
    METADATA_PATIENCE,
    METADATA_TIMEOUT,
)
from ..types import InfoHash
from ..wire.metadata import MetadataData, piece_size
from .copies import Copy, Source

_LATE, _PAUSE, _PATIENCE, _LEASE = (
    "metadata that was asked for is late",
    "metadata is asked for again",
    "metadata is asked of somebody else",
    "another copy of the metadata has its turn",
)


@frozen
class Progress:
    """How far it is."""

    asked: tuple[int, ...]
    """Ordinals of the peers that were asked and have not answered."""
    sources: int
    """Peers that say they have it."""
    paused: int
    """Those of them that refused, or did not answer, and are left alone for a while."""
    received: int
    """Pieces of the copy that is furthest."""
    pieces: int
    """Pieces that this copy has in all; 0 if nothing came yet."""


class MetadataTransfer:
    """Peers go by ordinals of the caller's.  After each call ``take_requests`` says what is to
    be sent, ``take_guilty`` who is to be left, and ``metadata`` whether it is over."""

    def __init__(self, info_hash: InfoHash) -> None:
        self.metadata: bytes | None = None
        """The info dictionary once it is here, byte for byte what the info-hash is of."""
        self._info_hash = info_hash
        self._sources: dict[int, Source] = {}
        self._sizes: dict[int, dict[int, Source]] = {}
        self._shared: dict[int, Copy] = {}  # by size; none once one of that size was wrong
        self._copies: dict[int, Copy] = {}
        self._serials = count(1)
        self._deadlines: Deadlines[tuple[str, int]] = Deadlines()
        self._overdue: dict[int, None] = {}
        self._requests: list[tuple[int, int]] = []
        self._guilty: list[int] = []

    # --- What peers do -------------------------------------------------------------------

    def offer(self, peer: int, size: int, now: float) -> None:
        """The peer has metadata of ``size`` bytes, it says.  No effect for a size that cannot
        be, nor for a peer that has said so before: its first word counts."""
        if peer in self._sources or not 0 < size <= MAX_METADATA_SIZE or self._is_over:
            return
        siblings = self._sizes.setdefault(size, {})
        if not siblings:
            self._shared[size] = self._new_copy(size, shared=True)
        copy = self._shared.get(size) or self._new_copy(size, shared=False)
        source = Source(peer, copy)
        siblings[peer] = self._sources[peer] = copy.members[peer] = source
        self._schedule(now)
        self._fill(copy, now)

    def received(self, peer: int, message: MetadataData, now: float) -> None:
        """The peer sent a piece.  One that was not asked for is ignored."""
        source = self._sources.get(peer)
        if source is None or not self._was_asked(source, message.piece):
            return
        copy, piece = source.copy, message.piece
        right = len(message.data) == piece_size(copy.size, piece)
        if not right or message.total_size not in (None, copy.size):
            copy.give_up(piece)
            self._let_rest(source, now)
            return
        source.wake()
        self._deadlines.clear((_PAUSE, peer))
        self._time(source)
        if copy.started is None or piece in copy.pieces:
            copy.give_up(piece)
        else:
            copy.take(piece, message.data, peer)
        if copy.is_whole:
            self._judge(copy, now)
        else:
            self._fill_one(source, now)

    def rejected(self, peer: int, piece: int, now: float) -> None:
        """The peer does not give that piece; it is left alone for a while."""
        source = self._sources.get(peer)
        if source is not None and source.out.pop(piece, None) is not None:
            source.copy.give_up(piece)
            self._let_rest(source, now)

    def lost(self, peer: int, now: float) -> None:
        """The peer is gone.  No effect if it offered nothing."""
        source = self._sources.get(peer)
        if source is not None:
            self._remove(source)
            self._schedule(now)
            self._fill(source.copy, now)

    # --- What is wanted ------------------------------------------------------------------

    def take_requests(self) -> list[tuple[int, int]]:
        """What is to be asked for: (peer, piece) of each request.  Each is told once."""
        taken, self._requests = self._requests, []
        return taken

    def take_guilty(self) -> list[int]:
        """Peers that are proven to have sent wrong metadata.  Each is told once, and counts as
        lost."""
        taken, self._guilty = self._guilty, []
        return taken

    def progress(self) -> Progress:
        """How far it is; costs a look at each peer."""
        best = max(self._copies.values(), key=lambda copy: len(copy.pieces), default=None)
        here = len(best.pieces) if best is not None else 0
        sources = self._sources.values()
        return Progress(
            asked=tuple(source.ordinal for source in sources if source.out),
            sources=len(self._sources),
            paused=sum(self._is_paused(source) for source in sources),
            received=here,
            pieces=here + len(best.todo) + len(best.asked) if best is not None and here else 0,
        )

    # --- Time ----------------------------------------------------------------------------

    def next_deadline(self) -> Deadline | None:
        """When ``tick`` has something to do."""
        first = self._deadlines.soonest()
        return None if first is None else Deadline(first[0], first[1][0])

    def tick(self, now: float) -> None:
        """Do what is due."""
        moved = False
        while (key := self._deadlines.pop_due(now)) is not None:
            moved = True
            why, number = key
            if why == _LATE:
                self._give_up_on(self._sources[number], now)
            elif why == _LEASE:
                self._overdue[number] = None
        if moved:
            self._schedule(now)
            for copy in list(self._copies.values()):
                self._fill(copy, now)

    def postpone(self, seconds: float) -> None:
        """Hold the last ``seconds`` against no peer: nobody was there to listen."""
        for copy in self._copies.values():
            if copy.started is not None and copy.serial not in self._overdue:
                copy.started += seconds
                self._deadlines.set((_LEASE, copy.serial), copy.started + copy.lease)
        for source in self._sources.values():
            source.out = {piece: when + seconds for piece, when in source.out.items()}
            self._time(source)

    # --- Inside: what was asked ----------------------------------------------------------

    @property
    def _is_over(self) -> bool:
        return self.metadata is not None

    def _was_asked(self, source: Source, piece: int) -> bool:
        if source.out.pop(piece, None) is not None:
            return True
        if piece in source.late:
            del source.late[piece]
            if piece in source.copy.asked:
                source.copy.ask(piece)  # until it is taken
            return True
        return False

    def _let_rest(self, source: Source, now: float) -> None:
        source.rest(now)
        self._deadlines.set((_PAUSE, source.ordinal), source.paused_until)
        self._time(source)
        self._schedule(now)
        self._fill(source.copy, now)

    def _give_up_on(self, source: Source, now: float) -> None:
        """It has not answered in time: nothing is expected of it for a while."""
        for piece in source.out:
            source.copy.give_up(piece)
            source.late[piece] = None
        source.out.clear()
        source.rest(now)
        self._deadlines.set((_PAUSE, source.ordinal), source.paused_until)

    def _is_paused(self, source: Source) -> bool:
        return self._deadlines.get((_PAUSE, source.ordinal)) is not None

    def _time(self, source: Source) -> None:
        """When the oldest request of a peer is given up."""
        oldest = next(iter(source.out.values()), None)
        late = None if oldest is None else oldest + METADATA_TIMEOUT
        self._deadlines.put((_LATE, source.ordinal), late)

    # --- Inside: whom to ask -------------------------------------------------------------

    def _fill(self, copy: Copy, now: float) -> None:
        for source in list(copy.members.values()):
            self._fill_one(source, now)

    def _fill_one(self, source: Source, now: float) -> None:
        copy = source.copy
        if copy.started is None or self._is_over:
            return
        while source.is_free(now):
            piece = self._next_piece(copy, source, now)
            if piece is None:
                break
            copy.ask(piece)
            source.out[piece] = now
            source.late.pop(piece, None)
            self._requests.append((source.ordinal, piece))
        self._time(source)

    def _next_piece(self, copy: Copy, source: Source, now: float) -> int | None:
        """What to ask of this peer: something that nobody was asked for, or else what was asked
        longest ago, unless much was asked just now.  None, and time will tell."""
        if copy.todo:
            return copy.todo.popleft()
        # It has few requests out itself, so this looks at few.
        piece = next((piece for piece in copy.asked if piece not in source.out), None)
        if piece is None:
            return None
        fresh = copy.fresh_requests(now)
        if len(fresh) < MAX_METADATA_DOUBLES:
            return piece
        self._deadlines.set((_PATIENCE, copy.serial), min(fresh) + METADATA_PATIENCE)
        return None

    # --- Inside: copies ------------------------------------------------------------------

    def _new_copy(self, size: int, *, shared: bool) -> Copy:
        copy = Copy(next(self._serials), size, shared)
        self._copies[copy.serial] = copy
        return copy

    def _drop_copy(self, copy: Copy) -> None:
        del self._copies[copy.serial]
        self._stop(copy)
        if self._shared.get(copy.size) is copy:
            del self._shared[copy.size]

    def _remove(self, source: Source) -> None:
        copy, peer = source.copy, source.ordinal
        for piece in source.out:
            copy.give_up(piece)
        del self._sources[peer], copy.members[peer], self._sizes[copy.size][peer]
        if not self._sizes[copy.size]:
            del self._sizes[copy.size]
        if not copy.members:
            self._drop_copy(copy)
        self._deadlines.clear((_LATE, peer))
        self._deadlines.clear((_PAUSE, peer))

    def _judge(self, copy: Copy, now: float) -> None:
        """A copy is whole: is it right, and if not, whose fault is it?"""
        data = b"".join(copy.pieces[piece] for piece in range(len(copy.pieces)))
        if sha1(data, usedforsecurity=False).digest() == self._info_hash:
            self.metadata = data
            self._copies.clear()
            self._shared.clear()
            self._sources.clear()
            self._deadlines = Deadlines()
            return
        origins = list(dict.fromkeys(copy.origins.values()))
        if len(origins) == 1:
            copy.reset()
            self._guilty += origins
            self._remove(self._sources[origins[0]])
        else:
            self._part(copy)
        self._schedule(now)
        for each in list(self._copies.values()):
            self._fill(each, now)

    def _part(self, copy: Copy) -> None:
        """Nobody knows who spoiled the copy: its peers have one of their own each."""
        self._drop_copy(copy)
        for source in copy.members.values():
            source.copy = own = self._new_copy(copy.size, shared=False)
            own.members[source.ordinal] = source
            for piece in source.out:
                own.todo.remove(piece)
                own.ask(piece)
        for piece, data in copy.pieces.items():
            origin = copy.origins[piece]
            if origin in copy.members:
                copy.members[origin].copy.take(piece, data, origin)

    def _schedule(self, now: float) -> None:
        """Let those copies be fetched whose turn it is."""
        for small, room in ((True, MAX_SMALL_COPIES), (False, MAX_LARGE_COPIES)):
            lane = [copy for copy in self._copies.values() if copy.is_small is small]
            running = [copy for copy in lane if copy.started is not None]
            waiting = [copy for copy in lane if copy.started is None and copy.can_move(now)]
            waiting.sort(key=lambda copy: (copy.failures, copy.size, copy.serial))
            room -= len(running)
            for copy in running:
                idle = copy.serial in self._overdue or not copy.can_move(now)
                if room < len(waiting) and idle:
                    self._set_back(copy)
                    room += 1
            for copy in waiting[:room]:
                copy.started = now
                self._deadlines.set((_LEASE, copy.serial), now + copy.lease)
                self._fill(copy, now)

    def _set_back(self, copy: Copy) -> None:
        """It had its turn for nothing."""
        copy.failures += 1
        copy.reset()
        copy.started = None
        self._stop(copy)
        for source in copy.members.values():
            self._time(source)

    def _stop(self, copy: Copy) -> None:
        self._overdue.pop(copy.serial, None)
        self._deadlines.clear((_LEASE, copy.serial))
        self._deadlines.clear((_PATIENCE, copy.serial))
