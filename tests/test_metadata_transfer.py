"""Metadata from many peers, of whom any may lie: it comes, and liars cannot stop it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metadata_kit import Fair, Peer, content
from torrent_core.limits import (
    MAX_LARGE_COPIES,
    MAX_METADATA_BACKOFF,
    MAX_METADATA_DOUBLES,
    MAX_METADATA_SIZE,
    MAX_SMALL_COPIES,
    METADATA_BACKOFF,
    METADATA_LEASE,
    METADATA_PATIENCE,
    METADATA_PIECE,
    METADATA_TIMEOUT,
    SMALL_METADATA,
)
from torrent_core.wire.metadata import MetadataData

ONE, TWO, FIVE = 1000, METADATA_PIECE + 1, 5 * METADATA_PIECE
sizes = st.sampled_from([ONE, METADATA_PIECE, TWO, FIVE])
bad = st.fixed_dictionaries(
    {},
    optional={
        "silent": st.booleans(),
        "rejects": st.booleans(),
        "delay": st.sampled_from([0.0, 1.0, METADATA_PATIENCE, METADATA_TIMEOUT + 1, 200.0]),
        "says_size": st.sampled_from([ONE, TWO, FIVE]),
        "cut": st.sampled_from([1, METADATA_PIECE]),
        "leaves_after": st.integers(0, 6),
    },
)


# --- Properties ------------------------------------------------------------------------------


@given(
    sizes,
    st.lists(st.tuples(st.none() | sizes, bad, st.booleans()), max_size=30),
    st.lists(st.integers(0, 30), min_size=1, max_size=4),
    st.sampled_from([0.0, 0.1, 5.0]),
)
def test_one_honest_peer_is_enough_whoever_lies(
    size: int,
    liars: list[tuple[int | None, dict[str, object], bool]],
    places: list[int],
    delay: float,
) -> None:
    fair = Fair(content(size))
    everybody: list[Peer] = []
    for claimed, behaviour, right in liars:
        peer = fair.liar(claimed, **behaviour)
        if right and claimed in (None, size):
            peer.data = fair.metadata
        everybody.append(peer)
    for place in places:
        everybody.insert(place, fair.honest(delay=delay))
    for peer in everybody:
        fair.join(peer)
        fair.run(0.05)
    fair.run(3600.0)
    assert fair.transfer.metadata == fair.metadata


@given(sizes, st.integers(1, 20))
def test_where_nobody_lies_no_peer_is_asked_for_nothing(size: int, count: int) -> None:
    fair = Fair(content(size))
    peers = [fair.join(fair.honest()) for _ in range(count)]
    fair.run()
    assert fair.transfer.metadata == fair.metadata
    assert sum(len(peer.asked) for peer in peers) <= MAX_METADATA_DOUBLES + size // METADATA_PIECE
    assert fair.now < 1.0
    assert fair.transfer.next_deadline() is None


@given(st.lists(st.sampled_from([ONE, TWO, SMALL_METADATA, MAX_METADATA_SIZE]), max_size=40))
def test_what_peers_claim_takes_no_memory(claims: list[int]) -> None:
    fair = Fair(content(FIVE))
    for size in claims:
        fair.join(Peer(size, b"", silent=True))
    assert fair.most_memory == 0
    assert fair.transfer.progress().received == 0


# --- Liars -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [ONE, FIVE])
def test_a_hundred_liars_cannot_hide_ten_honest_peers(size: int) -> None:
    fair = Fair(content(size))
    for number in range(110):
        honest = number % 11 == 10
        fair.join(fair.honest() if honest else fair.liar(salt=bytes([number])))
    fair.run()
    assert fair.is_done
    assert fair.now < 10.0


@pytest.mark.parametrize("size", [ONE, FIVE])
def test_a_hundred_silent_ones_cannot_either(size: int) -> None:
    fair = Fair(content(size))
    for number in range(110):
        honest = number % 11 == 10
        fair.join(fair.honest() if honest else fair.liar(silent=True))
    fair.run()
    assert fair.is_done
    assert fair.now < 60.0


@pytest.mark.uncovered
def test_nor_can_a_hundred_that_claim_as_much_as_may_be_and_send_little() -> None:
    fair = Fair(content(FIVE))
    for number in range(100):
        fair.join(fair.liar(MAX_METADATA_SIZE - number, delay=METADATA_TIMEOUT - 1))
    fair.join(fair.honest())
    fair.run()
    assert fair.is_done
    assert fair.now < 1.0


def test_nor_can_large_copies_that_trickle_keep_a_large_one_that_is_right_from_its_turn() -> None:
    fair = Fair(content(SMALL_METADATA + 1))
    for number in range(3 * MAX_LARGE_COPIES):
        fair.join(fair.liar(SMALL_METADATA + 2 + number, delay=METADATA_TIMEOUT - 1))
    fair.join(fair.honest(delay=0.01))
    fair.run(600.0)
    assert fair.is_done
    # Smaller ones have their turn earlier among those that had none.
    assert METADATA_LEASE < fair.now < 4 * METADATA_LEASE


def test_a_whole_copy_of_one_peer_that_is_wrong_proves_him_guilty() -> None:
    fair = Fair(content(ONE))
    liar = fair.join(fair.liar())
    fair.run()
    assert fair.guilty == [liar]
    assert not fair.transfer.progress().sources


def test_a_shared_copy_that_is_wrong_proves_nothing_until_each_has_sent_his_own() -> None:
    fair = Fair(content(FIVE))
    liar = fair.join(fair.liar())
    first = fair.join(fair.honest(delay=0.2))
    second = fair.join(fair.honest(delay=0.3))
    fair.run()
    assert fair.is_done
    # What counted of each for the shared copy counts for his own, and what is out stays out.
    assert [liar.asked.count(piece) for piece in (0, 1)] == [1, 1]
    for peer in (first, second):
        assert len(peer.asked) == len(set(peer.asked))


def test_what_those_sent_who_have_left_is_no_copy_of_anybody() -> None:
    fair = Fair(content(FIVE))
    leaver = fair.join(fair.liar(salt=b"a"))
    fair.join(fair.liar(salt=b"b", delay=1.0))
    fair.run(0.15)
    fair.leave(leaver)
    assert fair.transfer.progress().received == 2
    fair.run()
    assert len(fair.guilty) == 1


def test_who_joins_after_a_shared_copy_was_wrong_has_a_copy_of_his_own() -> None:
    fair = Fair(content(FIVE))
    for salt in (b"a", b"b"):
        fair.join(fair.liar(salt=salt, delay=1.0))
    fair.run(3.5)
    assert not fair.transfer._shared
    late = fair.join(fair.honest())
    fair.run()
    assert fair.is_done
    assert sorted(late.asked) == [0, 1, 2, 3, 4]


def test_when_all_of_one_size_are_gone_the_next_begin_together_again() -> None:
    fair = Fair(content(FIVE))
    for salt in (b"a", b"b"):
        fair.join(fair.liar(salt=salt))
    fair.run()
    assert len(fair.guilty) == 2
    fair.join(fair.honest())
    assert list(fair.transfer._shared) == [FIVE]


def test_copies_of_many_are_fetched_at_once_but_not_of_all() -> None:
    fair = Fair(content(TWO))
    for number in range(2 * MAX_SMALL_COPIES):
        fair.join(Peer(TWO + 1 + number, b"", silent=True))
    assert len(fair.transfer.progress().asked) == MAX_SMALL_COPIES
    fair.run(METADATA_TIMEOUT + 1)
    assert sum(bool(peer.asked) for peer in fair.everybody) == 2 * MAX_SMALL_COPIES


# --- Late and refusing peers -------------------------------------------------------------------


def test_a_peer_that_refuses_is_asked_again_after_pauses_that_double() -> None:
    fair = Fair(content(ONE))
    peer = fair.join(fair.honest(rejects=True, delay=0.0))
    fair.run(1200.0)
    pauses = [later - at for at, later in pairwise(peer.asked_at)]
    assert pauses == [METADATA_BACKOFF * 2**step for step in range(5)] + [MAX_METADATA_BACKOFF] * 2
    peer.rejects = False
    fair.run()
    assert fair.is_done


def test_a_piece_that_does_not_come_is_asked_of_somebody_else() -> None:
    fair = Fair(content(40 * METADATA_PIECE))
    slow = [fair.join(fair.honest(silent=True)) for _ in range(8)]  # 16 requests out
    quick = fair.join(fair.honest(delay=0.01))
    fair.run(1.0)
    assert not fair.is_done
    held = {piece for peer in slow for piece in peer.asked}
    assert held.isdisjoint(quick.asked)
    fair.run(METADATA_PATIENCE)
    assert fair.is_done


def test_an_answer_after_its_time_counts_all_the_same_and_ends_the_pause() -> None:
    fair = Fair(content(FIVE))
    fair.join(fair.honest(delay=METADATA_TIMEOUT + 1))
    fair.run(METADATA_TIMEOUT + 0.5)
    assert fair.transfer.progress().paused == 1
    fair.run(1.0)
    assert fair.transfer.progress().paused == 0
    assert fair.transfer.progress().received == 2
    fair.run()
    assert fair.is_done


def test_an_answer_after_its_time_counts_although_another_was_asked_meanwhile() -> None:
    fair = Fair(content(METADATA_PIECE))
    fair.join(fair.honest(delay=METADATA_TIMEOUT + 5))
    fair.run(METADATA_TIMEOUT + 1)
    other = fair.join(fair.honest(silent=True))
    fair.run()
    assert other.asked == [0]
    assert fair.is_done
    assert fair.now == METADATA_TIMEOUT + 5


def test_an_answer_that_comes_twice_or_was_not_asked_for_is_nothing() -> None:
    fair = Fair(content(FIVE))
    peer = fair.join(fair.honest(silent=True))
    for piece in (4, 99, 0, 0):
        data = fair.metadata[piece * METADATA_PIECE :][:METADATA_PIECE]
        fair.transfer.received(peer.ordinal, MetadataData(piece, FIVE, data), fair.now)
        fair.after()
    assert fair.transfer.progress().received == 1
    fair.transfer.rejected(peer.ordinal, 4, fair.now)
    fair.transfer.rejected(99, 4, fair.now)
    fair.transfer.received(99, MetadataData(0, FIVE, b""), fair.now)
    fair.transfer.lost(99, fair.now)
    assert fair.transfer.progress().paused == 0


@pytest.mark.parametrize("size", [-1, 0, MAX_METADATA_SIZE + 1])
def test_a_size_that_cannot_be_offers_nothing(size: int) -> None:
    fair = Fair(content(ONE))
    fair.join(Peer(size, b""))
    assert fair.transfer.progress().sources == 0


def test_the_first_size_that_a_peer_names_counts_and_after_the_end_none() -> None:
    fair = Fair(content(ONE))
    peer = fair.join(fair.honest())
    fair.transfer.offer(peer.ordinal, FIVE, fair.now)
    assert fair.transfer.progress().sources == 1
    fair.run()
    assert fair.is_done
    fair.join(fair.honest())
    assert fair.transfer.progress().sources == 0


# --- Time --------------------------------------------------------------------------------------


def test_a_sleep_is_held_against_nobody() -> None:
    fair = Fair(content(FIVE))
    fair.join(fair.honest(silent=True))
    due = fair.transfer.next_deadline()
    fair.now += 100.0
    fair.transfer.postpone(100.0)
    after = fair.transfer.next_deadline()
    assert due is not None
    assert after == due._replace(when=due.when + 100.0)
    fair.transfer.tick(fair.now)
    assert fair.transfer.progress().paused == 0


def test_a_lease_that_is_over_is_over_after_a_sleep() -> None:
    fair = Fair(content(FIVE))
    fair.join(fair.honest(silent=True))
    fair.join(Peer(TWO, b"", silent=True))
    fair.run(METADATA_LEASE + 2.0)
    assert fair.transfer._overdue
    before = dict(fair.transfer._overdue)
    fair.transfer.postpone(5.0)
    assert fair.transfer._overdue == before
    assert fair.transfer._deadlines.get(("another copy of the metadata has its turn", 1)) is None


def test_progress_is_that_of_the_copy_which_is_furthest() -> None:
    fair = Fair(content(FIVE))
    assert fair.transfer.progress().pieces == 0
    fair.join(Peer(TWO, b"", silent=True))
    fair.join(fair.honest(delay=0.5))
    fair.run(0.6)
    progress = fair.transfer.progress()
    assert (progress.received, progress.pieces, progress.sources) == (2, 5, 2)
