from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer_kit import GEOMETRY, any_messages, hear, honest_messages, make_peer, said
from torrent_core import bitfield
from torrent_core.geometry import Geometry
from torrent_core.limits import (
    IDLE_TIMEOUT,
    KEEPALIVE_INTERVAL,
    MAX_ALLOWED_FAST,
    MAX_REQQ,
    MAX_UNKNOWN_MESSAGES,
)
from torrent_core.peer.events import (
    Choked,
    ExtensionHandshake,
    ExtensionMessage,
    FastAllowed,
    Fault,
    InterestChanged,
    PiecesGained,
    PieceSuggested,
    PortReceived,
    RequestRejected,
    Unchoked,
)
from torrent_core.peer.states import Phase
from torrent_core.types import CloseReason
from torrent_core.wire import extended
from torrent_core.wire import messages as wire
from torrent_core.wire.extended import ExtendedHandshake

FAST_MESSAGES: list[wire.Message] = [
    wire.Suggest(0),
    wire.HaveAll(),
    wire.HaveNone(),
    wire.Reject(0, 0, 1),
    wire.AllowedFast(0),
]


# --- Properties ----------------------------------------------------------------------------


@given(st.lists(honest_messages, max_size=25), st.booleans(), st.booleans())
def test_gained_pieces_add_up_to_what_the_peer_has(
    messages: list[wire.Message], fast: bool, ext: bool
) -> None:
    peer = make_peer(fast=fast, extended=ext)
    total = 0
    for message in messages:
        for event in hear(peer, message):
            if isinstance(event, PiecesGained):
                assert event.pieces
                assert not event.pieces & total
                total |= event.pieces
    assert peer.state.pieces == total


@given(st.lists(any_messages, max_size=25))
def test_state_events_come_only_on_change(messages: list[wire.Message]) -> None:
    peer = make_peer()
    last: dict[type, object] = {bool: True, InterestChanged: InterestChanged(False)}
    for message in messages:
        for event in hear(peer, message):
            if isinstance(event, Choked | Unchoked):
                assert last[bool] is not isinstance(event, Choked)
                last[bool] = isinstance(event, Choked)
            elif isinstance(event, InterestChanged):
                assert last[InterestChanged] != event
                last[InterestChanged] = event
    assert peer.state.peer_choking is last[bool]


@given(st.lists(st.tuples(st.integers(0, 100), any_messages), max_size=10))
def test_the_same_inputs_lead_to_the_same_outputs(
    inputs: list[tuple[int, wire.Message]],
) -> None:
    runs = []
    for _ in range(2):
        peer = make_peer()
        runs.append(
            [(hear(peer, m, now=t), peer.drain(t), peer.next_deadline()) for t, m in inputs]
        )
    assert runs[0] == runs[1]


# --- Choke and interest --------------------------------------------------------------------


def test_choke_and_interest_start_as_bep_3_says_and_change_once() -> None:
    peer = make_peer()
    assert hear(peer, wire.Choke(), wire.NotInterested()) == []
    assert hear(peer, wire.Unchoke(), wire.Unchoke()) == [Unchoked()]
    assert hear(peer, wire.Choke(), wire.Choke()) == [Choked()]
    assert hear(peer, wire.Interested(), wire.Interested()) == [InterestChanged(True)]
    assert hear(peer, wire.NotInterested()) == [InterestChanged(False)]


@pytest.mark.parametrize("fast", [True, False])
def test_ten_quick_chokes_and_unchokes_leave_nothing_behind(fast: bool) -> None:
    peer = make_peer(fast=fast)
    flips: list[wire.Message] = [wire.Unchoke(), wire.Choke()]
    events = hear(peer, *flips * 10)
    assert events == [Unchoked(), Choked()] * 10
    assert peer.state.peer_choking
    assert peer.drain(0.0) == b""


# --- What the peer has ---------------------------------------------------------------------


