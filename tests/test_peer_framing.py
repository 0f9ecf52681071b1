from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer_kit import (
    GEOMETRY,
    Sink,
    any_messages,
    blocks,
    frozen,
    gains_apart,
    hear,
    honest_messages,
    make_peer,
    pieces_of,
)
from torrent_core.errors import WireError
from torrent_core.geometry import Geometry
from torrent_core.limits import MAX_EXTENDED_MESSAGE, MAX_REQUEST_LENGTH
from torrent_core.peer.connection import PeerConnection
from torrent_core.peer.events import BlocksReceived, Fault, Unchoked
from torrent_core.types import CloseReason
from torrent_core.wire import messages as wire

cuts = st.lists(st.integers(0, 10**6), max_size=12)
streams = st.lists(honest_messages, max_size=12).map(lambda ms: b"".join(map(wire.encode, ms)))


def feed(peer: PeerConnection, chunks: list[bytes]) -> list[object]:
    """Events of all chunks, each chunk being overwritten once it was dealt with."""
    events: list[object] = []
    for chunk in chunks:
        buffer = bytearray(chunk)
        for event in peer.receive(buffer, 0.0):
            events += frozen([event])
        buffer[:] = bytes(len(buffer))
    return events


def observe(chunks: list[bytes]) -> tuple[list[object], bytes, tuple[int, ...]]:
    """All that can be seen of a peer after these inputs, but for when what it has was told."""
    peer = make_peer()
    events, told = gains_apart(feed(peer, chunks))
    assert told == peer.state.pieces
    state = peer.state
    seen = (state.pieces, state.peer_choking, state.peer_interested, state.down.total)
    return events, peer.drain(0.0), seen


# --- Properties ----------------------------------------------------------------------------


@given(streams, st.binary(max_size=20), cuts)
def test_whole_bytewise_and_split_anywhere_is_all_the_same(
    stream: bytes, rest: bytes, where: list[int]
) -> None:
    data = stream + rest
    whole = observe([data])
    assert observe([data[i : i + 1] for i in range(len(data))]) == whole
    assert observe(pieces_of(data, where)) == whole


@given(st.lists(any_messages, max_size=8), cuts)
def test_dishonest_messages_too_are_the_same_however_they_are_split(
    messages: list[wire.Message], where: list[int]
) -> None:
    data = b"".join(map(wire.encode, messages))
    assert observe(pieces_of(data, where)) == observe([data])


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_arbitrary_bytes_end_in_at_most_one_fault_and_then_silence(chunks: list[bytes]) -> None:
    events = feed(make_peer(), chunks)
    faults = [at for at, event in enumerate(events) if isinstance(event, Fault)]
    assert faults in ([], [len(events) - 1])


@given(streams, st.data())
def test_mutated_streams_end_in_at_most_one_fault_and_then_silence(
    stream: bytes, data: st.DataObject
) -> None:
    mutated = bytearray(stream)
    for _ in range(data.draw(st.integers(1, 4))):
        if mutated:
            mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    events = feed(make_peer(), pieces_of(bytes(mutated), data.draw(cuts)))
    faults = [at for at, event in enumerate(events) if isinstance(event, Fault)]
    assert faults in ([], [len(events) - 1])


@given(st.lists(honest_messages, max_size=10), any_messages, cuts)
def test_what_came_before_a_fault_is_delivered_first(
    messages: list[wire.Message], bad: wire.Message, where: list[int]
) -> None:
    before = b"".join(map(wire.encode, messages))
    expected, _, (pieces, *_) = observe([before])
    events, _, (more, *_) = observe(pieces_of(before + wire.encode(bad), where))
    assert events[: len(expected)] == expected
    assert more & pieces == pieces


