#!/usr/bin/env python3
"""What the core costs in processor time, without sockets, disks or hashing.

    python benchmarks/core.py [--json] [--repeats N] [--quick] [--busy] [--only NAME]...

Microseconds or milliseconds each, as the name says; the median over the repeats (see README.md
beside this file for what is in them and what is not).

block_us       one 16 KiB block through ``Torrent.handle``, bytes in to actions out
traced_us      the same while a trace is recorded
frame_us       one 16 KiB PIECE message cut out of the byte stream by ``PeerConnection``
have_us        one HAVE through ``Torrent.handle``
pick_us        one piece chosen, rarest first, among 100,000 pieces on 50 links
choker_us      a choking round among 1,000 links that compete

With 1,000 links and 100,000 pieces:

block_one_us   a block from one link; the others are seeds that choke us
block_told_us  the same, and the others have half of the pieces: HAVEs of the rest are sent
block_all_us   a block from 1,000 links in turn, which want more memory than there is
have_many_us   one of 100 HAVEs in an input
have_alone_us  one HAVE alone in an input, of links that choke us
have_hungry_us the same of links that would be asked for more if there were memory
pick_many_us   as pick_us, on 1,000 links
bitfield_ms    a whole bitfield taken in
disconnect_ms  a link closed, and what it was asked for asked of others
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
from collections.abc import Callable
from functools import partial

import rig
from rig import (
    CHUNK,
    HAVE_ALL,
    HAVE_NONE,
    PAYLOAD,
    PIECE_LENGTH,
    Rig,
    crowd,
    metainfo_of,
    random_half,
)

from torrent_core.choking import Choker
from torrent_core.geometry import Geometry
from torrent_core.limits import BLOCK_SIZE, UPLOAD_SLOTS
from torrent_core.linkstate import LinkState
from torrent_core.peer import PeerConnection
from torrent_core.peer.events import BlocksReceived
from torrent_core.pieces import PieceManager, PiecePicker
from torrent_core.rates import Rate
from torrent_core.types import Address
from torrent_core.wire import messages

MICRO, MILLI = 1e6, 1e3
MANY_LINKS, MANY_PIECES = 1_000, 100_000


# --- One link --------------------------------------------------------------------------------


def block_us(size: int, *, traced: bool = False) -> float:
    """Download ``size`` bytes from one seed, in chunks of 64 KiB, and divide by the blocks."""
    bench = Rig(metainfo_of(size, PIECE_LENGTH), traced=traced)
    bench.join(0, HAVE_ALL)
    bench.spent = 0.0
    while not bench.done:
        if not bench.deliver(0):
            raise SystemExit("the torrent asks for nothing and is not done")
    return bench.spent / (size // BLOCK_SIZE) * MICRO


def frame_us(size: int) -> float:
    """Cut ``size`` bytes of PIECE messages, in chunks of 64 KiB, out of the stream."""
    connection = PeerConnection(_state(1), Geometry(size, PIECE_LENGTH), _Sink(), 0.0)
    stream = b"".join(
        messages.piece_header(at // PIECE_LENGTH, at % PIECE_LENGTH, BLOCK_SIZE) + PAYLOAD
        for at in range(0, size, BLOCK_SIZE)
    )
    chunks = [stream[at : at + CHUNK] for at in range(0, len(stream), CHUNK)]
    count = 0
    start = rig.clock()
    for chunk in chunks:
        for event in connection.receive(chunk, 0.0):
            assert isinstance(event, BlocksReceived)
            count += len(event.blocks)
    spent = rig.clock() - start
    if count != size // BLOCK_SIZE:
        raise SystemExit(f"{count} blocks came out of {size // BLOCK_SIZE}")
    return spent / count * MICRO


class _Sink:
    """Takes every block that comes in parts into one and the same buffer."""

    def __init__(self) -> None:
        self._view = memoryview(bytearray(BLOCK_SIZE))

    def open_block(self, state: LinkState, index: int, begin: int, length: int) -> memoryview:
        return self._view[:length]

    def expected(self, state: LinkState, most: int) -> None:
        """Nobody was asked for anything."""


def _state(ordinal: int) -> LinkState:
    address = Address("127.0.0.1", 6881)
    return LinkState(ordinal, ordinal, address, False, Rate(0.0), Rate(0.0))


def have_us(count: int) -> float:
    """Have a peer that had nothing announce ``count`` pieces, 100 HAVEs at a time."""
    bench = Rig(metainfo_of(count * BLOCK_SIZE, BLOCK_SIZE))
    bench.join(0, HAVE_NONE)
    order = list(range(count))
    random.Random(2).shuffle(order)
    inputs = [messages.encode_haves(order[at : at + 100]) for at in range(0, count, 100)]
    bench.spent = 0.0
    for data in inputs:
        bench.say(0, data)
    return bench.spent / count * MICRO


# --- Policies alone --------------------------------------------------------------------------


def pick_us(count: int, pieces: int = MANY_PIECES, links: int = 50) -> float:
    """Choose and open ``count`` pieces, each link in turn, every link with a random half."""
    rng = random.Random(3)
    verified = PieceManager(Geometry(pieces * BLOCK_SIZE, BLOCK_SIZE), b"")
    picker = PiecePicker(verified, rng)
    picker.set_wanted(verified.geometry.all_pieces)
    halves = [rng.getrandbits(pieces) for _ in range(links)]
    for link, half in enumerate(halves):
        picker.availability.gain(link, half, half)
    start = rig.clock()
    for turn in range(count):
        index = picker.pick(halves[turn % links], 0)
        if index is not None:
            picker.activated(index)
    return (rig.clock() - start) / count * MICRO


def choker_us(rounds: int, links: int = MANY_LINKS) -> float:
    """Hold ``rounds`` choking rounds among links whose rates differ, divide by the rounds."""
    rng = random.Random(4)
    choker = Choker(UPLOAD_SLOTS, rng)
    for state in map(_state, range(links)):
        state.peer_interested = True
        state.down.add(rng.randrange(10_000_000), 0.0)
        choker.add(state)
        choker.interest_changed(state, 0.0)
    spent = 0.0
    for _ in range(rounds):
        due = choker.next_deadline()
        assert due is not None
        start = rig.clock()
        choker.round(due.when, False)
        spent += rig.clock() - start
    return spent / rounds * MICRO


# --- Many links and pieces -------------------------------------------------------------------


def block_one_us(blocks: int, links: int = MANY_LINKS, pieces: int = MANY_PIECES) -> float:
    """``blocks`` from the one link that unchokes us; nobody else lacks anything."""
    return _from_one(crowd(links, pieces, seeds=True, choking=True), blocks)


def block_told_us(blocks: int, links: int = MANY_LINKS, pieces: int = MANY_PIECES) -> float:
    """The same among links that are told of what became ours."""
    return _from_one(crowd(links, pieces, choking=True), blocks)


def _from_one(bench: Rig, blocks: int) -> float:
    return _delivered(bench, [0], blocks) * MICRO


def block_all_us(blocks: int, links: int = MANY_LINKS, pieces: int = MANY_PIECES) -> float:
    """``blocks`` from all links, in an order drawn by lot."""
    return _delivered(crowd(links, pieces), list(range(links)), blocks) * MICRO


def _delivered(bench: Rig, links: list[int], blocks: int) -> float:
    """Seconds a block, of so many from these links."""
    rng, came = random.Random(6), 0
    bench.spent = 0.0
    while came < blocks * BLOCK_SIZE:
        came += bench.deliver(rng.choice(links))
        if bench.done:
            break
    return bench.spent / (came / BLOCK_SIZE)


def have_many_us(count: int, links: int = MANY_LINKS, pieces: int = MANY_PIECES) -> float:
    """``count`` HAVEs, 100 to an input, of links drawn by lot."""
    return _announced(crowd(links, pieces), count, 100, links, pieces) * MICRO


def have_alone_us(count: int, links: int = MANY_LINKS, pieces: int = MANY_PIECES) -> float:
    """``count`` HAVEs, each an input, of links that choke us."""
    return _announced(crowd(links, pieces, choking=True), count, 1, links, pieces) * MICRO


def have_hungry_us(count: int, links: int = MANY_LINKS, pieces: int = MANY_PIECES) -> float:
    """The same of links that we could ask for more, if there were memory."""
    return _announced(crowd(links, pieces), count, 1, links, pieces) * MICRO


def _announced(bench: Rig, count: int, batch: int, links: int, pieces: int) -> float:
    rng = random.Random(7)
    bench.spent = 0.0
    for _ in range(count // batch):
        some = [rng.randrange(pieces) for _ in range(batch)]
        bench.say(rng.randrange(links), messages.encode_haves(some))
    return bench.spent / count


def bitfield_ms(count: int, links: int = MANY_LINKS, pieces: int = MANY_PIECES) -> float:
    """``count`` bitfields of links that came beyond the others."""
    bench, rng = crowd(links, pieces), random.Random(8)
    spent = 0.0
    for link in range(links, links + count):
        bench.open(link)
        said = random_half(rng, pieces)
        spent += bench.cost(partial(bench.say, link, said))
    return spent / count * MILLI


def disconnect_ms(count: int, links: int = MANY_LINKS, pieces: int = MANY_PIECES) -> float:
    """``count`` links lost; for each another comes, so that there are always as many."""
    bench, rng = crowd(links, pieces), random.Random(9)
    spent = 0.0
    for link in range(count):
        bench.join(links + link, random_half(rng, pieces))
        spent += bench.cost(partial(bench.leave, link))
    return spent / count * MILLI


# --- Running them ----------------------------------------------------------------------------


def median_of(measure: Callable[[int], float], amount: int, repeats: int) -> float:
    """The median over ``repeats`` runs, after one that only warms up."""
    measure(max(1, amount // 8))
    return statistics.median(measure(amount) for _ in range(repeats))


MIB = 1024 * 1024
FIGURES: dict[str, tuple[Callable[[int], float], int, int]] = {
    # figure: (how, how much, how much with --quick)
    "block_us": (block_us, 128 * MIB, 16 * MIB),
    "traced_us": (partial(block_us, traced=True), 128 * MIB, 16 * MIB),
    "frame_us": (frame_us, 128 * MIB, 16 * MIB),
    "have_us": (have_us, 20_000, 2_000),
    "pick_us": (pick_us, 5_000, 500),
    "choker_us": (choker_us, 100, 10),
    "block_one_us": (block_one_us, 8_000, 800),
    "block_told_us": (block_told_us, 8_000, 800),
    "block_all_us": (block_all_us, 8_000, 800),
    "have_many_us": (have_many_us, 20_000, 2_000),
    "have_alone_us": (have_alone_us, 2_000, 200),
    "have_hungry_us": (have_hungry_us, 2_000, 200),
    "pick_many_us": (partial(pick_us, links=MANY_LINKS), 5_000, 500),
    "bitfield_ms": (bitfield_ms, 100, 10),
    "disconnect_ms": (disconnect_ms, 100, 10),
}


def measured(names: list[str], repeats: int, *, quick: bool) -> dict[str, float]:
    """The figures of these names, in order."""
    found = {}
    for name in names:
        how, amount, small = FIGURES[name]
        found[name] = round(median_of(how, small if quick else amount, repeats), 3)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--repeats", type=int, default=5, metavar="N")
    parser.add_argument("--quick", action="store_true", help="small amounts: does it run at all?")
    parser.add_argument("--only", action="append", choices=sorted(FIGURES), metavar="NAME")
    parser.add_argument("--busy", action="store_true", help="count processor time alone")
    given = parser.parse_args()
    if given.busy:
        rig.use_processor_time()
    figures = measured(given.only or list(FIGURES), given.repeats, quick=given.quick)
    if given.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:14} {value:8.2f}")


if __name__ == "__main__":
    main()
