#!/usr/bin/env python3
"""The command line over anyio streams on asyncio too, where it has a shorter way of its own.

    python benchmarks/streaming.py get ...

What trio, and any other loop that anyio learns, has to go by; here without what differs between
two loops.
"""

from __future__ import annotations

import sys

from transports import tcp
from transports.cli import main
from transports.client import client

if __name__ == "__main__":
    client.make_network = tcp.TcpNetwork  # type: ignore[attr-defined]
    sys.exit(main())
