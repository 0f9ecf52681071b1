from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer_kit import GEOMETRY, hear, make_peer, said, serving
from torrent_core.errors import LocalProtocolError
from torrent_core.limits import MAX_EXTENDED_MESSAGE
from torrent_core.peer.connection import PeerConnection
from torrent_core.types import BlockInfo
from torrent_core.wire import messages as wire

BLOCK = BlockInfo(0, 0, 100)
OTHER = BlockInfo(1, 0, 100)


def asked(block: BlockInfo) -> wire.Request:
    return wire.Request(*block)


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


edges = st.sampled_from([-1, 0, 1, 16383, 16384, 19_999, 20_000, 23_616, 40_000])


@given(
    st.lists(
        st.builds(
            BlockInfo, st.integers(-1, 3), edges, st.sampled_from([-1, 0, 1, 3616, 16384, 16385])
        ),
        max_size=4,
    )
)
def test_requests_are_refused_if_one_of_them_cannot_be_served(blocks: list[BlockInfo]) -> None:
    peer = make_peer()
    hear(peer, wire.Unchoke())
    if all(block.length <= 16384 and GEOMETRY.contains(*block) for block in blocks):
        peer.request(blocks)
        assert said(peer) == [wire.Request(*block) for block in blocks]
    else:
        with pytest.raises(LocalProtocolError):
            peer.request(blocks)
        assert said(peer) == []


def test_while_choked_only_allowed_pieces_can_be_requested() -> None:
    peer = make_peer()
    hear(peer, wire.AllowedFast(0))
    with pytest.raises(LocalProtocolError, match="choke"):
        peer.request([BLOCK, OTHER])
    assert said(peer) == []
    peer.request([BLOCK])
    assert said(peer) == [asked(BLOCK)]


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

EVERY_VERB: dict[str, Call] = {**VERBS, "send_pieces": lambda peer: peer.send_pieces(0)}

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


@pytest.mark.parametrize("name", EVERY_VERB)
def test_no_verb_works_on_a_closed_link(name: str) -> None:
    peer = make_peer(announced=False)
    if name != "send_pieces":
        peer.send_pieces(0)
    peer.close()
    before = snapshot(peer)
    with pytest.raises(LocalProtocolError, match="closed"):
        EVERY_VERB[name](peer)
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
