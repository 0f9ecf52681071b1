from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer_kit import (
    GEOMETRY,
    Sink,
    frozen,
    gains_apart,
    honest_messages,
    make_state,
    parse,
    pieces_of,
)
from torrent_core.errors import LocalProtocolError
from torrent_core.limits import HANDSHAKE_TIMEOUT, IDLE_TIMEOUT
from torrent_core.link import DEFAULT_RESERVED, Link
from torrent_core.peer.events import BlocksReceived, Fault, HandshakeDone, PeerEvent, PiecesGained
from torrent_core.peer.states import Phase
from torrent_core.types import CloseReason
from torrent_core.wire import handshake as shake
from torrent_core.wire import messages as wire
from torrent_core.wire.handshake import Handshake

INFO_HASH = b"h" * 20
OUR_ID = b"-TC0001-ourselves000"
THEIR_ID = b"-XX0001-somebodyelse"
PLAIN = bytes(8)


def make_link(
    *,
    incoming: bool = False,
    info_hash: bytes = INFO_HASH,
    peer_id: bytes = OUR_ID,
    reserved: bytes = DEFAULT_RESERVED,
    since: float | None = None,
) -> Link:
    return Link(
        make_state(fast=False, extended=False, incoming=incoming),
        info_hash=info_hash,
        peer_id=peer_id,
        reserved=reserved,
        geometry=GEOMETRY,
        sink=Sink(),
        now=5.0,
        since=since,
    )


def greeting(
    info_hash: bytes = INFO_HASH, peer_id: bytes = THEIR_ID, reserved: bytes = DEFAULT_RESERVED
) -> bytes:
    return shake.encode(Handshake(info_hash, peer_id, reserved))


OURS = greeting(peer_id=OUR_ID)


def feed(link: Link, chunks: list[bytes]) -> list[object]:
    events: list[object] = []
    for chunk in chunks:
        for event in link.receive(chunk, 5.0):
            events += frozen([event])
    return events


def fault_of(events: list[PeerEvent]) -> CloseReason:
    (fault,) = events
    assert isinstance(fault, Fault)
    return fault.reason


# --- Properties ----------------------------------------------------------------------------


@given(
    st.lists(honest_messages, max_size=8),
    st.lists(st.integers(0, 10**5), max_size=8),
    st.booleans(),
)
def test_handshake_and_messages_may_be_split_anywhere(
    messages: list[wire.Message], cuts: list[int], incoming: bool
) -> None:
    data = greeting() + b"".join(map(wire.encode, messages))
    whole, bytewise, split = (make_link(incoming=incoming) for _ in range(3))
    events = feed(whole, [data])
    apart = gains_apart(events)
    assert gains_apart(feed(bytewise, [data[i : i + 1] for i in range(len(data))])) == apart
    assert gains_apart(feed(split, pieces_of(data, cuts))) == apart
    assert isinstance(events[0], HandshakeDone)
    assert whole.drain(5.0) == bytewise.drain(5.0) == split.drain(5.0)


@given(st.lists(st.binary(max_size=80), max_size=4), st.booleans(), st.booleans())
def test_arbitrary_bytes_end_in_at_most_one_fault_and_then_silence(
    chunks: list[bytes], incoming: bool, greeted: bool
) -> None:
    link = make_link(incoming=incoming)
    events = feed(link, [greeting(), *chunks] if greeted else chunks)
    faults = [at for at, event in enumerate(events) if isinstance(event, Fault)]
    assert faults in ([], [len(events) - 1])
    assert bool(faults) is (link.phase is Phase.CLOSED)


@given(st.integers(0, 67), st.integers(0, 255), st.booleans())
def test_a_changed_byte_in_the_handshake_is_a_fault_or_harmless(
    at: int, byte: int, incoming: bool
) -> None:
    data = bytearray(greeting())
    changed = data[at] != byte
    data[at] = byte
    event = feed(make_link(incoming=incoming), [bytes(data)])[0]
    if changed and (at < 20 or 28 <= at < 48):
        assert isinstance(event, Fault)
    else:
        assert isinstance(event, HandshakeDone)


# --- Who speaks when -----------------------------------------------------------------------


def test_who_dialled_speaks_first() -> None:
    assert make_link().drain(5.0) == OURS


def test_who_was_dialled_answers_once_the_torrent_is_named() -> None:
    link = make_link(incoming=True)
    data = greeting()
    assert list(link.receive(data[:47], 5.0)) == []
    assert link.drain(5.0) == b""
    assert list(link.receive(data[47:48], 5.0)) == []
    assert link.drain(5.0) == OURS
    assert list(link.receive(data[48:], 5.0)) == [
        HandshakeDone(Handshake(INFO_HASH, THEIR_ID, DEFAULT_RESERVED))
    ]
    assert link.drain(5.0) == b""


def test_who_asks_for_another_torrent_learns_nothing() -> None:
    link = make_link(incoming=True)
    assert fault_of(list(link.receive(greeting(b"x" * 20), 5.0))) is CloseReason.WRONG_TORRENT
    assert link.drain(5.0) == b""


def test_two_links_understand_each_other() -> None:
    one, other = make_link(), make_link(incoming=True, peer_id=THEIR_ID)
    assert len(list(other.receive(one.drain(5.0), 5.0))) == 1
    assert len(list(one.receive(other.drain(5.0), 5.0))) == 1
    other.peer.send_pieces(0b010)
    assert list(one.receive(other.drain(5.0), 5.0)) == [PiecesGained(0b010)]


