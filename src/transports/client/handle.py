"""One torrent of a client, as its user holds it."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import anyio.to_thread

from torrent_core import Explanation, PeerStatus, Session, Torrent, TorrentStatus
from torrent_core.actions import Report, StateChanged, StorageTrouble, TorrentCompleted
from torrent_core.events import AddPeer, DropPeer, Recheck, RemoveTorrent, StopTorrent
from torrent_core.metainfo import Metainfo
from torrent_core.types import Address, StorageFault, TorrentState

from ..disk.workers import Disk, TorrentStorage
from ..driver import Driver
from ..errors import StorageError, TorrentGone, TorrentStopped

FATAL_FAULTS = (StorageFault.DISK_FULL, StorageFault.PERMISSION, StorageFault.OTHER)
"""What only a person can mend, so that waiting for it makes no sense: of the other kinds most
are a folder where a file should be, or a file larger than the system allows."""


class TorrentHandle:
    """Made by ``Client.add``.  Every method raises ClientClosed or TorrentGone too late."""

    def __init__(
        self,
        session: Session,
        driver: Driver,
        disk: Disk,
        storage: TorrentStorage,
        forget: Callable[[TorrentHandle], None],
    ) -> None:
        self._session = session
        self._driver = driver
        self._disk = disk
        self._storage = storage
        self._forget = forget
        self._changed = anyio.Event()
        self._trouble: StorageTrouble | None = None
        self._troubles = 0
        self._raised = 0

    @property
    def metainfo(self) -> Metainfo:
        """What the torrent file says."""
        return self._storage.files.metainfo

    @property
    def info_hash(self) -> bytes:
        """Twenty bytes that name the torrent."""
        return self.metainfo.info_hash

    @property
    def download_dir(self) -> str:
        """The folder under which the files lie."""
        return self._storage.files.folder

    @property
    def status(self) -> TorrentStatus:
        """State, progress, rates, totals.  Raises TorrentGone."""
        return self._torrent.status(self._driver.now)

    @property
    def peers(self) -> list[PeerStatus]:
        """One row for each link that has shaken hands.  Raises TorrentGone."""
        return self._torrent.peers(self._driver.now)

    def explain(self) -> Explanation:
        """Why each missing block is not here yet, and what will move it next.

        ``str`` of it is a paragraph for people.  Raises TorrentGone.
        """
        return self._session.explain_one(self._torrent.info_hash, self._driver.now)

    @property
    def state(self) -> TorrentState:
        """What the torrent is doing; STOPPED once it is removed."""
        torrent = self._session.torrents.get(self.info_hash)
        return TorrentState.STOPPED if torrent is None else torrent.state

    def add_peer(self, host: str, port: int) -> None:
        """Connect to this peer, and again for as long as the torrent runs."""
        self._driver.command(AddPeer(self.info_hash, Address(host, port)))

    def drop_peer(self, host: str, port: int) -> None:
        """Disconnect this peer, and do not dial it again."""
        self._driver.command(DropPeer(self.info_hash, Address(host, port)))

    async def wait_complete(self) -> None:
        """Wait until every wanted piece is verified and written.

        Raises StorageError once for each time that the disk was found full, forbidden or
        unusable (called again, it goes on waiting, as the core goes on trying), and
        TorrentStopped if the torrent stops before.
        """
        seen = self._raised
        while not self._is_complete():
            if self.state in (TorrentState.STOPPING, TorrentState.STOPPED):
                raise TorrentStopped(self.metainfo.name)
            if self._trouble is not None and self._troubles > seen:
                self._raised = self._troubles
                raise StorageError(self._trouble.fault, self._trouble.detail)
            await self._changed.wait()

    async def recheck(self) -> None:
        """Hash everything on disk again, and wait for the end of it."""
        self._driver.command(Recheck(self.info_hash))
        while self.state is TorrentState.CHECKING:
            await self._changed.wait()

    async def stop(self) -> None:
        """Close the links and save resume data; the torrent stays in the client."""
        if self.state is not TorrentState.STOPPED:
            self._driver.command(StopTorrent(self.info_hash))
        await self._stopped()

    async def remove(self) -> None:
        """Stop, and forget the torrent with its resume data.  Its files stay."""
        if self.info_hash not in self._session.torrents:
            raise TorrentGone(self.metainfo.name)
        self._driver.command(RemoveTorrent(self.info_hash))
        await self._stopped()
        self._forget(self)
        await anyio.to_thread.run_sync(self._storage.resume.delete)

    def notice(self, report: Report) -> None:
        """Take in what the core reports of this torrent, and wake who waits for it."""
        if isinstance(report, StorageTrouble):
            if not _is_fatal(report):
                return
            self._trouble = report
            self._troubles += 1
        elif not isinstance(report, StateChanged | TorrentCompleted):
            return
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    @property
    def _torrent(self) -> Torrent:
        torrent = self._session.torrents.get(self.info_hash)
        if torrent is None:
            raise TorrentGone(self.metainfo.name)
        return torrent

    def _is_complete(self) -> bool:
        torrent = self._session.torrents.get(self.info_hash)
        if torrent is None or torrent.state is TorrentState.CHECKING:
            return False
        return torrent.status(self._driver.now).wanted_left == 0

    async def _stopped(self) -> None:
        while self.state is not TorrentState.STOPPED:
            await self._changed.wait()
        await self._disk.settle(self.info_hash)


def _is_fatal(trouble: StorageTrouble) -> bool:
    """Whether the download waits for a person.  A read that fails is not tried again: what it
    was to find is fetched anew, or not served."""
    if trouble.fault is StorageFault.OTHER and trouble.retry_at is None:
        return False
    return trouble.fault in FATAL_FAULTS
