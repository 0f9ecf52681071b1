from __future__ import annotations

import pytest

from pieces_kit import Peer, Swarm, blocks_of, make_state
from torrent_core.geometry import Geometry
from torrent_core.limits import BLOCK_SIZE, MAX_BLOCK_HOLDERS, MIN_PIPELINE
from torrent_core.pieces import ActivePieceManager, LinkRequests, Stage
from torrent_core.pieces.endgame import steal

NOW = 10.0
ALL = 0b1111


class Table:
    """Links with given rates and requests out, laid out by hand."""

    def __init__(self, pieces: int = 4, blocks: int = 8) -> None:
        length = blocks * BLOCK_SIZE
        self.manager = ActivePieceManager(Geometry(pieces * length, length))

    def link(self, ordinal: int, rate: float) -> LinkRequests:
        """A link that has delivered ``rate`` bytes a second up to now."""
        link = self.manager.add_link(make_state(ordinal, pieces=ALL), 0.0)
        if rate:
            for tenth in range(101):
                link.state.down.add(int(rate / 10), tenth / 10)
        return link

    def ask(self, link: LinkRequests, index: int, *blocks: int) -> None:
        piece = self.manager.get_or_create(index, NOW)
        assert piece is not None
        self.manager.request(link, piece, list(blocks), NOW)

    def steal(
        self, taker: LinkRequests, room: int = 100, usable: int = ALL
    ) -> list[tuple[int, int, int]]:
        """What the taker takes, noted as the scheduler does: (from link, piece, block)."""
        taken = []
        for info in steal(taker, self.manager.links.values(), usable, room, NOW):
            taken.append((info.link, info.piece.index, info.block))
            self.manager.request(taker, info.piece, [info.block], NOW)
        return taken


def test_the_end_of_the_queue_is_taken_first() -> None:
    table = Table()
    table.ask(table.link(1, 0.0), 0, 0, 1, 2, 3)
    assert table.steal(table.link(2, 1e6), room=3) == [(1, 0, 3), (1, 0, 2), (1, 0, 1)]


def test_the_link_that_needs_longest_is_robbed_first() -> None:
    table = Table()
    table.ask(table.link(1, 200_000.0), 0, 0, 1)
    table.ask(table.link(2, 20_000.0), 1, 0, 1)
    table.ask(table.link(3, 0.0), 2, 0, 1)
    taken = table.steal(table.link(4, 1e7))
    assert [link for link, _, _ in taken] == [3, 3, 2, 2, 1, 1]


def test_no_more_is_taken_than_there_is_room_for() -> None:
    table = Table()
    table.ask(table.link(1, 0.0), 0, 0, 1, 2)
    taker = table.link(2, 1e7)
    assert len(table.steal(taker, room=2)) == 2
    assert table.steal(taker, room=0) == []


def test_a_block_goes_to_so_many_links_and_no_further() -> None:
    table = Table()
    table.ask(table.link(1, 0.0), 0, 0)
    taken = [len(table.steal(table.link(ordinal, 1e7))) for ordinal in range(2, 7)]
    assert taken == [1] * (MAX_BLOCK_HOLDERS - 1) + [0] * (6 - MAX_BLOCK_HOLDERS)


def test_probes_do_not_count_as_holders() -> None:
    table = Table()
    table.ask(table.link(1, 0.0), 0, 0)
    for ordinal in range(2, 6):
        silent = table.link(ordinal, 0.0)
        silent.snubbed = True
        table.ask(silent, 0, 0)
    assert len(table.steal(table.link(9, 1e7), room=1)) == 1


def test_nothing_is_asked_twice_of_one_link() -> None:
    table = Table()
    taker = table.link(2, 1e7)
    table.ask(table.link(1, 0.0), 0, 0, 1)
    table.ask(taker, 0, 1)
    assert table.steal(taker) == [(1, 0, 0)]


def test_only_what_the_taker_may_be_asked_for_is_taken() -> None:
    table = Table()
    table.ask(table.link(1, 0.0), 0, 0)
    table.ask(table.manager.links[1], 1, 0)
    assert table.steal(table.link(2, 1e7), usable=0b10) == [(1, 1, 0)]


def test_a_piece_that_is_past_downloading_is_left_alone() -> None:
    table = Table()
    table.ask(table.link(1, 0.0), 0, 0)
    piece = table.manager.get(0)
    assert piece is not None
    piece.stage = Stage.HASHING
    assert table.steal(table.link(2, 1e7)) == []


def test_equal_links_take_no_more_than_two_blocks_from_each_other() -> None:
    table = Table()
    table.ask(table.link(1, 100_000.0), 0, *range(8))
    taken = table.steal(table.link(2, 100_000.0))
    # With k blocks out it would need k + 1 times the holder's time for one: it stops at half.
    assert len(taken) == 4
    table = Table()
    table.ask(table.link(1, 100_000.0), 0, 0, 1, 2)
    assert len(table.steal(table.link(2, 100_000.0))) == MIN_PIPELINE


