from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pieces_kit import Peer, Swarm, blocks_of, make_state
from torrent_core.geometry import Geometry
from torrent_core.limits import BLOCK_SIZE, ENDGAME_PATIENCE, MAX_BLOCK_HOLDERS, MIN_PIPELINE
from torrent_core.pieces import ActivePieceManager, LinkRequests, Stage
from torrent_core.pieces.endgame import WORTHWHILE, steal

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
        self, taker: LinkRequests, room: int = 100, usable: int = ALL, now: float = NOW
    ) -> list[tuple[int, int, int]]:
        """What the taker takes, noted as the scheduler does: (from link, piece, block)."""
        taken, links = [], self.manager.links
        for info in steal(taker, links, links.values(), usable, room, now):
            taken.append((info.link, info.piece.index, info.block))
            self.manager.request(taker, info.piece, [info.block], now)
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
    taken = table.steal(table.link(4, 1e7), now=NOW + ENDGAME_PATIENCE)
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
    taken = [  # none of them delivers
        len(table.steal(table.link(ordinal, 0.0), now=NOW + ordinal)) for ordinal in range(2, 7)
    ]
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


def test_of_a_link_as_fast_only_the_last_third_is_taken() -> None:
    table = Table()
    table.ask(table.link(1, 50_000.0), 0, *range(8))
    # A fourth would come when the holder has had time for eight, and it is the holder's fifth.
    assert table.steal(table.link(2, 50_000.0)) == [(1, 0, 7), (1, 0, 6), (1, 0, 5)]


def test_what_will_be_here_in_a_moment_is_not_asked_for_twice() -> None:
    table = Table()
    rate = 8 * BLOCK_SIZE / ENDGAME_PATIENCE
    table.ask(table.link(1, rate * 1.1), 0, *range(8))
    assert table.steal(table.link(2, 1e9)) == []
    table = Table()
    table.ask(table.link(1, rate * 0.8), 0, *range(8))
    assert len(table.steal(table.link(2, 1e9))) == 2


def test_a_taker_with_work_of_its_own_does_not_help_a_link_as_fast() -> None:
    table = Table()
    taker = table.link(2, 50_000.0)
    table.ask(taker, 1, 0, 1, 2)
    table.ask(table.link(1, 50_000.0), 0, 0, 1, 2, 3)
    assert table.steal(taker) == []


def test_a_much_faster_taker_takes_all_that_would_take_a_while() -> None:
    table = Table()
    table.ask(table.link(1, 10_000.0), 0, *range(8))
    assert len(table.steal(table.link(2, 1e6))) == 8


def test_a_link_that_was_idle_for_long_is_as_fast_as_it_was() -> None:
    table = Table()
    taker = table.link(2, 1e6)
    taker.delivered(NOW)
    taker.pace(NOW)
    table.ask(table.link(1, 0.0), 0, *range(8))
    assert len(table.steal(taker, now=NOW + 600)) == 8


def test_a_taker_that_never_delivered_may_try_two_blocks() -> None:
    table = Table()
    table.ask(table.link(1, 50_000.0), 0, *range(8))
    assert len(table.steal(table.link(2, 0.0))) == MIN_PIPELINE


def test_of_two_that_never_delivered_the_first_is_given_a_moment_to_answer() -> None:
    table = Table()
    table.ask(table.link(1, 0.0), 0, 0, 1)
    taker = table.link(2, 0.0)
    assert table.steal(taker, now=NOW + 0.9 * ENDGAME_PATIENCE) == []
    assert len(table.steal(taker, now=NOW + ENDGAME_PATIENCE)) == 2


def test_a_third_link_takes_only_what_it_would_bring_before_both_others() -> None:
    table = Table()
    table.ask(table.link(1, 0.0), 0, 0, 1)
    second = table.link(2, 100_000.0)
    assert len(table.steal(second)) == 2
    assert table.steal(table.link(3, 1e7)) == []  # the second brings both in a moment
    assert len(table.steal(table.link(4, 1e7), now=NOW + 1.0)) == 2  # or it does not


def test_probes_of_others_do_not_keep_a_third_link_away() -> None:
    table = Table()
    table.ask(table.link(1, 0.0), 0, 0)
    silent = table.link(2, 1e7)
    silent.snubbed = True
    table.ask(silent, 0, 0)
    assert (1, 0, 0) in table.steal(table.link(3, 1e7))


@given(
    holders=st.lists(st.sampled_from([0.0, 5e3, 5e4, 5e5, 5e6]), min_size=1, max_size=3),
    mine=st.sampled_from([0.0, 1e4, 1e5, 1e6, 1e7]),
    busy=st.integers(0, 3),
    room=st.integers(0, 9),
    late=st.sampled_from([0.0, 0.3, 1.0, 5.0]),
)
def test_whatever_is_taken_comes_in_half_the_time_or_is_a_trial(
    holders: list[float], mine: float, busy: int, room: int, late: float
) -> None:
    table, now = Table(), NOW + late
    taker = table.link(9, mine)
    if busy:
        table.ask(taker, 3, *range(busy))
    for ordinal, rate in enumerate(holders, 1):
        table.ask(table.link(ordinal, rate), ordinal - 1, *range(8))
    rate = taker.speed(now)
    taken = table.steal(taker, room, now=now)
    assert len(taken) <= room
    assert len(set(taken)) == len(taken)
    for number, (ordinal, _, block) in enumerate(taken, busy + 1):
        wait = table.manager.links[ordinal].wait(block + 1, now)
        assert wait > ENDGAME_PATIENCE
        takes = number * BLOCK_SIZE / rate if rate else inf
        assert takes <= wait * WORTHWHILE or number <= MIN_PIPELINE