@given(st.lists(blocks | honest_messages, max_size=10), cuts)
def test_the_sink_is_asked_once_for_each_cut_block_and_for_no_other(
    messages: list[wire.Message], where: list[int]
) -> None:
    sink = Sink()
    peer = make_peer(sink=sink)
    from_sink = []
    for chunk in pieces_of(b"".join(map(wire.encode, messages)), where):
        for event in peer.receive(chunk, 0.0):
            for *where, data in event.blocks if isinstance(event, BlocksReceived) else ():
                assert data is not None
                if data.obj is not chunk:
                    from_sink.append(tuple(where))
                    assert data.obj is sink.buffers[len(from_sink) - 1]
    assert from_sink == sink.opened


# --- Blocks ----------------------------------------------------------------------------------


def block(index: int = 0, begin: int = 0, length: int = 16384) -> bytes:
    payload = bytes(i % 251 for i in range(length))
    return wire.encode(wire.Piece(index, begin, payload))


def only_block(peer: PeerConnection, data: bytes | bytearray) -> memoryview | None:
    """The payload of the one block that comes of this input."""
    (event,) = peer.receive(data, 0.0)
    assert isinstance(event, BlocksReceived)
    ((_, _, _, view),) = event.blocks
    return view


def test_a_whole_block_is_a_view_on_the_input() -> None:
    data = bytearray(block())
    view = only_block(make_peer(), data)
    assert view is not None
    assert view.obj is data


def test_a_block_of_the_last_piece_is_a_view_on_the_input() -> None:
    data = bytearray(block(index=2, begin=16384, length=20_000 - 16384))
    view = only_block(make_peer(), data)
    assert view is not None
    assert view.obj is data


@pytest.mark.parametrize("cut", [13, 14, 1000, 16396])
def test_an_incomplete_block_goes_to_the_sink_once_its_header_is_in(cut: int) -> None:
    sink, data = Sink(), block()
    peer = make_peer(sink=sink)
    assert list(peer.receive(data[:cut], 0.0)) == []
    assert sink.opened == [(0, 0, 16384)]
    assert sink.buffers[0][: cut - 13] == data[13:cut]
    view = only_block(peer, data[cut:])
    assert view is not None
    assert view.obj is sink.buffers[0]
    assert sink.buffers[0] == data[13:]


def test_a_block_whose_header_is_cut_needs_no_sink_when_its_payload_is_not() -> None:
    sink, data = Sink(), block()
    peer = make_peer(sink=sink)
    assert list(peer.receive(data[:12], 0.0)) == []
    events = frozen(peer.receive(data[12:] + block(begin=16384), 0.0))
    assert events == [(0, 0, 16384, data[13:]), (0, 16384, 16384, data[13:])]
    assert sink.opened == []


def test_blocks_that_follow_one_upon_the_other_come_together() -> None:
    sink, data = Sink(), block()
    peer = make_peer(sink=sink)
    list(peer.receive(data[:5000], 0.0))
    stream = data[5000:] + block(begin=16384) + wire.encode(wire.Unchoke()) + block(1) + data[:13]
    events = list(peer.receive(stream, 0.0))
    runs = [
        [where[:2] for *where, _ in event.blocks] if isinstance(event, BlocksReceived) else event
        for event in events
    ]
    assert runs == [[[0, 0], [0, 16384]], Unchoked(), [[1, 0]]]


def test_a_block_that_the_sink_refuses_comes_without_data() -> None:
    peer = make_peer(sink=Sink(refuse=True))
    data = block() + wire.encode(wire.Have(1))
    events = [*peer.receive(data[:5000], 0.0), *peer.receive(data[5000:], 0.0)]
    assert events[0] == BlocksReceived([(0, 0, 16384, None)])
    assert len(events) == 2


def test_a_detached_block_is_not_written_to_and_comes_without_data() -> None:
    sink, data = Sink(), block()
    peer = make_peer(sink=sink)
    list(peer.receive(data[:5000], 0.0))
    peer.detach_block()
    kept = bytes(sink.buffers[0])
    sink.buffers[0].clear()  # the owner may use the memory as it likes
    assert list(peer.receive(data[5000:], 0.0)) == [BlocksReceived([(0, 0, 16384, None)])]
    assert kept[:4987] == data[13:5000]


def test_detaching_without_a_block_under_way_has_no_effect() -> None:
    peer = make_peer()
    peer.detach_block()
    assert len(list(peer.receive(block(), 0.0))) == 1


