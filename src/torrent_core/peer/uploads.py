"""What the peer asked of us and has not got: its requests, in order.

A request is *queued* until ``take`` hands it out to be read from storage, then *taken* until
it is settled.  Either way it is wanted until it is answered, cancelled or turned away, which
happens once: BEP 6 promises exactly one answer to each request.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from ..limits import MAX_UPLOAD_QUEUE
from ..types import BlockInfo


class UploadQueue:
    """Valid requests of one link.  Adding, cancelling and taking cost O(1)."""

    __slots__ = ("_queued", "_taken")

    def __init__(self) -> None:
        # Dictionaries for their order; a set would have none.
        self._queued: dict[BlockInfo, None] = {}
        self._taken: dict[BlockInfo, None] = {}

    def __len__(self) -> int:
        """Requests that wait to be taken."""
        return len(self._queued)

    def __iter__(self) -> Iterator[BlockInfo]:
        """The requests that wait to be taken, oldest first."""
        return iter(self._queued)

    @property
    def is_full(self) -> bool:
        """Whether one more request would be too many."""
        return len(self._queued) + len(self._taken) >= MAX_UPLOAD_QUEUE

    def add(self, request: BlockInfo) -> None:
        """Queue a request that is not wanted yet."""
        self._queued[request] = None

    def take(self) -> BlockInfo | None:
        """The oldest request that waits, to be read from storage; None if none does."""
        if not self._queued:
            return None
        request = next(iter(self._queued))
        del self._queued[request]
        self._taken[request] = None
        return request

    def is_wanted(self, request: BlockInfo) -> bool:
        """Whether the peer still waits for an answer to this request."""
        return request in self._queued or request in self._taken

    def remove(self, request: BlockInfo) -> bool:
        """Settle a request; whether it was wanted."""
        for requests in (self._taken, self._queued):
            if request in requests:
                del requests[request]
                return True
        return False

    def keep_only(self, pieces: int) -> list[BlockInfo]:
        """Settle all requests but those for ``pieces`` (a bit set); returns the others."""
        wanted = list(chain(self._taken, self._queued))
        # Shifting a long bit set costs its length: once for each piece, not each request.
        staying = {piece for piece in {r.piece for r in wanted} if pieces >> piece & 1}
        gone = [r for r in wanted if r.piece not in staying]
        for request in gone:
            self.remove(request)
        return gone
