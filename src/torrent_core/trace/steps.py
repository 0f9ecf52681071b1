"""One call of ``handle`` as a record: when, what happened, and the digest after it.

flags and kind (1) | now (8) | digest (4) | the event | draws, if any | the bug's name, if any
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from enum import Enum

from ..classes import frozen
from ..events import BytesReceived, Event, LinkOpened, Sent, Tick
from ..limits import MAX_RECORD_BYTES
from .codec import EVENTS, Codec
from .draws import read_draws
from .links import Links
from .values import TEXT, Cursor

ANY_EVENT, BYTES, SENT, TICK = range(4)
"""Kinds of record: the last three are nearly all there are, and shorter."""

KIND = 0x0F
DREW = 0x10
REFUSED = 0x20
CRASHED = 0x40

HEAD = struct.Struct("<BdI")
"""Flags and kind, now, digest: the whole record of a tick."""

BYTES_BODY = struct.Struct("<III")
"""What follows for received bytes: the link, how many, and how many of them are kept below."""

SENT_BODY = struct.Struct("<IQ")
"""What follows for sent bytes: the link and how many."""


class Outcome(Enum):
    """What became of an event."""

    TAKEN = "taken"
    REFUSED = "refused"
    """The machine raised LocalProtocolError."""
    CRASHED = "crashed"
    """It raised something else: a bug."""


@frozen
class Step:
    """One step as it was recorded.  Links go by their numbers, payload is zeros."""

    index: int
    """1 for the first."""
    now: float
    event: Event
    outcome: Outcome
    bug: str
    """The name of what was raised, if it crashed."""
    digest: int
    """Of all actions so far."""
    draws: tuple[tuple[int, bytes], ...]
    """The randomness that it took."""
    offset: int
    """Where in the file the frame begins that holds it."""


class StepReader:
    """Takes the steps out of frames.  ``links`` follows them, as it did when recording."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._codec = Codec("event", EVENTS, lambda link: 0)
        self._count = 0
        self._readers: dict[int, Callable[[Cursor], Event]] = {
            ANY_EVENT: self._codec.read,
            BYTES: self._bytes,
            SENT: self._sent,
            TICK: lambda cursor: Tick(),
        }

    def read(self, cursor: Cursor) -> Iterator[Step]:
        """The steps of one frame, from where ``cursor`` is in it.

        A link is opened before its step is yielded and closed after, so that the one who
        takes the step can have its actions numbered meanwhile.  Raises TraceError.
        """
        while cursor.left:
            step = self._step(cursor)
            opened = isinstance(step.event, LinkOpened) and self._links.open(step.event)
            yield step
            self._links.settle(step.event, opened=opened, taken=step.outcome is Outcome.TAKEN)

    def _step(self, cursor: Cursor) -> Step:
        flags, now, digest = cursor.unpack(HEAD)
        reader = self._readers.get(flags & KIND)
        if reader is None:
            raise cursor.error(f"no kind of record has the number {flags & KIND}")
        event = reader(cursor)
        draws = read_draws(cursor) if flags & DREW else ()
        outcome = Outcome.REFUSED if flags & REFUSED else Outcome.TAKEN
        bug = ""
        if flags & CRASHED:
            outcome, bug = Outcome.CRASHED, TEXT.read(cursor)
        self._count += 1
        return Step(self._count, now, event, outcome, bug, digest, draws, cursor.offset)

    def _bytes(self, cursor: Cursor) -> Event:
        number, length, size = cursor.unpack(BYTES_BODY)
        kept = cursor.take(size)
        follower = self._links.followers.get(number)
        if follower is None or length > MAX_RECORD_BYTES:
            raise cursor.error("bytes of no link, or too many")
        try:
            return BytesReceived(number, follower.expand(kept, length))
        except ValueError as error:
            raise cursor.error(f"bytes that do not fit together: {error}") from error

    def _sent(self, cursor: Cursor) -> Event:
        number, count = cursor.unpack(SENT_BODY)
        return Sent(number, count)
