"""The life of a link as data: what may happen when, and what must have been agreed first.

The theory.  A link's life has one dimension that only moves forward (``Phase``); choke and
interest are independent bits beside it and belong to ``LinkState``.  What may be *said* in
the open phase depends on two facts that the handshakes settle for good: whether both sides
offered BEP 6 and BEP 10.  So there are three tables: which phase follows on which signal,
which group each message belongs to, and which groups an agreement admits.  The groups bind
both sides alike, but not with equal force: a peer that sends BEP 6 messages uninvited must be
dropped (the BEP says so); one that sends BEP 10 messages uninvited merely sends an id that
means nothing here, and is ignored; our own caller gets ``LocalProtocolError`` for either.
"""

from __future__ import annotations

from enum import Enum, auto

from ..errors import LocalProtocolError
from ..linkstate import LinkState
from ..wire import messages as wire


class Phase(Enum):
    """Where a link is in its life."""

    HANDSHAKE = "shaking hands"
    OPEN = "open"
    CLOSED = "closed"


class Signal(Enum):
    """What moves a link from one phase to the next."""

    SHAKEN = auto()
    """Both handshakes are through."""
    FAULT = auto()
    """The peer broke the protocol or ran out of time."""
    CLOSE = auto()
    """The caller has no more use for it."""


class Group(Enum):
    """Messages that stand or fall together."""

    BASE = "BEP 3"
    FAST = "BEP 6"
    EXTENDED = "BEP 10"


TRANSITIONS: dict[Phase, dict[Signal, Phase]] = {
    Phase.HANDSHAKE: {
        Signal.SHAKEN: Phase.OPEN,
        Signal.FAULT: Phase.CLOSED,
        Signal.CLOSE: Phase.CLOSED,
    },
    Phase.OPEN: {
        Signal.FAULT: Phase.CLOSED,
        Signal.CLOSE: Phase.CLOSED,
    },
    Phase.CLOSED: {
        # Closing twice is no offence: an error and an end often come together.
        Signal.CLOSE: Phase.CLOSED,
    },
}

GROUP_OF: dict[int, Group] = {
    wire.CHOKE: Group.BASE,
    wire.UNCHOKE: Group.BASE,
    wire.INTERESTED: Group.BASE,
    wire.NOT_INTERESTED: Group.BASE,
    wire.HAVE: Group.BASE,
    wire.BITFIELD: Group.BASE,
    wire.REQUEST: Group.BASE,
    wire.PIECE: Group.BASE,
    wire.CANCEL: Group.BASE,
    wire.PORT: Group.BASE,
    wire.SUGGEST: Group.FAST,
    wire.HAVE_ALL: Group.FAST,
    wire.HAVE_NONE: Group.FAST,
    wire.REJECT: Group.FAST,
    wire.ALLOWED_FAST: Group.FAST,
    wire.EXTENDED: Group.EXTENDED,
}

AGREED: dict[tuple[bool, bool], frozenset[Group]] = {
    (False, False): frozenset({Group.BASE}),
    (True, False): frozenset({Group.BASE, Group.FAST}),
    (False, True): frozenset({Group.BASE, Group.EXTENDED}),
    (True, True): frozenset(Group),
}
"""Groups in use, by (both sides offer BEP 6, both sides offer BEP 10)."""


def agreed(state: LinkState) -> frozenset[Group]:
    """The groups in use on this link."""
    return AGREED[state.fast, state.extended]


class Lifecycle:
    """The phase of one link, moved by signals only."""

    __slots__ = ("phase",)

    def __init__(self, phase: Phase = Phase.HANDSHAKE) -> None:
        self.phase = phase

    def signal(self, signal: Signal) -> None:
        """Move on.  Raises LocalProtocolError for a signal that the phase does not know."""
        following = TRANSITIONS[self.phase].get(signal)
        if following is None:
            raise LocalProtocolError(f"{signal.name} while the link is {self.phase.value}")
        self.phase = following

    def require(self, group: Group, state: LinkState) -> None:
        """Raise LocalProtocolError unless we may send messages of ``group`` now."""
        if self.phase is not Phase.OPEN:
            raise LocalProtocolError(f"the link is {self.phase.value}")
        if group not in agreed(state):
            raise LocalProtocolError(f"{group.value} is not agreed on this link")
