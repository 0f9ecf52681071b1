"""BEP 40 by its vectors, and the votes on our own address that it needs."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core.addresses import can_be_dialled, is_local, packed, unpacked
from torrent_core.candidates import ExternalAddress, peer_priority
from torrent_core.candidates.priority import crc32c
from torrent_core.limits import EXTERNAL_ADDRESS_VOTES, MAX_EXTERNAL_VOTERS
from torrent_core.types import Address

hosts = st.ip_addresses(v=4).map(str) | (
    st.ip_addresses(v=6).filter(lambda host: host.ipv4_mapped is None).map(str)
)
ports = st.integers(1, 65535)
addresses = st.builds(Address, hosts, ports)


def hashed(text: str) -> int:
    return crc32c(bytes.fromhex(text))


@pytest.mark.parametrize(
    ("data", "crc"),
    [  # RFC 3720, appendix B.4
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_crc32c_is_that_of_the_rfc(data: bytes, crc: int) -> None:
    assert crc32c(data) == crc


@pytest.mark.parametrize(
    ("ours", "theirs", "priority"),
    [
        # The examples of BEP 40.
        (Address("123.213.32.10", 0), Address("98.76.54.32", 0), 0xEC2D7224),
        (Address("123.213.32.10", 0), Address("123.213.32.234", 0), 0x99568189),
        # libtorrent, test_peer_priority.cpp.
        (Address("230.12.123.3", 1234), Address("230.12.123.3", 300), hashed("012c04d2")),
        (Address("230.12.123.1", 1), Address("230.12.123.3", 2), hashed("e60c7b01e60c7b03")),
        (Address("230.12.23.1", 1), Address("230.12.123.3", 2), hashed("e60c1701e60c7b01")),
        (Address("230.120.23.1", 1), Address("230.12.123.3", 2), hashed("e60c5101e6781501")),
        (
            Address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 1),
            Address("ffff:0fff:ffff:ffff:ffff:ffff:ffff:ffff", 2),
            hashed("ffff0fffffff55555555555555555555ffffffffffff55555555555555555555"),
        ),
        # BEP 40, in the same /48.
        (
            Address("2001:db8:1:ffff::", 1),
            Address("2001:db8:1:0fff::", 2),
            hashed("20010db800010f55" + "00" * 8 + "20010db80001ff55" + "00" * 8),
        ),
    ],
)
def test_priorities_are_those_of_bep_40(ours: Address, theirs: Address, priority: int) -> None:
    assert peer_priority(ours, theirs) == priority


@given(addresses, addresses)
def test_both_ends_come_to_the_same_priority(one: Address, other: Address) -> None:
    priority = peer_priority(one, other)
    assert priority == peer_priority(other, one)
    assert (priority is None) == ((":" in one.host) is not (":" in other.host))


def test_a_name_has_no_priority() -> None:
    assert peer_priority(Address("peer.example", 1), Address("192.0.2.1", 1)) is None


# --- What an address says ---------------------------------------------------------------------


@given(hosts)
def test_addresses_are_packed_and_unpacked(host: str) -> None:
    data = packed(host)
    assert data is not None
    assert unpacked(data) == host


@given(st.binary(max_size=20).filter(lambda data: len(data) not in (4, 16)))
def test_other_lengths_are_no_address(data: bytes) -> None:
    with pytest.raises(ValueError, match="address"):
        unpacked(data)


def test_ipv4_inside_of_ipv6_is_ipv4() -> None:
    assert packed("::ffff:8.8.4.4") == bytes([8, 8, 4, 4])
    assert unpacked(bytes(10) + b"\xff\xff" + bytes([8, 8, 4, 4])) == "8.8.4.4"
    assert is_local("::ffff:10.0.0.1")
    assert not is_local("::ffff:8.8.4.4")
    assert not can_be_dialled(Address("::ffff:0.0.0.0", 1))


def test_a_name_is_not_packed_and_not_local() -> None:
    assert packed("peer.example") is None
    assert not is_local("peer.example")


@given(addresses)
def test_who_listens_for_all_or_for_none_is_not_dialled(address: Address) -> None:
    if ":" in address.host:
        ip6 = IPv6Address(address.host)
        assert can_be_dialled(address) == (not ip6.is_multicast and not ip6.is_unspecified)
    else:
        first = IPv4Address(address.host).packed[0]
        assert can_be_dialled(address) == (0 < first < 224)


@pytest.mark.parametrize(
    ("address", "can"),
    [
        (Address("192.0.2.1", 0), False),
        (Address("192.0.2.1", 65536), False),
        (Address("", 1), False),
        (Address("0.0.0.0", 1), False),
        (Address("224.0.0.1", 1), False),
        (Address("255.255.255.255", 1), False),
        (Address("::", 1), False),
        (Address("ff02::1", 1), False),
        (Address("::1", 1), True),
        (Address("127.0.0.1", 65535), True),
        (Address("peer.example", 1), True),
    ],
)
def test_what_can_be_dialled(address: Address, can: bool) -> None:
    assert can_be_dialled(address) is can


# --- Votes ------------------------------------------------------------------------------------


def test_one_teller_is_not_believed_however_often_it_speaks() -> None:
    external = ExternalAddress()
    for _ in range(5):
        assert not external.vote("8.8.8.8", "liar")
    assert external.hosts == ()
    assert external.vote("8.8.8.8", "other")
    assert external.hosts == ("8.8.8.8",)


def test_each_family_has_its_own_answer() -> None:
    external = ExternalAddress()
    for teller in ("a", "b"):
        external.vote("2001:db8::1", teller)
        external.vote("8.8.8.8", teller)
    assert external.hosts == ("8.8.8.8", "2001:db8::1")


@pytest.mark.parametrize("host", ["peer.example", "0.0.0.0", "ff02::1", ""])
def test_what_cannot_be_our_address_is_no_vote(host: str) -> None:
    external = ExternalAddress()
    assert not external.vote(host, "a")
    assert not external.vote(host, "b")
    assert external.hosts == ()


@given(st.lists(st.tuples(st.sampled_from(["1.1.1.1", "2.2.2.2", "::1"]), st.integers(0, 9))))
def test_the_answer_is_what_most_said_last(votes: list[tuple[str, int]]) -> None:
    external = ExternalAddress()
    last: dict[tuple[int, bool], str] = {}
    for host, teller in votes:
        before = external.hosts
        assert external.vote(host, str(teller)) == (external.hosts != before)
        last[teller, ":" in host] = host
    for host in external.hosts:
        count = list(last.values()).count(host)
        assert count >= EXTERNAL_ADDRESS_VOTES
        rivals = [other for (_, six), other in last.items() if six == (":" in host)]
        assert all(rivals.count(other) <= count for other in rivals)


def test_votes_are_bounded_and_the_oldest_go_first() -> None:
    external = ExternalAddress()
    external.vote("1.1.1.1", "a")
    for number in range(MAX_EXTERNAL_VOTERS - 1):
        external.vote("2.2.2.2", str(number))
    external.vote("2.2.2.2", "the last one")  # the first is forgotten
    external.vote("3.3.3.3", "b")
    external.vote("1.1.1.1", "c")
    assert external.hosts == ("2.2.2.2",)
    assert len(external._votes) == MAX_EXTERNAL_VOTERS
