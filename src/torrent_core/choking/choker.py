"""Which links get an upload slot (BEP 3, choking and optimistic unchoking).

Policy only: the choker reads ``LinkState`` and answers with decisions, which ``torrent``
carries out at once.  It keeps the one fact that is its own, who holds a slot.

Slots but one go to the best links of a round: while downloading to those who give us most,
as a seed to those who take most.  The last slot is optimistic: it goes round, so that a
link with nothing to show for itself gets the chance to.  Order of turns is a shuffled list
of everybody who waits, used up before the next is drawn: as hard to game as a draw at every
turn, but nobody waits for longer than two lists.
"""

from __future__ import annotations

from typing import NamedTuple

from ..deadlines import Deadline
from ..errors import LocalProtocolError
from ..limits import CHOKE_INTERVAL, OPTIMISTIC_INTERVAL
from ..linkstate import LinkState
from ..types import RandomSource

ROUNDS_PER_TURN = round(OPTIMISTIC_INTERVAL / CHOKE_INTERVAL)
"""An optimistic unchoke lasts so many rounds.  Counted, not timed: three sums of 10 s need
not reach 30 s in floating point, and the turn would last four rounds."""


class Decision(NamedTuple):
    """Choke this link, or unchoke it; never what it is already."""

    state: LinkState
    choke: bool


