"""Pieces that fail their hash, and links that are asked for one alone."""

from __future__ import annotations

import pytest

from pieces_kit import FIRST, SECOND, Peer, Swarm, payload
from torrent_core.pieces import Stage

# --- Pieces that fail ----------------------------------------------------------------------------


def spoiled() -> tuple[Swarm, Peer, Peer]:
    """A piece of two blocks that two links sent and that has failed its hash; both are idle."""
    swarm = Swarm(2, 2)
    swarm.want(0b01)
    first, second = swarm.join(0b01, fast=True), swarm.join(0b01, fast=True)
    swarm.review()
    swarm.deliver(first, FIRST)
    swarm.deliver(second, SECOND)
    return swarm, first, second


def paroled() -> tuple[Swarm, Peer, Peer]:
    """The same, after the piece was given to one of them: (swarm, holder, the other)."""
    swarm, first, second = spoiled()
    swarm.failed(swarm.completed[0])
    holder, other = (first, second) if first.live else (second, first)
    return swarm, holder, other


def test_a_sole_contributor_of_a_failed_piece_is_known() -> None:
    swarm = Swarm(1, 2)
    peer = swarm.join()
    swarm.deliver_all(peer)
    assert swarm.completed[0].get_contributing_peers() == (peer.ordinal,)
    swarm.failed(swarm.completed[0])
    assert swarm.peers == {}
    assert swarm.join().live == [FIRST, SECOND]


def test_a_failed_piece_with_several_contributors_is_fetched_from_one_link() -> None:
    _, holder, other = paroled()
    assert holder.live == [FIRST, SECOND]
    assert other.live == []


def test_a_piece_that_fails_when_it_is_not_wanted_any_longer_is_not_fetched_again() -> None:
    """It was unwanted while it was being hashed, and then downloaded once more."""
    swarm, first, second = spoiled()
    swarm.want(0)
    swarm.failed(swarm.completed[0])
    assert first.live == second.live == []
    assert swarm.active.active_count == 0
    assert not swarm.scheduler.parole
    swarm.want(0b01)
    assert first.live


def test_a_piece_that_passes_is_on_parole_no_longer() -> None:
    swarm, holder, _ = paroled()
    swarm.deliver_all(holder)
    assert swarm.completed[0].get_contributing_peers() == (holder.ordinal,)
    swarm.passed(swarm.completed[0])
    assert not swarm.scheduler.parole
    assert swarm.missing() == []


def leaves(swarm: Swarm, peer: Peer) -> None:
    swarm.leave(peer)


def chokes(swarm: Swarm, peer: Peer) -> None:
    swarm.choke(peer)


def rejects(swarm: Swarm, peer: Peer) -> None:
    swarm.reject(peer, peer.live[0])


def stays_silent(swarm: Swarm, peer: Peer) -> None:
    swarm.late()


@pytest.mark.parametrize("fails", [leaves, chokes, rejects, stays_silent])
def test_when_the_holder_fails_the_next_link_starts_over(fails: object) -> None:
    swarm, holder, other = paroled()
    swarm.deliver(holder, FIRST)
    assert callable(fails)
    fails(swarm, holder)
    assert other.live[:1] == [FIRST]
    piece = swarm.active.get(0)
    assert piece is not None
    assert piece.received == 0
    assert not swarm.scheduler.parole.is_closed_to(0, other.ordinal)


def test_a_silent_holder_does_not_take_the_piece_again_and_again() -> None:
    """Its probe reserved the piece for it each time, while a later link stood idle."""
    swarm, holder, other = paroled()
    later = swarm.join(0b01)
    swarm.leave(other)
    assert holder.ordinal < later.ordinal
    assert later.live == []
    swarm.late()
    assert holder.live == []
    assert later.live == [FIRST, SECOND]


def test_a_silent_link_does_not_take_the_piece_while_one_that_delivers_is_idle() -> None:
    """Two silent links passed it to each other, as often as the pauses of both allowed."""
    swarm, holder, other = paroled()
    while holder.live:
        swarm.tick()
    assert other.live == [FIRST, SECOND]
    later = swarm.join(0b01)
    assert later.live == []
    while other.live:
        swarm.tick()
    assert later.live == [FIRST, SECOND]
    assert holder.live == []


