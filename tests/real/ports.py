"""Ports for programs that have to be told one."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack

FIRST, LAST = 20_000, 32_000
"""Below what systems give to sockets that ask for any port (Linux from 32768 on, others from
49152 on): nobody can hold a port for another program until that has it, so it has to be one
that no connection is given meanwhile."""


def free_port() -> int:
    """A port that is free for both protocols on every address of IPv4."""
    while True:
        port = random.SystemRandom().randrange(FIRST, LAST)
        if _is_free(port):
            return port


def _is_free(port: int) -> bool:
    with ExitStack() as probes:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            probe = probes.enter_context(socket.socket(socket.AF_INET, kind))
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                return False
    return True
