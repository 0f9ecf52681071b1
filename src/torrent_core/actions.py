"""Everything a machine wants done, and everything it reports, as values.

Actions are carried out in the order in which they stand in the list that ``handle``
returned.  ``job`` numbers are unique within one torrent; the answer to a storage action
repeats ``torrent`` and ``job``.  Reports want nothing done: they are for people and logs.
"""

from __future__ import annotations

from typing import TypeAlias

from .classes import frozen
from .types import (
    Address,
    BlockInfo,
    CloseReason,
    Family,
    Identity,
    InfoHash,
    LinkId,
    PeerSource,
    ReleaseCause,
    Span,
    StorageFault,
    TorrentState,
)

# --- The network ---------------------------------------------------------------------------


@frozen
class Dial:
    """Open a connection; answer with ``LinkOpened`` or ``DialFailed``."""

    dial_id: int
    address: Address


@frozen
class CancelDial:
    """Give a dial up; it is answered all the same, by ``DialFailed`` or ``LinkOpened``."""

    dial_id: int


@frozen
class Send:
    """Send these bytes, after all earlier ones; report progress by ``Sent``."""

    link: LinkId
    data: bytes


@frozen
class Close:
    """Send what is queued if that is quick, close, and answer with ``LinkClosed``."""

    link: LinkId
    reason: CloseReason
    detail: str = ""


# --- Finding peers -------------------------------------------------------------------------


@frozen
class Fetch:
    """GET this http or https URL; answer with ``Fetched`` or ``FetchFailed``.

    At most ``limit`` bytes of body, after decompression, and at most MAX_REDIRECTS
    redirections, each to http or https, and none from a public address to a local one
    (``addresses.is_local``); anything else is a failure.  ``family``: from an address of this
    family only (BEP 7: one announce from each); None for any.
    """

    fetch_id: int
    url: str
    limit: int
    family: Family | None = None


@frozen
class CancelFetch:
    """Give a fetch up; it is answered all the same, by ``FetchFailed`` or ``Fetched``."""

    fetch_id: int


@frozen
class Resolve:
    """Find the addresses of a host name; answer with ``Resolved``."""

    resolve_id: int
    host: str


@frozen
class SendDatagram:
    """Send one UDP datagram from the port that all of them share.  Not answered: it may be
    lost anywhere, here too.  ``address`` has a literal for its host."""

    address: Address
    data: bytes


@frozen
class SendMulticast:
    """Send one datagram to a multicast group, on every interface.  Not answered (BEP 14)."""

    group: Address
    data: bytes


@frozen
class SaveNodes:
    """Keep this for the next start, in place of what was kept before: nodes of the DHT.

    Not answered: nodes that cannot be kept cost a bootstrap, nothing else."""

    data: bytes


# --- The storage ---------------------------------------------------------------------------


@frozen
class HashPiece:
    """SHA-1 of a whole piece: of ``data`` if given, else of ``spans`` read from the files.

    Answer: ``PieceHashed``.  ``data`` stays unchanged until it is answered.
    ``blocks`` are numbers of blocks of the piece (of 16 KiB, the last may be shorter) whose
    SHA-1 is wanted as well, of the very bytes that the digest of the piece is of: read again,
    they might be others, and somebody would be banned for it.

    Where ``expected`` is not empty, an adapter may go on at once: if that is the digest, it may
    write ``data``, which is all that ``spans`` name, and say in its answer that it is written.
    That saves a turn.  What it could not write is asked for by ``WriteBlocks``.
    """

    torrent: InfoHash
    job: int
    piece: int
    data: memoryview | None
    spans: tuple[Span, ...]
    blocks: tuple[int, ...] = ()
    expected: bytes = b""


@frozen
class HashBlocks:
    """SHA-1 of each of these blocks of one piece.  Answer: ``BlocksHashed``.

    Asked when a piece has failed its hash, and before blocks that are suspected leave memory:
    once the piece has passed, what differs tells who spoiled it.  The buffers stay unchanged
    until it is answered.
    """

    torrent: InfoHash
    job: int
    piece: int
    chunks: tuple[tuple[BlockInfo, memoryview], ...]


@frozen
class WriteBlocks:
    """Write each buffer to its span.  Answer: ``Written``.

    The buffers stay unchanged until it is answered.
    """

    torrent: InfoHash
    job: int
    piece: int
    chunks: tuple[tuple[Span, memoryview], ...]


@frozen
class ReadBlocks:
    """Read these spans, joined.  Answer: ``BlocksRead``."""

    torrent: InfoHash
    job: int
    piece: int
    spans: tuple[Span, ...]


@frozen
class StatFiles:
    """Size and modification time of every file.  Answer: ``FilesStated``."""

    torrent: InfoHash
    job: int


