"""Memory of a peer book: 10,000 peers that were told of, measured by tracemalloc.

Run: ``python benchmarks/book.py``; the exit status says whether the bound holds.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Iterator
from random import Random
from time import perf_counter

from torrent_core.candidates import DialBook
from torrent_core.limits import MAX_HALF_OPEN
from torrent_core.types import Address, PeerSource

PEERS = 10_000
BOUND = 10 * 1024 * 1024


def told(*, six: bool) -> Iterator[Address]:
    """Peers as a tracker tells of them, each at a host of its own."""
    for n in range(PEERS):
        if six:
            yield Address(f"2001:db8:ffff:ffff:ffff:ffff:{n >> 8:x}:{n & 255:x}", 1024 + n)
        else:
            yield Address(f"11.{n >> 16}.{n >> 8 & 255}.{n & 255}", 1024 + n)


def filled(*, six: bool, tried: bool) -> DialBook:
    """A book of so many peers, each dialled once in vain, or never."""
    book = DialBook(Random(1), limit=PEERS)
    book.set_external([Address("11.9.9.9", 6881), Address("2001:db8::1", 6881)])
    if book.found(PeerSource.TRACKER, told(six=six), 0.0) != PEERS:
        raise AssertionError("some were left out")
    while tried and (begun := book.next_dials(0.0, MAX_HALF_OPEN)):
        for dial_id, _ in begun:
            book.failed(dial_id, 0.0)
    return book


def measure(*, six: bool, tried: bool) -> tuple[int, float]:
    """Bytes of a book, and seconds to fill it."""
    began = perf_counter()
    filled(six=six, tried=tried)
    took = perf_counter() - began
    gc.collect()
    tracemalloc.start()
    book = filled(six=six, tried=tried)
    gc.collect()
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    if len(book) != PEERS:
        raise AssertionError("some were evicted")
    return used, took


def main() -> int:
    """Print a line for each case."""
    worst = 0
    for six in (False, True):
        for tried in (False, True):
            used, took = measure(six=six, tried=tried)
            worst = max(worst, used)
            what = f"IPv{6 if six else 4}, {'tried once' if tried else 'never tried'}"
            each = took * 1e6 / PEERS
            print(f"{PEERS} peers, {what}: {used / 2**20:.1f} MiB, {each:.0f} us each")
    return 0 if worst < BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
