"""Hypothesis strategies for what goes in and out of machines, and for whole swarms.

Needs hypothesis: ``pip install 'torrent-core[testing]'``.  What cannot be is refused by
ImpossibleParameter, which names the parameter.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from .. import events as ev
from ..bitfield import to_wire
from ..geometry import Geometry
from ..metainfo import Metainfo
from ..types import Address, FileStat, InfoHash, LinkId, StorageFault
from ..wire import messages as wire
from ..wire.handshake import Handshake
from ..wire.handshake import encode as encode_handshake
from .line import LinkProfile
from .payload import BLOCK
from .peers.scripted import Cue
from .plan import BAD, PeerPlan, SwarmPlan
from .promises import ImpossibleParameter, count

word = st.integers(0, 2**32 - 1)
_EMPTY = (
    wire.KeepAlive(),
    wire.Choke(),
    wire.Unchoke(),
    wire.Interested(),
    wire.NotInterested(),
    wire.HaveAll(),
    wire.HaveNone(),
)
_UNKNOWN_IDS = (10, 11, 12, 18, 19, 21, 99, 255)
_DIAL_IDS = st.integers(1, 8)
_JOBS = st.integers(1, 30)

# --- The wire ------------------------------------------------------------------------------


@st.composite
def ranges(draw: st.DrawFn, geometry: Geometry, most: int = 300) -> tuple[int, int, int]:
    """Index, begin and length of at most ``most`` bytes that exist in the torrent."""
    count("most", most, least=1)
    index = draw(st.integers(0, geometry.piece_count - 1))
    size = geometry.piece_size(index)
    length = draw(st.integers(1, min(most, size)))
    return index, draw(st.integers(0, size - length)), length


def blocks(geometry: Geometry, most: int = 300) -> st.SearchStrategy[wire.Piece]:
    """PIECE messages of at most ``most`` bytes that exist in the torrent, of any content."""
    return ranges(geometry, most).flatmap(
        lambda r: st.builds(wire.Piece, st.just(r[0]), st.just(r[1]), _bytes(r[2]))
    )


def any_messages(most: int = 60) -> st.SearchStrategy[wire.Message]:
    """Every message, with any field that fits its place; at most ``most`` bytes of data."""
    data = st.binary(max_size=count("most", most))
    return st.one_of(
        st.sampled_from(_EMPTY),
        st.builds(wire.Have, word),
        st.builds(wire.Bitfield, data),
        st.builds(wire.Piece, word, word, data),
        *(st.builds(of, word, word, word) for of in (wire.Request, wire.Cancel, wire.Reject)),
        st.builds(wire.Port, st.integers(0, 0xFFFF)),
        st.builds(wire.Suggest, word),
        st.builds(wire.AllowedFast, word),
        st.builds(wire.Extended, st.integers(0, 255), data),
        st.builds(wire.Unknown, st.sampled_from(_UNKNOWN_IDS), data),
    )


def fair_messages(geometry: Geometry, most: int = 300) -> st.SearchStrategy[wire.Message]:
    """What a peer with BEP 6 and BEP 10 may send of this torrent, at its time.

    Blocks are of at most ``most`` bytes of any content.
    """
    index = st.integers(0, geometry.piece_count - 1)
    part = ranges(geometry, most)
    return st.one_of(
        st.sampled_from(_EMPTY),
        st.builds(wire.Have, index),
        st.frozensets(index).map(lambda pieces: _bitfield(geometry, pieces)),
        blocks(geometry, most),
        part.map(lambda r: wire.Request(*r)),
        part.map(lambda r: wire.Cancel(*r)),
        part.map(lambda r: wire.Reject(*r)),
        st.builds(wire.Port, st.integers(0, 0xFFFF)),
        st.builds(wire.Suggest, index),
        st.builds(wire.AllowedFast, index),
        st.builds(wire.Extended, st.integers(0, 255), st.binary(max_size=40)),
        st.builds(wire.Unknown, st.sampled_from(_UNKNOWN_IDS), st.binary(max_size=40)),
    )


def _bytes(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


def _bitfield(geometry: Geometry, pieces: frozenset[int]) -> wire.Bitfield:
    return wire.Bitfield(to_wire(sum(1 << index for index in pieces), geometry.piece_count))


def handshakes(info_hash: InfoHash) -> st.SearchStrategy[Handshake]:
    """Handshakes for one torrent, with or without BEP 6 and BEP 10."""
    reserved = st.builds(
        lambda fast, extended: bytes((0, 0, 0, 0, 0, 0x10 * extended, 0, 0x04 * fast)),
        st.booleans(),
        st.booleans(),
    )
    return st.builds(Handshake, st.just(info_hash), _bytes(20), reserved)


@st.composite
def byte_streams(draw: st.DrawFn, metainfo: Metainfo, most: int = 20) -> list[bytes]:
    """What one peer may send, as a link may deliver it: a handshake and at most ``most``
    messages, fair ones or any, cut anywhere, and now and then with one byte changed."""
    count("most", most)
    messages = fair_messages(metainfo.geometry) | any_messages()
    said = draw(st.lists(messages, max_size=most))
    hello = encode_handshake(draw(handshakes(metainfo.info_hash)))
    stream = bytearray(hello + b"".join(map(wire.encode, said)))
    if draw(st.booleans()):
        stream[draw(st.integers(0, len(stream) - 1))] = draw(st.integers(0, 255))
    cuts = draw(st.sets(st.integers(1, len(stream)), max_size=8))
    places = sorted(cuts | {0, len(stream)})
    return [bytes(stream[start:end]) for start, end in pairwise(places)]


# --- Events --------------------------------------------------------------------------------


def events(metainfo: Metainfo, links: Sequence[LinkId] = ("a", "b")) -> st.SearchStrategy[ev.Event]:
    """Any event for a torrent, whether it makes sense at its time or not.

    Events that an adapter must not send at that time are among them: the machine refuses
    these by LocalProtocolError, and raises nothing else.  ``links`` are the names of links.
    """
    if not links:
        raise ImpossibleParameter("links", links, "at least one name")
    name = st.just(metainfo.info_hash)
    link = st.sampled_from(list(links))
    address = st.builds(Address, st.sampled_from(["192.0.2.1", "::1"]), st.integers(1, 4))
    text = st.sampled_from(["", "reset"])
    stream = byte_streams(metainfo).map(b"".join)
    return st.one_of(
        st.builds(ev.LinkOpened, link, address, st.none() | _DIAL_IDS),
        st.builds(ev.DialFailed, _DIAL_IDS, text),
        st.builds(ev.BytesReceived, link, stream | st.binary(max_size=100)),
        st.builds(ev.Sent, link, st.integers(0, 200)),
        st.builds(ev.LinkClosed, link, text),
        st.just(ev.Tick()),
        storage_events(metainfo),
        st.builds(ev.StartTorrent, name, st.none() | st.binary(max_size=40)),
        st.builds(ev.StopTorrent, name),
        st.builds(ev.Recheck, name),
        st.builds(ev.SetPriorities, name, _priorities(metainfo)),
        st.builds(ev.AddPeer, name, address),
        st.builds(ev.DropPeer, name, address),
    )


def storage_events(metainfo: Metainfo) -> st.SearchStrategy[ev.Event]:
    """Any answer of a storage, to any of the first thirty jobs."""
    name = st.just(metainfo.info_hash)
    digests = st.sampled_from([*(metainfo.piece_hash(i) for i in _some(metainfo)), bytes(20)])
    stat = st.none() | st.builds(FileStat, st.integers(0, 2 * BLOCK), st.integers(0, 3))
    files = st.tuples(*[stat] * len(metainfo.files))
    return st.one_of(
        st.builds(ev.PieceHashed, name, _JOBS, digests, written=st.booleans()),
        st.builds(ev.Written, name, _JOBS),
        st.builds(ev.BlocksRead, name, _JOBS, st.binary(max_size=40)),
        st.builds(ev.FilesStated, name, _JOBS, files),
        st.builds(ev.StorageFailed, name, _JOBS, st.sampled_from(StorageFault)),
    )


def _some(metainfo: Metainfo) -> range:
    return range(min(8, metainfo.piece_count))


def _priorities(metainfo: Metainfo) -> st.SearchStrategy[tuple[int, ...]]:
    return st.tuples(*[st.integers(0, 1)] * len(metainfo.files))


# --- Peers and swarms ----------------------------------------------------------------------


def scripts(geometry: Geometry, most: int = 10) -> st.SearchStrategy[tuple[Cue, ...]]:
    """What a ``Scripted`` peer says: at most ``most`` messages, fair ones or any, or random
    bytes, up to five seconds apart; it may leave at some point."""
    count("most", most)
    said = fair_messages(geometry) | any_messages() | st.binary(min_size=1, max_size=40) | st.none()
    return st.lists(st.builds(Cue, st.floats(0.0, 5.0), said), max_size=most).map(tuple)


def link_profiles(
    *, slowest: float = 20_000.0, fastest: float = 1e7, most_latency: float = 0.5
) -> st.SearchStrategy[LinkProfile]:
    """Connections that bring at least ``slowest`` bytes a second, and never break."""
    if not 0.0 < slowest <= fastest:
        raise ImpossibleParameter("slowest", slowest, f"above zero and at most {fastest}")
    LinkProfile(latency=most_latency)
    rates = st.floats(slowest, fastest)
    return st.builds(
        LinkProfile,
        latency=st.floats(0.0, most_latency),
        jitter=st.floats(0.0, most_latency),
        down=rates,
        up=rates,
    )


def peer_plans(
    kinds: Sequence[type] = BAD, links: st.SearchStrategy[LinkProfile] | None = None
) -> st.SearchStrategy[PeerPlan]:
    """One scripted peer: its kind, its connection, and whether it speaks BEP 6."""
    if not kinds:
        raise ImpossibleParameter("kinds", kinds, "at least one kind of peer")
    return st.builds(
        PeerPlan,
        kind=st.sampled_from(list(kinds)),
        link=links or link_profiles(),
        fast=st.booleans(),
        dials=st.booleans(),
        after=st.floats(0.0, 10.0),
    )


@st.composite
def swarms(
    draw: st.DrawFn, *, most_torrents: int = 3, most_peers: int = 6, most_blocks: int = 40
) -> SwarmPlan:
    """A swarm in which a download can be completed: it has an honest peer for each machine.

    Its ``build()`` makes the swarm, with all of its peers on their way.
    """
    count("most_torrents", most_torrents, least=1)
    count("most_peers", most_peers)
    blocks = draw(st.integers(1, count("most_blocks", most_blocks, least=1)))
    options: dict[str, Any] = {
        "total": blocks * BLOCK - draw(st.integers(0, BLOCK - 1)),
        "piece_length": draw(st.sampled_from([BLOCK, 2 * BLOCK, 5 * BLOCK])),
        "seed": draw(st.integers(0, 2**16)),
        "torrents": draw(st.integers(1, most_torrents)),
        "link": draw(link_profiles()),
        "peers": tuple(draw(st.lists(peer_plans(), max_size=most_peers))),
        "failures": draw(st.sampled_from([0.0, 0.0, 0.1, 0.3])),
        "hashing": draw(st.sampled_from([0.0, 0.01, 1.0])),
        "writing": draw(st.sampled_from([0.0, 0.01, 1.0])),
        "eager": draw(st.booleans()),
    }
    return SwarmPlan(**options)
