"""Peer exchange messages (BEP 11): both ways, and whatever else may come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core import bencode
from torrent_core.errors import WireError
from torrent_core.types import Address
from torrent_core.wire import pex
from torrent_core.wire.pex import Contact, PeerExchange

ports = st.integers(0, 65535)
fours = st.builds(Address, st.ip_addresses(v=4).map(str), ports)
sixes = st.builds(
    Address, st.ip_addresses(v=6).filter(lambda host: host.ipv4_mapped is None).map(str), ports
)
flags = st.integers(0, 255)


def _both(four: st.SearchStrategy, six: st.SearchStrategy) -> st.SearchStrategy:
    """IPv4 comes first, as on the wire."""
    lists = st.tuples(st.lists(four, max_size=5), st.lists(six, max_size=5))
    return lists.map(lambda pair: tuple(pair[0] + pair[1]))


exchanges = st.builds(
    PeerExchange,
    added=_both(st.builds(Contact, fours, flags), st.builds(Contact, sixes, flags)),
    dropped=_both(fours, sixes),
)
values = st.recursive(
    st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.binary(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


def said(value: PeerExchange) -> tuple[set[Contact], set[Address]]:
    """In whatever order: IPv4 inside of IPv6 goes out as IPv4, which comes first."""
    return set(value.added), set(value.dropped)


KEYS = (b"added", b"added.f", b"added6", b"added6.f", b"dropped", b"dropped6", b"else")


@given(exchanges)
def test_what_is_encoded_decodes_to_the_same(value: PeerExchange) -> None:
    data = pex.encode(value)
    assert pex.decode(data, 100) == value
    bencode.decode(data, strict=True)


@given(exchanges, st.integers(0, 12))
def test_no_more_is_taken_than_the_limit(value: PeerExchange, limit: int) -> None:
    assert pex.decode(pex.encode(value), limit) == PeerExchange(
        value.added[:limit], value.dropped[:limit]
    )


@given(st.binary(max_size=80) | values.map(bencode.encode), st.integers(0, 100))
def test_arbitrary_bytes_give_a_value_or_a_wire_error(data: bytes, limit: int) -> None:
    try:
        message = pex.decode(data, limit)
    except WireError:
        return
    assert said(pex.decode(pex.encode(message), limit)) == said(message)


@given(st.dictionaries(st.sampled_from(KEYS), values))
def test_whatever_the_fields_hold_whole_contacts_are_taken(fields: dict[bytes, object]) -> None:
    data = bencode.encode(fields)  # type: ignore[arg-type]
    message = pex.decode(data, 100)
    expected = 0
    for key, size in ((b"added", 6), (b"added6", 18)):
        field = fields.get(key)
        expected += len(field) // size if isinstance(field, bytes) else 0
    assert len(message.added) == min(expected, 100)


@given(exchanges, st.data())
def test_a_changed_byte_gives_a_value_or_a_wire_error(
    value: PeerExchange, data: st.DataObject
) -> None:
    payload = bytearray(pex.encode(value))
    payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(flags)
    try:
        again = pex.decode(payload, 100)
    except WireError:
        return
    assert said(pex.decode(pex.encode(again), 100)) == said(again)


def test_a_message_by_hand() -> None:
    data = (
        b"d5:added12:\x01\x02\x03\x04\x1a\xe1\x7f\0\0\x01\0\x017:added.f2:\x12\x00"
        b"8:dropped618:" + bytes(15) + b"\x01\x00\x50e"
    )
    message = PeerExchange(
        (
            Contact(Address("1.2.3.4", 6881), pex.IS_SEED | pex.IS_REACHABLE),
            Contact(Address("127.0.0.1", 1)),
        ),
        (Address("::1", 80),),
    )
    assert pex.decode(data, 50) == message
    assert pex.encode(message) == data


def test_flags_that_are_missing_are_none_and_half_a_contact_is_left_out() -> None:
    data = bencode.encode({b"added": b"\x01\x02\x03\x04\0\x01\x05\x06", b"added.f": b""})
    assert pex.decode(data, 50) == PeerExchange((Contact(Address("1.2.3.4", 1), 0),))


def test_what_follows_the_dictionary_is_not_looked_at() -> None:
    assert pex.decode(b"de and more", 50) == PeerExchange()


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"le", "peer exchange is not a dictionary"),
        (b"", "peer exchange: the end comes too early"),
        (b"d5:added99:xe", "peer exchange: a string longer than what is left"),
    ],
)
def test_what_is_no_dictionary_is_no_message(data: bytes, detail: str) -> None:
    with pytest.raises(WireError, match=detail):
        pex.decode(data, 50)


def test_a_name_is_no_contact() -> None:
    with pytest.raises(ValueError, match=r"'peer\.example' is not the literal"):
        pex.encode(PeerExchange((Contact(Address("peer.example", 1)),)))
