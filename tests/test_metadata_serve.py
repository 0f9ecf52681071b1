"""Serving metadata: whole, in order, and bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from torrent_core.limits import MAX_METADATA_QUEUE, METADATA_PIECE, METADATA_SEND_BUFFER
from torrent_core.metadata import MetadataServer, ServeQueue
from torrent_core.wire.metadata import MetadataData, MetadataReject, decode, encode, piece_count


@given(st.integers(1, 4 * METADATA_PIECE))
def test_what_is_served_adds_up_to_the_info_dictionary(size: int) -> None:
    info = bytes(at % 251 for at in range(size))
    queue = ServeQueue(MetadataServer(info))
    parts = []
    for piece in range(piece_count(size)):
        assert queue.requested(piece) is None
        answer = queue.next_answer(0)
        assert answer is not None
        said = decode(answer)
        assert isinstance(said, MetadataData)
        assert (said.piece, said.total_size) == (piece, size)
        parts.append(said.data)
    assert b"".join(parts) == info
    assert queue.next_answer(0) is None


def test_pieces_that_are_not_there_are_rejected() -> None:
    queue = ServeQueue(MetadataServer(b"x"))
    assert queue.requested(1) == encode(MetadataReject(1))
    assert len(queue) == 0


def test_who_has_nothing_rejects_all() -> None:
    queue = ServeQueue(None)
    assert queue.requested(0) == encode(MetadataReject(0))
    assert queue.next_answer(0) is None


def test_who_does_not_read_waits_and_is_turned_away_in_the_end() -> None:
    queue = ServeQueue(MetadataServer(b"x"))
    for _ in range(MAX_METADATA_QUEUE):
        assert queue.requested(0) is None
    assert queue.requested(0) == encode(MetadataReject(0))
    assert queue.next_answer(METADATA_SEND_BUFFER) is None
    assert queue.next_answer(METADATA_SEND_BUFFER - 1) is not None
    assert queue.requested(0) is None