def test_availability_is_exact_late_and_twice() -> None:
    peer = make_peer()
    assert hear(peer, wire.Have(1), wire.Have(1)) == [PiecesGained(0b010)]
    assert hear(peer, wire.Bitfield(b"\x60")) == [PiecesGained(0b100)]
    assert hear(peer, wire.HaveNone()) == []
    assert hear(peer, wire.HaveAll(), wire.HaveAll()) == [PiecesGained(0b001)]
    assert hear(peer, wire.Bitfield(b"\x80")) == []
    assert peer.state.pieces == GEOMETRY.all_pieces


class Untouched(int):
    """A set that nobody may look at: of millions of pieces that is dear."""

    def _looked(self, *_: object) -> int:
        raise AssertionError("a set of pieces was looked at")

    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = _looked  # type: ignore[assignment]
    __rshift__ = bit_count = __eq__ = _looked  # type: ignore[assignment]
    __hash__ = None  # type: ignore[assignment]


def test_haves_of_one_input_are_told_together_at_its_end() -> None:
    peer = make_peer()
    events = hear(peer, wire.Have(2), wire.Port(7), wire.Have(0), wire.Unchoke(), wire.Have(2))
    assert events == [PortReceived(7), Unchoked(), PiecesGained(0b101)]
    assert hear(peer, wire.Have(2), wire.Have(0)) == []


def test_haves_before_a_fault_are_told_before_it() -> None:
    peer = make_peer()
    gained, fault = hear(peer, wire.Have(2), wire.Have(0), wire.Have(3))
    assert gained == PiecesGained(0b101)
    assert isinstance(fault, Fault)


def test_a_flood_of_haves_looks_at_what_the_peer_has_once() -> None:
    peer = make_peer()
    events = peer.receive(wire.encode(wire.Have(1)) * 1000 + wire.encode(wire.Port(7)), 0.0)
    peer.state.pieces = Untouched()
    assert next(events) == PortReceived(7)
    peer.state.pieces = 0
    assert list(events) == [PiecesGained(0b010)]


def test_what_was_said_before_looks_at_no_set() -> None:
    peer = make_peer()
    again = [wire.HaveAll(), wire.Suggest(1), wire.AllowedFast(2)]
    assert len(hear(peer, *again)) == 3
    state = peer.state
    state.pieces = state.suggested = state.allowed_fast = Untouched()
    assert hear(peer, *again * 3) == []


def test_advice_beyond_all_need_looks_at_no_set() -> None:
    count = MAX_ALLOWED_FAST + 10
    peer = make_peer(geometry=Geometry(total_length=count, piece_length=1))
    for index in range(MAX_ALLOWED_FAST):
        assert len(hear(peer, wire.Suggest(index), wire.AllowedFast(index))) == 2
    peer.state.suggested = peer.state.allowed_fast = Untouched()
    assert hear(peer, wire.Suggest(count - 1), wire.AllowedFast(count - 1)) == []


@pytest.mark.parametrize("message", [wire.Have(3), wire.Have(2**32 - 1), wire.Bitfield(b"\x10")])
def test_pieces_that_do_not_exist_are_a_fault(message: wire.Message) -> None:
    (fault,) = hear(make_peer(), message)
    assert isinstance(fault, Fault)
    assert fault.reason is CloseReason.PROTOCOL_ERROR


@pytest.mark.parametrize("message", FAST_MESSAGES)
def test_a_fast_message_without_the_extension_is_a_fault(message: wire.Message) -> None:
    peer = make_peer(fast=False)
    (fault,) = hear(peer, message)
    assert isinstance(fault, Fault)
    assert peer.phase is Phase.CLOSED
    assert not any(isinstance(event, Fault) for event in hear(make_peer(), message))


# --- BEP 6 advice and rejects ----------------------------------------------------------------


def test_advice_is_remembered_once_and_bad_advice_is_not() -> None:
    peer = make_peer()
    advice = [wire.AllowedFast(2), wire.AllowedFast(2), wire.AllowedFast(3)]
    assert hear(peer, *advice) == [FastAllowed(2)]
    assert hear(peer, wire.Suggest(0), wire.Suggest(0), wire.Suggest(9)) == [PieceSuggested(0)]
    assert (peer.state.allowed_fast, peer.state.suggested) == (0b100, 0b001)


