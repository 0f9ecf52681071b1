"""What follows when a piece fails its hash: whom to blame, and how the piece is fetched again.

A sole contributor is at fault at once.  With several, the digests of their blocks are taken
before the buffer is used again, and the piece is fetched from one link alone (parole): if it
fails again, that link is at fault; if it passes, the digests it passes with convict whoever
sent others.  So each failure of a piece is either the last one or costs a culprit his link,
and nobody else is ever banned.

That a piece failed which went through the files proves nothing.  A link that alone sent it is
only asked for other pieces for a while, so that the next one has its turn.  But from then on
the digests of blocks are taken before they leave memory: of this piece until it passes, and
of all pieces until somebody is convicted, since the culprit may not be asked for this one
again.  The true ones come with the digest of the piece that passes, of the same bytes.  So
both sides of the comparison hold, whatever the disk has done to the blocks in between.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..actions import HashBlocks, PeerBanned, PieceFailed
from ..bitfield import indices
from ..events import BlocksHashed, StorageFailed
from ..limits import MAX_DEPARTED
from ..pieces import ActivePiece, Stage
from ..pieces.blame import Blame, Sample
from ..types import CloseReason, Identity
from .context import Context
from .dialling import Dialling
from .jobs import are_sha1
from .links import Links, TorrentLink

Next = Callable[[], None]


class Blaming:
    """Remembers who sent what, and bans whom it proves.

    ``close`` ends a link for a reason.
    """

    def __init__(
        self,
        context: Context,
        links: Links,
        dialling: Dialling,
        close: Callable[[TorrentLink, CloseReason, str], None],
    ) -> None:
        self._context = context
        self._links = links
        self._dialling = dialling
        self._close = close
        self._blame = Blame()
        self._departed: dict[int, Identity] = {}
        self._alert = False  # a piece that went through the files failed; no culprit since

    # --- Links ---------------------------------------------------------------------------

    def departed(self, link: TorrentLink) -> None:
        """A link is gone; what it sent may yet turn out to be spoiled."""
        if link.state.down.total:
            self._departed[link.state.ordinal] = link.identity
            if len(self._departed) > MAX_DEPARTED:
                del self._departed[next(iter(self._departed))]

    def _who(self, ordinal: int) -> Identity | None:
        """Who was at the other end of that link; None if that is forgotten."""
        link = self._links.find(ordinal)
        return self._departed.get(ordinal) if link is None else link.identity

    def _contributors(self, piece: ActivePiece) -> dict[int, Identity | None]:
        return {ordinal: self._who(ordinal) for ordinal in piece.get_contributing_peers()}

    # --- Pieces --------------------------------------------------------------------------

    def failed(self, piece: ActivePiece) -> None:
        """``piece`` did not match its hash: it starts over, and nobody is blamed in vain."""
        context = self._context
        contributors = self._contributors(piece)
        links = map(self._links.find, contributors)
        names = tuple(link.id for link in links if link is not None)
        context.actions.append(PieceFailed(context.info_hash, piece.index, names))
        context.wasted += piece.length
        suspects = set(contributors.values())
        culprit = suspects.pop() if len(suspects) == 1 and not piece.stored else None
        if culprit is not None:
            self._start_over(piece)
            self._convict(culprit, piece.index)
            return
        context.scheduler.parole.sentence(piece.index)
        if len(contributors) == 1:
            (ordinal,) = contributors
            context.scheduler.spare(ordinal, piece.index, context.now)
        if piece.stored and contributors:
            self._alert = True
        # Before its buffer is used again, remember what each contributor sent.
        wanted = context.picker.wanted >> piece.index & 1
        piece.stage = Stage.TRACING
        self._record(piece, piece.in_memory if wanted else 0, partial(self._start_over, piece))

    def suspected(self, index: int) -> tuple[int, ...]:
        """The blocks of piece ``index`` whose digests ``passed`` is to be given."""
        blocks = self._blame.blocks(index)
        return tuple(indices(blocks)) if blocks else ()

    def passed(self, piece: ActivePiece, digests: dict[int, bytes]) -> None:
        """``piece`` matches its hash, with these digests by block: see who sent others."""
        for culprit in self._blame.settle(piece.index, digests):
            self._convict(culprit, piece.index)

    def verified(self, piece: ActivePiece) -> None:
        """``piece`` is ours: whoever sent a part of it has proven good."""
        for peer in self._contributors(piece).values():
            if peer is not None:
                hosts = self._context.bans.absolve(peer)
                if hosts:
                    self._dialling.review(hosts)

    def _start_over(self, piece: ActivePiece) -> None:
        """Fetch it again, unless it is not wanted any longer."""
        self._context.scheduler.retry(piece)

    # --- Digests -------------------------------------------------------------------------

    def witness(self, piece: ActivePiece, blocks: int, then: Next) -> None:
        """These blocks are about to leave memory: remember what each sender sent, if that may
        become a proof, and go on."""
        context = self._context
        suspect = self._alert or piece.index in context.scheduler.parole.holders
        proven = piece.stage is Stage.WRITING
        self._record(piece, blocks if suspect and not proven else 0, then)

    def _record(self, piece: ActivePiece, blocks: int, then: Next) -> None:
        """Ask for the digests of these blocks, remember them, and go on; those that do not
        come prove nothing."""
        senders = self._senders(piece, blocks)
        if not senders:
            then()
            return

        def hashed(event: BlocksHashed) -> None:
            found = zip(senders.items(), event.digests, strict=True)
            samples = [Sample(block, peer, digest) for (block, peer), digest in found]
            self._blame.remember(piece.index, samples)
            then()

        def failed(_event: StorageFailed) -> None:
            then()

        context = self._context
        fits = partial(are_sha1, len(senders))
        job = context.jobs.begin(BlocksHashed, hashed, failed, fits=fits)
        views = tuple((piece.block_info(n), piece.block_view(n)) for n in senders)
        context.actions.append(HashBlocks(context.info_hash, job, piece.index, views))

    def _senders(self, piece: ActivePiece, blocks: int) -> dict[int, Identity]:
        """Who sent each of these blocks, as far as that is known."""
        senders = {}
        for block in indices(blocks):
            ordinal = piece.senders.get(block)
            peer = None if ordinal is None else self._who(ordinal)
            if peer is not None:
                senders[block] = peer
        return senders

    # --- Consequences --------------------------------------------------------------------

    def _convict(self, culprit: Identity, index: int) -> None:
        """It is proven: close, ban, and believe nothing else that it sent."""
        context = self._context
        if context.bans.is_guilty(culprit):
            return  # all that follows from it has been done
        self._alert = False
        context.actions.append(PeerBanned(context.info_hash, index, culprit))
        self._dialling.review(context.bans.convict(culprit))
        link = self._links.of_peer(culprit)
        if link is not None:
            self._close(link, CloseReason.CORRUPT_DATA, f"piece {index}")
        for piece in context.active.active_pieces:
            if piece.stage is Stage.DOWNLOADING:
                self._discard(piece, culprit)
        context.scheduler.touch_hungry()

    def _discard(self, piece: ActivePiece, culprit: Identity) -> None:
        context = self._context
        his = [ordinal for ordinal, peer in self._contributors(piece).items() if peer == culprit]
        blocks = sum(1 << block for block, sender in piece.senders.items() if sender in his)
        piece.discard(blocks)
        context.wasted += sum(piece.block_length(block) for block in indices(blocks))
        context.active.refresh(piece)
