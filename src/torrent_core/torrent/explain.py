"""The account of every missing block: what the scheduler says, and what stands above it."""

from __future__ import annotations

from collections.abc import Iterable

from ..accounts import Account, Entry, Explanation
from ..classes import frozen
from ..deadlines import Deadline
from ..pieces import ActivePiece, Stage
from ..pieces.accounts import Accountant
from ..types import Address, LinkId, TorrentState
from .backlog import Backlog
from .checking import CHECK_RETRY
from .context import Context

_IDLE_STATES = {
    TorrentState.CHECKING: "the files are being checked",
    TorrentState.STOPPING: "the torrent is stopping",
    TorrentState.STOPPED: "the torrent is stopped",
}


@frozen
class _AtDisk:
    """What the storage work of one piece waits for, if it waits."""

    note: str = ""
    until: float | None = None


def explain(
    context: Context, dues: Iterable[Deadline | None], backlog: Backlog, now: float
) -> Explanation:
    """Why each wanted block that is not verified and written is not here yet.

    ``dues`` are what could bring new suppliers, each with its moment.  Costs one pass over
    links and active pieces, and set algebra over the rest.
    """
    now = max(now, context.now)
    accountant = Accountant(context.scheduler, context.metainfo.geometry)
    waits = _waits(backlog)
    entries: list[Entry] = []
    untouched = context.missing
    for piece in context.active.active_pieces:
        untouched &= ~(1 << piece.index)
        wait = waits.get(piece.index, _AtDisk())
        if piece.stage is Stage.DOWNLOADING and context.may_dial:
            entries += accountant.active(piece, wait.note, wait.until)
        else:
            entries += _in_storage(context, piece, wait)
    if context.may_dial:
        entries += accountant.inactive(untouched)
    elif untouched:
        entries.append(_idle(context, untouched))
    return Explanation(
        context.info_hash,
        now,
        context.state,
        tuple(entries),
        tuple(sorted((due.when, due.why) for due in dues if due is not None)),
        _addresses(context, entries),
    )


def _waits(backlog: Backlog) -> dict[int, _AtDisk]:
    """Pieces whose storage work is in line, or failed."""
    waits = {
        index: _AtDisk(f", queued behind a bounded backlog ({lane.limit} {lane.name} are out)")
        for index, lane in backlog.in_line().items()
    }
    for index, when in backlog.failures().items():
        waits[index] = _AtDisk(", and its storage failed", when)
    return waits


def _in_storage(context: Context, piece: ActivePiece, wait: _AtDisk) -> list[Entry]:
    """A piece that is complete, or that is stored as far as it is since nobody wants more."""
    in_line = wait.note and wait.until is None  # of those there are many: one reason for all
    at_disk = "" if in_line else f", piece {piece.index} is {piece.stage.value}"
    why = f"received{at_disk}{wait.note}"
    rest = _IDLE_STATES.get(context.state, why)
    entries = []
    for account, reason, blocks in (
        (Account.RECEIVED, why, piece.received),
        (Account.HELD, rest, piece.all_blocks & ~piece.received),
    ):
        if blocks:
            count, bit = blocks.bit_count(), 1 << piece.index
            entries.append(Entry(account, reason, count, bit, within=blocks, until=wait.until))
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
