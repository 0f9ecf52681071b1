"""What a machine was made of, so that it can be made again."""

from __future__ import annotations

from typing import Protocol, TypeVar

import attrs

from ..actions import Action
from ..classes import frozen
from ..deadlines import Deadline
from ..events import Event
from ..metainfo import Metainfo
from ..session import Session, SessionConfig
from ..torrent import Torrent, TorrentConfig
from ..types import RandomSource
from .codec import SESSION_CONFIG, TORRENT_CONFIG
from .values import BYTES, INT, METAINFO, Cursor, many, optional

M_co = TypeVar("M_co", bound="Machine", covariant=True)

_PRIORITIES = optional(many(INT))


class Machine(Protocol):
    """The face of every machine."""

    def handle(self, event: Event, now: float) -> list[Action]: ...

    def next_deadline(self) -> Deadline | None: ...


class Setup(Protocol[M_co]):
    """The constructor's arguments but for the randomness, as a value."""

    def build(self, random: RandomSource) -> M_co: ...

    def write(self, out: bytearray) -> None: ...


@frozen
class SessionSetup:
    """A ``Session`` of these arguments."""

    peer_id: bytes
    config: SessionConfig = attrs.field(factory=SessionConfig)

    def build(self, random: RandomSource) -> Session:
        """Make it."""
        return Session(self.peer_id, random, self.config)

    def write(self, out: bytearray) -> None:
        """Append what ``read_setup`` reads."""
        out.append(_SESSION)
        BYTES.write(out, self.peer_id)
        SESSION_CONFIG.write(out, self.config)


@frozen
class TorrentSetup:
    """A ``Torrent`` of these arguments, with budgets and dial numbers of its own."""

    metainfo: Metainfo
    peer_id: bytes
    config: TorrentConfig = attrs.field(factory=TorrentConfig)
    priorities: tuple[int, ...] | None = None

    def build(self, random: RandomSource) -> Torrent:
        """Make it."""
        return Torrent(
            self.metainfo,
            peer_id=self.peer_id,
            random=random,
            config=self.config,
            priorities=self.priorities,
        )

    def write(self, out: bytearray) -> None:
        """Append what ``read_setup`` reads."""
        out.append(_TORRENT)
        METAINFO.write(out, self.metainfo)
        BYTES.write(out, self.peer_id)
        TORRENT_CONFIG.write(out, self.config)
        _PRIORITIES.write(out, self.priorities)


_SESSION, _TORRENT = 0, 1


def read_setup(cursor: Cursor) -> SessionSetup | TorrentSetup:
    """What ``write`` wrote.  Raises TraceError."""
    number = cursor.byte()
    if number == _SESSION:
        return SessionSetup(BYTES.read(cursor), SESSION_CONFIG.read(cursor))
    if number != _TORRENT:
        raise cursor.error(f"no machine has the number {number}")
    metainfo, peer_id = METAINFO.read(cursor), BYTES.read(cursor)
    return TorrentSetup(metainfo, peer_id, TORRENT_CONFIG.read(cursor), _PRIORITIES.read(cursor))
