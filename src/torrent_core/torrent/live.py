"""A link that lives, and the shared facts around it: of a torrent, or a magnet that becomes one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeVar

import attrs

from ..actions import Action
from ..candidates import Bans
from ..classes import define
from ..link import Link
from ..linkstate import LinkState
from ..peer.events import PeerEvent
from ..types import Address, Buffer, Identity, InfoHash, LinkId, RandomSource, TorrentState
from .config import Budgets, TorrentConfig


@define(eq=False)
class LiveLink:
    """One link with its machine."""

    wire: Link
    opened_at: float
    candidates: list[Address]
    """Peers of the dial book whose link this is, to be told when it ends: whom we dialled, and
    where a peer that dialled us listens."""
    gone: bool = attrs.field(default=False, init=False)
    """Closed, or lost: nothing more is done with it."""
    told_node: bool = attrs.field(default=False, init=False)
    """The peer has said where its node of the DHT is."""

    @property
    def state(self) -> LinkState:
        """What both sides said."""
        return self.wire.state

    @property
    def id(self) -> LinkId:
        """The adapter's name for it."""
        return self.wire.state.link

    @property
    def identity(self) -> Identity:
        """Who is at the other end, once hands are shaken."""
        return Identity(self.state.address.host, self.state.peer_id)

    @property
    def is_open(self) -> bool:
        """Whether hands are shaken, so that verbs may be used."""
        return self.wire.is_open

    @property
    def was_useful(self) -> bool:
        """Whether it brought us anything."""
        return self.state.down.total > 0

    def receive(self, data: Buffer, now: float) -> Iterator[PeerEvent]:
        """``Link.receive``."""
        return self.wire.receive(data, now)


L = TypeVar("L", bound=LiveLink)


class LinkContext(Protocol):
    """Shared facts of one that has links and dials for more; each ``Context`` is one."""

    config: TorrentConfig
    peer_id: bytes
    random: RandomSource
    bans: Bans
    budgets: Budgets
    actions: list[Action]
    now: float
    state: TorrentState

    @property
    def info_hash(self) -> InfoHash: ...

    @property
    def dht_port(self) -> int | None: ...

    @property
    def is_running(self) -> bool: ...

    @property
    def may_dial(self) -> bool: ...

    @property
    def is_private(self) -> bool: ...

    @property
    def is_complete(self) -> bool: ...

    def is_seed(self, state: LinkState) -> bool: ...
