"""Where progress goes: a live bar, plain lines, JSON lines, or nowhere.

Everything goes to stdout; stderr is for the one line that says why a command failed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Protocol, TextIO

from .render import (
    Status,
    duration,
    fraction,
    json_line,
    percent,
    plural,
    printable,
    progress_line,
    rate,
    size,
)

LINE_INTERVAL = 5.0
"""Seconds between plain lines: a log that can still be read after an hour."""

JSON_INTERVAL = 1.0
"""Seconds between ``progress`` objects."""

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
    """One JSON object a line; times are Unix times."""

    def __init__(self, out: TextIO, clock: Clock = time.monotonic, wall: Clock = time.time) -> None:
        self._out = out
        self._clock = clock
        self._wall = wall
        self._due = -float("inf")

    def show(self, state: str, status: Status) -> None:
        now = self._clock()
        if now >= self._due:
            self._due = now + JSON_INTERVAL
            self.event("progress", state, status, {})

    def event(
        self, name: str, state: str, status: Status | None, fields: dict[str, object]
    ) -> None:
        print(json_line(name, self._wall(), state, status, fields), file=self._out, flush=True)


class LiveScreen(QuietScreen):
    """A bar at the bottom of the terminal, with notes scrolling away above it."""

    def __init__(self, out: TextIO, name: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.table import Column

        def text(template: str) -> TextColumn:
            return TextColumn(template, markup=False, table_column=Column(no_wrap=True))

        title = Column(no_wrap=True, overflow="ellipsis", max_width=32)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False, table_column=title),
            BarColumn(),
            text("{task.fields[percent]}"),
            text("{task.fields[rates]}"),
            text("{task.fields[detail]}"),
            console=Console(file=out),
            auto_refresh=False,
        )
        self._task = self._progress.add_task(
            printable(name), total=1.0, percent="", rates="", detail=""
        )
        self._progress.start()

    def show(self, state: str, status: Status) -> None:
        done = fraction(state, status)
        parts = [
            state,
            plural(status.peers, "peer"),
            f"{status.pieces_have}/{status.pieces_total} pieces",
        ]
        if status.eta is not None:
            parts.append(f"{duration(status.eta)} left")
        self._progress.update(
            self._task,
            completed=done,
            percent=percent(done),
            rates=f"↓ {rate(status.down_rate)} ↑ {rate(status.up_rate)}",
            detail=", ".join(parts),
            refresh=True,
        )

    def bytes_done(self, done: int, total: int, speed: float) -> None:
        """The same bar for work that has no peers: ``done`` of ``total`` bytes hashed."""
        self._progress.update(
            self._task,
            completed=done / total if total else 1.0,
            percent=percent(done / total if total else 1.0),
            rates=rate(speed),
            detail=f"{size(done)} of {size(total)}",
            refresh=True,
        )

    def note(self, text: str) -> None:
        self._progress.console.print(printable(text), markup=False, highlight=False)

    def close(self) -> None:
        self._progress.stop()


def choose_screen(name: str, *, as_json: bool = False, quiet: bool = False) -> Screen:
    """The screen that fits the options and where stdout leads."""
    if as_json:
        return JsonScreen(sys.stdout)
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