@pytest.mark.parametrize("rate", [0.0, 1e6])
def test_with_nothing_out_elsewhere_there_is_nothing_to_take(rate: float) -> None:
    table = Table()
    table.link(1, 0.0)
    taker = table.link(2, rate)
    table.ask(taker, 0, 0)
    assert table.steal(taker) == []


# --- Through the scheduler -------------------------------------------------------------------


def waiting() -> tuple[Swarm, Peer, Peer]:
    """One piece of two blocks, both asked of the first of two links."""
    swarm = Swarm(1, 2)
    first = swarm.join()
    second = swarm.join()
    assert blocks_of(first.live) == [(0, 0), (0, 1)]
    assert second.live == []
    return swarm, first, second


def quick(peer: Peer, swarm: Swarm) -> None:
    """The peer has a rate."""
    peer.state.down.add(1_000_000, swarm.now)


def test_an_idle_link_with_a_rate_is_asked_for_the_last_blocks_in_the_same_step() -> None:
    swarm, _, second = waiting()
    quick(second, swarm)
    swarm.scheduler.touch(second.book)
    swarm.settle()
    assert blocks_of(second.live) == [(0, 1), (0, 0)]


def test_a_look_in_vain_is_not_repeated_at_once_by_a_link_with_requests_out() -> None:
    swarm = Swarm(2, 2)
    swarm.join(0b01)
    helper = swarm.join(reqq=3)
    swarm.now = 0.1
    quick(swarm.peers[1], swarm)
    swarm.deliver(helper)  # it has one block out, and the other link is quick
    assert blocks_of(helper.live) == [(1, 1)]
    swarm.peers[1].book.last_progress = -10.0
    swarm.scheduler.touch(helper.book)
    swarm.settle()
    assert blocks_of(helper.live) == [(1, 1)]
    swarm.review()
    assert len(helper.live) == 3


def test_a_link_that_gets_idle_takes_the_last_blocks_in_that_step() -> None:
    swarm = Swarm(2, 2)
    slow, helper = swarm.join(0b01), swarm.join()
    swarm.now = 0.1
    swarm.deliver(helper)
    swarm.deliver(helper)
    assert blocks_of(helper.live) == [(0, 1), (0, 0)]
    assert len(slow.live) == 2


def test_on_arrival_every_other_holder_is_told_to_forget_the_block() -> None:
    swarm, first, second = waiting()
    swarm.review()
    outcome = swarm.deliver(second)
    assert [info.link for info in outcome.duplicates] == [first.ordinal]
    assert blocks_of(first.live) == [(0, 0)]
    assert blocks_of([owed.info for owed in first.queue if owed.cancelled]) == [(0, 1)]


def test_pieces_that_are_not_wanted_do_not_keep_a_link_from_helping() -> None:
    swarm = Swarm(3, 2, wanted=0b010)
    swarm.join()
    idle = swarm.join()
    swarm.review()
    assert blocks_of(idle.live) == [(1, 1), (1, 0)]


def test_what_only_a_choking_link_has_does_not_keep_another_from_helping() -> None:
    """An idle link once waited for the blocks of others, which it could not send anyway."""
    swarm = Swarm(2, 2)
    swarm.join(0b10, choking=True)
    swarm.join(0b01)
    idle = swarm.join(0b01)
    swarm.review()
    assert blocks_of(idle.live) == [(0, 1), (0, 0)]


def test_a_link_helps_while_there_is_no_memory_for_another_piece() -> None:
    swarm = Swarm(4, 2, memory=1)
    swarm.join(reqq=4)
    swarm.join(reqq=4)
    idle = swarm.join()
    assert idle.live == []
    swarm.review()
    assert len(idle.live) == 2


def test_links_with_room_look_again_for_as_long_as_others_have_requests_out() -> None:
    swarm, first, _ = waiting()
    for _ in range(3):
        due = swarm.scheduler.next_deadline()
        assert due == (swarm.now + ENDGAME_PATIENCE, "idle links look at slow ones")
        quick(first, swarm)
        first.book.last_progress = swarm.now + ENDGAME_PATIENCE
        swarm.review()
    swarm.deliver_all(first)
    swarm.review()
    assert swarm.scheduler.next_deadline() is None


def test_links_that_choke_us_look_at_nothing() -> None:
    swarm = Swarm(1, 2)
    swarm.join()
    swarm.join(choking=True)
    due = swarm.scheduler.next_deadline()
    assert due is not None
    assert due[1] == "a request is late"


def test_when_the_others_are_gone_there_is_nothing_to_look_at() -> None:
    swarm, first, _ = waiting()
    swarm.leave(first)
    due = swarm.scheduler.next_deadline()
    assert due is not None
    assert due[1] == "a request is late"


def test_a_single_link_has_nobody_to_help() -> None:
    swarm = Swarm(1, 1)
    swarm.join()
    due = swarm.scheduler.next_deadline()
    assert due is not None
    assert due[1] == "a request is late"


def test_what_is_on_parole_is_not_shared() -> None:
    swarm = Swarm(1, 2)
    swarm.scheduler.parole.sentence(0)
    swarm.join()
    other = swarm.join()
    swarm.review()
    assert other.live == []
