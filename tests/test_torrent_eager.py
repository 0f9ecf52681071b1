"""Storage that writes a piece with its hash, because it was told what digest is expected."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.budget import Budget
from torrent_core.errors import LocalProtocolError
from torrent_core.testing.faults import fail_first
from torrent_core.torrent import Budgets
from torrent_core.types import StorageFault, TorrentState
from world import BLOCK
from world_peers import Corrupter, Seed
from world_swarm import Swarm


def make(total: int = 6 * BLOCK, piece_length: int = 2 * BLOCK, *, eager: bool = True) -> Swarm:
    swarm = Swarm(total, piece_length)
    swarm.disk.eager = eager
    return swarm


def told(swarm: Swarm) -> list[str]:
    """What was wanted, but for writes and the numbers of jobs."""
    kinds = (act.WriteBlocks, act.HashPiece)
    actions = [action for step in swarm.trace for action in step.actions]
    return [str(action) for action in actions if not isinstance(action, kinds)]


@given(st.integers(1, 9 * BLOCK), st.sampled_from([BLOCK - 5, BLOCK, 3 * BLOCK]))
def test_it_differs_in_nothing_but_the_writes_that_are_not_asked_for(
    total: int, piece_length: int
) -> None:
    eager, plain = make(total, piece_length), make(total, piece_length, eager=False)
    for swarm in (eager, plain):
        swarm.join(Seed)
        swarm.finish()
        assert swarm.disk.files[0] == swarm.payload
    assert told(eager) == told(plain)
    assert not eager.actions(act.WriteBlocks)
    assert len(plain.actions(act.WriteBlocks)) == plain.meta.piece_count


def test_memory_is_given_back() -> None:
    memory = Budget(8 * BLOCK)
    swarm = Swarm(40 * BLOCK, 2 * BLOCK, budgets=Budgets(memory=memory))
    swarm.disk.eager = True
    swarm.join(Seed)
    swarm.finish()
    assert memory.used == 0


def test_what_could_not_be_written_is_asked_for_and_its_trouble_told() -> None:
    swarm = make()
    swarm.disk.fault = fail_first(act.WriteBlocks, 2, StorageFault.DISK_FULL)
    swarm.join(Seed)
    swarm.finish()
    (trouble,) = swarm.actions(act.StorageTrouble)
    assert trouble.fault is StorageFault.DISK_FULL
    assert len(swarm.actions(act.WriteBlocks)) == 2  # one that fails again, and once more
    assert swarm.disk.files[0] == swarm.payload


def test_a_spoiled_piece_is_not_written() -> None:
    swarm = make(2 * BLOCK)
    swarm.join(Corrupter)
    swarm.run(lambda: swarm.actions(act.PieceFailed), seconds=60)
    assert swarm.disk.files[0] is None
    swarm.join(Seed)
    swarm.finish()
    assert swarm.disk.files[0] == swarm.payload


def test_what_is_hashed_from_the_files_cannot_have_been_written() -> None:
    swarm = make()
    swarm.join(Seed)
    swarm.finish()
    swarm.disk.manual = True
    swarm.feed(ev.Recheck(swarm.name))
    swarm.answer(swarm.disk)
    job = next(a for a in swarm.disk.pending if isinstance(a, act.HashPiece))
    digest = swarm.meta.piece_hash(job.piece)
    with pytest.raises(LocalProtocolError, match="claims a write that cannot be"):
        swarm.torrent.handle(ev.PieceHashed(swarm.name, job.job, digest, written=True), swarm.now)
    assert swarm.torrent.state is TorrentState.CHECKING
