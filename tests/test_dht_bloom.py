"""Counting swarms by bloom filters: the vector of BEP 33."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core.dht.bloom import EMPTY, estimate, filter_of, union

BEP_33 = bytes.fromhex(
    "F6C3F5EA A07FFD91 BDE89F77 7F26FB2B FF37BDB8 FB2BBAA2 FD3DDDE7 BACFFF75 EE7CCBAE"
    "FE5EEDB1 FBFAFF67 F6ABFF5E 43DDBCA3 FD9B9FFD F4FFD3E9 DFF12D1B DF59DB53 DBE9FA5B"
    "7FF3B8FD FCDE1AFB 8BEDD7BE 2F3EE71E BBBFE93B CDEEFE14 8246C2BC 5DBFF7E7 EFDCF24F"
    "D8DC7ADF FD8FFFDF DDFFF7A4 BBEEDF5C B95CE81F C7FCFF1F F4FFFFDF E5F7FDCB B7FD79B3"
    "FA1FC77B FE07FFF9 05B7B7FF C7FEFEFF E0B8370B B0CD3F5B 7F2BD93F EB4386CF DD6F7FD5"
    "BFAF2E9E BFFFFEEC D67ADBF7 C67F17EF D5D75EBA 6FFEBA7F FF47A91E B1BFBB53 E8ABFB57"
    "62ABE8FF 237279BF EFBFEEF5 FFC5FEBF DFE5ADFF ADFEE1FB 737FFFFB FD9F6AEF FEEE76B6"
    "FD8F72EF"
)
"""BEP 33, Test Vectors."""

HOSTS = [str(IPv4Address("192.0.2.0") + n) for n in range(256)]
HOSTS += [str(IPv6Address("2001:db8::") + n) for n in range(0x3E8)]


def test_the_vector_of_bep_33() -> None:
    assert filter_of(HOSTS) == BEP_33
    assert estimate(BEP_33) == pytest.approx(1224.9308, abs=0.0001)


@given(st.lists(st.sampled_from(HOSTS)), st.lists(st.sampled_from(HOSTS)))
def test_the_union_of_filters_is_the_filter_of_the_union(one: list[str], other: list[str]) -> None:
    assert union(filter_of(one), filter_of(other)) == filter_of(one + other)


def test_nobody_counts_as_less_than_one_and_a_full_filter_as_a_number() -> None:
    assert round(estimate(EMPTY)) == 0
    assert estimate(b"\xff" * 256) == pytest.approx(7805.6, abs=1)
