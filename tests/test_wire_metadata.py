"""The messages of ut_metadata (BEP 9), both ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core.bencode import encode as bencode
from torrent_core.errors import WireError
from torrent_core.limits import MAX_METADATA_SIZE, METADATA_PIECE
from torrent_core.wire import metadata as wire
from torrent_core.wire.metadata import MetadataData, MetadataReject, MetadataRequest

pieces = st.integers(0, 2**63 - 1)
messages = (
    st.builds(MetadataRequest, pieces)
    | st.builds(MetadataReject, pieces)
    | st.builds(
        MetadataData,
        pieces,
        st.none() | st.integers(1, MAX_METADATA_SIZE),
        st.binary() | st.just(bytes(METADATA_PIECE)),
    )
)
fields = st.dictionaries(
    st.sampled_from([b"msg_type", b"piece", b"total_size", b"x"]),
    st.integers(-3, 5) | st.binary(max_size=3) | st.integers(2**40, 2**41),
).map(bencode)


@given(messages)
def test_what_is_written_is_read_again(message: wire.MetadataMessage) -> None:
    assert wire.decode(wire.encode(message)) == message


@given(st.binary() | st.builds(bytes.__add__, fields, st.binary()))
def test_whatever_comes_is_a_message_or_nothing_or_a_wire_error(payload: bytes) -> None:
    try:
        message = wire.decode(memoryview(payload))
    except WireError:
        return
    assert message is None or wire.decode(wire.encode(message)) == message


def test_the_examples_of_bep_9() -> None:
    assert wire.encode(MetadataRequest(0)) == b"d8:msg_typei0e5:piecei0ee"
    assert wire.encode(MetadataReject(0)) == b"d8:msg_typei2e5:piecei0ee"
    data = b"d8:msg_typei1e5:piecei0e10:total_sizei3425eexxxxxxxx"
    assert wire.decode(data) == MetadataData(0, 3425, b"xxxxxxxx")


def test_a_kind_of_message_that_nobody_knows_is_nothing() -> None:
    assert wire.decode(bencode({"msg_type": 3, "piece": 0})) is None


@pytest.mark.parametrize("size", [0, -1, MAX_METADATA_SIZE + 1, b"x"])
def test_a_size_that_cannot_be_is_none(size: int | bytes) -> None:
    payload = bencode({"msg_type": 1, "piece": 0, "total_size": size})
    assert wire.decode(payload) == MetadataData(0, None, b"")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"le",
        b"d",
        bencode({"piece": 0}),
        bencode({"msg_type": 0}),
        bencode({"msg_type": 0, "piece": -1}),
        bencode({"msg_type": b"0", "piece": 0}),
        bencode({"msg_type": 1, "piece": 0}) + bytes(METADATA_PIECE + 1),
        b"d8:msg_typei0e5:piecei0e1:x" + 100 * b"l" + 100 * b"e" + b"e",
        b"d8:msg_typei0e5:piecei0e1:xl" + 100 * b"i0e" + b"ee",
    ],
)
def test_what_is_no_message_is_a_wire_error(payload: bytes) -> None:
    with pytest.raises(WireError):
        wire.decode(payload)


@given(st.integers(1, 10 * METADATA_PIECE))
def test_pieces_add_up_to_the_whole(size: int) -> None:
    sizes = [wire.piece_size(size, piece) for piece in range(wire.piece_count(size))]
    assert sum(sizes) == size
    assert set(sizes[:-1]) <= {METADATA_PIECE}
    assert 0 < sizes[-1] <= METADATA_PIECE
