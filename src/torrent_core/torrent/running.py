"""From start to stop: what the caller commands, and when the torrent is complete.

STOPPED -> CHECKING -> DOWNLOADING <-> SEEDING -> STOPPING -> STOPPED
"""

from __future__ import annotations

from collections.abc import Callable

from ..actions import TorrentCompleted
from ..errors import LocalProtocolError
from ..events import Recheck, SetPriorities, StartTorrent, StopTorrent
from ..pieces import Stage
from ..types import CloseReason, TorrentState
from .announcing import Announcing
from .checking import CHECK_RETRY, Checking
from .context import Context
from .dialling import Dialling
from .downloads import Downloads
from .links import Links, TorrentLink
from .saving import Saving


class Running:
    """Takes the torrent from state to state; ``close`` ends a link for a reason."""

    def __init__(
        self,
        context: Context,
        links: Links,
        downloads: Downloads,
        dialling: Dialling,
        saving: Saving,
        close: Callable[[TorrentLink, CloseReason], None],
    ) -> None:
        self._context = context
        self._links = links
        self._downloads = downloads
        self._dialling = dialling
        self._saving = saving
        self._close = close
        self._announcing = Announcing(context, links)
        self.checking = Checking(context, self._checked)

    # --- Commands ------------------------------------------------------------------------

    def start(self, event: StartTorrent) -> None:
        """Check what is there, then go on."""
        if self._context.state is not TorrentState.STOPPED:
            raise LocalProtocolError("the torrent is running")
        self.checking.begin(event.resume)

    def stop(self, _event: StopTorrent) -> None:
        """Close every link, store what is in memory, save.  No effect while it stops, or after."""
        context = self._context
        if not context.is_running:
            return
        context.enter(TorrentState.STOPPING)
        context.picker.set_wanted(0)
        self._announcing.drop()
        self._dialling.cancel_all()
        for link in self._links.active:
            self._close(link, CloseReason.STOPPING)
        context.timers.clear((CHECK_RETRY, 0))
        self._saving.begin_stop()

    def recheck(self, _event: Recheck) -> None:
        """Believe nothing, and hash all there is."""
        context = self._context
        if not context.may_dial:
            raise LocalProtocolError(f"a torrent that is {context.state.value} has no re-check")
        self._abandon(context.metainfo.geometry.all_pieces)
        self.checking.begin(None, trust_nothing=True)

    def set_priorities(self, event: SetPriorities) -> None:
        """Want other files."""
        self.prioritise(event.priorities)
        context = self._context
        if not context.may_dial:
            return
        context.picker.set_wanted(context.wanted)
        self._abandon(~context.wanted)
        self.checking.create_wanted()
        self._downloads.review_interest()
        self._downloads.review_work()
        if context.missing:
            context.enter(TorrentState.DOWNLOADING)
        elif context.state is TorrentState.DOWNLOADING:
            self._complete()

    def prioritise(self, priorities: tuple[int, ...] | None) -> None:
        """Note which files are wanted; nothing follows yet.

        Raises LocalProtocolError, and has then changed nothing, for what are no priorities.
        """
        self._context.wanted = self._context.files.wanted_pieces(priorities)
        self._context.priorities = priorities

    def _abandon(self, pieces: int) -> None:
        for piece in self._context.active.active_pieces:
            if pieces >> piece.index & 1 and piece.stage is Stage.DOWNLOADING:
                self._downloads.abandon(piece.index)

    # --- Progress ------------------------------------------------------------------------

    def _checked(self) -> None:
        """The check is over: download, or seed."""
        context = self._context
        self._dialling.stale = True
        self._links.announce_checked()
        if context.missing:
            context.enter(TorrentState.DOWNLOADING)
            self._downloads.review_interest()
            self._downloads.review_work()
        else:
            self._complete()
        self._saving.progressed()

    def verified(self, index: int) -> None:
        """Piece ``index`` is verified and written."""
        context = self._context
        if not context.is_running:
            return  # nobody is left to be told, and the last save is still to come
        self._saving.progressed()
        self._announcing.add(index)
        if context.state is TorrentState.DOWNLOADING and not context.missing:
            self._complete()

    def _complete(self) -> None:
        context = self._context
        context.actions.append(TorrentCompleted(context.info_hash))
        context.enter(TorrentState.SEEDING)
        self.tell()

    # --- What follows for links ----------------------------------------------------------

    def tell(self) -> None:
        """Say HAVE for what became ours, and see who is of no more use to us, or we to him."""
        self._announcing.flush()
        self._downloads.review_interest()
        if self._context.verified.is_complete:
            for link in self._links.active:
                self.close_if_both_seed(link)

    def close_if_both_seed(self, link: TorrentLink) -> None:
        """Neither side wants anything: the link is better closed."""
        context = self._context
        if link.state.pieces == context.verified.bitfield and context.verified.is_complete:
            self._close(link, CloseReason.BOTH_SEEDS)
