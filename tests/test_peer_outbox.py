from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core.errors import LocalProtocolError
from torrent_core.peer.outbox import Outbox
from torrent_core.rates import Rate
from torrent_core.wire.messages import piece_header

parts = st.lists(st.tuples(st.booleans(), st.binary(min_size=1, max_size=40)), max_size=12)


@given(parts, st.lists(st.integers(0, 60), max_size=40))
def test_payload_counts_as_it_leaves_and_nothing_else_does(
    script: list[tuple[bool, bytes]], counts: list[int]
) -> None:
    up = Rate(0.0)
    outbox = Outbox(up, 0.0)
    kinds = ""  # one letter for each byte on the wire
    expected = b""
    for is_block, data in script:
        if is_block:
            outbox.put_block(1, 2, data)
            expected += piece_header(1, 2, len(data)) + data
            kinds += "h" * 13 + "p" * len(data)
        else:
            outbox.put(data)
            expected += data
            kinds += "h" * len(data)
    assert outbox.backlog == len(expected)
    assert outbox.drain(0.0) == expected
    gone = 0
    for count in counts:
        count = min(count, outbox.unsent)
        gone += count
        outbox.sent(count, 0.0)
        assert up.total == kinds[:gone].count("p")
        assert outbox.unsent == outbox.backlog == len(expected) - gone


def test_a_drained_outbox_is_empty() -> None:
    outbox = Outbox(Rate(0.0), 0.0)
    outbox.put(b"once")
    assert outbox.drain(1.0) == b"once"
    assert outbox.drain(2.0) == b""
    assert outbox.last_drained == 1.0


def test_what_is_queued_is_backlog_before_it_is_unsent() -> None:
    outbox = Outbox(Rate(0.0), 0.0)
    outbox.put(b"abc")
    assert (outbox.backlog, outbox.unsent) == (3, 0)
    outbox.drain(0.0)
    assert (outbox.backlog, outbox.unsent) == (3, 3)


@pytest.mark.parametrize("count", [-1, 4])
def test_no_more_can_be_sent_than_was_drained(count: int) -> None:
    outbox = Outbox(Rate(0.0), 0.0)
    outbox.put(b"abc")
    outbox.drain(0.0)
    outbox.put(b"not drained")
    with pytest.raises(LocalProtocolError):
        outbox.sent(count, 0.0)
    assert outbox.unsent == 3
