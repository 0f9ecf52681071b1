"""Many at once and one at a time: the short ways of the hot path change no result."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pieces_kit import Swarm, make_state, payload
from torrent_core.limits import BLOCK_SIZE
from torrent_core.pieces import USED, ActivePiece, LinkRequests, Outcome
from torrent_core.types import BlockInfo

BLOCKS = 5


def seen(outcome: Outcome) -> tuple[object, ...]:
    """An outcome as plain values, for comparison between two worlds."""
    completed = None if outcome.completed is None else outcome.completed.index
    duplicates = [(info.link, info.info) for info in outcome.duplicates]
    return completed, duplicates, outcome.lost and outcome.lost.info, outcome.waste


def named(swarm: Swarm, piece: int, block: int) -> BlockInfo:
    return ActivePiece(piece, swarm.geometry.piece_size(piece)).block_info(block)


def take_apart(swarm: Swarm, book: LinkRequests, infos: list[BlockInfo]) -> list[Outcome]:
    return [
        swarm.scheduler.block_received(book, *info[:2], memoryview(payload(info)), swarm.now)
        for info in infos
    ]


def take_together(swarm: Swarm, book: LinkRequests, infos: list[BlockInfo]) -> list[Outcome]:
    run = [(*info, memoryview(payload(info))) for info in infos]
    return [outcome for _, outcome in swarm.scheduler.blocks_received(book, run, swarm.now)]


def state_of(swarm: Swarm) -> list[object]:
    """What the books and pieces say."""
    links = [
        (list(link.out), list(link.withdrawn), link.unsolicited, link.depth, link.last_progress)
        for link in swarm.active.links.values()
    ]
    pieces = [
        (p.index, p.stage, p.received, p.free, p.released, p.senders, list(p.requests))
        for p in swarm.active.active_pieces
    ]
    return [links, pieces, swarm.active.open, swarm.active.orphaned, swarm.active.owned]


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 1), st.integers(0, BLOCKS - 1)))),
    st.floats(0.0, 3.0),
)
def test_blocks_taken_in_together_are_as_if_they_came_one_by_one(
    inputs: list[list[tuple[int, int]]], pause: float
) -> None:
    together, apart = (Swarm(2, BLOCKS, cut=100) for _ in range(2))
    for swarm in (together, apart):
        swarm.join()
        swarm.join()
    for at, drawn in enumerate(inputs):
        results: list[list[tuple[object, ...]]] = [[], []]
        for result, swarm in zip(results, (together, apart), strict=True):
            swarm.tick(at * pause)
            book = swarm.peers[1 + at % 2].book
            infos = [named(swarm, piece, block) for piece, block in drawn]
            taken = take_together if swarm is together else take_apart
            result += [seen(outcome) for outcome in taken(swarm, book, infos) if outcome != USED]
        assert results[0] == results[1]
        for swarm in (together, apart):
            swarm.settle()
        assert state_of(together) == state_of(apart)


@given(st.data())
def test_answers_in_order_are_taken_as_one_by_one_also_where_the_first_came_in_parts(
    data: st.DataObject,
) -> None:
    together, apart = (Swarm(4, BLOCKS, cut=100) for _ in range(2))
    for swarm in (together, apart):
        swarm.join()
        swarm.join()
    for at in range(data.draw(st.integers(1, 6))):
        link = data.draw(st.sampled_from((1, 2)))
        asked = [info.info for info in together.peers[link].book.out.values()]
        infos = asked[: data.draw(st.integers(0, len(asked)))]
        if infos and data.draw(st.booleans()):  # one is left out, or comes out of turn
            infos.insert(data.draw(st.integers(0, len(infos))), infos.pop())
        in_parts = bool(infos) and data.draw(st.booleans())
        results: list[list[tuple[object, ...]]] = [[], []]
        for result, swarm in zip(results, (together, apart), strict=True):
            swarm.tick(at * 0.1)
            book = swarm.peers[link].book
            run = [(*info, memoryview(payload(info))) for info in infos]
            if in_parts:
                place = swarm.scheduler.open_block(book, *infos[0])
                assert place is not None
                place[:] = payload(infos[0])
                run[0] = (*infos[0], place)
            inputs = [run] if swarm is together else [[block] for block in run]
            for blocks in inputs:
                taken = swarm.scheduler.blocks_received(book, blocks, swarm.now)
                result += [seen(outcome) for _, outcome in taken]
        assert results[0] == results[1]
        assert contents(together) == contents(apart)
        for swarm in (together, apart):
            swarm.settle()
        assert state_of(together) == state_of(apart)


def contents(swarm: Swarm) -> list[bytes]:
    """What lies in the places of blocks that were received."""
    return [
        bytes(piece.block_view(block))
        for piece in swarm.active.active_pieces
        for block in range(piece.blocks_needed)
        if piece.received >> block & 1
    ]


def test_each_block_of_a_reserved_piece_is_in_vain_for_others() -> None:
    swarm = Swarm(1, 2)
    peer, holder = swarm.join(), swarm.join()
    infos = peer.live
    swarm.scheduler.parole.sentence(0)
    swarm.scheduler.parole.take(0, holder.ordinal)
    outcomes = take_together(swarm, peer.book, infos)
    assert [outcome.waste for outcome in outcomes] == ["is reserved for another link"] * 2
    assert not peer.book.out


@given(st.integers(1, 9), st.integers(0, BLOCK_SIZE - 1), st.data())
def test_blocks_named_together_have_the_names_of_each(
    count: int, cut: int, data: st.DataObject
) -> None:
    piece = ActivePiece(3, count * BLOCK_SIZE - cut)
    chosen = data.draw(st.lists(st.integers(0, count - 1), unique=True))
    assert piece.block_infos(chosen) == [piece.block_info(block) for block in chosen]
    piece.free = sum(1 << block for block in chosen)
    limit = data.draw(st.integers(0, count + 1))
    assert list(piece.free_blocks(limit)) == sorted(chosen)[:limit]


@given(st.integers(1, 8), st.data())
def test_what_was_passed_over_is_found_in_whatever_order_answers_come(
    count: int, data: st.DataObject
) -> None:
    link = LinkRequests(make_state(1), 0.0)
    link.ask(0, ActivePiece(0, count * BLOCK_SIZE), range(count), 0.0, 30.0)
    for key in data.draw(st.permutations(range(count))):
        if data.draw(st.booleans()):
            link.withdraw(key)
            continue
        info = link.out.pop(key)
        older = next((held for held in link.out.values() if held.serial < info.serial), None)
        if info.serial == link.gone_below:
            assert older is None
            link.gone_below += 1
        else:
            assert link.passed_over(info) is older
        assert all(held.serial >= link.gone_below for held in link.out.values())
