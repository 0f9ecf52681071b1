"""What dialling asks of whoever has links: a torrent, or a magnet that becomes one."""

from __future__ import annotations

from typing import Protocol, TypeVar

from ..actions import Action
from ..candidates import Bans
from ..linkstate import LinkState
from ..types import Address, InfoHash, RandomSource
from .config import Budgets, TorrentConfig


class DialledLink(Protocol):
    """A link, as far as the dial book is concerned."""

    candidates: list[Address]
    opened_at: float

    @property
    def state(self) -> LinkState: ...

    @property
    def was_useful(self) -> bool: ...


class Dialler(Protocol):
    """Shared facts of one that dials; the ``Context`` of a torrent is one."""

    config: TorrentConfig
    random: RandomSource
    bans: Bans
    budgets: Budgets
    actions: list[Action]
    now: float

    @property
    def info_hash(self) -> InfoHash: ...

    @property
    def may_dial(self) -> bool: ...

    @property
    def is_private(self) -> bool: ...

    @property
    def is_complete(self) -> bool: ...

    def is_seed(self, state: LinkState) -> bool: ...


L = TypeVar("L", bound=DialledLink)


def one_too_many(first: L, link: L, *, we_are_greater: bool) -> L:
    """Which of two links to the same peer is to be closed, ``link`` being the later one.

    Where each side dialled the other, the link opened by the greater peer id stays, as in
    libtorrent: both sides come to the same answer, in whatever order hands are shaken.
    Otherwise the first stays.  What the book was to be told of the other goes to it.
    """
    crossed = first.state.incoming is not link.state.incoming
    if crossed and we_are_greater is not link.state.incoming:
        first, link = link, first
    first.candidates += link.candidates
    link.candidates = []
    return link
