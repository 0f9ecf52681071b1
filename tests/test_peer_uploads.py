from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer_kit import hear, make_peer, said, serving
from torrent_core.errors import LocalProtocolError
from torrent_core.limits import MAX_UPLOAD_QUEUE, SEND_WATERMARK
from torrent_core.peer.connection import PeerConnection
from torrent_core.peer.events import Fault, PeerEvent, UploadCancelled, UploadRequested
from torrent_core.types import BlockInfo
from torrent_core.wire import messages as wire

BLOCK = BlockInfo(0, 0, 100)
OTHER = BlockInfo(1, 0, 100)


def asked(block: BlockInfo) -> wire.Request:
    return wire.Request(*block)


def rejected(block: BlockInfo) -> wire.Reject:
    return wire.Reject(*block)


def test_a_request_is_taken_once_and_answered_once() -> None:
    peer = serving()
    assert hear(peer, asked(BLOCK), asked(OTHER)) == [
        UploadRequested(*BLOCK),
        UploadRequested(*OTHER),
    ]
    assert list(peer.uploads) == [BLOCK, OTHER]
    assert peer.uploads.take() == BLOCK
    assert (len(peer.uploads), peer.uploads.is_wanted(BLOCK)) == (1, True)
    peer.send_block(BLOCK, b"x" * 100)
    assert not peer.uploads.is_wanted(BLOCK)
    assert said(peer) == [wire.Piece(0, 0, b"x" * 100)]
    with pytest.raises(LocalProtocolError, match="not waiting"):
        peer.send_block(BLOCK, b"x" * 100)
    assert peer.uploads.take() == OTHER
    assert peer.uploads.take() is None


def test_a_repeated_request_is_not_queued_twice() -> None:
    peer = serving()
    hear(peer, asked(BLOCK))
    assert hear(peer, asked(BLOCK)) == []
    peer.uploads.take()
    assert hear(peer, asked(BLOCK)) == []
    assert len(peer.uploads) == 0


@pytest.mark.parametrize("taken", [False, True])
@pytest.mark.parametrize("fast", [False, True])
def test_a_cancelled_request_is_not_answered_by_a_block(fast: bool, taken: bool) -> None:
    peer = serving(fast=fast)
    hear(peer, asked(BLOCK))
    if taken:
        peer.uploads.take()
    assert hear(peer, wire.Cancel(*BLOCK)) == [UploadCancelled(*BLOCK)]
    assert said(peer) == ([rejected(BLOCK)] if fast else [])
    assert not peer.uploads.is_wanted(BLOCK)
    assert peer.uploads.take() is None


def test_a_cancel_that_crossed_its_answer_is_ignored() -> None:
    peer = serving()
    assert hear(peer, wire.Cancel(*BLOCK), wire.Cancel(9, 9, 9)) == []
    assert said(peer) == []


@pytest.mark.parametrize("fast", [False, True])
def test_a_request_while_we_choke_is_turned_away(fast: bool) -> None:
    peer = make_peer(fast=fast)
    assert hear(peer, asked(BLOCK)) == []
    assert said(peer) == ([rejected(BLOCK)] if fast else [])


def test_a_granted_piece_may_be_requested_while_we_choke() -> None:
    peer = make_peer()
    peer.allow_fast([0, 0])
    assert said(peer) == [wire.AllowedFast(0)]
    assert hear(peer, asked(BLOCK), asked(OTHER)) == [UploadRequested(*BLOCK)]
    assert said(peer) == [rejected(OTHER)]


def test_choking_rejects_all_but_granted_requests() -> None:
    peer = serving()
    peer.allow_fast([1])
    late = BlockInfo(2, 0, 100)
    hear(peer, asked(BLOCK), asked(OTHER), asked(late))
    peer.uploads.take()
    peer.drain(0.0)
    peer.choke()
    peer.choke()
    assert said(peer) == [wire.Choke(), rejected(BLOCK), rejected(late)]
    assert list(peer.uploads) == [OTHER]


def test_without_bep_6_choking_drops_all_requests() -> None:
    peer = serving(fast=False)
    hear(peer, asked(BLOCK), asked(OTHER))
    peer.uploads.take()
    peer.choke()
    assert said(peer) == [wire.Choke()]
    assert not peer.uploads.is_wanted(BLOCK)
    assert not peer.uploads.is_wanted(OTHER)


