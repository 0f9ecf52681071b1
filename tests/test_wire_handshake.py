from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core.errors import WireError
from torrent_core.wire import handshake as wire
from torrent_core.wire.handshake import Handshake

handshakes = st.builds(
    Handshake,
    st.binary(min_size=20, max_size=20),
    st.binary(min_size=20, max_size=20),
    st.binary(min_size=8, max_size=8),
)


@given(handshakes, st.binary(max_size=10))
def test_what_is_encoded_decodes_to_the_same(handshake: Handshake, behind: bytes) -> None:
    data = wire.encode(handshake)
    assert len(data) == wire.HANDSHAKE_LENGTH
    assert wire.decode(data + behind) == handshake
    assert wire.decode(memoryview(data)) == handshake


@given(handshakes, st.integers(0, 67))
def test_each_stage_is_known_as_soon_as_it_is_in(handshake: Handshake, length: int) -> None:
    start = wire.encode(handshake)[:length]
    assert wire.decode(start) is None
    assert wire.peek_info_hash(start) == (handshake.info_hash if length >= 48 else None)


@given(st.integers(0, 19), st.integers(1, 255))
def test_a_wrong_protocol_is_refused_at_its_first_wrong_byte(at: int, change: int) -> None:
    data = bytearray(wire.PROTOCOL)
    data[at] ^= change
    assert wire.peek_info_hash(data[:at]) is None
    for length in range(at + 1, 21):
        with pytest.raises(WireError, match=f"byte {at}"):
            wire.peek_info_hash(data[:length])


@given(st.binary(max_size=80))
def test_arbitrary_bytes_give_a_handshake_or_a_wire_error(data: bytes) -> None:
    try:
        handshake = wire.decode(data)
    except WireError:
        assert not wire.PROTOCOL.startswith(data[:20])
        return
    assert handshake is None


@given(handshakes, st.integers(0, 67), st.integers(0, 255))
def test_a_changed_byte_gives_a_handshake_or_a_wire_error(
    handshake: Handshake, at: int, byte: int
) -> None:
    data = bytearray(wire.encode(handshake))
    data[at] = byte
    try:
        decoded = wire.decode(data)
    except WireError:
        assert at < 20
        return
    assert decoded is not None
    assert wire.encode(decoded) == data


def test_layout_is_that_of_bep_3() -> None:
    data = wire.encode(Handshake(b"h" * 20, b"p" * 20, b"r" * 8))
    assert data == b"\x13BitTorrent protocol" + b"r" * 8 + b"h" * 20 + b"p" * 20


@pytest.mark.parametrize(
    ("reserved", "fast", "extended", "dht"),
    [
        ("0000000000000000", False, False, False),
        ("0000000000000004", True, False, False),
        ("0000000000100000", False, True, False),
        ("0000000000000001", False, False, True),
        ("ffffffffffefff fa", False, False, False),
    ],
)
def test_reserved_bits(reserved: str, fast: bool, extended: bool, dht: bool) -> None:
    handshake = Handshake(bytes(20), bytes(20), bytes.fromhex(reserved))
    assert (handshake.fast, handshake.extended, handshake.dht) == (fast, extended, dht)


@pytest.mark.parametrize(
    "fields",
    [
        (bytes(19), bytes(20), bytes(8)),
        (bytes(20), bytes(21), bytes(8)),
        (bytes(20), bytes(20), b""),
    ],
)
def test_fields_of_a_wrong_length_are_not_encoded(fields: tuple[bytes, bytes, bytes]) -> None:
    with pytest.raises(WireError):
        wire.encode(Handshake(*fields))
