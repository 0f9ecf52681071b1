"""When two states of a world count as one.

Everything that hangs on the ``Torrent`` counts, and everything of its surroundings, but for
what is named here, each for one of these reasons:

- it never changes (the torrent, its sizes, tables of handlers);
- it is told and never asked (totals, waste);
- it only names things (job numbers, serials): the order that it stands for counts;
- it is a moment: only its distance from now counts, to the microsecond, and not at all where
  the machine will not look at it any more;
- it is a rate or a mean of gaps: these are cut into buckets, the one place where states that
  may go on in different ways are taken for one;
- it is payload: of each block that only memory or a job holds, whether it is good.

So the projection is enough to tell apart what can go on differently, up to the buckets; what
is added to the machine counts from its first day, until somebody finds that it need not.
"""

from __future__ import annotations

import marshal
from hashlib import blake2b
from typing import Any, NamedTuple

from ...bitfield import indices
from ...choking import Choker
from ...deadlines import Deadlines
from ...geometry import Geometry
from ...limits import BLOCK_SIZE, ENDGAME_PATIENCE, LATENESS_FLOOR
from ...link import Link
from ...linkstate import LinkState
from ...peer.connection import PeerConnection
from ...peer.framing import Framer
from ...peer.inbound import Inbound
from ...peer.outbox import Outbox
from ...pieces import ActivePiece, ActivePieceManager, PieceManager, RequestInfo
from ...pieces.asking import Asking
from ...pieces.memory import PieceMemory
from ...pieces.pace import ResponseGaps
from ...pieces.requests import LinkRequests, Refusal
from ...rates import SLOT, Rate
from ...registry import Registry
from ...torrent import Torrent
from ...torrent.backlog import Task
from ...torrent.context import Context
from ...torrent.dialling import Dialling
from ...torrent.jobs import Jobs
from ...torrent.links import TorrentLink
from .disk import Disk, payload
from .graph import MARSHAL_VERSION, Canon, View
from .peers import Peer
from .world import World

RATE_BITS = 2
"""A bucket of rates ends at so many powers of two above where it begins."""

OLDEST_SLOT = 8
"""Ages of the open slot of a rate that are told apart, in slots: the mean is forgotten then."""

GAP_DIGITS = 0
"""Gaps between deliveries are compared to this decimal of a second."""


class Projection(NamedTuple):
    """Two digests.  Collisions are as rare as 16 bytes make them."""

    machine: bytes
    """The torrent, what is on the disk, and the jobs that are out."""
    around: bytes
    """What the peers may still say, and which faults are left."""


class Projector:
    """Projects worlds.  Make one and keep it: it learns how each class is looked at."""

    def __init__(self) -> None:
        self._canon = Canon(VIEWS)

    def project(self, world: World) -> Projection:
        """What makes this world differ from others."""
        around = marshal.dumps(_around(world), MARSHAL_VERSION)
        machine = self._canon.bytes_of(world.now, world.torrent, _disk(world.disk))
        return Projection(_digest(machine), _digest(around))


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=16).digest()


# --- The surroundings --------------------------------------------------------------------


def _disk(disk: Disk) -> tuple[object, ...]:
    return disk.exists, bytes(disk.marks), tuple(map(_job, disk.pending))


def _job(job: Any) -> tuple[object, ...]:
    return type(job).__name__, getattr(job, "piece", None), payload(job)


def _around(world: World) -> Any:
    peers = tuple(map(_peer, world.peers))
    return world.corruptions, world.failures, world.waits, peers


def _peer(peer: Peer) -> tuple[object, ...]:
    connected, asked, owed = peer.link is not None, map(tuple, peer.asked), map(tuple, peer.owed)
    return connected, peer.opened, peer.has, peer.choking, tuple(asked), tuple(owed)


# --- The machine -------------------------------------------------------------------------


def _bucket(rate: float) -> int:
    return int(rate).bit_length() // RATE_BITS


def _rate(rate: Rate, now: float) -> tuple[int, int, int]:
    bucket = -1 if not rate._warm else _bucket(rate._mean)
    age = min(int((now - rate._slot_start) / SLOT), OLDEST_SLOT)
    return bucket, age, rate._slot_bytes // BLOCK_SIZE


def _gaps(gaps: ResponseGaps, _now: float) -> tuple[bool, float, float]:
    mean, deviation = round(gaps._mean, GAP_DIGITS), round(gaps._deviation, GAP_DIGITS)
    return gaps._known, mean, deviation


