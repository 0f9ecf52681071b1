"""Each rule of the ``StallMachine`` by hand: what it does, and what it does to nobody."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from torrent_core import events as ev
from torrent_core.testing import PromiseBroken
from torrent_core.testing.peers.puppet import Puppet
from torrent_core.testing.stall_machine import StallMachine
from torrent_core.types import StorageFault, TorrentState


def begun() -> StallMachine:
    machine = StallMachine()
    machine.begin(memory=2, seed=1)
    return machine


def joined(*, fast: bool = True, cancels: bool = True) -> tuple[StallMachine, Puppet]:
    """One peer that has everything, unchokes, and was asked."""
    machine = begun()
    machine.connect(have=None, fast=fast, cancels=cancels, unchoke=True)
    (puppet,) = machine.puppets
    assert puppet.asked
    return machine, puppet


NOBODY: list[Callable[[StallMachine], None]] = [
    lambda m: m.disconnect(which=3, detail="", twice=True),
    lambda m: m.unchoke(which=3),
    lambda m: m.choke(which=3, flicker=True),
    lambda m: m.have(which=3, index=1),
    lambda m: m.allow_fast(which=3, index=1, suggest=True),
    lambda m: m.deliver(which=3, count=2, order=0, corrupt=False),
    lambda m: m.deliver_in_part(which=3, order=0, cut=5),
    lambda m: m.deliver_the_rest(which=3),
    lambda m: m.deliver_late(which=3, order=0),
    lambda m: m.deliver_again(which=3, order=0),
    lambda m: m.deliver_unasked(which=3, index=0, begin=0, length=4),
    lambda m: m.reject(which=3, order=0, count=2),
]


@pytest.mark.parametrize("rule", NOBODY)
def test_a_rule_about_a_peer_does_nothing_where_there_is_none(
    rule: Callable[[StallMachine], None],
) -> None:
    machine = begun()
    before = len(machine.swarm.trace)
    rule(machine)
    assert len(machine.swarm.trace) == before
    machine.teardown()


def test_a_peer_has_what_the_rule_says_and_may_be_unchoked_later() -> None:
    machine = begun()
    machine.connect(have=frozenset({1, 70}), fast=False, cancels=False, unchoke=False)
    (puppet,) = machine.puppets
    assert puppet.have == {1, 70 % machine.swarm.meta.piece_count}
    machine.unchoke(which=0)
    assert puppet.asked
    machine.have(which=0, index=2)
    assert 2 in puppet.have
    machine.teardown()


def test_a_dialled_peer_joins_unless_it_is_turned_away() -> None:
    machine = begun()
    machine.dial(port=1, fast=True)
    assert len(machine.puppets) == 1
    machine.dial(port=1, fast=True)  # that one is connected
    assert len(machine.puppets) == 1
    machine.teardown()


@pytest.mark.parametrize("twice", [False, True])
def test_a_peer_leaves(twice: bool) -> None:
    machine, _ = joined()
    machine.disconnect(which=0, detail="reset", twice=twice)
    assert machine.puppets == []
    closed = [s for s in machine.swarm.trace if isinstance(s.event, ev.LinkClosed)]
    assert len(closed) == 1 + twice
    machine.teardown()


def test_a_peer_chokes_or_flickers() -> None:
    machine, puppet = joined()
    machine.choke(which=0, flicker=True)
    assert not puppet.choking
    machine.choke(which=0, flicker=False)
    assert puppet.choking
    for suggest in (False, True):
        machine.allow_fast(which=0, index=suggest, suggest=suggest)
    assert puppet.allowed == {0, 1} >= {block.piece for block in puppet.asked} != set()
    machine.teardown()


def test_blocks_come_whole_in_part_late_again_and_unasked() -> None:
    machine, puppet = joined(cancels=False)
    machine.deliver(which=0, count=1, order=0, corrupt=False)
    machine.deliver(which=0, count=1, order=1, corrupt=True)
    first = puppet.sent[0]
    machine.deliver_in_part(which=0, order=0, cut=100)
    assert puppet.tail
    machine.deliver_again(which=0, order=0)
    machine.deliver_in_part(which=0, order=0, cut=100)
    machine.silence(seconds=1.0)  # it says nothing, since it has not ended
    machine.deliver_the_rest(which=0)
    assert not puppet.tail
    puppet.owed.append(first)
    machine.deliver_late(which=0, order=0)
    assert not puppet.owed
    unasked = len(machine.swarm.trace)
    machine.deliver_unasked(which=0, index=first.piece, begin=first.begin, length=7)
    assert len(machine.swarm.trace) == unasked + 1
    asked = next(iter(puppet.asked))
    machine.deliver_unasked(which=0, index=asked.piece, begin=asked.begin, length=7)
    assert len(machine.swarm.trace) == unasked + 1
    puppet.asked[first] = 0.0
    machine.deliver_again(which=0, order=0)  # it is asked for again: no repetition, then
    assert len(machine.swarm.trace) == unasked + 1
    del puppet.asked[first]
    machine.teardown()


def test_requests_are_rejected() -> None:
    machine, puppet = joined()
    machine.reject(which=0, order=0, count=1)
    machine.reject(which=0, order=0, count=20)
    assert not puppet.asked
    machine.teardown()


def test_storage_is_answered_or_fails() -> None:
    machine, _ = joined()
    machine.deliver(which=0, count=8, order=0, corrupt=False)
    assert machine.swarm.disk.pending
    machine.storage(order=0, count=5, fault=StorageFault.DISK_FULL)
    machine.storage(order=0, count=5, fault=None)
    assert any(isinstance(s.event, ev.StorageFailed) for s in machine.swarm.trace)
    machine.teardown()


def test_time_passes_with_and_without_a_word() -> None:
    machine, _ = joined()
    machine.next_deadline(late=0.05)
    machine.silence(seconds=15.0)
    before = machine.swarm.now
    machine.sleep(hours=2)
    assert machine.swarm.now >= before + 7200.0
    machine.teardown()
    stopped = begun()
    stopped.stop_or_start()
    while stopped.swarm.disk.pending:
        stopped.storage(order=0, count=1, fault=None)
    at = stopped.swarm.now
    stopped.next_deadline(late=0.0)  # there is none
    assert stopped.swarm.now == at
    stopped.teardown()


def test_the_user_prioritises_stops_starts_and_checks_again() -> None:
    machine, _ = joined()
    machine.prioritise(skipped=frozenset({0, 6}))
    machine.recheck()
    assert machine.swarm.torrent.state is TorrentState.CHECKING
    machine.recheck()  # not now
    machine.stop_or_start()
    assert machine.swarm.torrent.state is not TorrentState.CHECKING
    for _ in range(20):
        if machine.swarm.torrent.state is TorrentState.STOPPED:
            break
        machine.storage(order=0, count=5, fault=None)
        machine.next_deadline(late=0.0)
    machine.stop_or_start()
    assert machine.swarm.torrent.state is not TorrentState.STOPPED
    machine.teardown()


def test_a_machine_that_checks_and_waits_for_nothing_is_noticed() -> None:
    machine = begun()
    machine.recheck()
    machine.swarm.disk.pending.clear()
    machine.swarm.due = lambda: None  # type: ignore[method-assign]
    with pytest.raises(PromiseBroken, match="checking for nothing"):
        machine.check()


def test_without_bep_6_nothing_is_rejected_and_nothing_allowed_fast() -> None:
    machine, puppet = joined(fast=False)
    machine.reject(which=0, order=0, count=1)
    assert puppet.asked
    machine.allow_fast(which=0, index=0, suggest=True)
    assert not puppet.allowed
    machine.teardown()
