from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core.wire.fast import allowed_fast_set

AA = b"\xaa" * 20
addresses = st.ip_addresses().map(str)
hashes = st.binary(min_size=20, max_size=20)


@given(addresses, hashes, st.integers(1, 200), st.integers(0, 30))
def test_a_set_has_distinct_pieces_and_as_many_as_there_can_be(
    ip: str, info_hash: bytes, pieces: int, count: int
) -> None:
    chosen = allowed_fast_set(ip, info_hash, pieces, count)
    assert len(chosen) == len(set(chosen)) == min(pieces, count)
    assert all(0 <= index < pieces for index in chosen)


@given(addresses, hashes, st.integers(50, 200), st.integers(0, 20))
def test_a_larger_set_begins_with_the_smaller_one(
    ip: str, info_hash: bytes, pieces: int, count: int
) -> None:
    larger = allowed_fast_set(ip, info_hash, pieces, count + 1)
    assert larger[:count] == allowed_fast_set(ip, info_hash, pieces, count)


def test_the_results_that_bep_6_gives() -> None:
    nine = [1059, 431, 808, 1217, 287, 376, 1188, 353, 508]
    assert allowed_fast_set("80.4.4.200", AA, 1313, 7) == nine[:7]
    assert allowed_fast_set("80.4.4.200", AA, 1313, 9) == nine


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("80.4.4.200", "80.4.4.1", True),
        ("80.4.4.200", "80.4.5.200", False),
        ("80.4.4.200", "::ffff:80.4.4.7", True),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
    ],
)
def test_neighbours_share_one_set(one: str, other: str, same: bool) -> None:
    sets = [allowed_fast_set(ip, AA, 1313, 10) for ip in (one, other)]
    assert (sets[0] == sets[1]) is same


def test_a_name_has_no_set() -> None:
    assert allowed_fast_set("peer.example", AA, 1313, 10) == []
