"""One ``Torrent`` driven by hand, with any number of links, and a clock for its own time.

Storage answers at once and digests are as wanted, so that nothing but the core costs anything.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from time import perf_counter, thread_time

from torrent_core import Session, actions, events
from torrent_core.bitfield import to_wire
from torrent_core.limits import BLOCK_SIZE
from torrent_core.metainfo import Metainfo, TorrentBuilder
from torrent_core.torrent import Torrent
from torrent_core.trace import Recorder, TorrentSetup
from torrent_core.trace.setup import Machine
from torrent_core.types import Address, CloseReason
from torrent_core.wire import handshake, messages

CHUNK = 64 * 1024
"""Bytes of one input."""

PIECE_LENGTH = 256 * 1024
LINE_RATE = 400 * 1024 * 1024
"""Bytes a second on the simulated clock, of all links together: enough for the deepest
pipeline."""

clock = perf_counter
"""What costs are measured by; ``use_processor_time`` replaces it."""

PEER_ID = b"-TC0100-abcdefghijkl"
FAST = (0x04).to_bytes(8, "big")
"""Reserved bytes with the Fast Extension bit (BEP 6)."""

PAYLOAD = bytes(BLOCK_SIZE)
HAVE_ALL = messages.encode(messages.HaveAll())
HAVE_NONE = messages.encode(messages.HaveNone())
CHOKE = messages.encode(messages.Choke())
UNCHOKE = messages.encode(messages.Unchoke())


def use_processor_time() -> None:
    """Do not count while others have the processor.  A look at that clock costs some tenths of
    a microsecond, and much more on some virtual machines, which is counted as well."""
    global clock
    clock = thread_time


def metainfo_of(size: int, piece_length: int) -> Metainfo:
    """A torrent of one file whose hashes are made up."""
    name = "payload.bin"
    builder = TorrentBuilder(name, [((name,), size)], single_file=True, piece_length=piece_length)
    return builder.build(random.Random(1).randbytes(20 * builder.geometry.piece_count))


def with_pieces(count: int) -> Metainfo:
    """A torrent of so many pieces of 256 KiB."""
    return metainfo_of(count * PIECE_LENGTH, PIECE_LENGTH)


def random_half(rng: random.Random, pieces: int) -> bytes:
    """A BITFIELD with about every second piece."""
    return messages.encode(messages.Bitfield(to_wire(rng.getrandbits(pieces), pieces)))


class Rig:
    """A torrent that has been started, and what its links were asked for."""

    def __init__(
        self, metainfo: Metainfo, *, traced: bool = False, session: Session | None = None
    ) -> None:
        """With a ``session``, the torrent is one of those in it."""
        self.metainfo = metainfo
        rng = random.Random(1)
        self.torrent: Machine
        if session is not None:
            self.torrent = session
        elif traced:
            self.torrent = Recorder(TorrentSetup(metainfo, PEER_ID), rng, _throw_away)
        else:
            self.torrent = Torrent(metainfo, peer_id=PEER_ID, random=rng)
        self.now = 0.0
        self.spent = 0.0
        """Seconds inside the torrent so far."""
        self.done = False
        self._asked: dict[int, deque[bytes]] = {}  # REQUEST fields not answered yet
        self._streams: dict[int, bytearray] = {}
        if session is not None:
            self.feed(events.AddTorrent(metainfo))
        else:
            self.feed(events.StartTorrent(metainfo.info_hash))

    # --- Events and answers ------------------------------------------------------------------

    def feed(self, event: events.Event) -> None:
        """Hand an event over, and answer every action that follows from it."""
        waiting = [event]
        while waiting:
            start = clock()
            answered = self.torrent.handle(waiting.pop(), self.now)
            self.spent += clock() - start
            for action in answered:
                waiting += self._answers(action)

    def tick_if_due(self) -> None:
        """The call owed at the deadline."""
        start = clock()
        due = self.torrent.next_deadline()
        self.spent += clock() - start
        if due is not None and due.when <= self.now:
            self.feed(events.Tick())

    def cost(self, step: Callable[[], None]) -> float:
        """Seconds that the torrent spends in what ``step`` does to it."""
        before = self.spent
        step()
        return self.spent - before

    def _answers(self, action: actions.Action) -> list[events.Event]:
        match action:
            case actions.Send(link=int(link)):
                self._asked[link] += _request_fields(action.data)
                return [events.Sent(link, len(action.data))]
            case actions.HashPiece():
                digest = self.metainfo.piece_hash(action.piece)
                stored = bool(action.expected)  # as the disk of the transports does it
                answer = events.PieceHashed(action.torrent, action.job, digest, written=stored)
                return [answer]
            case actions.WriteBlocks() | actions.CreateFiles():
                return [events.Written(action.torrent, action.job)]
            case actions.StatFiles():
                nothing = (None,) * len(self.metainfo.files)
                return [events.FilesStated(action.torrent, action.job, nothing)]
            case actions.Close() if action.reason is not CloseReason.BOTH_SEEDS:
                raise SystemExit(f"{action.reason}: {action.detail}")
            case actions.TorrentCompleted():
                self.done = True
        return []

    # --- Links -------------------------------------------------------------------------------

    def open(self, link: int) -> None:
        """A link comes and shakes hands; each has an address and a peer id of its own."""
        host = ".".join(map(str, (10, link >> 16 & 255, link >> 8 & 255, link & 255)))
        self._asked[link], self._streams[link] = deque(), bytearray()
        self.feed(events.LinkOpened(link, Address(host, 6881)))
        hello = handshake.Handshake(self.metainfo.info_hash, b"-XX0000-%012d" % link, FAST)
        self.say(link, handshake.encode(hello))

    def join(self, link: int, has: bytes, *, unchokes: bool = True) -> None:
        """A link that says ``has`` of its pieces."""
        self.open(link)
        self.say(link, has + (UNCHOKE if unchokes else b""))

    def leave(self, link: int) -> None:
        """A link is gone."""
        del self._asked[link], self._streams[link]
        self.feed(events.LinkClosed(link))

    def say(self, link: int, data: bytes) -> None:
        """The link's peer sends these bytes; it must not be amidst a block (``finish``)."""
        assert not self._streams[link]
        self.feed(events.BytesReceived(link, data))

    def finish(self, link: int) -> None:
        """The link's peer sends the rest of a block of which a part has been delivered."""
        rest = bytes(self._streams[link])
        self._streams[link].clear()
        if rest:
            self.say(link, rest)

    def asked_of(self, link: int) -> int:
        """How many requests the link has not answered."""
        return len(self._asked[link])

    def reconsider(self, link: int) -> None:
        """The link's peer chokes us, rejects all it was asked, and unchokes us."""
        rejects = b"".join(_reject(fields) for fields in self._asked[link])
        self._asked[link].clear()
        self.say(link, CHOKE + rejects)
        self.say(link, UNCHOKE)

    def deliver(self, link: int) -> int:
        """The link sends what it was asked for, one input of it; returns how many bytes."""
        asked, stream = self._asked[link], self._streams[link]
        while asked and len(stream) < CHUNK:
            stream += _piece_message(asked.popleft())
        chunk = bytes(stream[:CHUNK])
        if chunk:
            del stream[:CHUNK]
            self.now += len(chunk) / LINE_RATE
            self.feed(events.BytesReceived(link, chunk))
            self.tick_if_due()
        return len(chunk)


def crowd(links: int, pieces: int, *, seeds: bool = False, choking: bool = False) -> Rig:
    """A torrent of so many pieces with so many links: each has a random half of the pieces, or
    all; with ``choking`` none but the first unchokes us."""
    rng = random.Random(5)
    rig = Rig(with_pieces(pieces))
    for link in range(links):
        has = HAVE_ALL if seeds else random_half(rng, pieces)
        rig.join(link, has, unchokes=not choking or link == 0)
    return rig


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


def _piece_message(fields: bytes) -> bytes:
    index, begin, length = messages.RANGE.unpack(fields)
    return messages.piece_header(index, begin, length) + PAYLOAD[:length]


def _reject(fields: bytes) -> bytes:
    return messages.encode(messages.Reject(*messages.RANGE.unpack(fields)))
