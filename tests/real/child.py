"""A child process whose output is read line by line, always with a deadline."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial

from anyio import to_thread

STOP_LIMIT = 5.0
"""Seconds a process may take to end after SIGTERM before it is killed."""


class ChildEnded(Exception):
    """The process ended before it said what was waited for; the text is what it did say."""


class Child:
    """One process; what it writes to stdout and stderr is kept as lines."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        self._changed = threading.Condition()
        self._lines: list[str] = []
        self._ended = False
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            bufsize=1,
            env=env,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def lines(self) -> list[str]:
        """What it said so far."""
        with self._changed:
            return list(self._lines)

    def say(self, line: str) -> None:
        """Write a line to its stdin."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
        except BrokenPipeError:
            raise ChildEnded("".join(self.lines)) from None

    def wait_line(self, wanted: Callable[[str], bool], limit: float) -> str:
        """The first line, said already or to come, that is ``wanted``."""
        end, seen = time.monotonic() + limit, 0
        with self._changed:
            while True:
                for line in self._lines[seen:]:
                    if wanted(line):
                        return line
                seen = len(self._lines)
                if self._ended:
                    raise ChildEnded("".join(self._lines))
                if not self._changed.wait(end - time.monotonic()):
                    raise TimeoutError(f"not said in {limit} s; but:\n{''.join(self._lines)}")

    def wait_end(self, limit: float) -> int:
        """Its exit status, once it ended by itself and all it said is in ``lines``."""
        status = self._process.wait(limit)
        self._reader.join(limit)
        return status

    async def line(self, wanted: Callable[[str], bool], limit: float) -> str:
        """``wait_line`` on a worker thread."""
        call = partial(self.wait_line, wanted, limit)
        return await to_thread.run_sync(call, abandon_on_cancel=True)

    async def end(self, limit: float) -> int:
        """``wait_end`` on a worker thread."""
        return await to_thread.run_sync(partial(self.wait_end, limit), abandon_on_cancel=True)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()
        self.wait_end(STOP_LIMIT)

    def stop(self) -> None:
        """Ask it to end, make it end, and give back what it held."""
        self._process.terminate()
        try:
            self.wait_end(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):  # what it did not live to read is flushed once more
                pipe.close()
