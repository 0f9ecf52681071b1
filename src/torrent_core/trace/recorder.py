"""Around a machine: hands everything on, and writes it down."""

from __future__ import annotations

import math
import struct
from typing import Generic, TypeVar

from ..actions import Action
from ..deadlines import Deadline
from ..errors import LocalProtocolError
from ..events import BytesPlaced, BytesReceived, Event, LinkOpened, Sent, Tick
from ..limits import FLUSH_BYTES, FLUSH_INTERVAL, MAX_RECORD_BYTES
from ..peer.landing import gathered
from ..types import LinkId, RandomSource
from .codec import EVENTS, FINGERPRINT, Codec
from .digest import Digest
from .draws import RecordedRandom
from .frames import FrameWriter, Sink
from .links import Links
from .setup import Machine, Setup
from .steps import (
    ANY_EVENT,
    BYTES,
    BYTES_BODY,
    CRASHED,
    DREW,
    HEAD,
    REFUSED,
    SENT,
    SENT_BODY,
    TICK,
)
from .values import INT, TEXT

M = TypeVar("M", bound=Machine)

UNWRITABLE = (KeyError, TypeError, ValueError, AttributeError, struct.error)
"""What comes of writing down a value that is not what its class declares."""


class Recorder(Generic[M]):
    """Makes a machine, has the same face, and writes a trace of what goes through it.

    ``machine`` may be asked for anything, but all its events must come through here.  The
    trace goes to ``sink`` piece by piece: what was given to it is readable, whatever becomes
    of the process.  Call ``close`` at the end, or at least ``flush``.
    """

    __slots__ = (
        "_codec",
        "_digest",
        "_draws",
        "_flush_at",
        "_followers",
        "_frames",
        "_handle",
        "_links",
        "_opened",
        "_places",
        "_places_of",
        "_records",
        "_room",
        "machine",
    )

    def __init__(self, setup: Setup[M], random: RandomSource, sink: Sink) -> None:
        """``setup`` and ``random`` are what the machine is made of.

        Raises what the machine's constructor raises.
        """
        self._draws = RecordedRandom(random)
        self.machine = setup.build(self._draws)
        """The machine itself."""
        self._handle = self.machine.handle
        self._links = Links()
        self._followers = self._links.followers
        self._codec = Codec("event", EVENTS, self._links.number)
        self._digest = Digest(self._links.number)
        self._frames = FrameWriter(sink)
        self._records: list[bytes] = []
        self._room = FLUSH_BYTES
        self._flush_at = -math.inf
        self._opened = False
        self._places: list[memoryview] = []
        self._places_of: LinkId | None = None
        header = bytearray()
        INT.write(header, FINGERPRINT)
        setup.write(header)
        self._frames.write(bytes(header + self._draws.take()))

    # --- The face ----------------------------------------------------------------------

    def handle(self, event: Event, now: float) -> list[Action]:
        """What the machine answers.

        Raises what it raises, and LocalProtocolError for an event with a field of a wrong
        type, which could not be written down.
        """
        if type(event) is BytesPlaced:
            return self._handle_placed(event, now)
        try:
            kind, body = self._body(event)
        except UNWRITABLE as error:
            self._settle(event, taken=False)
            raise LocalProtocolError(f"cannot be recorded: {error!r}") from error
        try:
            actions = self._handle(event, now)
        except Exception as error:
            self._raised(kind, now, body, error)
            self._settle(event, taken=False)
            raise
        self._places = []
        digest = self._digest
        self._keep(kind, now, digest.add(actions) if actions else digest.value, body)
        if kind == ANY_EVENT:
            self._settle(event, taken=True)
        return actions

    def receive_into(self, link: LinkId, most: int) -> list[memoryview]:
        """What the machine answers, if it can be asked that; else, that it does not care."""
        ask = getattr(self.machine, "receive_into", None)
        self._places = [] if ask is None else ask(link, most)
        self._places_of = link
        return self._places

    def _handle_placed(self, event: BytesPlaced, now: float) -> list[Action]:
        """What was placed is recorded as received: the machine does the same for both.

        But for what it refuses, which changes nothing, and would be taken when replayed."""
        received, self._places = self._received(event), []
        try:
            actions = self._handle(event, now)
        except LocalProtocolError:
            raise
        except Exception as error:
            kind, body = self._body(received)
            self._raised(kind, now, body, error)
            raise
        kind, body = self._body(received)
        self._keep(kind, now, self._digest.add(actions) if actions else self._digest.value, body)
        return actions

    def _received(self, event: BytesPlaced) -> BytesReceived:
        room = sum(map(len, self._places)) if event.link == self._places_of else 0
        if not isinstance(event.count, int) or not 0 < event.count <= room:
            raise LocalProtocolError(f"no places for {event.count} bytes of {event.link!r}")
        return BytesReceived(event.link, gathered(self._places, event.count))

    def next_deadline(self) -> Deadline | None:
        """When the machine wants to be called, and why."""
        return self.machine.next_deadline()

    # --- Writing -----------------------------------------------------------------------

    def flush(self) -> None:
        """Give the sink all that is recorded so far."""
        if self._records:
            self._frames.write(b"".join(self._records))
            self._records.clear()
            self._room = FLUSH_BYTES
            self._flush_at = -math.inf

    def close(self) -> None:
        """``flush``, and mark the end.  Later steps are taken, but not recorded."""
        self.flush()
        self._frames.write(b"")

    def _body(self, event: Event) -> tuple[int, bytes]:
        """The kind of the record, and what it says of the event."""
        if type(event) is BytesReceived:
            follower = self._followers.get(event.link)
            if follower is not None:
                data = event.data
                kept = follower.elide(data)
                return BYTES, BYTES_BODY.pack(follower.number, len(data), len(kept)) + kept
        elif type(event) is Sent:
            follower = self._followers.get(event.link)
            if follower is not None:
                return SENT, SENT_BODY.pack(follower.number, event.count)
        elif type(event) is Tick:
            return TICK, b""
        return ANY_EVENT, self._any_body(event)

    def _any_body(self, event: Event) -> bytes:
        if type(event) is LinkOpened:
            self._opened = self._links.open(event)
        out = bytearray()
        self._codec.write(out, event)
        if len(out) > MAX_RECORD_BYTES:
            raise ValueError(f"{len(out)} bytes")
        return bytes(out)

    def _settle(self, event: Event, *, taken: bool) -> None:
        self._links.settle(event, opened=self._opened, taken=taken)
        self._opened = False

    def _raised(self, kind: int, now: float, body: bytes, error: Exception) -> None:
        """The machine refused the event, or has a bug, which must not be lost."""
        digest = self._digest.value
        if isinstance(error, LocalProtocolError):
            self._keep(kind | REFUSED, now, digest, body)
            return
        name = bytearray()
        TEXT.write(name, type(error).__name__)
        self._keep(kind | CRASHED, now, digest, body, bytes(name))
        self.flush()

    def _keep(self, kind: int, now: float, digest: int, body: bytes, bug: bytes = b"") -> None:
        """Append a record, and write out what waits if it is much or old."""
        if self._draws.count:
            body += self._draws.take()
            kind |= DREW
        record = HEAD.pack(kind, now, digest) + body + bug
        self._records.append(record)
        self._room -= len(record)
        if self._room < 0:
            self.flush()
        elif now >= self._flush_at:
            if len(self._records) > 1:
                self.flush()
            else:
                self._flush_at = now + FLUSH_INTERVAL
