"""Why each missing block is not here yet: the values of an explanation.

Every wanted block that is not verified and written stands on the *first* of these accounts
that applies.  A block on none of them, ``STRANDED``, is a stall: it must be impossible, and
is named so that tests can look for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

import attrs

from .classes import frozen
from .types import Address, InfoHash, LinkId, TorrentState

MOST_REASONS = 3
"""Reasons that a text tells of one account, those of most blocks first."""

MOST_NAMES = 3
"""Peers that a text names for one reason."""


MOST_DUE = 6
"""Things due that a text tells: one each of all kinds that there are."""


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


@frozen
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


@frozen
class Explanation:
    """The account of every missing wanted block of one torrent at one moment.

    ``str`` of it is ``text()``.
    """

    torrent: InfoHash
    now: float
    state: TorrentState
    entries: tuple[Entry, ...]
    """Pieces in progress first, a block at a time where they differ; then the others."""
    scheduled: tuple[tuple[float, str], ...]
    """What is due that could bring new suppliers: (when, what), soonest first."""
    addresses: dict[LinkId, Address] = attrs.field(factory=dict)
    """The other ends of the links that the entries name."""
    metadata_missing: bool = False
    """Of the torrent only the name is known (BEP 9): nobody can say how many blocks there
    are, and the one entry says what the metadata waits for."""

    @property
    def missing_blocks(self) -> int:
        """Blocks accounted for."""
        return sum(entry.blocks for entry in self.entries)

    @property
    def missing_pieces(self) -> int:
        """Pieces that these blocks belong to."""
        pieces = 0
        for entry in self.entries:
            pieces |= entry.pieces
        return pieces.bit_count()

    @property
    def stranded(self) -> tuple[Entry, ...]:
        """Entries that no account covers; empty unless there is a bug."""
        return tuple(entry for entry in self.entries if entry.account is Account.STRANDED)

    @property
    def next_move(self) -> float | None:
        """The earliest moment that any account names."""
        return _soonest(self.entries)

    @property
    def reasons(self) -> tuple[Entry, ...]:
        """The entries with those of one account, reason and links made one: account by
        account, most blocks first."""
        alike: dict[tuple[Account, str, tuple[LinkId, ...]], list[Entry]] = {}
        for entry in self.entries:
            alike.setdefault((entry.account, entry.why, entry.links), []).append(entry)
        merged = map(_merged, alike.values())
        return tuple(sorted(merged, key=lambda e: (_ORDER.index(e.account), -e.blocks)))

    @property
    def gist(self) -> tuple[tuple[Account, str, int], ...]:
        """Account, reason and blocks, without the moments: equal while only time goes by."""
        return tuple((entry.account, entry.why, entry.blocks) for entry in self.reasons)

    def text(self) -> str:
        """One paragraph for people: what is missing, why, and what will move it next."""
        if self.metadata_missing:
            return self._metadata_text(self.entries[0])
        if not self.entries:
            return "Nothing is missing."
        blocks, pieces = self.missing_blocks, self.missing_pieces
        verb = "is" if blocks == 1 else "are"
        parts = [f"{_count(blocks, 'block')} in {_count(pieces, 'piece')} {verb} missing."]
        reasons = self.reasons
        for account in Account:
            parts += self._sentences([e for e in reasons if e.account is account])
        if any(entry.account is Account.NOBODY for entry in reasons):
            parts.append(self._outlook())
        return " ".join(parts)

    __str__ = text

    def _metadata_text(self, entry: Entry) -> str:
        names = self._names(entry.links)
        why = f"{entry.why} {names}" if names else entry.why
        text = f"The metadata is not here yet: {why}{self._due(entry)}."
        return f"{text} {self._outlook()}" if entry.account is Account.NOBODY else text

    def _sentences(self, reasons: list[Entry]) -> list[str]:
        """What there is to say of one account."""
        parts = [self._sentence(entry) for entry in reasons[:MOST_REASONS]]
        rest = sum(entry.blocks for entry in reasons[MOST_REASONS:])
        if rest:
            parts.append(f"{rest} more for like reasons.")
        return parts

    def _sentence(self, entry: Entry) -> str:
        one = entry.blocks == 1
        if entry.blocks == self.missing_blocks:
            subject = "It" if one else "All of them"
        else:
            subject = f"{entry.blocks} of them"
        if entry.account in (Account.RECEIVED, Account.REQUESTED):
            verb = "is" if one else "are"
        else:
            verb = "waits:" if one else "wait:"
        why = self._reason(entry, "it" if one else "them")
        return f"{subject} {verb} {why}{self._due(entry)}."

    def _reason(self, entry: Entry, them: str) -> str:
        names = self._names(entry.links)
        if entry.account is Account.NOBODY:
            return _choked(len(entry.links), names, them)
        if entry.account is Account.REQUESTED or not names:
            return entry.why
        return f"{entry.why} ({names})"

    def _names(self, links: tuple[LinkId, ...]) -> str:
        names = [str(self.addresses[link]) for link in links if link in self.addresses]
        shown = names[:MOST_NAMES]
        if len(names) > MOST_NAMES:
            shown.append(_count(len(names) - MOST_NAMES, "other"))
        return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)

    def _due(self, entry: Entry) -> str:
        if entry.until is None:
            return ""
        return f", {_DUE.get(entry.account, 'due')} {_in(entry.until, self.now)}"

    def _outlook(self) -> str:
        if not self.scheduled:
            return "Nothing is scheduled that would find another supplier."
        told = [f"{what}, {_in(when, self.now)}" for when, what in self.scheduled[:MOST_DUE]]
        more = len(self.scheduled) - len(told)
        return f"Next: {'; then '.join(told)}{f'; and {more} more' if more else ''}."


class Explanations(dict[InfoHash, Explanation]):
    """The explanation of each torrent of a session, by info-hash.

    ``str`` of it is a paragraph for each, led by the torrent's info-hash, with an empty line
    between them.
    """

    def __str__(self) -> str:
        return "\n\n".join(f"{name.hex()}: {why.text()}" for name, why in self.items())


def _choked(count: int, names: str, them: str) -> str:
    """Who could send the blocks of NOBODY, if they would; its links are those that choke us."""
    if not count:
        return f"no connected peer has {them}"
    if count == 1:
        named = f", {names}," if names else ""
        return f"the only peer that has {them}{named} chokes us, and must unchoke us first"
    named = f" ({names})" if names else ""
    return f"the {count} peers that have {them} choke us{named}, and one must unchoke us first"


_ORDER = list(Account)

_DUE = {
    Account.RECEIVED: "tried again",
    Account.REQUESTED: "due",
    Account.HELD: "looked at again",
    Account.FULL: "the first answer due",
    Account.REFUSED: "asked again",
}


def _merged(alike: list[Entry]) -> Entry:
    if len(alike) == 1:
        return alike[0]
    blocks, pieces = sum(entry.blocks for entry in alike), 0
    for entry in alike:
        pieces |= entry.pieces
    return attrs.evolve(alike[0], blocks=blocks, pieces=pieces, within=None, until=_soonest(alike))


def _soonest(entries: Iterable[Entry]) -> float | None:
    moments = (entry.until for entry in entries if entry.until is not None)
    return min(moments, default=None)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _in(when: float, now: float) -> str:
    return f"in {max(0.0, when - now):.1f} s"