def test_advice_without_end_is_not_remembered() -> None:
    peer = make_peer(geometry=Geometry(total_length=5000, piece_length=1))
    for index in range(5000):
        hear(peer, wire.AllowedFast(index), wire.Suggest(index))
    assert peer.state.allowed_fast.bit_count() == MAX_ALLOWED_FAST
    assert peer.state.suggested.bit_count() == MAX_ALLOWED_FAST


def test_a_reject_names_the_request() -> None:
    assert hear(make_peer(), wire.Reject(0, 16384, 16384)) == [RequestRejected(0, 16384, 16384)]


def test_a_reject_of_what_cannot_exist_is_a_fault() -> None:
    (fault,) = hear(make_peer(), wire.Reject(3, 0, 1))
    assert isinstance(fault, Fault)


# --- Extensions ----------------------------------------------------------------------------


def test_an_extension_handshake_updates_the_record() -> None:
    value = ExtendedHandshake({b"ut_pex": 1}, v="Client 1", p=6881, reqq=250, upload_only=True)
    peer = make_peer()
    assert hear(peer, wire.Extended(0, extended.encode(value))) == [ExtensionHandshake(value)]
    state = peer.state
    assert (state.client, state.listen_port, state.reqq) == ("Client 1", 6881, 250)
    assert state.upload_only


def test_a_later_extension_handshake_changes_only_what_it_names() -> None:
    first = ExtendedHandshake(v="Client 1", p=6881, reqq=250, upload_only=True)
    peer = make_peer()
    hear(peer, wire.Extended(0, extended.encode(first)))
    hear(peer, wire.Extended(0, b"d11:upload_onlyi0ee"))
    assert (peer.state.client, peer.state.listen_port, peer.state.reqq) == ("Client 1", 6881, 250)
    assert not peer.state.upload_only


@pytest.mark.parametrize("payload", [b"", b"garbage", b"i1e", b"d1:v"])
def test_a_damaged_extension_handshake_is_ignored(payload: bytes) -> None:
    peer = make_peer()
    hear(peer, wire.Extended(0, b"d4:reqqi10ee"))
    assert hear(peer, wire.Extended(0, payload)) == []
    assert peer.state.reqq == 10
    assert peer.phase is Phase.OPEN


@pytest.mark.parametrize(
    ("said_reqq", "kept"),
    [
        (1, 1),
        (10, 10),
        (5000, 5000),
        (-5, None),
        (0, None),
        (2**32 + 1, None),
        (MAX_REQQ, MAX_REQQ),
    ],
)
def test_only_a_credible_reqq_is_kept(said_reqq: int, kept: int | None) -> None:
    peer = make_peer()
    hear(peer, wire.Extended(0, b"d4:reqqi%dee" % said_reqq))
    assert peer.state.reqq == kept


def test_other_extended_messages_are_passed_on() -> None:
    events = hear(make_peer(), wire.Extended(3, b"payload"), wire.Extended(255, b""))
    assert events == [ExtensionMessage(3, b"payload"), ExtensionMessage(255, b"")]


def test_a_port_is_passed_on_unless_it_is_zero() -> None:
    assert hear(make_peer(), wire.Port(0), wire.Port(6881)) == [PortReceived(6881)]


@pytest.mark.parametrize("message", [wire.Unknown(99, b"x"), wire.Extended(1, b"x")])
def test_ids_that_mean_nothing_here_are_ignored_up_to_a_bound(message: wire.Message) -> None:
    peer = make_peer(extended=False)
    assert hear(peer, *[message] * MAX_UNKNOWN_MESSAGES) == []
    (fault,) = hear(peer, message)
    assert isinstance(fault, Fault)


# --- Time ----------------------------------------------------------------------------------


