"""Leaving payload out of streams: what is kept, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core.limits import BLOCK_SIZE, MAX_REQUEST_LENGTH
from torrent_core.trace import elide
from torrent_core.trace.elide import Follower, elide_sent
from torrent_core.types import BlockInfo, Buffer
from torrent_core.wire import handshake as hs
from torrent_core.wire import messages as wire

HELLO = hs.encode(hs.Handshake(b"i" * 20, b"p" * 20, bytes(8)))

numbers = st.integers(0, 2**32 - 1)
sizes = st.one_of(st.integers(0, 40), st.sampled_from([BLOCK_SIZE - 1, BLOCK_SIZE]))
others = st.one_of(
    st.builds(wire.KeepAlive),
    st.builds(wire.Choke),
    st.builds(wire.Have, numbers),
    st.builds(wire.Request, numbers, numbers, numbers),
    st.builds(wire.Bitfield, st.binary(max_size=50)),
    st.builds(wire.Extended, st.integers(0, 255), st.binary(max_size=50)),
    st.builds(wire.Unknown, st.integers(21, 255), st.binary(max_size=50)),
)
pieces = st.builds(lambda at, size: wire.Piece(at, at, bytes(size)), numbers, sizes)
streams = st.lists(st.one_of(others, pieces), max_size=8)
cuts = st.lists(st.one_of(st.integers(1, 30), st.integers(1, 40_000)), max_size=12)


def encoded(messages: Iterable[wire.Message], fill: bytes) -> bytes:
    """The stream, every byte of payload being ``fill``."""
    return b"".join(
        wire.piece_header(m.index, m.begin, len(m.data)) + fill * len(m.data)
        if isinstance(m, wire.Piece)
        else wire.encode(m)
        for m in messages
    )


def cut(data: bytes, lengths: list[int]) -> list[bytes]:
    parts = []
    for length in lengths:
        parts.append(data[:length])
        data = data[length:]
    return [*parts, data]


def there_and_back(chunks: Iterable[Buffer]) -> tuple[bytes, bytes]:
    """What is kept of a stream, and what is made of that."""
    there, back = Follower(1), Follower(1)
    kept = [(there.elide(chunk), len(chunk)) for chunk in chunks]
    assert all(type(part) is bytes for part, _ in kept)
    made = b"".join(back.expand(part, length) for part, length in kept)
    return b"".join(part for part, _ in kept), made


@given(streams, cuts)
def test_all_but_payload_comes_back_wherever_the_stream_is_cut(
    messages: list[wire.Message], lengths: list[int]
) -> None:
    stream = HELLO + encoded(messages, b"x")
    kept, made = there_and_back(cut(stream, lengths))
    assert made == HELLO + encoded(messages, b"\0")
    payload = sum(len(m.data) for m in messages if isinstance(m, wire.Piece))
    assert len(kept) == len(stream) - payload


@given(streams, cuts, st.binary(min_size=1, max_size=300))
def test_what_is_kept_does_not_depend_on_payload(
    messages: list[wire.Message], lengths: list[int], noise: bytes
) -> None:
    kept = [
        there_and_back(cut(HELLO + encoded(messages, fill) + noise, lengths))[0]
        for fill in (b"\0", b"\x07")
    ]
    assert kept[0] == kept[1]


@given(st.one_of(st.binary(max_size=300), st.binary(max_size=300).map(HELLO.__add__)), cuts)
def test_noise_comes_back_with_zeros_at_most_where_a_piece_might_be(
    noise: bytes, lengths: list[int]
) -> None:
    kept, made = there_and_back(cut(noise, lengths))
    assert len(made) == len(noise)
    assert all(got in (0, was) for got, was in zip(made, noise, strict=True))
    assert len(kept) <= len(noise)


@given(st.integers(0, 19), st.binary(min_size=1, max_size=100))
def test_another_protocol_is_kept_whole(at: int, rest: bytes) -> None:
    stream = HELLO[:at] + bytes([HELLO[at] ^ 1]) + rest
    kept, made = there_and_back([stream[: at // 2], stream[at // 2 :], b"more"])
    assert kept == made == stream + b"more"


@pytest.mark.parametrize("length", [1, 8, 10 + MAX_REQUEST_LENGTH, 2**32 - 1])
def test_from_a_piece_of_an_impossible_length_on_all_is_kept(length: int) -> None:
    bad = wire.PIECE_HEADER.pack(length, wire.PIECE, 1, 2) + b"payload?"
    stream = HELLO + encoded([wire.Piece(0, 0, bytes(9))], b"x") + bad
    whole_block = encoded([wire.Piece(0, 0, bytes(BLOCK_SIZE))], b"x")
    kept, made = there_and_back([stream, whole_block])
    assert made == stream.replace(b"x" * 9, bytes(9)) + whole_block
    assert len(kept) == len(made) - 9


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_will_do(kind: type) -> None:
    stream = HELLO + encoded([wire.Piece(0, 0, bytes(BLOCK_SIZE))] * 3 + [wire.Choke()], b"x")
    kept, made = there_and_back([kind(stream[:20_000]), kind(stream[20_000:])])
    assert made == stream.replace(b"x", b"\0")
    assert len(kept) == len(stream) - 3 * BLOCK_SIZE


def test_what_is_not_bytes_or_too_much_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    follower = Follower(1)
    with pytest.raises(TypeError, match="str where bytes belong"):
        follower.elide("text")  # type: ignore[arg-type]
    monkeypatch.setattr(elide, "MAX_RECORD_BYTES", 100)
    with pytest.raises(ValueError, match="101 bytes at once"):
        follower.elide(bytes(101))
    assert follower.elide(HELLO) == HELLO


BLOCK = encoded([wire.Piece(0, 0, bytes(50))], b"x")


@pytest.mark.parametrize(
    ("kept", "length"),
    [
        (BLOCK[:13], 12),  # less than what was kept
        (BLOCK[:13] + b"more", 40),  # kept bytes where payload belongs
        (BLOCK[:13] + b"more", 17),
        (b"", 1),
    ],
)
def test_what_does_not_fit_together_is_an_error(kept: bytes, length: int) -> None:
    follower = Follower(1)
    follower.expand(HELLO, len(HELLO))
    with pytest.raises(ValueError, match=r"bytes where|more was kept"):
        follower.expand(kept, length)


def test_a_lost_stream_that_does_not_fit_is_an_error_too() -> None:
    follower = Follower(1)
    follower.expand(b"GET /", 5)
    with pytest.raises(ValueError, match="2 bytes where 3 were received"):
        follower.expand(b"no", 3)


# --- What we send --------------------------------------------------------------------------


@given(st.booleans(), streams)
def test_of_what_is_sent_all_but_payload_is_kept(
    greeting: bool, messages: list[wire.Message]
) -> None:
    hello = HELLO if greeting else b""
    sent = [elide_sent(hello + encoded(messages, fill)) for fill in (b"\0", b"\x06")]
    assert sent[0] == sent[1]
    payload = sum(len(m.data) for m in messages if isinstance(m, wire.Piece))
    assert len(sent[0]) == len(hello + encoded(messages, b"x")) - payload


@given(st.integers(0, 30))
def test_requests_are_kept_as_they_are(count: int) -> None:
    data = wire.encode_requests([BlockInfo(7, BLOCK_SIZE, BLOCK_SIZE)] * count)
    assert elide_sent(data) is data


@given(st.binary(max_size=300))
def test_anything_may_be_sent(noise: bytes) -> None:
    assert len(elide_sent(noise)) <= len(noise)
