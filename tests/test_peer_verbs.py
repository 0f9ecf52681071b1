from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer_kit import GEOMETRY, hear, make_peer, said
from torrent_core.errors import LocalProtocolError
from torrent_core.limits import MAX_EXTENDED_MESSAGE, MAX_UPLOAD_QUEUE, SEND_WATERMARK
from torrent_core.peer.connection import PeerConnection
from torrent_core.peer.events import Fault, UploadCancelled, UploadRequested
from torrent_core.types import BlockInfo
from torrent_core.wire import messages as wire

BLOCK = BlockInfo(0, 0, 100)
OTHER = BlockInfo(1, 0, 100)


def asked(block: BlockInfo) -> wire.Request:
    return wire.Request(*block)


def rejected(block: BlockInfo) -> wire.Reject:
    return wire.Reject(*block)


# --- What we have ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fast", "have", "message"),
    [
        (True, 0, wire.HaveNone()),
        (True, 0b111, wire.HaveAll()),
        (True, 0b101, wire.Bitfield(b"\xa0")),
        (False, 0b111, wire.Bitfield(b"\xe0")),
        (False, 0b001, wire.Bitfield(b"\x80")),
    ],
)
def test_what_we_have_is_said_in_the_shortest_form(
    fast: bool, have: int, message: wire.Message
) -> None:
    peer = make_peer(fast=fast, announced=False)
    peer.send_pieces(have)
    assert said(peer) == [message]


def test_without_bep_6_nothing_is_said_of_nothing() -> None:
    peer = make_peer(fast=False, announced=False)
    peer.send_pieces(0)
    assert said(peer) == []


@pytest.mark.parametrize("have", [0b1000, -1])
def test_pieces_that_do_not_exist_cannot_be_sent(have: int) -> None:
    peer = make_peer(announced=False)
    with pytest.raises(LocalProtocolError):
        peer.send_pieces(have)
    peer.send_pieces(0b111)
    assert said(peer) == [wire.HaveAll()]


def test_haves_are_sent_in_one_go() -> None:
    peer = make_peer()
    peer.have(iter([2, 0]))
    assert said(peer) == [wire.Have(2), wire.Have(0)]


def test_interest_is_sent_when_it_changes() -> None:
    peer = make_peer()
    for interested in (False, True, True, False):
        peer.set_interested(interested)
    assert said(peer) == [wire.Interested(), wire.NotInterested()]
    assert not peer.state.am_interested


# --- Download --------------------------------------------------------------------------------


def test_requests_and_cancels_are_sent_in_one_go() -> None:
    peer = make_peer()
    hear(peer, wire.Unchoke())
    peer.request(iter([BLOCK, OTHER]))
    peer.cancel(iter([OTHER]))
    assert said(peer) == [asked(BLOCK), asked(OTHER), wire.Cancel(*OTHER)]


def test_while_choked_only_allowed_pieces_can_be_requested() -> None:
    peer = make_peer()
    hear(peer, wire.AllowedFast(0))
    with pytest.raises(LocalProtocolError, match="choke"):
        peer.request([BLOCK, OTHER])
    assert said(peer) == []
    peer.request([BLOCK])
    assert said(peer) == [asked(BLOCK)]


# --- Upload ----------------------------------------------------------------------------------


def serving(**kwargs: bool) -> PeerConnection:
    peer = make_peer(**kwargs)
    peer.unchoke()
    assert said(peer) == [wire.Unchoke()]
    return peer


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
    events = []
    drained = 0
    while not events:
        events = list(peer.receive(burst, 0.0))
        drained += len(peer.drain(0.0))
        assert peer.unsent == drained <= 2 * SEND_WATERMARK + 17
    assert isinstance(events[0], Fault)


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


# --- Extensions ------------------------------------------------------------------------------


def test_extended_messages_and_ports_are_sent() -> None:
    peer = make_peer()
    peer.send_extended(3, b"payload")
    peer.port(6881)
    assert said(peer) == [wire.Extended(3, b"payload"), wire.Port(6881)]


def test_the_largest_extended_message_is_one_that_we_would_take_ourselves() -> None:
    peer = make_peer()
    peer.send_extended(1, bytes(MAX_EXTENDED_MESSAGE - 2))
    assert len(list(make_peer().receive(peer.drain(0.0), 0.0))) == 1


