from __future__ import annotations

import pytest

from peer_kit import make_state
from torrent_core.errors import LocalProtocolError
from torrent_core.peer.states import (
    AGREED,
    GROUP_OF,
    TRANSITIONS,
    Group,
    Lifecycle,
    Phase,
    Signal,
    agreed,
)
from torrent_core.wire.messages import BODY_LENGTHS


def test_every_phase_can_be_closed_and_none_leads_back() -> None:
    order = list(Phase)
    assert set(TRANSITIONS) == set(Phase)
    for phase, signals in TRANSITIONS.items():
        assert signals[Signal.CLOSE] is Phase.CLOSED
        assert all(order.index(phase) <= order.index(following) for following in signals.values())


def test_every_message_belongs_to_one_group() -> None:
    assert set(GROUP_OF) == set(BODY_LENGTHS)
    assert set(GROUP_OF.values()) == set(Group)


@pytest.mark.parametrize(("fast", "extended"), list(AGREED))
def test_an_agreement_admits_its_extensions_only(fast: bool, extended: bool) -> None:
    groups = agreed(make_state(fast=fast, extended=extended))
    assert Group.BASE in groups
    assert (Group.FAST in groups) is fast
    assert (Group.EXTENDED in groups) is extended


@pytest.mark.parametrize(
    ("phase", "signal"),
    [(phase, signal) for phase in Phase for signal in Signal if signal not in TRANSITIONS[phase]],
)
def test_a_signal_that_a_phase_does_not_know_changes_nothing(phase: Phase, signal: Signal) -> None:
    life = Lifecycle(phase)
    with pytest.raises(LocalProtocolError):
        life.signal(signal)
    assert life.phase is phase


def test_the_usual_life() -> None:
    life = Lifecycle()
    for signal, phase in [(Signal.SHAKEN, Phase.OPEN), (Signal.FAULT, Phase.CLOSED)]:
        life.signal(signal)
        assert life.phase is phase