@frozen
class CreateFiles:
    """Make each of these files exist, and cut it to its length where it is longer.

    Answer: ``Written``.
    """

    torrent: InfoHash
    job: int
    files: tuple[int, ...]


@frozen
class SaveResume:
    """Replace the resume file by ``data``, atomically, after all that was written is safe.

    Not answered: a resume file that cannot be saved costs a re-check, nothing else.
    """

    torrent: InfoHash
    data: bytes


# --- Reports -------------------------------------------------------------------------------


@frozen
class StateChanged:
    """The torrent is now in this state."""

    torrent: InfoHash
    state: TorrentState


@frozen
class LinkReady:
    """Handshake done: from now on the two sides talk about pieces."""

    torrent: InfoHash
    link: LinkId
    address: Address
    peer_id: bytes


@frozen
class LinkLost:
    """A link ended, by our doing or not."""

    torrent: InfoHash
    link: LinkId
    address: Address
    reason: CloseReason
    detail: str


@frozen
class PieceVerified:
    """The piece is verified *and* written: ours, and announced from now on."""

    torrent: InfoHash
    piece: int


@frozen
class PieceFailed:
    """The piece did not match its hash; these links contributed to it."""

    torrent: InfoHash
    piece: int
    contributors: tuple[LinkId, ...]


@frozen
class PeerBanned:
    """It is proven that this peer sent spoiled blocks of ``piece``: it is not let in again.

    Its link, if it still has one, is closed in the same step."""

    torrent: InfoHash
    piece: int
    peer: Identity


@frozen
class BlocksReleased:
    """Requests to this link are void, and the blocks free to be asked of others."""

    torrent: InfoHash
    link: LinkId
    cause: ReleaseCause
    blocks: tuple[BlockInfo, ...]


@frozen
class BlocksReassigned:
    """Blocks that were released before are now asked of this link."""

    torrent: InfoHash
    link: LinkId
    blocks: tuple[BlockInfo, ...]


@frozen
class DataWasted:
    """Payload came that is of no use; ``why`` is a short phrase."""

    torrent: InfoHash
    link: LinkId
    why: str
    count: int


@frozen
class StorageTrouble:
    """The storage failed; what is verified is kept, and it is tried again at ``retry_at``,
    or not at all if that is None."""

    torrent: InfoHash
    fault: StorageFault
    detail: str
    retry_at: float | None


@frozen
class Warned:
    """Something was ignored that a person may want to know."""

    torrent: InfoHash
    text: str


@frozen
class TorrentCompleted:
    """Every wanted piece is verified and written."""

    torrent: InfoHash


@frozen
class PeersLearned:
    """So many peers of this torrent that we had not heard of; ``detail`` is the tracker's URL
    or whatever else tells one source of a kind from another."""

    torrent: InfoHash
    source: PeerSource
    count: int
    detail: str = ""


@frozen
class TrackerReplied:
    """An announce was answered: what the tracker says of the swarm, None where it is silent."""

    torrent: InfoHash
    url: str
    seeds: int | None
    leechers: int | None
    peers: int
    next_at: float
    warning: str = ""
    external_ip: str = ""
    """Our own address as the tracker sees it, a literal; empty if it does not say (BEP 24)."""


@frozen
class TrackerScraped:
    """A scrape ended: what the tracker knows of the swarm, None where it is silent.

    ``detail`` is empty, or why there is no answer."""

    torrent: InfoHash
    url: str
    seeds: int | None
    completed: int | None
    leechers: int | None
    detail: str = ""


@frozen
class TrackerFailed:
    """An announce came to nothing; it is tried again at ``retry_at``, or never if None."""

    torrent: InfoHash
    url: str
    detail: str
    retry_at: float | None


@frozen
class MetadataReceived:
    """The info dictionary of a magnet link is complete and has the right hash (BEP 9).

    ``torrent_file`` is a whole .torrent file, with the trackers that the magnet link named."""

    torrent: InfoHash
    torrent_file: bytes


LinkAction: TypeAlias = Dial | CancelDial | Send | Close
DiscoveryAction: TypeAlias = (
    Fetch | CancelFetch | Resolve | SendDatagram | SendMulticast | SaveNodes
)
StorageAction: TypeAlias = (
    HashPiece | HashBlocks | WriteBlocks | ReadBlocks | StatFiles | CreateFiles | SaveResume
)
Report: TypeAlias = (
    StateChanged
    | LinkReady
    | LinkLost
    | PieceVerified
    | PieceFailed
    | PeerBanned
    | BlocksReleased
    | BlocksReassigned
    | DataWasted
    | StorageTrouble
    | Warned
    | TorrentCompleted
    | PeersLearned
    | TrackerReplied
    | TrackerScraped
    | TrackerFailed
    | MetadataReceived
)
Action: TypeAlias = LinkAction | DiscoveryAction | StorageAction | Report
