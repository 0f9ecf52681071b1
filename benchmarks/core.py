#!/usr/bin/env python3
"""What the core costs in processor time, without sockets, disks or hashing.

    python benchmarks/core.py [--json] [--repeats N] [--quick]

Five figures, microseconds each, the median over the repeats (see README.md beside this file
for what is in them and what is not):

block_us  one 16 KiB block through ``Torrent.handle``, bytes in to actions out
traced_us the same while a trace is recorded
frame_us  one 16 KiB PIECE message cut out of the byte stream by ``PeerConnection``
have_us   one HAVE through ``Torrent.handle``
pick_us   one piece chosen, rarest first, among 100,000 pieces on 50 links
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
from collections import deque
from collections.abc import Callable, Iterator
from time import perf_counter

from torrent_core import actions, events
from torrent_core.geometry import Geometry
from torrent_core.limits import BLOCK_SIZE
from torrent_core.linkstate import LinkState
from torrent_core.metainfo import Metainfo, TorrentBuilder
from torrent_core.peer import PeerConnection
from torrent_core.peer.events import BlocksReceived
from torrent_core.pieces import PieceManager, PiecePicker
from torrent_core.rates import Rate
from torrent_core.torrent import Torrent
from torrent_core.trace import Recorder, TorrentSetup
from torrent_core.trace.setup import Machine
from torrent_core.types import Address
from torrent_core.wire import handshake, messages

CHUNK = 64 * 1024
PIECE_LENGTH = 256 * 1024
LINE_RATE = 400 * 1024 * 1024
"""Bytes a second on the simulated clock: enough for the deepest pipeline."""

LINK = "link"
SEED_ADDRESS = Address("127.0.0.1", 6881)
PAYLOAD = bytes(BLOCK_SIZE)
MICRO = 1e6


# --- A torrent that is driven by hand, with a clock that counts only its own time ------------


class Bench:
    """One ``Torrent`` with one link to a seed; storage answers at once, digests as wanted."""

    def __init__(self, metainfo: Metainfo, *, traced: bool = False) -> None:
        self.metainfo = metainfo
        peer_id, rng = b"-TC0100-abcdefghijkl", random.Random(1)
        self.torrent: Machine = (
            Recorder(TorrentSetup(metainfo, peer_id), rng, _throw_away)
            if traced
            else Torrent(metainfo, peer_id=peer_id, random=rng)
        )
        self.now = 0.0
        self.spent = 0.0
        """Seconds inside ``handle`` so far."""
        self.asked: deque[bytes] = deque()
        """REQUEST fields (index, begin, length) not answered yet, as they came."""
        self.done = False

    def feed(self, event: events.Event) -> None:
        """Hand an event over, and answer every storage action that follows from it."""
        waiting = [event]
        while waiting:
            start = perf_counter()
            answered = self.torrent.handle(waiting.pop(), self.now)
            self.spent += perf_counter() - start
            for action in answered:
                waiting += self._answers(action)

    def tick_if_due(self) -> None:
        """The call owed at the deadline."""
        due = self.torrent.next_deadline()
        if due is not None and due.when <= self.now:
            self.feed(events.Tick())

    def _answers(self, action: actions.Action) -> list[events.Event]:
        match action:
            case actions.Send():
                self.asked += _request_fields(action.data)
                return [events.Sent(LINK, len(action.data))]
            case actions.HashPiece():
                digest = self.metainfo.piece_hash(action.piece)
                return [events.PieceHashed(action.torrent, action.job, digest)]
            case actions.WriteBlocks() | actions.CreateFiles():
                return [events.Written(action.torrent, action.job)]
            case actions.StatFiles():
                nothing = (None,) * len(self.metainfo.files)
                return [events.FilesStated(action.torrent, action.job, nothing)]
            case actions.TorrentCompleted():
                self.done = True
        return []

    def connect(self, has: bytes) -> None:
        """Start, and open a link to a peer that says ``has`` and unchokes us."""
        info_hash = self.metainfo.info_hash
        self.feed(events.StartTorrent(info_hash))
        self.feed(events.LinkOpened(LINK, SEED_ADDRESS))
        hello = handshake.Handshake(info_hash, b"-XX0000-abcdefghijkl", FAST)
        stream = handshake.encode(hello) + has + messages.encode(messages.Unchoke())
        self.feed(events.BytesReceived(LINK, stream))


FAST = (0x04).to_bytes(8, "big")
"""Reserved bytes with the Fast Extension bit (BEP 6)."""


def _throw_away(_trace: bytes) -> None:
    return None


def _request_fields(sent: bytes) -> Iterator[bytes]:
    if len(sent) >= handshake.HANDSHAKE_LENGTH and sent.startswith(handshake.PROTOCOL):
        sent = sent[handshake.HANDSHAKE_LENGTH :]
    at = 0
    while at < len(sent):
        end = at + 4 + int.from_bytes(sent[at : at + 4], "big")
        if end - at == 17 and sent[at + 4] == messages.REQUEST:
            yield sent[at + 5 : end]
        at = end


def _metainfo(size: int, piece_length: int) -> Metainfo:
    name = "payload.bin"
    builder = TorrentBuilder(name, [((name,), size)], single_file=True, piece_length=piece_length)
    return builder.build(random.Random(1).randbytes(20 * builder.geometry.piece_count))


# --- The figures -----------------------------------------------------------------------------


def block_us(size: int, *, traced: bool = False) -> float:
    """Download ``size`` bytes from one seed, in chunks of 64 KiB, and divide by the blocks."""
    bench = Bench(_metainfo(size, PIECE_LENGTH), traced=traced)
    bench.connect(messages.encode(messages.HaveAll()))
    bench.spent = 0.0
    stream = bytearray()
    while not bench.done:
        while bench.asked and len(stream) < CHUNK:
            stream += _piece_message(bench.asked.popleft())
        if not stream:
            raise SystemExit("the torrent asks for nothing and is not done")
        chunk = bytes(stream[:CHUNK])
        del stream[:CHUNK]
        bench.now += len(chunk) / LINE_RATE
        bench.feed(events.BytesReceived(LINK, chunk))
        bench.tick_if_due()
    return bench.spent / (size // BLOCK_SIZE) * MICRO


def traced_us(size: int) -> float:
    """The same with a ``Recorder`` around the torrent, whose trace goes nowhere."""
    return block_us(size, traced=True)


def _piece_message(fields: bytes) -> bytes:
    index, begin, length = messages.RANGE.unpack(fields)
    return messages.piece_header(index, begin, length) + PAYLOAD[:length]


def frame_us(size: int) -> float:
    """Cut ``size`` bytes of PIECE messages, in chunks of 64 KiB, out of the stream."""
    geometry = Geometry(size, PIECE_LENGTH)
    state = LinkState(1, LINK, SEED_ADDRESS, False, Rate(0.0), Rate(0.0))
    connection = PeerConnection(state, geometry, _Sink(), 0.0)
    stream = b"".join(
        messages.piece_header(at // PIECE_LENGTH, at % PIECE_LENGTH, BLOCK_SIZE) + PAYLOAD
        for at in range(0, size, BLOCK_SIZE)
    )
    chunks = [stream[at : at + CHUNK] for at in range(0, len(stream), CHUNK)]
    count = 0
    start = perf_counter()
    for chunk in chunks:
        for event in connection.receive(chunk, 0.0):
            assert isinstance(event, BlocksReceived)
            count += len(event.blocks)
    spent = perf_counter() - start
    if count != size // BLOCK_SIZE:
        raise SystemExit(f"{count} blocks came out of {size // BLOCK_SIZE}")
    return spent / count * MICRO


class _Sink:
    """Takes every block that comes in parts into one and the same buffer."""

    def __init__(self) -> None:
        self._view = memoryview(bytearray(BLOCK_SIZE))

    def open_block(self, state: LinkState, index: int, begin: int, length: int) -> memoryview:
        return self._view[:length]


def have_us(count: int) -> float:
    """Have a peer that had nothing announce ``count`` pieces, 100 HAVEs at a time."""
    bench = Bench(_metainfo(count * BLOCK_SIZE, BLOCK_SIZE))
    bench.connect(messages.encode(messages.HaveNone()))
    order = list(range(count))
    random.Random(2).shuffle(order)
    inputs = [messages.encode_haves(order[at : at + 100]) for at in range(0, count, 100)]
    bench.spent = 0.0
    for data in inputs:
        bench.feed(events.BytesReceived(LINK, data))
    return bench.spent / count * MICRO


def pick_us(count: int, pieces: int = 100_000, links: int = 50) -> float:
    """Choose and open ``count`` pieces, each link in turn, every link with a random half."""
    rng = random.Random(3)
    verified = PieceManager(Geometry(pieces * BLOCK_SIZE, BLOCK_SIZE), b"")
    picker = PiecePicker(verified, rng)
    picker.set_wanted(verified.geometry.all_pieces)
    halves = [rng.getrandbits(pieces) for _ in range(links)]
    for link, half in enumerate(halves):
        picker.availability.gain(link, half, half)
    start = perf_counter()
    for turn in range(count):
        index = picker.pick(halves[turn % links], 0)
        if index is not None:
            picker.activated(index)
    return (perf_counter() - start) / count * MICRO


# --- Running them ----------------------------------------------------------------------------


def median_of(measure: Callable[[int], float], amount: int, repeats: int) -> float:
    """The median over ``repeats`` runs, after one that only warms up."""
    measure(amount // 8)
    return statistics.median(measure(amount) for _ in range(repeats))


MIB = 1024 * 1024
FIGURES: dict[str, tuple[Callable[[int], float], int, int]] = {
    # figure: (how, how much, how much with --quick)
    "block_us": (block_us, 128 * MIB, 16 * MIB),
    "traced_us": (traced_us, 128 * MIB, 16 * MIB),
    "frame_us": (frame_us, 128 * MIB, 16 * MIB),
    "have_us": (have_us, 20_000, 2_000),
    "pick_us": (pick_us, 5_000, 500),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--repeats", type=int, default=5, metavar="N")
    parser.add_argument("--quick", action="store_true", help="small amounts: does it run at all?")
    given = parser.parse_args()
    figures = {
        name: round(median_of(how, quick if given.quick else amount, given.repeats), 3)
        for name, (how, amount, quick) in FIGURES.items()
    }
    if given.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:10} {value:8.2f}")


if __name__ == "__main__":
    main()