def test_a_taker_with_work_of_its_own_does_not_help_a_link_as_fast() -> None:
    table = Table()
    taker = table.link(2, 100_000.0)
    table.ask(taker, 1, 0, 1)
    table.ask(table.link(1, 100_000.0), 0, 0, 1)
    assert table.steal(taker) == []


def test_a_much_faster_taker_takes_it_all() -> None:
    table = Table()
    table.ask(table.link(1, 10_000.0), 0, *range(8))
    assert len(table.steal(table.link(2, 1e6))) == 8


def test_a_taker_that_never_delivered_may_try_two_blocks() -> None:
    table = Table()
    table.ask(table.link(1, 50_000.0), 0, *range(8))
    assert len(table.steal(table.link(2, 0.0))) == MIN_PIPELINE


@pytest.mark.parametrize("rate", [0.0, 1e6])
def test_with_nothing_out_elsewhere_there_is_nothing_to_take(rate: float) -> None:
    table = Table()
    table.link(1, 0.0)
    taker = table.link(2, rate)
    table.ask(taker, 0, 0)
    assert table.steal(taker) == []


# --- Through the scheduler -------------------------------------------------------------------


def endgame() -> tuple[Swarm, Peer, Peer]:
    """One piece of two blocks, both asked of the first of two links."""
    swarm = Swarm(1, 2)
    first = swarm.join()
    second = swarm.join()
    assert blocks_of(first.live) == [(0, 0), (0, 1)]
    return swarm, first, second


def test_an_idle_link_is_asked_for_the_last_blocks_in_the_same_step() -> None:
    _, _, second = endgame()
    assert blocks_of(second.live) == [(0, 1), (0, 0)]


def test_on_arrival_every_other_holder_is_told_to_forget_the_block() -> None:
    swarm, first, second = endgame()
    outcome = swarm.deliver(second)
    assert [info.link for info in outcome.duplicates] == [first.ordinal]
    assert blocks_of(first.live) == [(0, 0)]
    assert blocks_of([owed.info for owed in first.queue if owed.cancelled]) == [(0, 1)]


def test_pieces_that_are_not_wanted_do_not_keep_the_endgame_from_starting() -> None:
    swarm = Swarm(3, 2, wanted=0b010)
    swarm.join()
    idle = swarm.join()
    assert swarm.scheduler.in_endgame
    assert blocks_of(idle.live) == [(1, 1), (1, 0)]


def test_pieces_that_nobody_has_do_not_keep_the_endgame_from_starting() -> None:
    swarm = Swarm(2, 2)
    swarm.join(0b01)
    assert swarm.scheduler.in_endgame


def before_endgame() -> tuple[Swarm, Peer]:
    """A link has piece 0 to fetch, another is idle, and piece 1 waits for a link that chokes."""
    swarm = Swarm(2, 2)
    swarm.join(0b10, choking=True)
    swarm.join(0b01)
    return swarm, swarm.join(0b01)


def test_a_free_block_that_somebody_has_keeps_the_endgame_from_starting() -> None:
    swarm, idle = before_endgame()
    assert not swarm.scheduler.in_endgame
    assert idle.live == []


def test_hungry_links_are_looked_at_when_the_endgame_begins() -> None:
    """The last free blocks fill another link's room exactly, so that it looks no further."""
    swarm, idle = before_endgame()
    helper = swarm.join(0b10)
    assert blocks_of(helper.live) == [(1, 0), (1, 1)]
    assert swarm.scheduler.in_endgame
    assert blocks_of(idle.live) == [(0, 1), (0, 0)]


def test_hungry_links_are_looked_at_when_the_only_link_with_a_free_block_leaves() -> None:
    swarm, idle = before_endgame()
    swarm.leave(swarm.peers[1])
    assert blocks_of(idle.live) == [(0, 1), (0, 0)]


def test_hungry_links_are_looked_at_when_the_last_free_block_comes_late() -> None:
    swarm = Swarm(2, 1)
    silent = swarm.join(0b10)
    (late,) = silent.live
    swarm.tick()
    swarm.choke(silent)
    swarm.join(0b01)
    idle = swarm.join(0b01)
    assert idle.live == []
    swarm.deliver(silent, late)
    assert blocks_of(idle.live) == [(0, 0)]


def test_what_is_on_parole_is_not_shared() -> None:
    swarm = Swarm(1, 2)
    swarm.scheduler.parole.sentence(0)
    swarm.join()
    other = swarm.join()
    assert swarm.scheduler.in_endgame
    assert other.live == []
