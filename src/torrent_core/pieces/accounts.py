"""Puts every missing block that the scheduler answers for on its account.

One pass over the links and the active pieces, and set algebra for all other pieces.  The
accounts are tried in their order (``torrent_core.accounts``): whatever pieces one covers are
taken out before the next is tried.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from ..accounts import Account, Entry
from ..classes import frozen
from ..geometry import Geometry
from .active import ActivePiece, Stage
from .requests import LinkRequests
from .scheduler import RequestScheduler


@frozen
class _Share:
    """Pieces that one link puts on an account, and when that may change."""

    link: LinkRequests
    pieces: int
    until: float | None = None


class Accountant:
    """Accounts for one moment: make one, ask, and throw it away."""

    def __init__(self, scheduler: RequestScheduler, geometry: Geometry) -> None:
        self._active = scheduler.active
        self._parole = scheduler.parole
        self._geometry = geometry
        self._accounts = self._order()

    def active(self, piece: ActivePiece, note: str = "", until: float | None = None) -> list[Entry]:
        """The blocks of a piece that is being downloaded; ``note`` and ``until`` say what
        the storing of those that came waits for."""
        entries = []
        if piece.received:
            why = f"received, piece {piece.index} waits for its other blocks{note}"
            entry = _of_piece(Account.RECEIVED, why, piece, piece.received)
            entries.append(attrs.evolve(entry, until=until))
        asked = 0
        for block in piece.requests:
            asked |= 1 << block
            entries.append(self._requested(piece, block))
        rest = piece.all_blocks & ~piece.received & ~asked
        old = rest & piece.writing
        if old:
            why = f"piece {piece.index} starts over once its last write is over{note}"
            entries.append(attrs.evolve(_of_piece(Account.RECEIVED, why, piece, old), until=until))
        dry = 0 if self._active.memory.has_room else rest & ~piece.places & ~old
        if dry:
            entries.append(_of_piece(Account.HELD, self._memory_is_full(), piece, dry))
        return entries + self._supply_within(piece, rest & ~old & ~dry)

    def inactive(self, pieces: int) -> list[Entry]:
        """Wanted pieces that are neither had nor active, in groups."""
        if pieces and not self._active.memory.has_room:
            return [self._entry(Account.HELD, self._memory_is_full(), pieces, [])]
        return self._supply(pieces)

    def _supply_within(self, piece: ActivePiece, blocks: int) -> list[Entry]:
        count = blocks.bit_count()
        supply = self._supply(1 << piece.index) if blocks else []
        return [attrs.evolve(entry, blocks=count, within=blocks) for entry in supply]

    def _memory_is_full(self) -> str:
        """The hard cap, and what holds it."""
        memory, pieces = self._active.memory, self._active.active_pieces
        budget = memory.budget
        holding = [piece for piece in pieces if piece.segments]
        stored = sum(
            piece.stage is not Stage.DOWNLOADING or bool(piece.writing) for piece in holding
        )
        others = budget.used - memory.held
        shares = [f"{stored} of them at the disk"] if stored else []
        shares += [f"{others // 1024} KiB with other torrents"] if others else []
        return ", ".join(
            [
                f"memory is full with {len(holding)} pieces in progress",
                *shares,
                f"{budget.used // 1024} of {budget.limit // 1024} KiB taken",
            ]
        )

    def _requested(self, piece: ActivePiece, block: int) -> Entry:
        links = [self._active.links[info.link] for info in piece.requests[block]]
        names = " and ".join(str(link.state.address) for link in links)
        moments = (self._due(link) for link in links)
        return attrs.evolve(
            _of_piece(Account.REQUESTED, f"asked of {names}", piece, 1 << block),
            links=tuple(link.state.link for link in links),
            until=min(moment for moment in moments if moment is not None),
        )

    def _supply(self, pieces: int) -> list[Entry]:
        """Pieces with blocks that are asked of nobody: why not?"""
        entries = []
        for account, why, shares in self._accounts:
            covered = 0
            covering = []
            for share in shares:
                if share.pieces & pieces:
                    covered |= share.pieces & pieces
                    covering.append(share)
            if covered:
                entries.append(self._entry(account, why, covered, covering))
                pieces &= ~covered
        if pieces:
            entries.append(self._entry(Account.NOBODY, "no connected peer has them", pieces, []))
        return entries

    def _order(self) -> list[tuple[Account, str, list[_Share]]]:
        """The accounts of blocks that nobody is asked for, in order, with what each link
        puts on them.  That a supplier is idle comes first, to be noticed."""
        idle, busy, reserved, refused, choked = [], [], [], [], []
        for link in self._active.links.values():
            answers, usable = link.answers, link.usable
            supplies = usable & ~self._parole.closed_to(link)
            if len(link.out) <= link.low_water:
                idle.append(_Share(link, supplies))
            else:
                until = self._due(link)
                busy.append(_Share(link, supplies, until))
            reserved += self._reserved(link)
            refused.append(_Share(link, answers & ~usable, link.eases_at))
            choked.append(_Share(link, link.state.pieces & ~answers))
        return [
            (Account.STRANDED, "a supplier is idle", idle),
            (Account.HELD, "reserved for one peer alone since a hash failed", reserved),
            (Account.FULL, "every supplier is busy", busy),
            (Account.REFUSED, "every supplier refused or was late", refused),
            (Account.NOBODY, "the peers that have them choke us", choked),
        ]

    def _reserved(self, link: LinkRequests) -> list[_Share]:
        """The pieces that others may not be asked for, because this link has their parole."""
        held = self._parole.held_by(link.state.ordinal)
        return [_Share(link, 1 << index, self._parole_ends(link, index)) for index in held]

    def _parole_ends(self, link: LinkRequests, index: int) -> float | None:
        """When the link loses its parole unless it delivers: a request for the piece is late
        by then, or the whole link silent; or, if nothing is asked of it, it may be again."""
        if not link.out:
            return link.eases_at
        moments = [info.deadline for info in link.out.values() if info.piece.index == index]
        return min([*moments, link.silent_at(self._active.config.request_timeout)])

    def _due(self, link: LinkRequests) -> float | None:
        return link.due(self._active.config.request_timeout)

    def _entry(self, account: Account, why: str, pieces: int, shares: list[_Share]) -> Entry:
        return Entry(
            account,
            why,
            self._geometry.blocks_in(pieces),
            pieces,
            links=tuple(share.link.state.link for share in shares),
            until=_soonest(share.until for share in shares),
        )


def _soonest(moments: Iterable[float | None]) -> float | None:
    return min((moment for moment in moments if moment is not None), default=None)


def _of_piece(account: Account, why: str, piece: ActivePiece, blocks: int) -> Entry:
    return Entry(account, why, blocks.bit_count(), 1 << piece.index, within=blocks)
