"""What follows when a piece fails its hash: whom to blame, and how the piece is fetched again.

A sole contributor is at fault at once.  With several, the digests of their blocks are taken
before the buffer is used again, and the piece is fetched from one link alone (parole): if it
fails again, that link is at fault; if it passes, the digests it passes with convict whoever
sent others.  So each failure of a piece is either the last one or costs a culprit his link,
and nobody else is ever banned.

Data that went through the files proves nothing.  A link that alone sent a piece which failed
in that way is only asked for other pieces for a while, so that the next one has its turn.
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

    # --- Links ---------------------------------------------------------------------------

    def departed(self, link: TorrentLink) -> None:
        """A link is gone; what it sent may yet turn out to be spoiled."""
        if link.state.down.total:
            self._departed[link.state.ordinal] = link.identity
            if len(self._departed) > MAX_DEPARTED:
                del self._departed[next(iter(self._departed))]

    def _who(self, ordinal: int) -> Identity | None:
        """Who was at the other end of that link; None if that is forgotten."""
        link = self._links.by_ordinal(ordinal)
        return self._departed.get(ordinal) if link is None else link.identity

    def _contributors(self, piece: ActivePiece) -> dict[int, Identity | None]:
        return {ordinal: self._who(ordinal) for ordinal in piece.get_contributing_peers()}

    # --- Pieces --------------------------------------------------------------------------

    def failed(self, piece: ActivePiece) -> None:
        """``piece`` did not match its hash: it starts over, and nobody is blamed in vain."""
        context = self._context
        contributors = self._contributors(piece)
        links = map(self._links.by_ordinal, contributors)
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
        self._take_samples(piece)

    def passed(self, piece: ActivePiece, then: Next) -> None:
        """``piece`` matches its hash: see who sent other blocks when it did not, and go on."""
        blocks = self._blame.blocks(piece.index) & piece.in_memory

        def hashed(digests: dict[int, bytes]) -> None:
            for culprit in self._blame.settle(piece.index, digests):
                self._convict(culprit, piece.index)
            then()

        self._hash(piece, blocks, hashed)

    def verified(self, piece: ActivePiece) -> None:
        """``piece`` is ours: whoever sent a part of it has proven good."""
        for peer in self._contributors(piece).values():
            if peer is not None:
                hosts = self._context.bans.absolve(peer)
                if hosts:
                    self._dialling.review(hosts)

    def _take_samples(self, piece: ActivePiece) -> None:
        """Before its buffer is used again, remember what each contributor sent."""
        known = {block: self._who(ordinal) for block, ordinal in piece.senders.items()}
        senders = {block: peer for block, peer in known.items() if peer is not None}
        wanted = self._context.picker.wanted >> piece.index & 1
        blocks = sum(1 << block for block in senders) & piece.in_memory if wanted else 0

        def hashed(digests: dict[int, bytes]) -> None:
            samples = [Sample(block, senders[block], digest) for block, digest in digests.items()]
            self._blame.remember(piece.index, samples)
            self._start_over(piece)

        self._hash(piece, blocks, hashed)

    def _start_over(self, piece: ActivePiece) -> None:
        """Fetch it again, unless it is not wanted any longer."""
        self._context.scheduler.retry(piece)

    # --- Digests -------------------------------------------------------------------------

    def _hash(
        self, piece: ActivePiece, blocks: int, done: Callable[[dict[int, bytes]], None]
    ) -> None:
        """Ask for the digest of each of these blocks; without them there is no proof."""
        if not blocks:
            done({})
            return
        piece.stage = Stage.TRACING
        numbers = list(indices(blocks))

        def hashed(event: BlocksHashed) -> None:
            done(dict(zip(numbers, event.digests, strict=True)))

        def failed(_event: StorageFailed) -> None:
            done({})

        context = self._context
        fits = partial(are_sha1, len(numbers))
        job = context.jobs.begin(BlocksHashed, hashed, failed, fits=fits)
        views = tuple((piece.block_info(n), piece.block_view(n)) for n in numbers)
        context.actions.append(HashBlocks(context.info_hash, job, piece.index, views))

    # --- Consequences --------------------------------------------------------------------

    def _convict(self, culprit: Identity, index: int) -> None:
        """It is proven: close, ban, and believe nothing else that it sent."""
        context = self._context
        if context.bans.is_guilty(culprit):
            return  # all that follows from it has been done
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