def test_a_silent_peer_is_given_up_to_the_clock() -> None:
    peer = make_peer()
    hear(peer, wire.KeepAlive(), now=10.0)
    assert list(peer.tick(10.0 + IDLE_TIMEOUT - 0.001)) == []
    (fault,) = peer.tick(10.0 + IDLE_TIMEOUT)
    assert isinstance(fault, Fault)
    assert fault.reason is CloseReason.IDLE_TIMEOUT
    assert peer.next_deadline() is None
    assert list(peer.tick(1000.0)) == []


def test_a_keep_alive_is_due_to_the_clock_after_our_last_send() -> None:
    peer = make_peer()
    peer.have([0])
    peer.drain(20.0)
    deadline = peer.next_deadline()
    assert deadline is not None
    assert deadline == (20.0 + KEEPALIVE_INTERVAL, "keep-alive")
    assert list(peer.tick(deadline.when - 0.001)) == []
    assert peer.drain(deadline.when - 0.001) == b""
    assert list(peer.tick(deadline.when)) == []
    assert said(peer, deadline.when) == [wire.KeepAlive()]
    assert peer.next_deadline() == (20.0 + 2 * KEEPALIVE_INTERVAL, "keep-alive")


def test_a_tick_moves_the_deadline_even_before_the_keep_alive_is_drained() -> None:
    peer = make_peer()
    list(peer.tick(KEEPALIVE_INTERVAL))
    list(peer.tick(KEEPALIVE_INTERVAL))
    assert peer.next_deadline() == (2 * KEEPALIVE_INTERVAL, "keep-alive")
    assert said(peer, KEEPALIVE_INTERVAL) == [wire.KeepAlive()]


def test_saying_nothing_does_not_count_as_a_send() -> None:
    peer = make_peer()
    peer.have([])
    peer.request([])
    assert peer.drain(50.0) == b""
    assert peer.next_deadline() == (KEEPALIVE_INTERVAL, "keep-alive")


def test_the_idle_deadline_is_named_when_it_comes_first() -> None:
    peer = make_peer()
    for now in (60.0, 120.0):
        list(peer.tick(now))
        peer.drain(now)
    assert peer.next_deadline() == (IDLE_TIMEOUT, "idle link")


def test_an_empty_input_is_no_sign_of_life() -> None:
    peer = make_peer()
    assert list(peer.receive(b"", 100.0)) == []
    assert len(list(peer.tick(IDLE_TIMEOUT))) == 1


def test_time_that_goes_backwards_takes_nothing_away() -> None:
    peer = make_peer()
    hear(peer, wire.KeepAlive(), now=50.0)
    hear(peer, wire.KeepAlive(), now=10.0)
    assert list(peer.tick(IDLE_TIMEOUT + 49.0)) == []


def test_a_postponed_link_is_not_blamed_for_our_absence() -> None:
    peer = make_peer()
    peer.postpone(3600.0)
    assert list(peer.tick(3600.0)) == []
    assert len(list(peer.tick(3600.0 + IDLE_TIMEOUT))) == 1


def test_a_closed_link_hears_nothing_and_waits_for_nothing() -> None:
    peer = make_peer()
    peer.close()
    peer.close()
    assert hear(peer, wire.Have(0)) == []
    assert peer.next_deadline() is None
    assert peer.phase is Phase.CLOSED


def test_a_link_closed_while_its_input_is_read_may_still_run_into_a_fault() -> None:
    peer = make_peer()
    events = peer.receive(wire.encode(wire.Have(0)) + b"\xff" * 8, 0.0)
    next(events)
    peer.close()
    assert isinstance(next(events), Fault)
    assert peer.phase is Phase.CLOSED


def test_bitfield_of_every_piece_equals_have_all() -> None:
    peer = make_peer()
    everything = bitfield.to_wire(GEOMETRY.all_pieces, GEOMETRY.piece_count)
    assert hear(peer, wire.Bitfield(everything)) == [PiecesGained(GEOMETRY.all_pieces)]
