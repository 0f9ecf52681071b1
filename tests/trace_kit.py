"""Recorded runs to replay, and values of every class that a trace can hold."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from hashlib import sha1
from random import Random
from typing import Any

import attrs
from hypothesis import strategies as st

from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.accounts import Explanation
from torrent_core.actions import Action
from torrent_core.metainfo import MagnetLink
from torrent_core.session import Session
from torrent_core.torrent import Torrent, TorrentConfig
from torrent_core.trace import Recorder, SessionSetup, TorrentSetup
from torrent_core.types import (
    Address,
    BlockInfo,
    CloseReason,
    Family,
    FileStat,
    Identity,
    PeerSource,
    ReleaseCause,
    Span,
    StorageFault,
    TorrentState,
)
from world import BLOCK, make_torrent
from world_peers import Seed
from world_swarm import OURS, Swarm

# --- Values --------------------------------------------------------------------------------

META, PAYLOAD = make_torrent(3 * BLOCK + 5)

ints = st.integers(-(2**63), 2**63 - 1)
lengths = st.integers(0, 5000)
payload = lengths.map(lambda length: memoryview(bytes(length)))
span = st.builds(Span, ints, ints, ints)


def _tuples(of: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(of, max_size=4).map(tuple)


FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "Address": st.builds(Address, st.text(), ints),
    "Buffer": payload,
    "CloseReason": st.sampled_from(CloseReason),
    "Family | None": st.none() | st.sampled_from(Family),
    "Identity": st.builds(Identity, st.text(), st.binary()),
    "InfoHash": st.binary(min_size=20, max_size=20),
    "LinkId": st.integers(0, 2**32),
    "MagnetLink": st.builds(
        MagnetLink,
        st.binary(min_size=20, max_size=20),
        st.text(),
        _tuples(st.text()),
        _tuples(st.builds(Address, st.text(), ints)),
        _tuples(st.text()),
        st.none() | _tuples(st.tuples(ints, ints)),
    ),
    "Metainfo": st.just(META),
    "PeerSource": st.sampled_from(PeerSource),
    "ReleaseCause": st.sampled_from(ReleaseCause),
    "StorageFault": st.sampled_from(StorageFault),
    "TorrentState": st.sampled_from(TorrentState),
    "bytes": st.binary(),
    "bytes | None": st.none() | st.binary(),
    "float": st.floats(allow_nan=False),
    "float | None": st.none() | st.floats(allow_nan=False),
    "bool": st.booleans(),
    "int": ints,
    "int | None": st.none() | ints,
    "memoryview | None": st.none() | payload,
    "str": st.text(st.characters()),
    "tuple[Address, ...]": _tuples(st.builds(Address, st.text(), ints)),
    "tuple[BlockInfo, ...]": _tuples(st.builds(BlockInfo, ints, ints, ints)),
    "tuple[FileStat | None, ...]": _tuples(st.none() | st.builds(FileStat, ints, ints)),
    "tuple[LinkId, ...]": _tuples(st.integers(0, 2**32)),
    "tuple[Span, ...]": _tuples(span),
    "tuple[str, ...]": _tuples(st.text()),
    "tuple[bytes, ...]": _tuples(st.binary()),
    "tuple[int, ...]": _tuples(ints),
    "tuple[int, ...] | None": st.none() | _tuples(ints),
    "tuple[tuple[BlockInfo, memoryview], ...]": _tuples(
        st.tuples(st.builds(BlockInfo, ints, ints, ints), payload)
    ),
    "tuple[tuple[Span, memoryview], ...]": _tuples(st.tuples(span, payload)),
}
"""What may stand in a field, by its annotation."""


def values_of(cls: type) -> st.SearchStrategy[Any]:
    """Instances of one class of events or actions.  KeyError for a new type of field."""
    fields = {field.name: FIELDS[str(field.type)] for field in attrs.fields(cls)}
    if cls is ev.BytesReceived:
        fields["data"] = st.binary()
    return st.builds(cls, **fields)


# --- Runs ----------------------------------------------------------------------------------


class Explaining(Recorder[Torrent]):
    """A recorder that the world can ask for its accounts."""

    def explain(self, now: float) -> Explanation:
        return self.machine.explain(now)


class RecordedSwarm(Swarm):
    """A swarm whose torrent is recorded; ``config`` is also what the trace is to say."""

    def __init__(
        self,
        *sizes: int,
        config: TorrentConfig | None = None,
        full: bool = False,
        start: bool = True,
        random: Any = None,
        check_every: int = 1,
    ) -> None:
        super().__init__(*sizes, full=full, start=False, check_every=check_every)
        self.chunks: list[bytes] = []
        setup = TorrentSetup(self.meta, OURS, config or TorrentConfig())
        self.recorder = Explaining(setup, random or Random(1), self.chunks.append)
        self.torrent = self.recorder.machine
        self.machine = self.recorder
        if start:
            self.start()

    @property
    def written(self) -> bytes:
        """The trace so far."""
        return b"".join(self.chunks)

    def finished(self) -> bytes:
        """The whole trace."""
        self.recorder.close()
        return self.written


class Pair:
    """Two recorded sessions: one seeds, one fetches, over a network that takes no time but
    cuts what is sent into ``cuts``, over and over."""

    def __init__(self, total: int = 5 * BLOCK + 100, cuts: Sequence[int] = (BLOCK,)) -> None:
        self.meta, payload = make_torrent(total)
        self.disks = {"seed": bytearray(payload), "leech": bytearray()}
        self.payload = payload
        self.now = 10.0
        self.traces: dict[str, list[bytes]] = {"seed": [], "leech": []}
        self.sessions: dict[str, Recorder[Session]] = {
            name: Recorder(
                SessionSetup(b"-XX0000-%012d" % number), Random(number), self.traces[name].append
            )
            for number, name in enumerate(self.disks)
        }
        self._cuts = list(cuts)
        self._queue: deque[tuple[str, ev.Event]] = deque()

    def run(self) -> None:
        """From nothing to the end of the download, and both closed."""
        for name in self.disks:
            self._feed(name, ev.AddTorrent(self.meta))
        self._feed("leech", ev.AddPeer(self.meta.info_hash, Address("seed", 1)))
        self._feed("leech", ev.LinkClosed("wire"))
        self._feed("seed", ev.LinkClosed("wire"))
        for session in self.sessions.values():
            session.close()

    def trace(self, name: str) -> bytes:
        """What one of them wrote."""
        return b"".join(self.traces[name])

    def _feed(self, name: str, event: ev.Event) -> None:
        self._queue.append((name, event))
        while self._queue:
            who, happened = self._queue.popleft()
            self.now += 0.001
            for action in self.sessions[who].handle(happened, self.now):
                self._carry_out(who, action)

    def _carry_out(self, name: str, action: Action) -> None:
        other = "leech" if name == "seed" else "seed"
        match action:
            case act.Dial(dial_id=dial_id, address=address):
                self._queue.append((other, ev.LinkOpened("wire", Address(name, 1))))
                self._queue.append((name, ev.LinkOpened("wire", address, dial_id)))
            case act.Send(data=data):
                self._queue += [(other, ev.BytesReceived("wire", part)) for part in self._cut(data)]
                self._queue.append((name, ev.Sent("wire", len(data))))
            case _:
                self._queue += [(name, done) for done in self._stored(self.disks[name], action)]

    def _cut(self, data: bytes) -> list[bytes]:
        parts, at = [], 0
        while at < len(data):
            self._cuts.append(self._cuts.pop(0))
            parts.append(data[at : at + self._cuts[-1]])
            at += self._cuts[-1]
        return parts

    def _stored(self, disk: bytearray, action: Action) -> list[ev.Event]:
        match action:
            case act.StatFiles(torrent=of, job=job):
                stat = FileStat(len(disk), 0) if disk else None
                return [ev.FilesStated(of, job, (stat,))]
            case act.HashPiece(torrent=of, job=job, data=view, spans=(at,), blocks=blocks):
                data = bytes(disk[at.offset : at.offset + at.length] if view is None else view)
                parts = (data[n * BLOCK : (n + 1) * BLOCK] for n in blocks)
                digests = tuple(sha1(part).digest() for part in parts)
                return [ev.PieceHashed(of, job, sha1(data).digest(), digests)]
            case act.HashBlocks(torrent=of, job=job, chunks=chunks):
                return [ev.BlocksHashed(of, job, tuple(sha1(b).digest() for _, b in chunks))]
            case act.ReadBlocks(torrent=of, job=job, spans=(at,)):
                return [ev.BlocksRead(of, job, disk[at.offset : at.offset + at.length])]
            case act.WriteBlocks(torrent=of, job=job, chunks=chunks):
                disk.extend(bytes(len(self.payload) - len(disk)))
                for at, part in chunks:
                    disk[at.offset : at.offset + at.length] = part
                return [ev.Written(of, job)]
            case act.CreateFiles(torrent=of, job=job):
                return [ev.Written(of, job)]
        return []


def small_trace() -> bytes:
    """A download of two blocks in four seconds: several frames."""
    swarm = RecordedSwarm(2 * BLOCK, BLOCK)
    swarm.join(Seed, latency=0.6)
    swarm.finish()
    swarm.run(seconds=15)
    return swarm.finished()
