"""Why each missing block is not here yet: the values of an explanation.

Every wanted block that is not verified and written stands on the *first* of these accounts
that applies.  A block on none of them, ``STRANDED``, is a stall: it must be impossible, and
is named so that tests can look for it.
"""

from __future__ import annotations

from enum import Enum

import attrs

from .types import InfoHash, LinkId, TorrentState


class Account(Enum):
    """What a missing block waits for; the value is what a person reads."""

    RECEIVED = "received"
    """In memory or stored; its piece waits for other blocks, a hash, a write or a read."""
    REQUESTED = "requested"
    """Asked of one or more links, each with a deadline."""
    HELD = "held back"
    """By policy: stopped, checking, memory, reserved for one link."""
    FULL = "every supplier is busy"
    """Every link that could send it has enough requests out."""
    REFUSED = "refused for now"
    """Every link that could send it rejected it or let it time out lately."""
    NOBODY = "nobody can send it"
    """No link that has it would answer."""
    STRANDED = "stranded"
    """None of these: a bug of ours."""


@attrs.frozen
class Entry:
    """Blocks that stand on one account for one reason."""

    account: Account
    why: str
    """A phrase that completes "these blocks wait because"."""
    blocks: int
    """How many."""
    pieces: int
    """Set of the pieces that they belong to."""
    within: int | None = None
    """Set of the blocks within their piece, if it is one piece; None for all of them."""
    links: tuple[LinkId, ...] = ()
    """Links that the reason names: asked, busy, refusing or choking ones."""
    until: float | None = None
    """When it will move if nothing else happens; None if only an event moves it."""


@attrs.frozen
class Explanation:
    """The account of every missing wanted block of one torrent at one moment."""

    torrent: InfoHash
    now: float
    state: TorrentState
    entries: tuple[Entry, ...]
    """Pieces in progress first, a block at a time where they differ; then the others."""
    scheduled: tuple[tuple[float, str], ...]
    """What is due that could bring new suppliers: (when, what), soonest first."""

    @property
    def missing_blocks(self) -> int:
        """Blocks accounted for."""
        return sum(entry.blocks for entry in self.entries)

    @property
    def stranded(self) -> tuple[Entry, ...]:
        """Entries that no account covers; empty unless there is a bug."""
        return tuple(entry for entry in self.entries if entry.account is Account.STRANDED)

    @property
    def next_move(self) -> float | None:
        """The earliest moment that any account names."""
        moments = [entry.until for entry in self.entries if entry.until is not None]
        return min(moments, default=None)

    def text(self) -> str:
        """One paragraph for people."""
        if not self.entries:
            return "Nothing is missing."
        parts = [f"{_count(self.missing_blocks, 'block')} missing."]
        for account in Account:
            chosen = [entry for entry in self.entries if entry.account is account]
            for why in dict.fromkeys(entry.why for entry in chosen):
                parts.append(self._sentence([entry for entry in chosen if entry.why == why]))
        if any(entry.account is Account.NOBODY for entry in self.entries):
            parts.append(self._outlook())
        return " ".join(parts)

    def _sentence(self, entries: list[Entry]) -> str:
        blocks = sum(entry.blocks for entry in entries)
        moments = [entry.until for entry in entries if entry.until is not None]
        due = f", {_in(min(moments), self.now)}" if moments else ""
        return f"{_count(blocks, 'block')}: {entries[0].why}{due}."

    def _outlook(self) -> str:
        if not self.scheduled:
            return "Nothing is scheduled that would find another supplier."
        when, what = self.scheduled[0]
        return f"Next: {what}, {_in(when, self.now)}."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _in(when: float, now: float) -> str:
    return f"due in {max(0.0, when - now):.1f} s"
