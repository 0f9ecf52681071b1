"""The few types that every part shares."""

from __future__ import annotations

from collections.abc import Hashable
from enum import Enum
from typing import NamedTuple, Protocol, TypeAlias

Buffer: TypeAlias = bytes | bytearray | memoryview
"""Bytes in any form; one inside an event is only valid during ``handle``."""

LinkId: TypeAlias = Hashable
"""Names one connection; chosen by the adapter, opaque to the core."""

InfoHash: TypeAlias = bytes
"""Twenty bytes: the SHA-1 of the bencoded info dictionary (BEP 3)."""


class Address(NamedTuple):
    """Where a peer listens, or where a link comes from; ``host`` is a literal or a name."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Identity(NamedTuple):
    """Who is at the other end of a link, as far as that can be told: what a ban names."""

    host: str
    """Where the link comes from or leads to."""
    peer_id: bytes
    """As its handshake has it."""


class PeerSource(Enum):
    """Who told us of a peer; the value is what a person reads."""

    NAMED = "named by the caller"
    MAGNET = "the magnet link"
    TRACKER = "a tracker"
    DHT = "the DHT"
    EXCHANGE = "peer exchange"
    LOCAL = "the local network"
    INCOMING = "it dialled us"


class Family(Enum):
    """Which internet protocol is meant; the value is its version."""

    IPV4 = 4
    IPV6 = 6


class RandomSource(Protocol):
    """All the randomness a machine may use; ``random.Random`` fits."""

    def getrandbits(self, k: int, /) -> int: ...

    def random(self) -> float: ...


class CloseReason(Enum):
    """Why the core ends a link; the value is what a person reads."""

    PROTOCOL_ERROR = "broke the protocol"
    WRONG_PROTOCOL = "is not speaking BitTorrent"
    WRONG_TORRENT = "asked for a torrent that is not here"
    SELF_CONNECTION = "is ourselves"
    DUPLICATE_PEER = "is connected already"
    HANDSHAKE_TIMEOUT = "did not finish its handshake in time"
    IDLE_TIMEOUT = "was silent for too long"
    UNSOLICITED_DATA = "keeps sending blocks that nobody asked for"
    CORRUPT_DATA = "sent blocks that failed their hash"
    BANNED = "is banned"
    TOO_MANY_LINKS = "is one link too many"
    BOTH_SEEDS = "has everything, and so have we"
    DROPPED = "was dropped by the caller"
    STOPPING = "is closed because the torrent stops"
    REMOTE_CLOSED = "closed the connection"
    CONNECTION_FAILED = "was lost"


class StorageFault(Enum):
    """Kinds of storage failure that the core tells apart; the value is what a person reads."""

    DISK_FULL = "no space left on the disk"
    PERMISSION = "permission denied"
    MISSING = "a file is missing or shorter than expected"
    OTHER = "the storage failed"


class TorrentState(Enum):
    """What a torrent is doing."""

    RESOLVING = "fetching its metadata"
    CHECKING = "checking"
    DOWNLOADING = "downloading"
    SEEDING = "seeding"
    STOPPING = "stopping"
    STOPPED = "stopped"


class ReleaseCause(Enum):
    """Why a requested block became free to be asked of somebody else."""

    DISCONNECTED = "the link closed"
    CHOKED = "the peer choked us"
    REJECTED = "the peer rejected it"
    TIMED_OUT = "the deadline passed"
    SNUBBED = "the peer went silent"
    OUTPACED = "a much faster peer has the whole piece"
    OVERTAKEN = "the peer answered later requests and not this one"


class BlockInfo(NamedTuple):
    """One block of one piece, as REQUEST names it: offsets and lengths in bytes."""

    piece: int
    begin: int
    length: int


class Span(NamedTuple):
    """A run of bytes in one file: the file's index in the torrent, offset, length."""

    file: int
    offset: int
    length: int


class FileStat(NamedTuple):
    """What the storage knows of one file: size in bytes, modification time in ns."""

    size: int
    mtime_ns: int


class Totals(NamedTuple):
    """What a tracker is told of our part in a swarm, in bytes of payload (BEP 3)."""

    uploaded: int
    downloaded: int
    left: int
    """Wanted or not, what is not verified and written yet; 0 means that we are a seed."""
