"""The same constructor arguments and events give the same actions, byte for byte."""

from __future__ import annotations

import subprocess
import sys
from hashlib import sha1
from pathlib import Path
from random import Random

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.actions import Action
from torrent_core.budget import Budget
from torrent_core.torrent import Budgets, Torrent
from torrent_core.types import StorageFault, TorrentState
from world import BLOCK
from world_peers import Choker, Corrupter, Leaver, Leech, Peer, Rejecter, Seed, Silent
from world_swarm import OURS, Swarm

TOTAL, PIECE = 33 * BLOCK + 17, 3 * BLOCK
FILES = [5 * BLOCK, 0, 20 * BLOCK + 17, 8 * BLOCK]
KINDS: list[type[Peer]] = [Seed, Leech, Leaver, Silent, Choker, Corrupter, Rejecter]


def frozen(actions: list[Action]) -> list[object]:
    """Actions with their payload copied, since its buffers are used again."""
    return [
        (
            *tuple(_copied(getattr(action, field.name)) for field in attrs.fields(type(action))),
            type(action).__name__,
        )
        for action in actions
    ]


def _copied(value: object) -> object:
    if isinstance(value, memoryview):
        return sha1(value).hexdigest()
    return tuple(map(_copied, value)) if isinstance(value, tuple) else value


class Recorded(Swarm):
    """A swarm that keeps each step with the actions as they were."""

    def __init__(self, seed: int) -> None:
        self.steps: list[tuple[float, object, list[object]]] = []
        super().__init__(TOTAL, PIECE, files=FILES, budgets=budgets(), seed=seed)

    def feed(self, event: ev.Event) -> list[Action]:
        actions = super().feed(event)
        self.steps.append((self.now, event, frozen(actions)))
        return actions


def budgets() -> Budgets:
    return Budgets(memory=Budget(5 * PIECE))


def eventful(seed: int) -> Recorded:
    """A run full of accidents that ends in a complete download."""
    random = Random(seed)
    swarm = Recorded(seed)
    disk = swarm.disk
    for kind in (act.HashPiece, act.WriteBlocks, act.ReadBlocks, act.StatFiles):
        disk.delays[kind] = random.choice([0.0, 0.01, 1.0])
    failures = random.choice([0.0, 0.1, 0.3])
    disk.fault = lambda action: (
        random.choice(list(StorageFault)) if random.random() < failures else None
    )
    for port in range(1, random.randrange(3, 9)):
        options = {
            "fast": random.random() < 0.7,
            "extended": random.random() < 0.5,
            "latency": random.choice([0.0, 0.01, 0.2]),
            "rate": random.choice([3e4, 2e5, 1e7]),
            "chunk": random.choice([0, 1400, 9000]),
        }
        kind = random.choice(KINDS)
        options["fast"] = options["fast"] or kind is Rejecter
        if random.random() < 0.5:
            swarm.dialled(kind, port=port, **options)
        else:
            swarm.join(kind, have=[] if kind is Leech else None, **options)
        swarm.run(seconds=random.choice([0.0, 0.1, 2.0]))
        if random.random() < 0.2:
            swarm.feed(ev.SetPriorities(swarm.name, tuple(random.choices([0, 1, 1], k=4))))
        if random.random() < 0.1 and swarm.torrent._context.may_dial:
            swarm.feed(ev.Recheck(swarm.name))
        if random.random() < 0.1:
            swarm.feed(ev.StopTorrent(swarm.name))
            swarm.run(lambda: swarm.torrent.state is TorrentState.STOPPED, seconds=600)
            swarm.feed(ev.StartTorrent(swarm.name, disk.resume))
    disk.fault = lambda action: None
    swarm.join(Seed, rate=1e6)
    swarm.finish()
    return swarm


def fingerprint(seed: int) -> str:
    """A digest of all that happened in an eventful run."""
    return sha1(repr(eventful(seed).steps).encode()).hexdigest()


@pytest.mark.uncovered
@settings(max_examples=settings.default.max_examples // 2)
@given(st.integers(0, 10**6))
def test_an_eventful_run_completes_and_can_be_replayed(seed: int) -> None:
    swarm = eventful(seed)
    again = Torrent(swarm.meta, peer_id=OURS, random=Random(seed), budgets=budgets())
    for now, event, actions in swarm.steps:
        assert frozen(again.handle(event, now)) == actions  # type: ignore[arg-type]
    assert again.next_deadline() == swarm.torrent.next_deadline()
    assert again.status(swarm.now) == swarm.torrent.status(swarm.now)
    assert again.peers(swarm.now) == swarm.torrent.peers(swarm.now)


def test_asking_for_deadlines_and_status_changes_nothing() -> None:
    swarm = eventful(7)
    again = Torrent(swarm.meta, peer_id=OURS, random=Random(7), budgets=budgets())
    for now, event, actions in swarm.steps:
        again.next_deadline()
        again.status(now + 100.0)
        again.peers(now)
        assert frozen(again.handle(event, now)) == actions  # type: ignore[arg-type]


def test_other_randomness_gives_another_run() -> None:
    assert fingerprint(3) != fingerprint(4)


@pytest.mark.parametrize("seed", [11, 12])
def test_runs_are_the_same_whatever_python_hashes_to(seed: int) -> None:
    here = Path(__file__).parent
    code = f"from test_determinism import fingerprint; print(fingerprint({seed}))"
    prints = set()
    for hash_seed in ("1", "4242"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": f"{here}:{here.parent / 'src'}"},
            capture_output=True,
            text=True,
            check=True,
            timeout=100,
        )
        prints.add(done.stdout)
    assert prints == {fingerprint(seed) + "\n"}
