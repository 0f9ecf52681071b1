"""Where progress goes: a live bar, plain lines, JSON lines, or nowhere.

Everything goes to stdout; stderr is for the one line that says why a command failed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Protocol, TextIO

from .bar import MARKS, PLAIN_MARKS, hashing_line, transfer_line
from .render import Status, json_line, percent, printable, progress_line, rate

LINE_INTERVAL = 5.0
"""Seconds between plain lines: a log that can still be read after an hour."""

JSON_INTERVAL = 1.0
"""Seconds between ``progress`` objects."""

JSON_HEARTBEAT = 5.0
"""Seconds after which a ``progress`` object is repeated although nothing has changed."""

Clock = Callable[[], float]


class Screen(Protocol):
    """What a running command shows; every method is quick and never fails for its input."""

    def show(self, state: str, status: Status) -> None:
        """The state of things now; called several times a second."""

    def event(
        self, name: str, state: str, status: Status | None, fields: dict[str, object]
    ) -> None:
        """Something happened; for machines."""

    def note(self, text: str) -> None:
        """Something worth a line; for people."""

    def close(self) -> None:
        """Leave the terminal as it was; may be called twice."""


class QuietScreen:
    """Shows nothing."""

    def show(self, state: str, status: Status) -> None:
        return None

    def event(
        self, name: str, state: str, status: Status | None, fields: dict[str, object]
    ) -> None:
        return None

    def note(self, text: str) -> None:
        return None

    def close(self) -> None:
        return None


class LineScreen(QuietScreen):
    """A plain line every few seconds, and one whenever the state changes."""

    def __init__(self, out: TextIO, clock: Clock = time.monotonic) -> None:
        self._out = out
        self._clock = clock
        self._state = ""
        self._due = -float("inf")

    def show(self, state: str, status: Status) -> None:
        now = self._clock()
        if state == self._state and now < self._due:
            return
        self._state, self._due = state, now + LINE_INTERVAL
        print(progress_line(state, status), file=self._out, flush=True)

    def note(self, text: str) -> None:
        print(printable(text), file=self._out, flush=True)


class JsonScreen(QuietScreen):
    """One JSON object a line; times are Unix times.

    A ``progress`` object that says what the one before it said is left out, but for one
    every JSON_HEARTBEAT seconds: a reader can tell a quiet download from a dead one.
    """

    def __init__(
        self,
        out: TextIO,
        clock: Clock = time.monotonic,
        wall: Clock = time.time,
        *,
        events_only: bool = False,
    ) -> None:
        self._out = out
        self._clock = clock
        self._wall = wall
        self._due = float("inf") if events_only else -float("inf")
        self._said: object = None
        self._said_at = 0.0

    def show(self, state: str, status: Status) -> None:
        now = self._clock()
        if now < self._due:
            return
        self._due = now + JSON_INTERVAL
        said = json_line("progress", 0.0, state, status, {})
        if said != self._said or now >= self._said_at + JSON_HEARTBEAT:
            self._said, self._said_at = said, now
            self.event("progress", state, status, {})

    def event(
        self, name: str, state: str, status: Status | None, fields: dict[str, object]
    ) -> None:
        print(json_line(name, self._wall(), state, status, fields), file=self._out, flush=True)


class LiveScreen(QuietScreen):
    """A bar at the bottom of the terminal, with notes scrolling away above it.

    When it is closed the bar is gone: what is worth keeping are the notes.
    """

    def __init__(self, out: TextIO, name: str) -> None:
        from rich.console import Console
        from rich.live import Live

        self._name = name
        self._console = Console(file=out, highlight=False)
        self._marks = PLAIN_MARKS if self._console.options.ascii_only else MARKS
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._live.start()

    def show(self, state: str, status: Status) -> None:
        width = self._console.width
        self._draw(transfer_line(width, self._name, state, status, self._marks))

    def bytes_done(self, done: int, total: int, speed: float) -> None:
        """The same bar for work that has no peers: ``done`` of ``total`` bytes hashed."""
        width = self._console.width
        self._draw(hashing_line(width, self._name, done, total, speed, self._marks))

    def note(self, text: str) -> None:
        self._console.print(printable(text), markup=False, highlight=False)

    def close(self) -> None:
        self._live.stop()

    def _draw(self, line: str) -> None:
        from rich.text import Text

        text = Text(line, no_wrap=True, overflow="crop")
        text.highlight_regex(f"{self._marks.done}+", "green")
        self._live.update(text, refresh=True)


def choose_screen(name: str, *, as_json: bool = False, quiet: bool = False) -> Screen:
    """The screen that fits the options and where stdout leads."""
    if as_json:
        return JsonScreen(sys.stdout, events_only=quiet)
    if quiet:
        return QuietScreen()
    if sys.stdout.isatty():
        return LiveScreen(sys.stdout, name)
    return LineScreen(sys.stdout)


class HashProgress:
    """Shows how far hashing has come: a bar on a terminal, else a line every few seconds."""

    def __init__(
        self,
        name: str,
        total: int,
        *,
        quiet: bool = False,
        out: TextIO | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._out = out or sys.stdout
        self._total = total
        self._clock = clock
        self._began = clock()
        self._done = 0
        self._quiet = quiet
        self._due = self._began + LINE_INTERVAL
        live = not quiet and self._out.isatty()
        self._live = LiveScreen(self._out, name) if live else None

    def advance(self, count: int) -> None:
        """``count`` more bytes are hashed."""
        self._done += count
        now = self._clock()
        if self._live is not None:
            self._live.bytes_done(self._done, self._total, self._speed(now))
        elif not self._quiet and now >= self._due:
            self._due = now + LINE_INTERVAL
            text = f"hashed {percent(self._done / self._total)}, {rate(self._speed(now))}"
            print(text, file=self._out, flush=True)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._live is not None:
            self._live.close()

    def _speed(self, now: float) -> float:
        return self._done / max(now - self._began, 1e-3)