# --- What is not allowed ---------------------------------------------------------------------

Call = Callable[[PeerConnection], None]

VERBS: dict[str, Call] = {
    "choke": lambda peer: peer.choke(),
    "unchoke": lambda peer: peer.unchoke(),
    "interested": lambda peer: peer.set_interested(True),
    "have": lambda peer: peer.have([0]),
    "request": lambda peer: peer.request([BLOCK]),
    "cancel": lambda peer: peer.cancel([BLOCK]),
    "reject": lambda peer: peer.reject(BLOCK),
    "send_block": lambda peer: peer.send_block(BLOCK, bytes(100)),
    "allow_fast": lambda peer: peer.allow_fast([0]),
    "send_extended": lambda peer: peer.send_extended(0, b"de"),
    "port": lambda peer: peer.port(1),
}

WRONG: dict[str, Call] = {
    "a piece that does not exist": lambda peer: peer.have([0, 3]),
    "a negative piece": lambda peer: peer.have([-1]),
    "a request past the piece": lambda peer: peer.request([BLOCK, BlockInfo(2, 16384, 16384)]),
    "a request above 16 KiB": lambda peer: peer.request([BlockInfo(0, 0, 16385)]),
    "a cancel past the piece": lambda peer: peer.cancel([BLOCK, BlockInfo(3, 0, 1)]),
    "a block nobody asked for": lambda peer: peer.send_block(OTHER, bytes(100)),
    "a block of the wrong length": lambda peer: peer.send_block(BLOCK, bytes(99)),
    "a reject nobody asked for": lambda peer: peer.reject(OTHER),
    "a grant that does not exist": lambda peer: peer.allow_fast([1, 3]),
    "an extension above 255": lambda peer: peer.send_extended(256, b""),
    "an extension below 0": lambda peer: peer.send_extended(-1, b""),
    "a huge extension": lambda peer: peer.send_extended(1, bytes(MAX_EXTENDED_MESSAGE - 1)),
    "port 0": lambda peer: peer.port(0),
    "port 65536": lambda peer: peer.port(65536),
    "the pieces twice": lambda peer: peer.send_pieces(0),
}


def snapshot(peer: PeerConnection) -> object:
    state = peer.state
    bits = (state.am_choking, state.am_interested, state.granted_fast)
    return bits, list(peer.uploads), peer.drain(0.0)


@pytest.mark.parametrize("name", VERBS)
def test_no_verb_comes_before_what_we_have(name: str) -> None:
    peer = make_peer(announced=False)
    before = snapshot(peer)
    with pytest.raises(LocalProtocolError, match="send_pieces"):
        VERBS[name](peer)
    assert snapshot(peer) == before


@pytest.mark.parametrize("name", [*VERBS, "send_pieces"])
def test_no_verb_works_on_a_closed_link(name: str) -> None:
    peer = make_peer(announced=False)
    if name != "send_pieces":
        peer.send_pieces(0)
    peer.close()
    before = snapshot(peer)
    with pytest.raises(LocalProtocolError, match="closed"):
        {**VERBS, "send_pieces": lambda peer: peer.send_pieces(0)}[name](peer)
    assert snapshot(peer)[:2] == before[:2]  # type: ignore[index]
    assert peer.drain(0.0) == b""


@pytest.mark.parametrize(("name", "bep"), [("allow_fast", "BEP 6"), ("send_extended", "BEP 10")])
def test_no_verb_goes_beyond_what_was_agreed(name: str, bep: str) -> None:
    peer = make_peer(fast=False, extended=False)
    with pytest.raises(LocalProtocolError, match=bep):
        VERBS[name](peer)
    assert peer.drain(0.0) == b""


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_value_changes_nothing(name: str) -> None:
    peer = serving()
    hear(peer, wire.Unchoke(), asked(BLOCK))
    before = snapshot(peer)
    with pytest.raises(LocalProtocolError):
        WRONG[name](peer)
    assert snapshot(peer) == before


def test_the_torrent_of_these_tests_has_three_pieces() -> None:
    assert GEOMETRY.piece_count == 3