def _due(deadlines: Deadlines[object], now: float) -> tuple[object, ...]:
    """In the order in which they were armed, which decides between equal ones."""
    armed = sorted(deadlines._entry.values(), key=lambda entry: entry[1])
    return tuple((key, deadlines._true[key] - now) for _, _, key in armed)


def _out(jobs: Jobs, _now: float) -> tuple[object, ...]:
    return tuple(jobs._out.values())


def _marks(piece: ActivePiece, _now: float) -> bytes:
    """Blocks in the files alone are looked at there; what is being written counts even if it
    is not believed any longer."""
    held = piece.in_memory | piece.writing
    return bytes(piece.block_view(block)[0] for block in indices(held))


def _book(link: LinkRequests, _now: float) -> tuple[object, ...]:
    """Serials count by how many requests were sent since."""
    since = tuple(link._serial - info.serial for info in link.out.values())
    return _bucket(link._last_rate), since


def _hungry(asking: Asking, now: float) -> tuple[object, ...]:
    """When each last looked at slower links in vain, if it is too early to look again."""
    return tuple(
        (ordinal, looked - now if now < looked + ENDGAME_PATIENCE else None)
        for ordinal, looked in asking._hungry.items()
    )


def _fields(kind: type) -> tuple[str, ...]:
    return tuple(kind.__slots__)  # type: ignore[attr-defined]


VIEWS: dict[type, View] = {
    Geometry: View(without=_fields(Geometry)),
    PieceManager: View(without=("_hashes", "geometry")),
    Torrent: View(without=("_on_event", "_on_peer")),
    Context: View(
        without=(
            "actions",
            "config",
            "earlier",
            "files",
            "metainfo",
            "now",
            "peer_id",
            "random",
            "wasted",
        )
    ),
    Registry: View(without=("_create", "_destroy")),
    Jobs: View(without=("_last", "_out"), through=_out),
    Deadlines: View(without=_fields(Deadlines), through=_due),
    Rate: View(without=_fields(Rate), through=_rate),
    ResponseGaps: View(without=_fields(ResponseGaps), through=_gaps),
    Dialling: View(without=("_new_id",)),
    Choker: View(moments=("_next_round",)),
    TorrentLink: View(
        moments=("opened_at",),
        only_if={"opened_at": lambda link, _now: bool(link.candidates)},
    ),
    LinkState: View(without=("address", "client", "link", "up")),
    Link: View(
        without=("_greeting", "_head", "_ours", "_sink"),
        moments=("_since",),
        only_if={"_since": lambda link, _now: link._peer is None},
    ),
    Outbox: View(without=("_drained", "_queued", "_sent", "_up"), moments=("last_drained",)),
    PeerConnection: View(moments=("_heard",)),
    Framer: View(without=("_bounds", "_handlers", "_limit", "_sink")),
    Inbound: View(without=("_outbox", "_state", "_uploads")),
    ActivePieceManager: View(
        without=("_on_activated", "_on_deactivated", "_on_detach", "config"),
        moments=("_last_check",),
        only_if={"_last_check": lambda manager, _now: bool(manager._deadlines)},
    ),
    PieceMemory: View(without=("_owner", "_pool")),
    ActivePiece: View(
        without=("_buffer", "_lend", "_views"),
        moments=("last_activity",),
        only_if={"last_activity": lambda piece, now: now < piece.last_activity + LATENESS_FLOOR},
        through=_marks,
    ),
    Asking: View(without=("_hungry",), moments=("review_at",), through=_hungry),
    Task: View(
        moments=("retry_at",),
        only_if={"retry_at": lambda task, now: task.retry_at > now},
    ),
    RequestInfo: View(
        without=("sent_at", "serial"),
        moments=("deadline", "overtaken_since"),
        only_if={"overtaken_since": lambda info, _now: info.overtaken},
    ),
    LinkRequests: View(
        without=("_last_rate", "_serial", "gone_below", "unsolicited"),
        moments=("_last_deadline", "_slow_start_ends", "last_progress"),
        only_if={
            "_last_deadline": lambda link, now: link._last_deadline > now,
            "_slow_start_ends": lambda link, now: link._slow_start_ends > now,
            "last_progress": lambda link, _now: bool(link.out or link.withdrawn),
        },
        through=_book,
    ),
    Refusal: View(
        moments=("until",),
        only_if={"until": lambda refusal, now: refusal.until > now},
    ),
}
