"""The same machine again, fed what it was fed, compared with what it did."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum

from ..actions import Action
from ..classes import frozen
from ..errors import LocalProtocolError, TraceError
from ..events import BytesReceived, Event, LinkOpened, Sent
from ..session import Session
from ..torrent import Torrent
from ..types import Buffer
from .codec import FINGERPRINT
from .digest import Digest
from .draws import ReplayedRandom, Strayed, read_draws
from .frames import FrameReader
from .links import Links
from .setup import SessionSetup, TorrentSetup, read_setup
from .steps import Outcome, Step, StepReader
from .values import INT, Cursor


class Ending(Enum):
    """Why a replay ends where it does; the value is what a person reads."""

    CLOSED = "the end of the trace"
    CUT_SHORT = "where the trace is cut short"
    UNTIL = "the moment asked for"
    DIVERGED = "the first step that differs"


@frozen
class Divergence:
    """The first step at which the replay differs from the recording."""

    step: int
    """1 for the first."""
    now: float
    event: Event
    expected: str
    """What the recording says: a digest, or what was raised."""
    got: str
    actions: tuple[Action, ...]
    """What the step wanted in the replay."""
    offset: int
    """Where in the file the frame begins that holds the step, in bytes."""


@frozen
class ReplayReport:
    """What became of a replay; ``is_equal`` is the verdict."""

    machine: Session | Torrent | None
    """As the last step left it; None if the trace is cut short before it says what it was."""
    ending: Ending
    divergence: Divergence | None
    started: float
    """The time of the first step, on the clock of the recording; 0 if there is none."""
    now: float
    """Where the clock stands: at the last step, or at the moment asked for."""
    steps: int
    """Calls of ``handle``, all told."""
    refused: int
    """Those of them that raised LocalProtocolError, as they had when recorded."""
    bug: str
    """The name of an exception that the machine raised again, as when recorded, or empty."""
    links: int
    """Links opened."""
    received: int
    """Bytes that came from peers."""
    sent: int
    """Bytes that left for peers."""
    read: int
    """Bytes of the trace that were read and found right."""

    @property
    def is_equal(self) -> bool:
        """Whether each step did what it had done when it was recorded."""
        return self.divergence is None


def replay(
    source: Buffer | Iterable[Buffer], *, until: float | None = None, strict: bool = False
) -> ReplayReport:
    """Run a trace again, up to ``until`` seconds after its first step, or to its end.

    ``source`` is the trace, whole or in chunks.  A trace that ends too early is replayed as
    far as it goes, unless ``strict``.  Raises TraceError, with the offset, for one that is
    damaged, foreign or of another version, and if ``strict`` for one that is cut short.
    """
    chunks = [source] if isinstance(source, bytes | bytearray | memoryview) else source
    frames = FrameReader(chunks)
    run = _Run(frames, until)
    run.go()
    if strict and run.ending is Ending.CUT_SHORT:
        raise TraceError("cut short", f"byte {frames.offset}")
    return run.report()


class _Run:
    """One replay."""

    def __init__(self, frames: FrameReader, until: float | None) -> None:
        self.ending = Ending.CUT_SHORT
        self._frames = frames
        self._until = until
        self._machine: Session | Torrent | None = None
        self._random = ReplayedRandom()
        self._links = Links()
        self._digest = Digest(self._links.number)
        self._divergence: Divergence | None = None
        self._started: float | None = None
        self._now = 0.0
        self._steps = self._refused = self._opened = self._received = self._sent = 0
        self._bug = ""

    def go(self) -> None:
        """Take one step after the other until there is a reason to end."""
        for step, machine in self._recorded():
            if self._started is None:
                self._started = self._now = step.now
            if self._until is not None and step.now - self._started > self._until:
                self._now = max(self._now, self._started + self._until)
                self.ending = Ending.UNTIL
                return
            self._now = max(self._now, step.now)
            self._steps += 1
            self._count(step)
            self._divergence = self._take(step, machine)
            if self._divergence is not None:
                self.ending = Ending.DIVERGED
                return
        if self._frames.ended:
            self.ending = Ending.CLOSED

    def report(self) -> ReplayReport:
        """What there is to tell."""
        return ReplayReport(
            machine=self._machine,
            ending=self.ending,
            divergence=self._divergence,
            started=self._started or 0.0,
            now=self._now,
            steps=self._steps,
            refused=self._refused,
            bug=self._bug,
            links=self._opened,
            received=self._received,
            sent=self._sent,
            read=self._frames.offset,
        )

    def _recorded(self) -> Iterator[tuple[Step, Session | Torrent]]:
        """The steps, and the machine that the first frame tells of."""
        reader = StepReader(self._links)
        for frame in self._frames:
            cursor = Cursor(frame.data, frame.offset)
            machine = self._machine
            if machine is None:
                machine = self._machine = self._built(cursor)
            for step in reader.read(cursor):
                yield step, machine

    def _built(self, cursor: Cursor) -> Session | Torrent:
        if INT.read(cursor) != FINGERPRINT:
            raise cursor.error("recorded by a version whose events or actions are others")
        setup: SessionSetup | TorrentSetup = read_setup(cursor)
        self._random.load(read_draws(cursor))
        try:
            return setup.build(self._random)
        except Exception as error:
            raise cursor.error(f"the machine cannot be made again: {error}") from error

    def _count(self, step: Step) -> None:
        match step.event:
            case LinkOpened():
                self._opened += step.outcome is Outcome.TAKEN
            case BytesReceived(data=data):
                self._received += len(data)
            case Sent(count=count):
                self._sent += count
        self._refused += step.outcome is Outcome.REFUSED
        self._bug = step.bug or self._bug

    def _take(self, step: Step, machine: Session | Torrent) -> Divergence | None:
        """Feed the step; returns how it differs from the recording, if it does."""
        actions: list[Action] = []
        self._random.load(step.draws)
        try:
            actions = machine.handle(step.event, step.now)
            digest = self._digest.add(actions)
            got = f"digest {digest:08x}" if self._random.is_spent else "less randomness drawn"
        except Exception as error:
            got = _raised(error)
        expected = _expected(step)
        if got == expected:
            return None
        offset = step.offset
        return Divergence(step.index, step.now, step.event, expected, got, tuple(actions), offset)


def _expected(step: Step) -> str:
    if step.outcome is Outcome.REFUSED:
        return LocalProtocolError.__name__
    return step.bug or f"digest {step.digest:08x}"


def _raised(error: Exception) -> str:
    """As the recorder names it; a refusal is one whatever class of it is raised."""
    if isinstance(error, Strayed):
        return str(error)
    refused = isinstance(error, LocalProtocolError)
    return LocalProtocolError.__name__ if refused else type(error).__name__
