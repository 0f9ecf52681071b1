"""Digests of pieces that failed, and whom they convict; bans, and whom they keep out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core.addresses import is_local
from torrent_core.candidates import Bans
from torrent_core.limits import (
    MAX_BANNED_ADDRESSES,
    MAX_IDENTITIES_PER_ADDRESS,
    MAX_PROVEN_ADDRESSES,
)
from torrent_core.pieces.blame import Blame, Sample
from torrent_core.types import Identity

PUBLIC, LOCAL = "8.8.4.4", "10.0.0.7"


def peer(number: int, host: str = PUBLIC) -> Identity:
    return Identity(host, b"%020d" % number)


# --- Digests -------------------------------------------------------------------------------------

GOOD, BAD = b"g" * 20, b"b" * 20

attempts = st.lists(
    st.dictionaries(st.integers(0, 4), st.tuples(st.integers(0, 3), st.sampled_from([GOOD, BAD]))),
    max_size=5,
)


@given(attempts, st.sets(st.integers(0, 4)))
def test_guilty_is_exactly_who_sent_a_block_with_another_digest(
    failed: list[dict[int, tuple[int, bytes]]], known: set[int]
) -> None:
    blame = Blame()
    for attempt in failed:
        samples = [Sample(block, peer(who), digest) for block, (who, digest) in attempt.items()]
        blame.remember(7, samples)
    blocks = {block for attempt in failed for block in attempt}
    assert blame.blocks(7) == sum(1 << block for block in blocks)
    guilty = blame.settle(7, dict.fromkeys(known, GOOD))
    assert len(guilty) == len(set(guilty))
    assert set(guilty) == {
        peer(who)
        for attempt in failed
        for block, (who, digest) in attempt.items()
        if digest == BAD and block in known
    }
    assert len(blame) == blame.blocks(7) == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 6)), max_size=12))
def test_digests_are_bounded_and_the_pieces_that_failed_first_are_forgotten(
    failures: list[tuple[int, int]],
) -> None:
    blame = Blame(limit=8)
    for index, count in failures:
        blame.remember(index, [Sample(block, peer(1), BAD) for block in range(count)])
        assert len(blame) <= 8
        assert blame.blocks(index).bit_count() >= count


def test_what_fails_again_and_again_in_the_same_way_is_remembered_once() -> None:
    blame = Blame()
    for _ in range(3):
        blame.remember(0, [Sample(0, peer(1), BAD)])
    assert len(blame) == 1


# --- Bans ----------------------------------------------------------------------------------------

deeds = st.lists(
    st.tuples(
        st.sampled_from(["convict", "absolve"]),
        st.integers(0, 5),
        st.sampled_from([PUBLIC, LOCAL]),
    ),
    max_size=30,
)


@given(deeds)
def test_bans_follow_from_what_is_proven(deeds: list[tuple[str, int, str]]) -> None:
    """Few enough peers that nothing is forgotten: then the rule is simply this."""
    bans = Bans()
    guilty: set[Identity] = set()
    good: set[Identity] = set()
    for deed, number, host in deeds:
        who = peer(number, host)
        before = bans.bars(host)
        if deed == "convict":
            changed = bans.convict(who)
            guilty.add(who)
        else:
            changed = bans.absolve(who)
            good.add(who)
        assert before == bans.bars(host) or host in changed
    for host in (PUBLIC, LOCAL):
        anybody_good = any(who.host == host for who in good - guilty)
        anybody_guilty = any(who.host == host for who in guilty)
        barred = anybody_guilty and not anybody_good and not is_local(host)
        assert bans.bars(host) == barred
        assert bans.refuses(peer(99, host)) == barred
    assert all(bans.refuses(who) for who in guilty)
    assert not any(bans.refuses(who) for who in good - guilty)


def test_the_good_peer_behind_the_address_of_a_bad_one_is_let_in() -> None:
    bans = Bans()
    bans.convict(peer(1))
    assert bans.refuses(peer(2))
    bans.absolve(peer(2))
    assert not bans.refuses(peer(2))
    assert not bans.refuses(peer(3))
    assert bans.refuses(peer(1))


def test_what_a_culprit_sent_before_does_not_speak_for_its_address() -> None:
    bans = Bans()
    bans.absolve(peer(1))
    bans.convict(peer(1))
    assert bans.refuses(peer(2))
    assert bans.absolve(peer(1)) == []
    assert bans.refuses(peer(1))


@pytest.mark.parametrize("host", [PUBLIC, LOCAL])
def test_who_comes_back_under_ever_new_peer_ids_is_shut_out_and_its_good_neighbour_is_not(
    host: str,
) -> None:
    bans = Bans()
    bans.absolve(peer(0, host))
    for number in range(1, MAX_IDENTITIES_PER_ADDRESS + 1):
        assert not bans.refuses(peer(number, host))
        bans.convict(peer(number, host))
    assert bans.refuses(peer(99, host))
    assert not bans.refuses(peer(0, host))
    assert not bans.bars(host)
    assert bans.convict(peer(0, host)) == [host]
    assert bans.bars(host)
    assert bans.refuses(peer(0, host))


def test_bans_are_bounded_and_say_whose_bar_is_lifted() -> None:
    bans = Bans()
    hosts = [f"8.8.{n >> 8}.{n & 255}" for n in range(MAX_BANNED_ADDRESSES + 1)]
    for host in hosts[:-1]:
        bans.convict(peer(1, host))
    assert bans.bars(hosts[0])
    assert bans.convict(peer(1, hosts[-1])) == [hosts[-1], hosts[0]]
    assert not bans.bars(hosts[0])
    assert bans.bars(hosts[1])


def test_proofs_are_bounded_and_those_given_last_are_kept() -> None:
    bans = Bans()
    hosts = [f"8.8.{n >> 8}.{n & 255}" for n in range(MAX_PROVEN_ADDRESSES + 1)]
    for host in hosts[:-1]:
        bans.absolve(peer(1, host))
    assert bans.absolve(peer(1, hosts[0])) == []  # no news, but the last now
    bans.convict(peer(2, hosts[1]))
    assert bans.absolve(peer(1, hosts[-1])) == [hosts[-1], hosts[1]]
    assert bans.bars(hosts[1])
    bans.convict(peer(2, hosts[0]))
    assert not bans.bars(hosts[0])


def test_good_peers_of_one_address_are_bounded() -> None:
    bans = Bans()
    for number in range(MAX_IDENTITIES_PER_ADDRESS + 1):
        bans.absolve(peer(number))
    for number in range(100, 100 + MAX_IDENTITIES_PER_ADDRESS):
        bans.convict(peer(number))
    refused = [n for n in range(MAX_IDENTITIES_PER_ADDRESS + 1) if bans.refuses(peer(n))]
    assert refused == [0]