class Choker:
    """The slots of one torrent.

    A link competes while its peer is interested and has not said that it is upload-only
    (BEP 21).  At most ``slots`` links are unchoked at once; with 0 nobody ever is.  Raises
    LocalProtocolError for a negative number of slots.

    Every decision returned must be carried out: none is repeated.
    """

    __slots__ = (
        "_holders",
        "_links",
        "_next_round",
        "_optimistic",
        "_random",
        "_rounds_left",
        "_slots",
        "_turns",
        "_waiting",
    )

    def __init__(self, slots: int, random: RandomSource) -> None:
        if slots < 0:
            raise LocalProtocolError(f"{slots} upload slots")
        self._slots = slots
        self._random = random
        self._links: dict[int, LinkState] = {}
        # Those who compete, by ordinal: each is in exactly one of the two.
        self._holders: dict[int, LinkState] = {}
        self._waiting: dict[int, LinkState] = {}
        # Ordinals in reverse order of turn; who left or got a slot meanwhile is skipped.
        self._turns: list[int] = []
        self._optimistic: int | None = None
        self._rounds_left = 0
        self._next_round: float | None = None

    def add(self, state: LinkState) -> None:
        """Take a link in; it competes from its next ``interest_changed``."""
        self._links[state.ordinal] = state

    def remove(self, state: LinkState) -> list[Decision]:
        """Forget a link; its slot goes to the next in turn.  No effect if it is unknown.

        Nothing is decided about the link itself, which is gone.
        """
        if self._links.pop(state.ordinal, None) is None:
            return []
        self._withdraw(state)
        return self._fill()

    def interest_changed(self, state: LinkState, now: float) -> list[Decision]:
        """Look anew at a link whose ``peer_interested`` or ``upload_only`` may have changed.

        One that became interested gets a free slot at once; one that lost interest is
        choked, and its slot goes to the next in turn.  Raises LocalProtocolError for a link
        that was not added.
        """
        if state.ordinal not in self._links:
            raise LocalProtocolError("interest of a link that the choker does not know")
        competes = state.peer_interested and not state.upload_only
        if competes == (state.ordinal in self._holders or state.ordinal in self._waiting):
            return []
        decisions = []
        if competes:
            self._waiting[state.ordinal] = state
            if self._next_round is None and self._slots:
                self._next_round = now + CHOKE_INTERVAL
        elif self._withdraw(state):
            decisions.append(Decision(state, True))
        return decisions + self._fill()

    def round(self, now: float, seeding: bool) -> list[Decision]:
        """Give the slots out afresh if a round is due, else nothing; chokes come first.

        ``seeding``: rank by upload rate to the links rather than download rate from them.
        """
        if self._next_round is None or now < self._next_round:
            return []
        self._next_round = now + CHOKE_INTERVAL
        ranked = self._ranked(now, seeding)
        chosen, rest = ranked[: self._slots - 1], ranked[self._slots - 1 :]
        if rest:
            chosen.append(self._pick_optimistic(rest))
        else:
            self._optimistic = None
        return self._assign(chosen)

    def next_deadline(self) -> Deadline | None:
        """When the next round is due; None while nobody competes, or there are no slots."""
        if self._next_round is None:
            return None
        return Deadline(self._next_round, "choking round")

    # --- Who competes ----------------------------------------------------------------------

    def _withdraw(self, state: LinkState) -> bool:
        """Out of the competition; whether the link held a slot."""
        self._waiting.pop(state.ordinal, None)
        held = self._holders.pop(state.ordinal, None) is not None
        if self._optimistic == state.ordinal:
            self._optimistic = None
        if not self._holders and not self._waiting:
            self._next_round = None
        return held

    def _ranked(self, now: float, seeding: bool) -> list[LinkState]:
        """Everybody who competes, best first.

        Of equals those who hold a slot keep it, the optimistic one last: no rate earned it
        a place, and taking one would turn out somebody who is as good.
        """

        def rank(state: LinkState) -> tuple[float, bool, bool, int]:
            rate = state.up if seeding else state.down
            ordinal = state.ordinal
            waits = ordinal not in self._holders
            return -rate.value(now), waits, ordinal == self._optimistic, ordinal

        return sorted([*self._holders.values(), *self._waiting.values()], key=rank)

    # --- Slots -----------------------------------------------------------------------------

    def _fill(self) -> list[Decision]:
        """Give free slots to those who wait, in order of turn."""
        decisions = []
        while self._waiting and len(self._holders) < self._slots:
            state = self._waiting.pop(self._next_turn(self._waiting))
            self._holders[state.ordinal] = state
            decisions.append(Decision(state, False))
            # Who takes the last slot is owed a turn, whatever the next round says of rates.
            if self._optimistic is None and len(self._holders) == self._slots:
                self._start_turn(state.ordinal)
        return decisions

    def _pick_optimistic(self, rest: list[LinkState]) -> LinkState:
        """Who of those that did not make it by rate gets the optimistic slot now."""
        among = {state.ordinal: state for state in rest}
        self._rounds_left -= 1
        present = None if self._optimistic is None else among.get(self._optimistic)
        if present is not None:
            if self._rounds_left > 0 or len(among) == 1:
                return present
            del among[present.ordinal]
        ordinal = self._next_turn(among)
        self._start_turn(ordinal)
        return among[ordinal]

    def _start_turn(self, ordinal: int) -> None:
        self._optimistic = ordinal
        self._rounds_left = ROUNDS_PER_TURN

    def _next_turn(self, among: dict[int, LinkState]) -> int:
        """The first in turn of ``among``, which is not empty."""
        while self._turns:
            ordinal = self._turns.pop()
            if ordinal in among:
                return ordinal
        self._turns = self._shuffled(list(among))
        return self._turns.pop()

    def _shuffled(self, items: list[int]) -> list[int]:
        """Fisher and Yates; 32 spare bits make the bias of ``%`` too small to matter."""
        for last in range(len(items) - 1, 0, -1):
            other = self._random.getrandbits(32 + last.bit_length()) % (last + 1)
            items[last], items[other] = items[other], items[last]
        return items

    def _assign(self, chosen: list[LinkState]) -> list[Decision]:
        """Make ``chosen`` the holders; who loses a slot waits."""
        fresh = {state.ordinal: state for state in chosen}
        lost = [state for key, state in self._holders.items() if key not in fresh]
        gained = [state for state in chosen if state.ordinal not in self._holders]
        for state in lost:
            self._waiting[state.ordinal] = state
        for state in gained:
            del self._waiting[state.ordinal]
        self._holders = fresh
        return [Decision(state, True) for state in lost] + [
            Decision(state, False) for state in gained
        ]
