"""Everything that can happen to a machine, as values.

``Session`` and ``Torrent`` take these through ``handle(event, now)``.  Three groups: what
the network did, what the storage answered, what the caller wants.  Buffers inside events
are only read during ``handle``.

What an adapter owes: events of one link in order; exactly one answer to each ``Dial`` and
to each storage action; ``Sent`` as bytes leave; exactly one ``LinkClosed`` for each link,
whoever closed it.  Between a ``Close`` action and its ``LinkClosed`` a link may still
deliver bytes: they are ignored.  A second ``LinkClosed`` has no effect, as closing twice
has none elsewhere.
"""

from __future__ import annotations

from typing import TypeAlias

from .classes import frozen
from .metainfo import MagnetLink, Metainfo
from .types import Address, Buffer, FileStat, InfoHash, LinkId, PeerSource, StorageFault

# --- The network ---------------------------------------------------------------------------


@frozen
class LinkOpened:
    """A connection stands.  With ``dial_id``, it answers that ``Dial``; without, the peer
    dialled us.  ``since`` is when it opened, if that was before now."""

    link: LinkId
    address: Address
    dial_id: int | None = None
    since: float | None = None


@frozen
class DialFailed:
    """A ``Dial`` came to nothing, or was cancelled."""

    dial_id: int
    detail: str = ""


@frozen
class BytesReceived:
    """Bytes in the order in which the link delivered them."""

    link: LinkId
    data: Buffer


@frozen
class BytesPlaced:
    """``BytesReceived`` of so many bytes that are in the places which ``receive_into`` has just
    given for the link: nothing else may be told in between.  LocalProtocolError for places that
    were not given, or are those of something else by now."""

    link: LinkId
    count: int


@frozen
class Sent:
    """So many of the bytes of earlier ``Send`` actions have left."""

    link: LinkId
    count: int


@frozen
class LinkClosed:
    """The connection is gone, by whichever side; ``detail`` is empty for a clean end."""

    link: LinkId
    detail: str = ""


@frozen
class Tick:
    """Nothing but time: the call owed at ``next_deadline()``."""


# --- Finding peers -------------------------------------------------------------------------


@frozen
class Fetched:
    """Answers ``Fetch``: an HTTP response came, with whatever status; ``body`` is whole and
    decompressed, and within the limit of the action."""

    fetch_id: int
    status: int
    body: bytes


@frozen
class FetchFailed:
    """Answers a ``Fetch`` that brought no response, or one beyond its bounds."""

    fetch_id: int
    detail: str


@frozen
class Resolved:
    """Answers ``Resolve``: literal addresses, IPv4 and IPv6; none if there is no such host."""

    resolve_id: int
    hosts: tuple[str, ...]


@frozen
class DatagramReceived:
    """A UDP datagram came; ``address`` is what its sender claims to be."""

    address: Address
    data: bytes


@frozen
class MulticastReceived:
    """A datagram came to the multicast group of local peer discovery (BEP 14)."""

    address: Address
    data: bytes


@frozen
class PeersFound:
    """Somebody told of peers of this torrent.  The core's own sources say so by this event,
    and so may a caller with a source of its own.  Peers that cannot be (port 0) are left out."""

    torrent: InfoHash
    source: PeerSource
    peers: tuple[Address, ...]
    detail: str = ""


# --- The storage ---------------------------------------------------------------------------


@frozen
class PieceHashed:
    """Answers ``HashPiece``: the SHA-1 of the piece, and of each of the ``blocks`` that the
    action names, in its order; and whether the piece is in the files already, which needs a
    digest as the action expected it."""

    torrent: InfoHash
    job: int
    digest: bytes
    blocks: tuple[bytes, ...] = ()
    written: bool = False


@frozen
class BlocksHashed:
    """Answers ``HashBlocks``: the SHA-1 of each block, in the order of the action."""

    torrent: InfoHash
    job: int
    digests: tuple[bytes, ...]


@frozen
class Written:
    """Answers ``WriteBlocks`` or ``CreateFiles``: all of it is in the files."""

    torrent: InfoHash
    job: int


@frozen
class BlocksRead:
    """Answers ``ReadBlocks``: exactly as many bytes as were asked for."""

    torrent: InfoHash
    job: int
    data: Buffer


@frozen
class FilesStated:
    """Answers ``StatFiles``: one entry per file of the torrent, None where it is missing."""

    torrent: InfoHash
    job: int
    files: tuple[FileStat | None, ...]


@frozen
class StorageFailed:
    """Answers any storage action that could not be carried out."""

    torrent: InfoHash
    job: int
    fault: StorageFault
    detail: str = ""


# --- The caller ----------------------------------------------------------------------------


@frozen
class AddTorrent:
    """Take a torrent into the session and start it.

    ``resume`` is what an earlier ``SaveResume`` held.  ``priorities`` has one entry per
    file, 0 (skip) or 1 (normal); None means all normal.
    """

    metainfo: Metainfo
    resume: bytes | None = None
    priorities: tuple[int, ...] | None = None


@frozen
class AddMagnet:
    """Take a torrent of which only the name is known into the session, and start it.

    Its metadata is fetched from peers first (BEP 9).  ``MetadataReceived`` reports that it is
    here, and from there on all is as after ``AddTorrent``: with this ``resume``, and with the
    priorities that the link asks for (BEP 53).
    """

    magnet: MagnetLink
    resume: bytes | None = None


@frozen
class RemoveTorrent:
    """Stop a torrent and, once it has stopped, forget it."""

    torrent: InfoHash


@frozen
class StartTorrent:
    """Check what is on disk against ``resume``, then download or seed."""

    torrent: InfoHash
    resume: bytes | None = None


@frozen
class StopTorrent:
    """Close the links, store what is in memory, save resume data, end."""

    torrent: InfoHash


@frozen
class Recheck:
    """Forget what is verified and hash everything that is on disk."""

    torrent: InfoHash


@frozen
class SetPriorities:
    """New priorities, one per file: 0 (skip) or 1 (normal)."""

    torrent: InfoHash
    priorities: tuple[int, ...]


@frozen
class AddPeer:
    """Dial this peer, and again with backoff for as long as the torrent runs."""

    torrent: InfoHash
    address: Address


@frozen
class DropPeer:
    """Close the links to this peer and do not dial it again."""

    torrent: InfoHash
    address: Address


DiscoveryEvent: TypeAlias = (
    Fetched | FetchFailed | Resolved | DatagramReceived | MulticastReceived | PeersFound
)
LinkEvent: TypeAlias = LinkOpened | DialFailed | BytesReceived | BytesPlaced | Sent | LinkClosed
StorageEvent: TypeAlias = (
    PieceHashed | BlocksHashed | Written | BlocksRead | FilesStated | StorageFailed
)
Command: TypeAlias = (
    AddTorrent
    | AddMagnet
    | RemoveTorrent
    | StartTorrent
    | StopTorrent
    | Recheck
    | SetPriorities
    | AddPeer
    | DropPeer
)
Event: TypeAlias = LinkEvent | DiscoveryEvent | StorageEvent | Command | Tick
