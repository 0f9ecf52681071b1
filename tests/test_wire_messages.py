from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer_kit import any_messages, parse
from torrent_core.errors import WireError
from torrent_core.limits import MAX_REQUEST_LENGTH
from torrent_core.types import BlockInfo
from torrent_core.wire import messages as wire

words = st.integers(0, 2**32 - 1)
block_lists = st.lists(st.builds(BlockInfo, words, words, words), max_size=20)


@given(any_messages)
def test_what_is_encoded_decodes_to_the_same(message: wire.Message) -> None:
    data = wire.encode(message)
    assert int.from_bytes(data[:4], "big") == len(data) - 4
    assert wire.decode(data[4:]) == message
    assert wire.decode(memoryview(data)[4:]) == message


@given(
    st.binary(max_size=60)
    | st.builds(lambda i, rest: bytes((i,)) + rest, st.integers(0, 21), st.binary(max_size=14))
)
def test_any_body_is_a_message_or_a_wire_error(body: bytes) -> None:
    try:
        message = wire.decode(body)
    except WireError:
        return
    assert wire.encode(message)[4:] == body


@given(any_messages, st.data())
def test_a_changed_byte_never_leads_to_another_exception(
    message: wire.Message, data: st.DataObject
) -> None:
    body = bytearray(wire.encode(message)[4:])
    if body:
        at = data.draw(st.integers(0, len(body) - 1))
        body[at] = data.draw(st.integers(0, 255))
    try:
        again = wire.decode(body)
    except WireError:
        return
    assert wire.encode(again)[4:] == body


@given(block_lists, st.lists(words, max_size=20))
def test_batches_are_the_single_messages_joined(blocks: list[BlockInfo], pieces: list[int]) -> None:
    assert list(parse(wire.encode_requests(blocks))) == [wire.Request(*b) for b in blocks]
    assert list(parse(wire.encode_cancels(blocks))) == [wire.Cancel(*b) for b in blocks]
    assert list(parse(wire.encode_rejects(blocks))) == [wire.Reject(*b) for b in blocks]
    assert list(parse(wire.encode_haves(pieces))) == [wire.Have(i) for i in pieces]
    allowed = wire.encode_indices(wire.ALLOWED_FAST, pieces)
    assert list(parse(allowed)) == [wire.AllowedFast(i) for i in pieces]


@given(words, words, st.binary(max_size=50))
def test_a_piece_header_and_the_payload_make_a_piece(index: int, begin: int, data: bytes) -> None:
    whole = wire.piece_header(index, begin, len(data)) + data
    assert whole == wire.encode(wire.Piece(index, begin, data))


@pytest.mark.parametrize(
    ("message", "data"),
    [
        # The layouts of BEP 3, BEP 5, BEP 6 and BEP 10, written out by hand.
        (wire.KeepAlive(), "00000000"),
        (wire.Choke(), "0000000100"),
        (wire.Unchoke(), "0000000101"),
        (wire.Interested(), "0000000102"),
        (wire.NotInterested(), "0000000103"),
        (wire.Have(258), "000000050400000102"),
        (wire.Bitfield(b"\xc0"), "0000000205c0"),
        (wire.Request(1, 2, 3), "0000000d06000000010000000200000003"),
        (wire.Piece(1, 2, b"ab"), "0000000b0700000001000000026162"),
        (wire.Cancel(1, 2, 3), "0000000d08000000010000000200000003"),
        (wire.Port(6881), "00000003091ae1"),
        (wire.Suggest(1), "000000050d00000001"),
        (wire.HaveAll(), "000000010e"),
        (wire.HaveNone(), "000000010f"),
        (wire.Reject(1, 2, 3), "0000000d10000000010000000200000003"),
        (wire.AllowedFast(1), "000000051100000001"),
        (wire.Extended(0, b"de"), "0000000414006465"),
        (wire.Unknown(99, b"x"), "000000026378"),
    ],
)
def test_bytes_are_as_the_beps_say(message: wire.Message, data: str) -> None:
    assert wire.encode(message).hex() == data


@pytest.mark.parametrize("message_id", sorted(wire.BODY_LENGTHS))
def test_a_body_one_byte_short_or_long_is_refused(message_id: int) -> None:
    low, high = wire.BODY_LENGTHS[message_id]
    lengths = {low - 1, high + 1} if high < 10**6 else {low - 1}
    for length in lengths - {0}:
        with pytest.raises(WireError, match=f"id {message_id}"):
            wire.decode(bytes((message_id,)) + bytes(length - 1))


def test_the_largest_block_decodes() -> None:
    piece = wire.Piece(0, 0, bytes(MAX_REQUEST_LENGTH))
    assert wire.decode(wire.encode(piece)[4:]) == piece


@pytest.mark.parametrize(
    "message",
    [
        wire.Have(-1),
        wire.Have(2**32),
        wire.Request(0, 0, 2**32),
        wire.Piece(2**32, 0, b"x"),
        wire.Port(65536),
        wire.Extended(256, b""),
        wire.Unknown(-1, b""),
    ],
)
def test_a_field_that_does_not_fit_is_a_wire_error(message: wire.Message) -> None:
    with pytest.raises(WireError):
        wire.encode(message)


def test_batches_refuse_what_does_not_fit() -> None:
    with pytest.raises(WireError):
        wire.encode_requests([BlockInfo(-1, 0, 1)])
    with pytest.raises(WireError):
        wire.encode_haves([2**32])


@pytest.mark.parametrize(
    ("pieces", "longest"),
    [(1, 65536), (8 * 65535, 65536), (8 * 65535 + 1, 65537), (2_097_152, 262_145)],
)
def test_the_longest_message_is_extended_or_a_bitfield(pieces: int, longest: int) -> None:
    assert wire.max_message_length(pieces) == longest
