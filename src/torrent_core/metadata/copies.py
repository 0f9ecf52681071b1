"""What is fetched of whom: copies of the metadata, and the peers they come from, as data."""

from __future__ import annotations

from collections import deque
from math import inf

import attrs

from ..classes import define
from ..limits import (
    MAX_METADATA_BACKOFF,
    METADATA_BACKOFF,
    METADATA_LEASE,
    METADATA_PACE,
    METADATA_PATIENCE,
    METADATA_REQUESTS,
    SMALL_METADATA,
)
from ..types import Buffer
from ..wire.metadata import piece_count


@define(eq=False)
class Copy:
    """One attempt at the whole metadata: of one peer, or of all that claim the same size."""

    serial: int
    size: int
    """Bytes, as its peers claim."""
    shared: bool
    members: dict[int, Source] = attrs.field(factory=dict)
    """Whom it is fetched from, by ordinal."""
    started: float | None = None
    """Since when it is fetched; None while it waits for its turn."""
    failures: int = 0
    """How often it had its turn for nothing: those with fewer go first."""
    pieces: dict[int, Buffer] = attrs.field(factory=dict)
    """What is here."""
    origins: dict[int, int] = attrs.field(factory=dict)
    """The ordinal of who sent each of these."""
    asked: dict[int, int] = attrs.field(factory=dict)
    """What was asked for and is not here, in the order of the last request, and how many
    requests for it are out."""
    todo: deque[int] = attrs.field(factory=deque)
    """What is asked of nobody."""

    def __attrs_post_init__(self) -> None:
        self.todo.extend(range(piece_count(self.size)))

    @property
    def is_small(self) -> bool:
        """Whether many such may be fetched at once."""
        return self.size <= SMALL_METADATA

    @property
    def is_whole(self) -> bool:
        """Whether each piece is here."""
        return len(self.pieces) == piece_count(self.size)

    @property
    def lease(self) -> float:
        """How long it may take if others wait, in seconds."""
        return METADATA_LEASE + self.size / METADATA_PACE

    def fresh_requests(self, now: float) -> list[float]:
        """When those of the requests were sent that are out, and not for long."""
        sent = (when for source in self.members.values() for when in source.out.values())
        return [when for when in sent if when + METADATA_PATIENCE > now]

    def can_move(self, now: float) -> bool:
        """Whether anybody may be asked."""
        return any(now >= source.paused_until for source in self.members.values())

    def take(self, piece: int, data: Buffer, origin: int) -> None:
        """A piece has come that was missing."""
        self.pieces[piece] = data
        self.origins[piece] = origin
        if self.asked.pop(piece, None) is None:
            self.todo.remove(piece)  # given up, and here all the same: that is rare

    def ask(self, piece: int) -> None:
        """The piece, which is not among ``todo``, is asked of one more peer."""
        self.asked[piece] = self.asked.pop(piece, 0) + 1

    def give_up(self, piece: int) -> None:
        """One request for it is out no more.  No effect if the piece has come."""
        if piece not in self.asked:
            return
        self.asked[piece] -= 1
        if not self.asked[piece]:
            del self.asked[piece]
            self.todo.appendleft(piece)

    def reset(self) -> None:
        """Begin anew, with nothing asked for: the memory is free."""
        for source in self.members.values():
            source.late.update(dict.fromkeys(source.out))
            source.out.clear()
        self.pieces.clear()
        self.origins.clear()
        self.asked.clear()
        self.todo = deque(range(piece_count(self.size)))


@define(eq=False)
class Source:
    """One peer that has metadata, or says so."""

    ordinal: int
    copy: Copy
    out: dict[int, float] = attrs.field(factory=dict)
    """Requests out, oldest first, and when they were sent."""
    late: dict[int, None] = attrs.field(factory=dict)
    """Requests given up: an answer is welcome all the same."""
    paused_until: float = -inf
    pause: float = METADATA_BACKOFF
    """Seconds of the next pause."""

    def is_free(self, now: float) -> bool:
        """Whether it may be asked for one more piece."""
        return len(self.out) < METADATA_REQUESTS and now >= self.paused_until

    def rest(self, now: float) -> None:
        """It did not do what was asked."""
        self.paused_until = now + self.pause
        self.pause = min(2 * self.pause, MAX_METADATA_BACKOFF)

    def wake(self) -> None:
        """It did."""
        self.paused_until = -inf
        self.pause = METADATA_BACKOFF