def test_blocks_are_counted_when_they_are_complete() -> None:
    peer, data = make_peer(), block()
    list(peer.receive(data[:9000], 0.0))
    assert peer.state.down.total == 0
    list(peer.receive(data[9000:] + data, 0.0))
    assert peer.state.down.total == 2 * 16384


@pytest.mark.parametrize(
    ("index", "begin", "length"),
    [
        (3, 0, 1),
        (2**32 - 1, 0, 1),
        (0, 40_000, 1),
        (0, 39_999, 2),
        (2, 16384, 3617),
        (2, 2**32 - 1, 1),
        (0, 0, 0),
    ],
)
@pytest.mark.parametrize("given_bytes", [13, 10**6])
def test_a_block_that_cannot_exist_is_a_fault_before_its_payload(
    index: int, begin: int, length: int, given_bytes: int
) -> None:
    sink = Sink()
    peer = make_peer(sink=sink)
    data = wire.encode(wire.Piece(index, begin, bytes(length))) + bytes(8)
    (fault,) = peer.receive(data[:given_bytes], 0.0)
    assert isinstance(fault, Fault)
    assert fault.reason is CloseReason.PROTOCOL_ERROR
    assert sink.opened == []


# --- Lengths ---------------------------------------------------------------------------------


def only_fault(peer: PeerConnection, data: bytes) -> bool:
    events = list(peer.receive(data, 0.0))
    return len(events) == 1 and isinstance(events[0], Fault)


def test_an_excessive_length_is_a_fault_as_soon_as_the_prefix_is_in() -> None:
    limit = wire.max_message_length(GEOMETRY.piece_count)
    peer = make_peer()
    assert list(peer.receive((limit + 1).to_bytes(4, "big")[:3], 0.0)) == []
    assert only_fault(peer, (limit + 1).to_bytes(4, "big")[3:])
    assert list(make_peer().receive(limit.to_bytes(4, "big"), 0.0)) == []


@pytest.mark.parametrize(
    ("message_id", "length"),
    [
        (wire.CHOKE, 2),
        (wire.HAVE, 4),
        (wire.HAVE, 6),
        (wire.REQUEST, 12),
        (wire.BITFIELD, 1),
        (wire.BITFIELD, 3),
        (wire.PIECE, 8),
        (wire.PIECE, 10 + MAX_REQUEST_LENGTH),
        (wire.EXTENDED, 1),
        (wire.HAVE_ALL, 5),
    ],
)
def test_a_wrong_length_is_a_fault_as_soon_as_the_id_is_in(message_id: int, length: int) -> None:
    peer = make_peer()
    assert list(peer.receive(length.to_bytes(4, "big"), 0.0)) == []
    assert only_fault(peer, bytes((message_id,)))


def test_with_a_long_bitfield_extended_messages_keep_their_own_limit() -> None:
    huge = Geometry(total_length=8 * 70_000, piece_length=1)
    body = MAX_EXTENDED_MESSAGE + 1
    assert body < wire.max_message_length(huge.piece_count)
    peer = make_peer(geometry=huge)
    assert only_fault(peer, body.to_bytes(4, "big") + bytes((wire.EXTENDED,)))


def test_the_fault_says_what_was_wrong() -> None:
    (fault,) = make_peer().receive(b"\0\0\0\2\0", 0.0)
    assert fault == Fault(
        CloseReason.PROTOCOL_ERROR,
        str(WireError("2 bytes in a message with id 0", "message length")),
    )


def test_input_after_a_fault_is_ignored() -> None:
    peer = make_peer()
    assert only_fault(peer, b"\xff" * 8)
    assert hear(peer, wire.Have(0)) == []
    assert peer.state.pieces == 0


def test_each_event_is_yielded_before_the_next_message_is_read() -> None:
    peer = make_peer()
    data = wire.encode(wire.Unchoke()) + wire.encode(wire.Choke())
    seen = [peer.state.peer_choking for _ in peer.receive(data, 0.0)]
    assert seen == [False, True]
