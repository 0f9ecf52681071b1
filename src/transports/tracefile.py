"""Traces as files: written without ever standing in the way, read in chunks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import anyio

from torrent_core.limits import FLUSH_INTERVAL
from torrent_core.trace import Recorder, SessionSetup
from torrent_core.types import RandomSource

CHUNK = 256 * 1024
"""Bytes read at once."""


class TraceFile:
    """Where a recorder's bytes go.  Each piece reaches the system at once, so that a process
    that is killed leaves all of it behind."""

    def __init__(self, path: str | os.PathLike[str], on_failure: Callable[[OSError], None]) -> None:
        """Replaces what is at ``path``; raises OSError.

        ``on_failure`` is told once if a later write fails.  Nothing more is written then,
        since what comes after a hole is of no use: what came before it is.
        """
        self.failure: OSError | None = None
        """Why nothing more is written, if that is so."""
        self._file = open(path, "wb", buffering=0)  # noqa: SIM115 - closed by ``close``
        self._on_failure = on_failure

    def write(self, data: bytes) -> None:
        """Append ``data``.  Never raises: a download must not end because its trace does."""
        rest = memoryview(data)
        try:
            while rest and self.failure is None:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self.failure = error
            self._on_failure(error)

    def close(self) -> None:
        """Give the file back."""
        self._file.close()


class Recording:
    """A session whose every step goes into a file."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        setup: SessionSetup,
        random: RandomSource,
        on_failure: Callable[[OSError], None],
    ) -> None:
        """Raises OSError where the file cannot be begun, and what ``Session`` raises."""
        self._file = TraceFile(path, on_failure)
        try:
            self.recorder = Recorder(setup, random, self._file.write)
            failure = self._file.failure
            if failure is not None:
                failure.filename = path  # writes do not name it, as opening does
                raise failure
        except BaseException:
            self._file.close()
            raise

    async def run(self) -> None:
        """See to it, until cancelled, that nothing waits long to be written."""
        while True:
            await anyio.sleep(FLUSH_INTERVAL)
            self.recorder.flush()

    def close(self) -> None:
        """Mark the end of the trace; what happens from now on is not in it."""
        self.recorder.close()
        self._file.close()


def chunks_of(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """What is in the file, piece by piece.  Raises OSError."""
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