def test_unchoking_twice_says_it_once() -> None:
    peer = serving()
    peer.unchoke()
    assert said(peer) == []


@pytest.mark.parametrize(
    "request_",
    [BlockInfo(0, 0, 16385), BlockInfo(3, 0, 1), BlockInfo(2, 19_999, 2), BlockInfo(0, 0, 0)],
)
def test_a_request_that_cannot_be_served_is_rejected_or_a_fault(request_: BlockInfo) -> None:
    peer = serving()
    assert hear(peer, asked(request_)) == []
    assert said(peer) == [rejected(request_)]
    (fault,) = hear(serving(fast=False), asked(request_))
    assert isinstance(fault, Fault)


@pytest.mark.parametrize("fast", [False, True])
def test_the_upload_queue_is_bounded_whether_taken_or_not(fast: bool) -> None:
    peer = serving(fast=fast)
    requests = [BlockInfo(0, begin, 1) for begin in range(MAX_UPLOAD_QUEUE + 1)]
    assert len(hear(peer, *map(asked, requests[:-1]))) == MAX_UPLOAD_QUEUE
    peer.uploads.take()
    assert hear(peer, asked(requests[-1])) == []
    assert said(peer) == ([rejected(requests[-1])] if fast else [])


@pytest.mark.parametrize("fast", [False, True])
def test_we_may_reject_a_request(fast: bool) -> None:
    peer = serving(fast=fast)
    hear(peer, asked(BLOCK))
    peer.reject(BLOCK)
    assert said(peer) == ([rejected(BLOCK)] if fast else [])
    with pytest.raises(LocalProtocolError):
        peer.reject(BLOCK)


def test_a_peer_that_asks_and_never_reads_is_given_up() -> None:
    peer = make_peer()
    burst = b"".join(wire.encode(asked(BLOCK)) for _ in range(10_000))
    events: list[PeerEvent] = []
    drained = 0
    while not events:
        events = list(peer.receive(burst, 0.0))
        drained += len(peer.drain(0.0))
        assert peer.unsent == drained <= 2 * SEND_WATERMARK + 17
    assert isinstance(events[0], Fault)


@pytest.mark.uncovered
def test_a_peer_that_reads_may_ask_in_vain_for_ever() -> None:
    peer = make_peer()
    burst = b"".join(wire.encode(asked(BLOCK)) for _ in range(10_000))
    for _ in range(15):
        assert list(peer.receive(burst, 0.0)) == []
        peer.sent(len(peer.drain(0.0)), 0.0)
    assert peer.unsent == 0


requests_ = st.builds(BlockInfo, st.integers(0, 2), st.integers(0, 3), st.integers(1, 2))
steps = st.lists(
    st.tuples(
        st.sampled_from(["ask", "cancel", "take", "send", "reject", "choke", "unchoke", "grant"]),
        requests_,
    ),
    max_size=40,
)


@given(steps)
def test_with_bep_6_each_request_gets_exactly_one_answer(
    script: list[tuple[str, BlockInfo]],
) -> None:
    peer = make_peer()
    waiting: set[BlockInfo] = set()
    for verb, request in script:
        step(peer, verb, request, waiting)
        for message in said(peer):
            if isinstance(message, wire.Piece):
                waiting.remove(BlockInfo(message.index, message.begin, len(message.data)))
            elif isinstance(message, wire.Reject):
                waiting.remove(BlockInfo(message.index, message.begin, message.length))
        assert waiting == {r for r in waiting if peer.uploads.is_wanted(r)}


def step(peer: PeerConnection, verb: str, request: BlockInfo, waiting: set[BlockInfo]) -> None:
    if verb == "ask":
        waiting.add(request)
        hear(peer, asked(request))
    elif verb == "cancel":
        hear(peer, wire.Cancel(*request))
    elif verb == "take":
        peer.uploads.take()
    elif verb == "grant":
        peer.allow_fast([request.piece])
    elif verb == "choke":
        peer.choke()
    elif verb == "unchoke":
        peer.unchoke()
    elif not peer.uploads.is_wanted(request):
        with pytest.raises(LocalProtocolError):
            peer.reject(request)
    elif verb == "send":
        peer.send_block(request, bytes(request.length))
    else:
        peer.reject(request)