# --- What the handshake settles --------------------------------------------------------------


@pytest.mark.parametrize("ours", [PLAIN, DEFAULT_RESERVED, b"\0\0\0\0\0\0\0\x04"])
@pytest.mark.parametrize("theirs", [PLAIN, DEFAULT_RESERVED, b"\0\0\0\0\0\x10\0\0"])
def test_an_extension_is_on_when_both_sides_offer_it(ours: bytes, theirs: bytes) -> None:
    link = make_link(reserved=ours)
    list(link.receive(greeting(reserved=theirs), 5.0))
    assert link.state.fast is bool(ours[7] & theirs[7] & 4)
    assert link.state.extended is bool(ours[5] & theirs[5] & 0x10)
    assert link.state.peer_id == THEIR_ID


def test_bytes_behind_the_handshake_are_parsed_on_after_it_was_dealt_with() -> None:
    link = make_link()
    link.drain(5.0)
    events = link.receive(greeting() + wire.encode(wire.Have(1)), 5.0)
    assert isinstance(next(events), HandshakeDone)
    assert link.is_open
    assert link.state.pieces == 0
    link.peer.send_pieces(0)
    assert list(events) == [PiecesGained(0b010)]
    assert list(parse(link.drain(5.0))) == [wire.HaveNone()]


def test_the_peer_is_out_of_reach_before_the_handshake_is_done() -> None:
    link = make_link()
    assert not link.is_open
    with pytest.raises(LocalProtocolError):
        link.peer.choke()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GET /", CloseReason.WRONG_PROTOCOL),
        (b"\x13BitTorrent protocoL", CloseReason.WRONG_PROTOCOL),
        (greeting(b"x" * 20)[:48], CloseReason.WRONG_TORRENT),
        (greeting(peer_id=OUR_ID), CloseReason.SELF_CONNECTION),
    ],
)
@pytest.mark.parametrize("incoming", [False, True])
def test_a_wrong_handshake_is_a_fault(data: bytes, reason: CloseReason, incoming: bool) -> None:
    link = make_link(incoming=incoming)
    assert fault_of(list(link.receive(data, 5.0))) is reason
    assert link.phase is Phase.CLOSED
    assert list(link.receive(greeting(), 5.0)) == []
    assert link.next_deadline() is None
    assert list(link.tick(1000.0)) == []


@pytest.mark.parametrize(
    "wrong", [{"info_hash": b"short"}, {"peer_id": b""}, {"reserved": bytes(9)}]
)
def test_our_own_handshake_must_be_well_formed(wrong: Mapping[str, Any]) -> None:
    with pytest.raises(LocalProtocolError):
        make_link(**wrong)


# --- Time ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("since", "start"), [(None, 5.0), (2.0, 2.0)])
def test_a_handshake_has_its_time_to_the_clock(since: float | None, start: float) -> None:
    link = make_link(since=since)
    list(link.receive(greeting()[:67], 5.0))
    assert link.next_deadline() == (start + HANDSHAKE_TIMEOUT, "handshake")
    assert list(link.tick(start + HANDSHAKE_TIMEOUT - 0.001)) == []
    assert fault_of(list(link.tick(start + HANDSHAKE_TIMEOUT))) is CloseReason.HANDSHAKE_TIMEOUT
    assert list(link.receive(greeting()[67:], 5.0)) == []
    assert link.next_deadline() is None


def test_an_open_link_has_the_deadlines_of_its_peer() -> None:
    link = make_link()
    link.drain(5.0)
    list(link.receive(greeting(), 8.0))
    assert link.next_deadline() == (65.0, "keep-alive")
    assert list(link.tick(65.0)) == []
    assert link.drain(65.0) == b"\0\0\0\0"
    assert fault_of(list(link.tick(8.0 + IDLE_TIMEOUT))) is CloseReason.IDLE_TIMEOUT
    assert link.phase is Phase.CLOSED


@pytest.mark.parametrize("open_", [False, True])
def test_a_postponed_link_is_not_blamed_for_our_absence(open_: bool) -> None:
    link = make_link()
    if open_:
        list(link.receive(greeting(), 5.0))
    link.postpone(3600.0)
    assert list(link.tick(3605.0)) == []
    assert len(list(link.tick(3605.0 + IDLE_TIMEOUT))) == 1


@pytest.mark.parametrize("open_", [False, True])
def test_a_closed_link_hears_nothing_and_waits_for_nothing(open_: bool) -> None:
    link = make_link()
    if open_:
        list(link.receive(greeting(), 5.0))
    link.close()
    link.close()
    assert list(link.receive(greeting(), 5.0)) == []
    assert list(link.tick(1000.0)) == []
    assert link.next_deadline() is None


# --- Output and blocks ---------------------------------------------------------------------


def test_the_handshake_counts_as_sent_bytes_but_not_as_payload() -> None:
    link = make_link()
    link.drain(5.0)
    assert link.unsent == 68
    link.sent(60, 5.0)
    assert link.unsent == 8
    assert link.state.up.total == 0
    with pytest.raises(LocalProtocolError):
        link.sent(9, 5.0)


def test_a_block_under_way_can_be_detached() -> None:
    link = make_link()
    link.detach_block()
    block = wire.encode(wire.Piece(0, 0, bytes(100)))
    list(link.receive(greeting() + block[:50], 5.0))
    link.detach_block()
    assert list(link.receive(block[50:], 5.0)) == [BlocksReceived([(0, 0, 100, None)])]
