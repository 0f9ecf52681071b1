"""The account of every missing block: what the scheduler says, and what stands above it."""

from __future__ import annotations

from ..accounts import Account, Entry, Explanation
from ..pieces import ActivePiece, Stage
from ..pieces.accounts import Accountant
from ..types import Address, LinkId, TorrentState
from .checking import CHECK_RETRY
from .context import Context
from .dialling import Dialling
from .finishing import RETRY

_IDLE_STATES = {
    TorrentState.CHECKING: "the files are being checked",
    TorrentState.STOPPING: "the torrent is stopping",
    TorrentState.STOPPED: "the torrent is stopped",
}


def explain(context: Context, dialling: Dialling, now: float) -> Explanation:
    """Why each wanted block that is not verified and written is not here yet.

    Costs one pass over links and active pieces, and set algebra over the rest.
    """
    now = max(now, context.now)
    accountant = Accountant(context.scheduler, context.metainfo.geometry, now)
    entries: list[Entry] = []
    untouched = context.missing
    for piece in context.active.active_pieces:
        untouched &= ~(1 << piece.index)
        if piece.stage is Stage.DOWNLOADING and context.may_dial:
            entries += accountant.active(piece)
        else:
            entries += _in_storage(context, piece)
    if context.may_dial:
        entries += accountant.inactive(untouched)
    elif untouched:
        entries.append(_idle(context, untouched))
    return Explanation(
        context.info_hash,
        now,
        context.state,
        tuple(entries),
        _scheduled(dialling),
        _addresses(context, entries),
    )


def _in_storage(context: Context, piece: ActivePiece) -> list[Entry]:
    """A piece that is complete, or that a torrent which stops is storing as far as it is."""
    until = context.timers.get((RETRY, piece.index))
    failed = "" if until is None else ", and its storage failed"
    why = f"received, piece {piece.index} is {piece.stage.value}{failed}"
    entries = []
    for account, reason, blocks in (
        (Account.RECEIVED, why, piece.received),
        (Account.HELD, _IDLE_STATES.get(context.state, ""), piece.all_blocks & ~piece.received),
    ):
        if blocks:
            count, bit = blocks.bit_count(), 1 << piece.index
            entries.append(Entry(account, reason, count, bit, within=blocks, until=until))
    return entries


def _idle(context: Context, pieces: int) -> Entry:
    blocks = context.metainfo.geometry.blocks_in(pieces)
    until = context.timers.get((CHECK_RETRY, 0))
    return Entry(Account.HELD, _IDLE_STATES[context.state], blocks, pieces, until=until)


def _addresses(context: Context, entries: list[Entry]) -> dict[LinkId, Address]:
    """Of the links that the entries name; others may be many."""
    named = dict.fromkeys(link for entry in entries for link in entry.links)
    states = (link.state for link in context.active.links.values())
    return {state.link: state.address for state in states if state.link in named}


def _scheduled(dialling: Dialling) -> tuple[tuple[float, str], ...]:
    """The next dial, and when the longest of those under way is given up."""
    book = dialling.book
    dues = [due for due in (book.next_redial(), book.next_deadline(room=0)) if due is not None]
    return tuple(sorted((due.when, due.why) for due in dues))
