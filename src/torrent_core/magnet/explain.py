"""Why the metadata is not here yet, as an account like those of blocks."""

from __future__ import annotations

from collections.abc import Iterable

from ..accounts import Account, Entry, Explanation
from ..deadlines import Deadline
from ..metadata.transfer import Progress
from ..types import LinkId, TorrentState
from .context import Context
from .links import Links


def explain(
    context: Context, links: Links, dues: Iterable[Deadline | None], now: float
) -> Explanation:
    """The one account that there is: how many blocks are missing is not known.

    ``dues`` are what could bring new suppliers, each with its moment.
    """
    progress = context.transfer.progress()
    asked = links.named(progress.asked)
    entry = _entry(context, progress, tuple(asked))
    return Explanation(
        context.info_hash,
        max(now, context.now),
        context.state,
        (entry,),
        tuple(sorted((each.when, each.why) for each in dues if each is not None)),
        asked,
        metadata_missing=True,
    )


def _entry(context: Context, progress: Progress, asked: tuple[LinkId, ...]) -> Entry:
    if context.state is not TorrentState.RESOLVING:
        return Entry(Account.HELD, "the torrent is stopped", 0, 0)
    move = context.transfer.next_deadline()
    until = None if move is None else move.when
    if asked:
        here = f"{progress.received} of {progress.pieces} pieces are here, and "
        why = f"{here if progress.pieces else ''}it is asked of"
        return Entry(Account.REQUESTED, why, 0, 0, links=asked, until=until)
    if progress.sources:
        why = "each peer that has it refused it, or did not answer"
        return Entry(Account.REFUSED, why, 0, 0, until=until)
    return Entry(Account.NOBODY, "no connected peer has it", 0, 0)
