"""Following a torrent of a running client: progress, reports, and the wait for suppliers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

import anyio

from torrent_core.types import Address, TorrentState

from .failures import CommandFailed
from .narrator import Narrator
from .render import Peer, Status, waiting_account
from .screens import Screen

if TYPE_CHECKING:
    from transports.client.handle import TorrentHandle
    from transports.client.subscription import EventStream

REFRESH = 0.25
"""Seconds between looks at the status: a bar that moves smoothly and costs nothing."""


class WatchedStatus(Status, Protocol):
    @property
    def state(self) -> TorrentState: ...


class WatchedPeer(Peer, Protocol):
    @property
    def outstanding(self) -> int: ...
    @property
    def snubbed(self) -> bool: ...


async def show_status(torrent: TorrentHandle, screen: Screen) -> None:
    """Keep the screen up to date until cancelled."""
    while True:
        status = torrent.status
        screen.show(status.state.value, status)
        await anyio.sleep(REFRESH)


async def show_reports(reports: EventStream, torrent: TorrentHandle, screen: Screen) -> None:
    """Pass on what the core reports until cancelled."""
    narrator = Narrator()
    async for report in reports:
        story = narrator.tell(report)
        if story is None:
            continue
        status = torrent.status
        screen.event(story.event, status.state.value, status, story.fields)
        if story.note:
            screen.note(story.note)


class SupplyWatch:
    """How long a download has been without a supplier.

    A link that owes us blocks is a supplier, unless it fell silent over them and is only
    being probed.
    """

    def __init__(self, now: float) -> None:
        self._supplied_at = now
        self._seen = (0, 0)

    def idle(self, now: float, status: WatchedStatus, peers: Iterable[WatchedPeer]) -> float:
        """Look again; the result is the seconds without a supplier."""
        seen = (status.downloaded, status.pieces_have)
        supplied = any(peer.outstanding and not peer.snubbed for peer in peers)
        if supplied or seen != self._seen or status.state is TorrentState.CHECKING:
            self._seen = seen
            self._supplied_at = now
        return now - self._supplied_at


async def require_supplier(
    torrent: TorrentHandle, timeout: float, named: Iterable[tuple[str, int]]
) -> None:
    """Wait until there was no supplier for ``timeout`` seconds, then raise CommandFailed."""
    watch = SupplyWatch(anyio.current_time())
    while True:
        if watch.idle(anyio.current_time(), torrent.status, torrent.peers) >= timeout:
            break
        await anyio.sleep(min(REFRESH, timeout))
    peers = torrent.peers
    linked = [peer.address for peer in peers]
    absent = [str(Address(*peer)) for peer in named if Address(*peer) not in linked]
    account = waiting_account(peers, absent)
    raise CommandFailed(f"no supplier for {timeout:g} s; waiting for {account}")