def test_blocks_of_a_paroled_piece_that_are_free_are_kept_for_its_holder() -> None:
    swarm = Swarm(1, 6)
    swarm.scheduler.parole.sentence(0)
    holder, other = swarm.join(), swarm.join()
    piece = swarm.active.get(0)
    assert piece is not None
    assert piece.free == 0b111100
    assert other.live == []
    swarm.deliver_all(holder)
    assert piece.get_contributing_peers() == (holder.ordinal,)


def test_the_choke_of_a_holder_frees_what_it_sent_although_nothing_is_void() -> None:
    """With BEP 6 a choke voids no request; the block received was free and nobody looked."""
    swarm, holder, other = paroled()
    swarm.deliver(holder, FIRST)
    assert swarm.choke(holder).requests == ()
    assert other.live == [FIRST]


def test_an_answer_of_the_former_holder_is_not_used_and_its_block_goes_to_the_next() -> None:
    """The block was free again, and nobody was told."""
    swarm, holder, other = paroled()
    swarm.deliver(holder, FIRST)
    swarm.choke(holder)
    outcome = swarm.deliver(holder, SECOND)
    assert outcome.waste == "is reserved for another link"
    assert holder.book.unsolicited == 0
    assert other.live == [FIRST, SECOND]


def test_answers_of_a_former_holder_that_come_together_are_each_of_no_use() -> None:
    swarm, holder, other = paroled()
    swarm.choke(holder)
    blocks = [(*info, memoryview(payload(info))) for info in (FIRST, SECOND)]
    outcomes = list(swarm.scheduler.blocks_received(holder.book, blocks, swarm.now))
    assert [outcome.waste for _, outcome in outcomes] == ["is reserved for another link"] * 2
    swarm.settle()
    assert holder.book.out == {}
    assert other.live == [FIRST, SECOND]


def test_a_block_that_was_arriving_when_its_piece_started_over_settles_its_request() -> None:
    swarm, holder, other = paroled()
    swarm.deliver(holder, FIRST)
    swarm.begin(holder, SECOND)
    swarm.choke(holder)
    assert swarm.finish(holder).waste == "came while its piece was started over"
    assert holder.book.out == {}
    assert holder.book.unsolicited == 0
    assert other.live == [FIRST, SECOND]


def test_the_claim_of_a_former_holder_does_not_outlive_its_answer() -> None:
    """A claim left behind was broken later, in the middle of another block."""
    swarm, holder, _other = paroled()
    swarm.choke(holder)
    swarm.begin(holder, SECOND)
    swarm.finish(holder)
    piece = swarm.active.get(0)
    assert piece is not None
    assert piece.claims == {}
    assert holder.book.claim is None


def test_a_late_block_of_a_paroled_piece_counts_only_from_its_holder() -> None:
    swarm, holder, other = paroled()
    swarm.late()
    outcome = swarm.deliver(holder, SECOND)
    assert outcome.waste == "came too late"
    assert other.live == [FIRST, SECOND]


def test_a_paroled_piece_being_hashed_survives_its_holders_leaving() -> None:
    swarm, holder, other = paroled()
    swarm.deliver_all(holder)
    (piece,) = swarm.completed
    swarm.leave(holder)
    assert piece.stage is Stage.HASHING
    assert piece.have_all_blocks
    swarm.failed(piece)
    assert other.live == [FIRST, SECOND]


def test_a_holder_that_loses_requests_for_other_pieces_keeps_its_parole() -> None:
    swarm, holder, _ = paroled()
    swarm.want(0b11)
    swarm.gain(holder, 0b10)
    holder.state.reqq = None
    swarm.deliver(holder, FIRST)
    elsewhere = [info for info in holder.live if info.piece == 1]
    assert elsewhere
    swarm.reject(holder, elsewhere[0])
    piece = swarm.active.get(0)
    assert piece is not None
    assert piece.received == 0b01


def test_abandoning_a_piece_ends_its_parole() -> None:
    swarm, _, _ = paroled()
    swarm.want(0)
    assert not swarm.scheduler.parole


