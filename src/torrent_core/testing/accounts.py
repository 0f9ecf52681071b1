"""The promise of a machine: each missing block is on an account, and no moment is slept through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from ..accounts import Entry, Explanation
from ..bitfield import indices
from ..deadlines import Deadline
from ..types import InfoHash
from .promises import Stalled
from .timeline import Step, history, timeline

_LONGEST_HISTORY = 40


class Accountable(Protocol):
    """A machine that explains itself: ``Torrent`` and ``Session`` alike."""

    def next_deadline(self) -> Deadline | None: ...

    def explain(self, now: float) -> Explanation | Mapping[InfoHash, Explanation]: ...


def assert_accounted(machine: Accountable, now: float, steps: Iterable[Step] = ()) -> None:
    """Raise Stalled if ``machine`` has a block on no account, or a deadline that is too late.

    Too late is a deadline after the earliest moment that any account names, if that is still
    to come.  ``steps`` are what the machine did so far: what they say of the first stranded
    piece goes into the error.  Costs what ``explain`` costs: the missing pieces once.
    """
    explained = machine.explain(now)
    due = machine.next_deadline()
    each = explained.values() if isinstance(explained, Mapping) else [explained]
    for explanation in each:
        if explanation.stranded:
            raise Stalled(_stranded(explanation, explanation.stranded[0], steps))
        move = explanation.next_move
        if move is not None and (due is None or due.when > max(move, now)):
            kept = "there is no deadline" if due is None else f"the deadline is {due}"
            named = [entry.why for entry in explanation.entries if entry.until == move]
            raise Stalled(f"{named[0]}, until {move}, but {kept}.  {explanation.text()}")


def _stranded(explanation: Explanation, entry: Entry, steps: Iterable[Step]) -> str:
    piece = next(indices(entry.pieces))
    which = "all blocks" if entry.within is None else f"blocks {list(indices(entry.within))}"
    lines = [f"stranded at {explanation.now}: {which} of piece {piece}.  {explanation.text()}"]
    past = history(steps, piece)[-_LONGEST_HISTORY:]
    if past:
        lines += [f"What happened to piece {piece}:", timeline(("", step) for step in past)]
    return "\n".join(lines)
