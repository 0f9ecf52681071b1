"""Who lacks memory, and when what silent links hold is given to them."""

from __future__ import annotations

from pieces_kit import Swarm as Book
from test_memory import swarm_with
from torrent_core import actions as act
from torrent_core.limits import BLOCK_SIZE, LATENESS_FLOOR
from world import BLOCK
from world_peers import Seed, Silent


def test_a_link_with_all_the_requests_it_may_have_lacks_no_memory() -> None:
    """It was refused memory, and helps another link in place of that."""
    book = Book(pieces=9, blocks=2, memory=8 * BLOCK_SIZE)
    holders = [book.join(1 << index) for index in range(4)]
    assert not book.budget.room
    book.now = 1.0
    helper = book.join(choking=True)
    helper.state.peer_choking = False
    book.scheduler.touch(helper.book)
    asked = book.scheduler.fill(helper.book, book.now)
    assert len(asked) == helper.book.depth
    assert {info.piece for info in asked} <= set(range(4))
    assert all(holder.live for holder in holders)
    assert not list(book.scheduler.relief.take_refused())


def test_what_is_too_short_to_help_goes_to_and_fro_once_in_a_while_and_no_more() -> None:
    """A silent link holds the short last piece, and another lacks memory for a long one."""
    swarm, budget = swarm_with(32 * BLOCK + 5, 80 * BLOCK + 5, 8 * BLOCK)
    for index in range(4):
        swarm.join(Seed, have=[index], rate=1000.0)
    swarm.join(Silent, have=[10])
    swarm.run(seconds=40)
    assert not budget.room
    swarm.join(Seed, have=[9])
    before = swarm.now
    swarm.run(seconds=20, steps=20_000)
    asked = [send for step in swarm.trace if step.now > before for send in step.actions]
    assert sum(isinstance(action, act.Send) for action in asked) < 20 / LATENESS_FLOOR * 10


def test_what_is_too_short_to_help_does_not_hide_what_would() -> None:
    swarm, budget = swarm_with(32 * BLOCK + 5, 80 * BLOCK + 5, 8 * BLOCK)
    swarm.join(Silent, have=[10])
    for index in range(3):
        swarm.join(Seed, have=[index], rate=1000.0)
    leaver = swarm.join(Seed, have=[3], rate=1000.0)
    swarm.run(seconds=40)
    assert not budget.room
    honest = swarm.join(Seed, have=[9])  # for whom the short one is given up, in vain
    swarm.run(seconds=0.5)
    assert not honest.blocks_sent
    leaver.leave()
    assert swarm.run(lambda: honest.blocks_sent == 8, seconds=1)
