"""Seeds that are up while others race, and a tracker that names them."""

from __future__ import annotations

import random
import re
import shlex
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import IO

from contestants import HOST
from laps import RaceError, as_installed

from torrent_core import bencode

FIRST_PORT, LAST_PORT = 20_000, 32_000
"""Below what systems give to connections, which could take a port before the seed has it."""


class Seeding:
    """A seed that serves."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid

    def dial(self, port: int) -> None:
        """Have it dial a client that must be dialled."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{port}\n")
        self._process.stdin.flush()


@contextmanager
def serving(argv: list[str], ready: str) -> Iterator[Seeding]:
    """Run a seed while the block lasts; begins once it says that it serves."""
    process = subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=as_installed(),
    )
    assert process.stdout is not None
    said = ""
    reader = threading.Thread(target=_discard, args=(process.stdout,), daemon=True)
    try:
        for line in process.stdout:
            said += line
            if re.search(ready, line):
                break
        else:
            raise RaceError(f"does not serve: {shlex.join(argv)}\n{said.strip()}")
        reader.start()  # a pipe that nobody reads would stop it
        yield Seeding(process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        if reader.ident is not None:
            reader.join()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


def _discard(pipe: IO[str]) -> None:
    for _ in pipe:
        pass


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    ports: list[int] = []
    while len(ports) < count:
        port = random.SystemRandom().randrange(FIRST_PORT, LAST_PORT)
        if port not in ports and _is_free(port):
            ports.append(port)
    return ports


def _is_free(port: int) -> bool:
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        return False
    return True


def is_listening(port: int) -> bool:
    """Whether somebody listens there now."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


@contextmanager
def tracking(ports: list[int]) -> Iterator[str]:
    """The URL of a tracker that names these seeds to everybody (BEP 3, BEP 23)."""
    peers = b"".join(socket.inet_aton(HOST) + port.to_bytes(2, "big") for port in ports)
    answer = bencode.encode({b"interval": 1800, b"peers": peers})

    class Announce(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer((HOST, 0), Announce)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}/announce"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
