from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core.bencode import Value
from torrent_core.errors import LocalProtocolError
from torrent_core.types import Address, Family
from torrent_core.wire import compact

ports = st.integers(1, 0xFFFF)
hosts4 = st.integers(1 << 24, (224 << 24) - 1).map(lambda n: str(IPv4Address(n)))
hosts6 = st.integers(1 << 64, (0xFF << 120) - 1).map(lambda n: str(IPv6Address(n)))
peers4 = st.builds(Address, hosts4, ports)
peers6 = st.builds(Address, hosts6, ports)


@given(st.lists(peers4 | peers6, max_size=8))
def test_what_is_packed_unpacks_to_the_same_by_family(peers: list[Address]) -> None:
    for family in Family:
        packed = compact.pack_all(peers, family)
        mine = [peer for peer in peers if compact.family_of(peer.host) is family]
        assert len(packed) == len(mine) * compact.stride(family)
        assert list(compact.unpack(packed, family)) == mine


@given(st.binary(max_size=120), st.sampled_from(Family))
def test_any_bytes_are_peers_that_can_be(data: bytes, family: Family) -> None:
    found = list(compact.unpack(memoryview(data), family))
    assert len(found) <= len(data) // compact.stride(family)
    for peer in found:
        assert 0 < peer.port <= 0xFFFF
        assert compact.literal(peer.host) is not None


fields = st.dictionaries(
    st.sampled_from([b"ip", b"port", b"peer id"]),
    st.binary(max_size=40)
    | st.text(".:019af% \r", max_size=20).map(str.encode)
    | st.text(max_size=5).map(lambda zone: f"fe80::1%{zone}".encode())
    | st.integers()
    | st.lists(st.integers(), max_size=2),
)


@given(st.lists(fields | st.integers() | st.binary(max_size=6), max_size=6))
def test_any_dictionaries_are_peers_that_can_be(listed: list[Value]) -> None:
    found = list(compact.from_dictionaries(listed))
    assert len(found) <= len(listed)
    for peer in found:
        assert 0 < peer.port <= 0xFFFF
        assert peer.host.isascii()
        assert peer.host.isprintable()
        assert " " not in peer.host


def test_the_zone_of_an_address_is_left_out_whatever_it_says() -> None:
    listed: list[Value] = [{b"ip": b"fe80::1%x\r\ny", b"port": 1}]
    assert list(compact.from_dictionaries(listed)) == [Address("fe80::1", 1)]


def test_the_layouts_of_bep_23_and_bep_7() -> None:
    assert compact.pack(Address("1.2.3.4", 0x1AE1)) == bytes.fromhex("01020304 1ae1")
    assert compact.pack(Address("2001:db8::5", 80)) == bytes.fromhex(
        "20010db8000000000000000000000005 0050"
    )


@pytest.mark.parametrize(
    ("data", "family"),
    [
        ("01020304 0000", Family.IPV4),  # port 0
        ("00000000 1ae1", Family.IPV4),
        ("e0000001 1ae1", Family.IPV4),  # multicast
        ("ffffffff 1ae1", Family.IPV4),
        ("01020304 1a", Family.IPV4),  # half a peer
        ("00" * 16 + "1ae1", Family.IPV6),
        ("ff02" + "00" * 13 + "01 1ae1", Family.IPV6),
    ],
)
def test_peers_that_cannot_be_are_left_out_and_spoil_no_other(data: str, family: Family) -> None:
    good = Address("9.9.9.9" if family is Family.IPV4 else "2001:db8::9", 9)
    assert list(compact.unpack(bytes.fromhex(data), family)) == []
    assert list(compact.unpack(compact.pack(good) + bytes.fromhex(data), family)) == [good]


@pytest.mark.parametrize(
    "address", [Address("host", 1), Address("1.2.3.4", -1), Address("1.2.3.4", 65536)]
)
def test_what_has_no_compact_form_is_refused(address: Address) -> None:
    with pytest.raises(LocalProtocolError):
        compact.pack(address)


def test_ipv4_within_ipv6_is_ipv4() -> None:
    assert compact.family_of("::ffff:1.2.3.4") is Family.IPV4
    assert compact.pack(Address("::ffff:1.2.3.4", 1)) == b"\1\2\3\4\0\1"
    assert compact.family_of("::1") is Family.IPV6
    assert compact.family_of("tracker.example") is None


def test_the_long_form_takes_literals_and_names_and_leaves_out_the_rest() -> None:
    listed = [
        {b"ip": b"1.2.3.4", b"port": 6881, b"peer id": b"x" * 20},
        {b"ip": b"2001:DB8:0::5", b"port": 6881},
        {b"ip": b"peer-1.example", b"port": 6881},
        {b"ip": b"0.0.0.0", b"port": 6881},
        {b"ip": b"bad name\r\n", b"port": 6881},
        {b"ip": "n\u00e4me".encode(), b"port": 6881},
        {b"ip": b"a" * 254, b"port": 6881},
        {b"ip": b"", b"port": 6881},
        {b"ip": 5, b"port": 6881},
        {b"ip": b"1.2.3.5", b"port": 0},
        {b"ip": b"1.2.3.5", b"port": 65536},
        {b"ip": b"1.2.3.5", b"port": b"80"},
        {b"port": 80},
        b"1.2.3.5",
    ]
    assert list(compact.from_dictionaries(listed)) == [  # type: ignore[arg-type]
        Address("1.2.3.4", 6881),
        Address("2001:db8::5", 6881),
        Address("peer-1.example", 6881),
    ]