# --- A holder that is slow -----------------------------------------------------------------------


def at_rates(
    holder_rate: int, other_rate: int, *, delivered: int = 0, snubbed: bool = False
) -> tuple[Swarm, Peer, Peer]:
    """A piece of four blocks on parole, and another link that looks for something to do."""
    swarm = Swarm(1, 4)
    swarm.scheduler.parole.sentence(0)
    holder, other = swarm.join(), swarm.join()
    for _ in range(delivered):
        swarm.deliver(holder)
    for peer, rate in ((holder, holder_rate), (other, other_rate)):
        peer.state.down.add(rate, swarm.now)
    other.book.snubbed = snubbed
    swarm.scheduler.touch(other.book)
    swarm.settle()
    return swarm, holder, other


def has_parole(swarm: Swarm, peer: Peer) -> bool:
    """Whether the piece is reserved for it, and only it is asked."""
    assert swarm.scheduler.parole.reserved == 1
    asked = [one for one in swarm.peers.values() if one.live]
    return swarm.scheduler.parole.held_by(peer.ordinal) == [0] and asked in ([], [peer])


def test_a_link_with_nothing_to_do_takes_the_piece_from_a_much_slower_holder() -> None:
    swarm, _, other = at_rates(10_000, 1_000_000, delivered=1)
    assert has_parole(swarm, other)
    swarm.deliver_all(other)
    (piece,) = swarm.completed
    assert piece.get_contributing_peers() == (other.ordinal,)


@pytest.mark.parametrize(
    ("holder_rate", "other_rate", "delivered"),
    [(100_000, 150_000, 0), (100_000, 0, 0), (0, 0, 0), (100_000, 300_000, 3)],
    ids=["not so much faster", "unknown", "both unknown", "too late to be worth it"],
)
def test_it_does_not_where_that_would_not_be_much_sooner(
    holder_rate: int, other_rate: int, delivered: int
) -> None:
    swarm, holder, _ = at_rates(holder_rate, other_rate, delivered=delivered)
    assert has_parole(swarm, holder)


def test_a_silent_link_does_not_take_it() -> None:
    swarm, holder, _ = at_rates(10_000, 1_000_000, snubbed=True)
    assert has_parole(swarm, holder)


def test_a_link_that_has_other_blocks_to_send_does_not_take_it() -> None:
    swarm, holder, other = at_rates(10_000, 0)
    swarm.active.request(other.book, holder.book.out[0].piece, [0], swarm.now)
    other.state.down.add(1_000_000, swarm.now)
    assert swarm.scheduler.challenge(other.book, swarm.now) is None


def test_a_piece_that_is_being_hashed_is_not_taken() -> None:
    swarm, holder, other = at_rates(10_000, 0)
    swarm.deliver_all(holder)
    other.state.down.add(10_000_000, swarm.now)
    swarm.scheduler.touch(other.book)
    assert swarm.settle() == {}
    assert swarm.completed[0].have_all_blocks


def test_the_former_holder_does_not_take_it_back() -> None:
    swarm, holder, other = at_rates(10_000, 1_000_000)
    holder.state.down.add(100_000_000, swarm.now)
    swarm.scheduler.touch(holder.book)
    assert swarm.settle() == {}
    assert has_parole(swarm, other)
    swarm.leave(other)
    assert has_parole(swarm, holder)


def test_what_is_kept_for_a_holder_does_not_put_end_game_off() -> None:
    """Nobody else may be asked for it, so they may as well help with the rest."""
    swarm = Swarm(2, 6)
    swarm.want(0b01)
    swarm.scheduler.parole.sentence(0)
    holder = swarm.join(0b01)
    slow = swarm.join(0b10)
    swarm.want(0b11)
    swarm.deliver(slow)
    while slow.book.out and len(slow.live) > 1:
        swarm.deliver(slow)
    piece = swarm.active.get(0)
    assert piece is not None
    assert piece.free
    assert slow.live
    other = swarm.join(0b10)
    swarm.review()
    assert other.live == slow.live
    assert holder.live
