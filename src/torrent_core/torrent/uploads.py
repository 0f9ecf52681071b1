"""What peers ask of us: who is unchoked, and from request to PIECE.

A request is read from storage once its link has room in its send buffer, so that a peer
which asks for much and reads little costs one watermark of memory and no more.
"""

from __future__ import annotations

from functools import partial

from ..actions import ReadBlocks, StorageTrouble
from ..choking import Choker, Decision
from ..events import BlocksRead, StorageFailed
from ..limits import MAX_READ_AHEAD, SEND_WATERMARK
from ..peer.events import UploadRequested
from ..types import BlockInfo, Buffer, TorrentState
from .context import Context
from .links import Links, Read, TorrentLink


class Uploads:
    """The uploading half of a torrent."""

    def __init__(self, context: Context, links: Links) -> None:
        self._context = context
        self._links = links
        self.choker = Choker(context.config.upload_slots, context.random)

    # --- Slots -------------------------------------------------------------------------

    def interest_changed(self, link: TorrentLink, _event: object) -> None:
        """BEP 3, interested; or the peer said that it only uploads (BEP 21)."""
        self._carry_out(self.choker.interest_changed(link.state, self._context.now))

    def link_lost(self, link: TorrentLink) -> None:
        """Its slot is free for the next."""
        self._carry_out(self.choker.remove(link.state))

    def tick(self) -> None:
        """A choking round may be due."""
        seeding = self._context.state is TorrentState.SEEDING
        self._carry_out(self.choker.round(self._context.now, seeding))

    def _carry_out(self, decisions: list[Decision]) -> None:
        for state, choke in decisions:
            link = self._links.live(state.ordinal)
            if choke:
                link.wire.peer.choke()
            else:
                link.wire.peer.unchoke()
            self._links.touch(link)

    # --- Requests ----------------------------------------------------------------------

    def requested(self, link: TorrentLink, event: UploadRequested) -> None:
        """BEP 3, request: what is not verified is not served."""
        if self._context.verified.is_verified(event.index):
            return
        link.wire.peer.reject(BlockInfo(event.index, event.begin, event.length))

    def pump(self, link: TorrentLink) -> None:
        """Read for the link while its send buffer has room."""
        uploads = link.wire.uploads
        if not uploads or not link.is_open:
            return
        while len(uploads) and link.wire.unsent + link.reading < SEND_WATERMARK:
            read = _take_run(link)
            if self._context.verified.is_verified(read.run[0].piece):
                self._read(link, read)
            else:  # a re-check has put it in doubt since it was asked for
                for request in read.run:
                    link.wire.peer.reject(request)

    def _read(self, link: TorrentLink, read: Read) -> None:
        context = self._context
        first = read.run[0]
        link.reading += read.length
        link.reads.append(read)
        job = context.jobs.begin(
            BlocksRead,
            partial(self._served, link, read),
            partial(self._unreadable, link, read),
            fits=lambda event: len(event.data) == read.length,
        )
        spans = context.files.spans(first.piece, first.begin, read.length)
        context.actions.append(ReadBlocks(context.info_hash, job, first.piece, spans))

    def _served(self, link: TorrentLink, read: Read, event: BlocksRead) -> None:
        """Storage may answer out of order; a peer that is served so may think us broken."""
        if link.reads[0] is not read:
            read.data = bytes(event.data)
            return
        link.reads.popleft()
        self._answer(link, read, event.data)
        self._go_on(link)

    def _unreadable(self, link: TorrentLink, read: Read, event: StorageFailed) -> None:
        trouble = StorageTrouble(self._context.info_hash, event.fault, event.detail, None)
        self._context.actions.append(trouble)
        read.failed = True
        self._go_on(link)

    def _go_on(self, link: TorrentLink) -> None:
        """Answer the reads that waited for an older one, then read on."""
        while link.reads and (link.reads[0].failed or link.reads[0].data is not None):
            read = link.reads.popleft()
            self._answer(link, read, read.data)
        self.pump(link)

    def _answer(self, link: TorrentLink, read: Read, data: Buffer | None) -> None:
        link.reading -= read.length
        if not link.is_open:
            return
        at = 0
        for request in read.run:
            if not link.wire.peer.uploads.is_wanted(request):
                pass  # cancelled, and answered so
            elif data is None:
                link.wire.peer.reject(request)
            else:
                link.wire.peer.send_block(request, memoryview(data)[at : at + request.length])
            at += request.length
        self._links.touch(link)
        self._links.flush_one(link)  # the buffer is only valid during this event


def _take_run(link: TorrentLink) -> Read:
    """The next requests that lie side by side in one piece: one read serves them."""
    uploads = link.wire.peer.uploads
    run: list[BlockInfo] = []
    end = None
    while (following := next(iter(uploads), None)) is not None:
        if run and (following.piece, following.begin) != end:
            break
        if sum(request.length for request in run) + following.length > MAX_READ_AHEAD and run:
            break
        uploads.take()
        run.append(following)
        end = (following.piece, following.begin + following.length)
    return Read(run)
