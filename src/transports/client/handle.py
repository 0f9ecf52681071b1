"""One torrent of a client, as its user holds it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from torrent_core import Explanation, PeerStatus, Session, Torrent, TorrentStatus
from torrent_core.actions import (
    MetadataReceived,
    PieceVerified,
    Report,
    StateChanged,
    StorageTrouble,
    TorrentCompleted,
    Warned,
)
from torrent_core.events import AddPeer, DropPeer, Recheck, RemoveTorrent, StopTorrent
from torrent_core.metainfo import MagnetLink, Metainfo, parse_torrent
from torrent_core.types import Address, StorageFault, TorrentState

from ..disk.resumefile import delete_resume
from ..disk.workers import Disk, TorrentStorage
from ..driver import Driver
from ..errors import StorageError, TorrentGone, TorrentStopped
from .place import Place

if TYPE_CHECKING:
    from torrent_core.magnet import Magnet

FATAL_FAULTS = (StorageFault.DISK_FULL, StorageFault.PERMISSION, StorageFault.OTHER)
"""What only a person can mend, so that waiting for it makes no sense: of the other kinds most
are a folder where a file should be, or a file larger than the system allows."""


class TorrentHandle:
    """Made by ``Client.add``.  Every method raises ClientClosed or TorrentGone too late."""

    def __init__(
        self,
        what: Metainfo | MagnetLink,
        place: Place,
        session: Session,
        driver: Driver,
        disk: Disk,
        forget: Callable[[TorrentHandle], None],
        *,
        hold: bool = False,
    ) -> None:
        self._what = what
        self._place = place
        self._session = session
        self._driver = driver
        self._disk = disk
        self._forget = forget
        self._hold = hold
        self._warned = ""
        self._storage: TorrentStorage | None = None
        self._changed = anyio.Event()
        self._trouble: StorageTrouble | None = None
        self._troubles = 0
        self._raised = 0
        if isinstance(what, Metainfo):
            self._described(what)

    @property
    def metainfo(self) -> Metainfo | None:
        """What the torrent file says; None for a magnet link whose metadata is not here yet."""
        return self._what if isinstance(self._what, Metainfo) else None

    @property
    def name(self) -> str:
        """The torrent's name; until it is known, the magnet link's, or the info-hash."""
        return self._what.name or self.info_hash.hex()

    @property
    def info_hash(self) -> bytes:
        """Twenty bytes that name the torrent."""
        return self._what.info_hash

    @property
    def download_dir(self) -> str:
        """The folder under which the files lie."""
        return self._place.folder

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
        torrent = self._member
        return TorrentState.STOPPED if torrent is None else torrent.state

    def add_peer(self, host: str, port: int) -> None:
        """Connect to this peer, and again for as long as the torrent runs."""
        self._driver.command(AddPeer(self.info_hash, Address(host, port)))

    def drop_peer(self, host: str, port: int) -> None:
        """Disconnect this peer, and do not dial it again."""
        self._driver.command(DropPeer(self.info_hash, Address(host, port)))

    async def wait_metadata(self) -> Metainfo:
        """Wait until it is known what is in the torrent: at once, but for a magnet link.

        Raises TorrentStopped if the torrent stops before, as it does by itself if its metadata
        proves to be of no use.
        """
        while self.metainfo is None:
            if self.state is TorrentState.STOPPED:
                raise TorrentStopped(self._warned or self.name)
            await self._changed.wait()
        return self.metainfo

    def release(self) -> None:
        """Go on where ``Client.add`` was told to hold.  No effect if it was not."""
        self._hold = False
        if self._storage is not None:
            self._disk.release(self._storage)

    async def wait_complete(self) -> None:
        """Wait until every wanted piece is verified and written.

        Raises StorageError once for each time that the disk was found full, forbidden or
        unusable (called again, it goes on waiting, as the core goes on trying), and
        TorrentStopped if the torrent stops before.
        """
        seen = self._raised
        while not self._is_complete():
            if self.state in (TorrentState.STOPPING, TorrentState.STOPPED):
                raise TorrentStopped(self.name)
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
        self.release()  # it does not stop before it knows what is on the disk
        if self.state is not TorrentState.STOPPED:
            self._driver.command(StopTorrent(self.info_hash))
        await self._stopped()

    async def remove(self) -> None:
        """Stop, and forget the torrent with its resume data.  Its files stay."""
        if self._member is None:
            raise TorrentGone(self.name)
        self.release()
        self._driver.command(RemoveTorrent(self.info_hash))
        await self._stopped()
        self._forget(self)
        await anyio.to_thread.run_sync(delete_resume, self._place.resume_path)

    def notice(self, report: Report) -> None:
        """Take in what the core reports of this torrent, and wake who waits for it."""
        if type(report) is PieceVerified:  # of which there are more than of all others
            return
        if isinstance(report, StorageTrouble):
            if not _is_fatal(report):
                return
            self._trouble = report
            self._troubles += 1
        elif isinstance(report, MetadataReceived):
            # The next action of this step has to find the torrent's files.
            self._described(parse_torrent(report.torrent_file))
        elif isinstance(report, Warned):
            self._warned = report.text
            return
        elif not isinstance(report, StateChanged | TorrentCompleted):
            return
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    def forgotten(self) -> None:
        """The client has let go of the torrent: the disk need know it no longer."""
        if self._storage is not None:
            self._disk.unregister(self.info_hash)

    def _described(self, metainfo: Metainfo) -> None:
        self._what = metainfo
        self._storage = self._disk.register(
            metainfo, self._place.folder, self._place.resume_path, hold=self._hold
        )

    @property
    def _member(self) -> Torrent | Magnet | None:
        session = self._session
        return session.torrents.get(self.info_hash) or session.magnets.get(self.info_hash)

    @property
    def _torrent(self) -> Torrent | Magnet:
        torrent = self._member
        if torrent is None:
            raise TorrentGone(self.name)
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
