"""Giving the torrent's metadata to peers that have only its name (BEP 9).

That of a private torrent is for those who have its torrent file: like libtorrent, we neither
offer nor give it.
"""

from __future__ import annotations

from collections.abc import Callable

from ..classes import define
from ..errors import WireError
from ..limits import MAX_REPLY_BACKLOG
from ..metadata import MetadataServer, ServeQueue
from ..peer.events import ExtensionMessage
from ..types import CloseReason
from ..wire import metadata as wire
from ..wire.extended import ExtendedHandshake
from .context import Context
from .links import TorrentLink


@define(eq=False)
class _Asker:
    """A peer that speaks ut_metadata."""

    ext_id: int
    """Its own number for that."""
    queue: ServeQueue


class Describing:
    """Answers requests for metadata; ``close`` ends a link for a reason."""

    def __init__(
        self, context: Context, close: Callable[[TorrentLink, CloseReason, str], None]
    ) -> None:
        meta = context.metainfo
        self._server = None if meta.private else MetadataServer(meta.info)
        self._close = close
        self._askers: dict[int, _Asker] = {}
        if self._server is not None:
            context.extensions[wire.NAME] = wire.OUR_ID

    def introduced(self, link: TorrentLink, hello: ExtendedHandshake) -> None:
        """BEP 10: the peer may have a number for ut_metadata now."""
        ordinal, number = link.state.ordinal, hello.m.get(wire.NAME)
        if number == 0:
            self._askers.pop(ordinal, None)
        elif number is not None:
            asker = self._askers.setdefault(ordinal, _Asker(number, ServeQueue(self._server)))
            asker.ext_id = number

    def received(self, link: TorrentLink, event: ExtensionMessage) -> None:
        """BEP 9, request.  What else the peer says of metadata is of no use: we have it."""
        asker = self._askers.get(link.state.ordinal)
        if event.ext_id != wire.OUR_ID or asker is None:
            return
        try:
            said = wire.decode(event.payload)
        except WireError as error:
            self._close(link, CloseReason.PROTOCOL_ERROR, str(error))
            return
        if not isinstance(said, wire.MetadataRequest):
            return
        if link.wire.backlog > MAX_REPLY_BACKLOG:
            self._close(link, CloseReason.PROTOCOL_ERROR, "asks for more than it reads")
            return
        refusal = asker.queue.requested(said.piece)
        if refusal is not None:
            link.wire.peer.send_extended(asker.ext_id, refusal)

    def pump(self, link: TorrentLink) -> None:
        """Answer what there is room for."""
        asker = self._askers.get(link.state.ordinal)
        if asker is None:
            return
        while (answer := asker.queue.next_answer(link.wire.backlog)) is not None:
            link.wire.peer.send_extended(asker.ext_id, answer)

    def link_lost(self, link: TorrentLink) -> None:
        """Nobody waits any more."""
        self._askers.pop(link.state.ordinal, None)
