"""opentracker, as Debian packages it, on the loopback: HTTP and UDP at one port number.

Debian builds it to know only torrents of a whitelist, so it is told them as it starts.  It
asks clients to wait about 15 minutes between announces; events are not bound by that.
"""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from .child import Child
from .ports import free_port

PROGRAM = "opentracker"
READY_LIMIT = 20.0
"""Seconds it may take to listen."""


def missing() -> str:
    """Why it cannot be used here; empty if it can."""
    return (
        "" if shutil.which(PROGRAM) else f"{PROGRAM} is not installed (apt-get install opentracker)"
    )


class OpenTracker:
    """One tracker in a process of its own; ready when the constructor returns."""

    host = "127.0.0.1"

    def __init__(self, folder: Path, info_hashes: Iterable[bytes]) -> None:
        # Started as root it becomes another user, who must be able to read this.
        folder.mkdir(mode=0o755)
        listed = folder / "whitelist"
        listed.write_text("".join(f"{one.hex().upper()}\n" for one in info_hashes))
        listed.chmod(0o644)
        self.port = free_port()
        own = ["-i", self.host, "-p", str(self.port), "-P", str(self.port)]
        self._child = Child([PROGRAM, *own, "-d", str(folder), "-w", listed.name])
        try:
            self._wait_ready()
        except BaseException:
            self.stop()
            raise

    @property
    def http_url(self) -> str:
        """Where it is announced to over HTTP."""
        return f"http://{self.host}:{self.port}/announce"

    @property
    def udp_url(self) -> str:
        """Where it is announced to over UDP."""
        return f"udp://{self.host}:{self.port}/announce"

    def stop(self) -> None:
        """End the process, however it is, and give back what it held."""
        self._child.stop()

    def _wait_ready(self) -> None:
        """It says nothing when it listens, so it is tried."""
        end, pause = time.monotonic() + READY_LIMIT, threading.Event()
        while True:
            try:
                socket.create_connection((self.host, self.port), READY_LIMIT).close()
                return
            except ConnectionRefusedError:
                if time.monotonic() > end:
                    raise
                pause.wait(0.02)
