"""What became of a delivery, or of a deadline: values that the torrent acts upon."""

from __future__ import annotations

from typing import NamedTuple

from ..classes import frozen
from ..linkstate import LinkState
from ..types import ReleaseCause
from .active import ActivePiece, RequestInfo


class Outcome(NamedTuple):
    """What one received block meant."""

    completed: ActivePiece | None = None
    """The piece whose last block it was."""
    duplicates: tuple[RequestInfo, ...] = ()
    """Requests of other links for the same block: each is owed a CANCEL."""
    lost: RequestInfo | None = None
    """A request that the link has passed over too often: withdrawn, owed a CANCEL."""
    waste: str = ""
    """Why the block was of no use, if it was not."""


USED = Outcome()
"""The block was taken in, and nothing else follows."""


@frozen
class Released:
    """Requests of one link that became void for one cause."""

    state: LinkState
    """The link; it may be gone by now."""
    cause: ReleaseCause
    requests: tuple[RequestInfo, ...]
    cancel: bool
    """Whether the peer is owed a CANCEL for each."""
