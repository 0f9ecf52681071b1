"""Following a torrent of a running client: progress, reports, and the wait for suppliers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

import anyio

from torrent_core.accounts import Account, Explanation
from torrent_core.types import Address, TorrentState

from .narrator import Narrator
from .render import Status
from .screens import Screen

if TYPE_CHECKING:
    from transports.client.handle import TorrentHandle
    from transports.client.subscription import EventStream

REFRESH = 0.25
"""Seconds between looks at the status: a bar that moves smoothly and costs nothing."""


class WatchedStatus(Status, Protocol):
    @property
    def state(self) -> TorrentState: ...


class WatchedPeer(Protocol):
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


async def show_reports(
    reports: EventStream, torrent: TorrentHandle, screen: Screen, narrator: Narrator
) -> None:
    """Pass on what the client reports until cancelled."""
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
    being probed; and so is one that was asked for the metadata.
    """

    def __init__(self, now: float) -> None:
        self._supplied_at = now
        self._seen = (0, 0)

    def idle(
        self,
        now: float,
        status: WatchedStatus,
        peers: Iterable[WatchedPeer],
        is_told: bool = False,
    ) -> float:
        """Look again; the result is the seconds without a supplier.  ``is_told``: somebody is
        asked for the metadata."""
        seen = (status.downloaded, status.pieces_have)
        supplied = is_told or any(peer.outstanding and not peer.snubbed for peer in peers)
        if supplied or seen != self._seen or status.state is TorrentState.CHECKING:
            self._seen = seen
            self._supplied_at = now
        return now - self._supplied_at


async def require_supplier(torrent: TorrentHandle, timeout: float) -> None:
    """Return once there was no supplier for ``timeout`` seconds."""
    watch = SupplyWatch(anyio.current_time())
    while True:
        now, status = anyio.current_time(), torrent.status
        if watch.idle(now, status, torrent.peers, _is_told(torrent, status)) >= timeout:
            return
        await anyio.sleep(min(REFRESH, timeout))


def _is_told(torrent: TorrentHandle, status: WatchedStatus) -> bool:
    """Whether the metadata is missing, and asked of somebody."""
    if status.state is not TorrentState.RESOLVING:
        return False
    return torrent.explain().entries[0].account is Account.REQUESTED


def without_supplier(
    timeout: float, explanation: Explanation, absent: Iterable[Address], narrator: Narrator
) -> str:
    """Why a download was given up: the account, and the named peers that are not connected."""
    parts = [f"no supplier for {timeout:g} s: {explanation.text()}"]
    named = []
    for address in absent:
        why = narrator.failure_of(address)
        named.append(f"{address} ({why})" if why else str(address))
    if named:
        parts.append(f"Not connected: {', '.join(named)}.")
    elif not explanation.scheduled and not explanation.addresses:
        parts.append("Name a peer with --peer.")
    return " ".join(parts)
