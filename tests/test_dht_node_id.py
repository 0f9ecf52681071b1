"""Ids and addresses: the vectors of BEP 42, and which address is whose."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core.dht.hosts import family_of, is_local, look_at, may_tell, place_of
from torrent_core.dht.node_id import common_bits, crc32c, fits, make_id, number
from torrent_core.errors import LocalProtocolError
from torrent_core.types import Address, Family

BEP_42 = [
    ("124.31.75.21", "5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401"),
    ("21.75.31.124", "5a3ce9c14e7a08645677bbd1cfe7d8f956d53256"),
    ("65.23.51.170", "a5d43220bc8f112a3d426c84764f8c2a1150e616"),
    ("84.124.73.14", "1b0321dd1bb1fe518101ceef99462b947a01ff41"),
    ("43.213.53.83", "e56f6cbf5b7c4be0237986d5243b87aa6d51305a"),
]
"""BEP 42, Node ID restriction, test vectors: address and example id."""

hosts = st.ip_addresses().map(str)
ids = st.binary(min_size=20, max_size=20)


@pytest.mark.parametrize(("host", "node_id"), BEP_42)
def test_the_vectors_of_bep_42(host: str, node_id: str) -> None:
    assert fits(bytes.fromhex(node_id), host)


@pytest.mark.parametrize(("host", "node_id"), BEP_42)
@pytest.mark.parametrize("bit", [0, 20, 157, 158, 159])
def test_another_id_does_not_fit_once_a_bit_that_counts_differs(
    host: str, node_id: str, bit: int
) -> None:
    changed = number(bytes.fromhex(node_id)) ^ 1 << 159 - bit
    assert not fits(changed.to_bytes(20, "big"), host)


@pytest.mark.parametrize("bit", [21, 80, 156])
def test_the_other_bits_are_free(bit: int) -> None:
    host, node_id = BEP_42[0]
    assert fits((number(bytes.fromhex(node_id)) ^ 1 << 159 - bit).to_bytes(20, "big"), host)


@pytest.mark.parametrize(
    ("data", "crc"),
    [(bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43), (bytes(range(32)), 0x46DD794E)],
)
def test_the_vectors_of_rfc_3720_appendix_b_4(data: bytes, crc: int) -> None:
    assert crc32c(data) == crc


@given(hosts, st.integers())
def test_an_id_that_is_made_for_a_host_fits_it_wherever_a_node_can_be(host: str, seed: int) -> None:
    assert fits(make_id(Random(seed), host), host) == (look_at(host) is not None)


def test_an_id_without_a_host_is_any() -> None:
    assert make_id(Random(1)) != make_id(Random(2))
    assert make_id(Random(1)) == make_id(Random(1), "192.168.1.1")


@given(ids, st.sampled_from(["10.1.2.3", "172.31.0.1", "192.168.9.9", "169.254.1.1", "127.9.9.9"]))
def test_any_id_fits_a_local_address(node_id: bytes, host: str) -> None:
    assert fits(node_id, host)


@given(ids, ids)
def test_common_bits_are_those_before_the_first_that_differs(one: bytes, other: bytes) -> None:
    text = [f"{number(node_id):0160b}" for node_id in (one, other)]
    pairs = zip(*text, strict=True)
    expected = next((at for at, (a, b) in enumerate(pairs) if a != b), 160)
    assert common_bits(number(one), number(other)) == expected


@pytest.mark.parametrize(
    "host",
    [
        "example.org",
        "",
        "0.1.2.3",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "ff02::1",
        "::ffff:1.2.3.4",
    ],
)
def test_no_node_can_be_at_such_a_host(host: str) -> None:
    address = Address(host, 6881)
    assert look_at(host) is None
    assert family_of(address) is None
    assert not is_local(address)
    assert not may_tell(Address("8.8.8.8", 1), address)
    with pytest.raises(LocalProtocolError):
        place_of(address)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_no_node_can_be_at_such_a_port(port: int) -> None:
    assert family_of(Address("8.8.8.8", port)) is None


def test_an_address_has_one_form() -> None:
    for text in ("2A00:0::1", "2a00::1", "2a00::1%eth0"):
        host = look_at(text)
        assert host is not None
        assert (host.text, host.family) == ("2a00::1", Family.IPV6)


def test_a_public_place_is_an_address_or_a_64_bit_network_and_a_local_one_has_a_port() -> None:
    def place(host: str, port: int = 1) -> bytes:
        return place_of(Address(host, port))

    assert place("8.8.8.8") == place("8.8.8.8", 2) != place("8.8.8.9")
    assert place("2a00::1") == place("2a00::2", 2) != place("2a00:0:0:1::1")
    assert place("127.0.0.1") != place("127.0.0.1", 2)
    assert place("fe80::1") != place("fe80::1", 2)


def test_only_neighbours_tell_of_neighbours() -> None:
    far, near = Address("8.8.8.8", 1), Address("192.168.1.1", 1)
    assert may_tell(far, Address("9.9.9.9", 1))
    assert may_tell(near, far)
    assert may_tell(near, near)
    assert not may_tell(far, near)
