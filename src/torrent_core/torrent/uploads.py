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
from ..types import BlockInfo, TorrentState
from .context import Context
from .links import Links, TorrentLink


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
            link = self._links.by_ordinal(state.ordinal)
            if link is None or not link.is_open:
                continue
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
        if not link.is_open:
            return
        uploads = link.wire.peer.uploads
        while len(uploads) and link.wire.unsent + link.reading < SEND_WATERMARK:
            self._read(link, _take_run(link))

    def _read(self, link: TorrentLink, run: list[BlockInfo]) -> None:
        context = self._context
        first = run[0]
        length = sum(request.length for request in run)
        link.reading += length
        job = context.jobs.begin(
            BlocksRead, partial(self._served, link, run), partial(self._unreadable, link, run)
        )
        spans = context.files.spans(first.piece, first.begin, length)
        context.actions.append(ReadBlocks(context.info_hash, job, first.piece, spans))

    def _served(self, link: TorrentLink, run: list[BlockInfo], event: BlocksRead) -> None:
        link.reading -= sum(request.length for request in run)
        if not link.is_open:
            return
        data = memoryview(event.data)
        at = 0
        for request in run:
            if link.wire.peer.uploads.is_wanted(request):
                link.wire.peer.send_block(request, data[at : at + request.length])
            at += request.length
        self._links.touch(link)
        self._links.flush_one(link)  # the buffer is only valid during this event
        self.pump(link)

    def _unreadable(self, link: TorrentLink, run: list[BlockInfo], event: StorageFailed) -> None:
        link.reading -= sum(request.length for request in run)
        trouble = StorageTrouble(self._context.info_hash, event.fault, event.detail, None)
        self._context.actions.append(trouble)
        if not link.is_open:
            return
        for request in run:
            if link.wire.peer.uploads.is_wanted(request):
                link.wire.peer.reject(request)
        self._links.touch(link)
        self.pump(link)


def _take_run(link: TorrentLink) -> list[BlockInfo]:
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
    return run
