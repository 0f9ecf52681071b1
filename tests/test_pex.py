"""Peer exchange on one link: what is told, and what is taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core.addresses import is_local
from torrent_core.errors import WireError
from torrent_core.limits import (
    MAX_PEX_CONTACTS,
    MAX_PEX_FIRST_CONTACTS,
    MAX_PEX_MESSAGES,
    PEX_INTERVAL,
    PEX_PATIENCE,
)
from torrent_core.pex import PexReceiver, PexSender
from torrent_core.types import Address
from torrent_core.wire import pex
from torrent_core.wire.pex import Contact, PeerExchange

PUBLIC = "11.0.0.1"
HOME = "192.168.0.7"


def contacts(count: int, start: int = 0) -> tuple[Contact, ...]:
    return tuple(
        Contact(Address(f"11.2.{n >> 8}.{n & 255}", 6881)) for n in range(start, start + count)
    )


def message(*added: Contact) -> bytes:
    return pex.encode(PeerExchange(added))


# --- Telling -------------------------------------------------------------------------------

swarms = st.dictionaries(
    st.builds(Address, st.just("11.0.0.1"), st.integers(1, 150)), st.integers(0, 31), max_size=120
)


@given(st.lists(swarms, max_size=12))
def test_a_peer_that_adds_up_what_it_is_told_knows_the_swarm(moments: list) -> None:
    sender = PexSender()
    known: dict[Address, int] = {}
    for linked in [*moments, *[moments[-1]] * 4] if moments else []:
        exchange = sender.next_message(linked)
        if exchange is None:
            assert known.keys() == linked.keys()
            continue
        added = [contact.address for contact in exchange.added]
        assert exchange.added or exchange.dropped
        assert len(added) <= MAX_PEX_CONTACTS
        assert len(exchange.dropped) <= MAX_PEX_CONTACTS
        assert len({*added, *exchange.dropped}) == len(added) + len(exchange.dropped)
        assert not known.keys() & set(added)
        assert set(exchange.dropped) <= known.keys()
        for contact in exchange.added:
            known[contact.address] = contact.flags
            assert linked[contact.address] == contact.flags
        for address in exchange.dropped:
            del known[address]
    if moments:
        assert known.keys() == moments[-1].keys()


def test_who_came_and_went_in_between_is_never_mentioned() -> None:
    sender = PexSender()
    stays, goes = Address("11.0.0.1", 1), Address("11.0.0.2", 1)
    assert sender.next_message({stays: 2}) == PeerExchange((Contact(stays, 2),))
    # ``goes`` is linked and lost before the minute is over.
    assert sender.next_message({stays: 2}) is None
    assert sender.next_message({stays: 2, goes: 0}) == PeerExchange((Contact(goes),))
    assert sender.next_message({goes: 0}) == PeerExchange((), (stays,))


# --- Being told ----------------------------------------------------------------------------


@given(
    st.lists(
        st.tuples(
            st.floats(0, 2 * PEX_INTERVAL),
            st.binary(max_size=40) | st.integers(0, 300).map(lambda n: message(*contacts(n))),
        ),
        max_size=30,
    ),
    st.sampled_from([PUBLIC, HOME]),
)
def test_whatever_comes_no_more_is_taken_than_the_rules_allow(
    messages: list[tuple[float, bytes]], host: str
) -> None:
    receiver = PexReceiver(host)
    now, last, came = 0.0, None, []
    for pause, payload in messages:
        now += pause
        flood = sum(now < when + PEX_INTERVAL for when in came) >= MAX_PEX_MESSAGES
        is_read = last is None or now >= last + PEX_PATIENCE
        if flood or (is_read and not is_message(payload)):
            with pytest.raises(WireError):
                receiver.receive(payload, now)
            return
        taken = receiver.receive(payload, now)
        came.append(now)
        limit = MAX_PEX_FIRST_CONTACTS if last is None else MAX_PEX_CONTACTS
        assert len(taken) <= (limit if is_read else 0)
        last = now if is_read else last


def is_message(payload: bytes) -> bool:
    try:
        pex.decode(payload, 1)
    except WireError:
        return False
    return True


def test_a_message_a_minute_is_read_for_ever() -> None:
    receiver = PexReceiver(PUBLIC)
    for minute in range(100):
        assert receiver.receive(message(*contacts(1)), minute * PEX_INTERVAL) == [*contacts(1)]


def test_one_that_comes_too_soon_is_not_read_and_many_of_them_are_a_flood() -> None:
    receiver = PexReceiver(PUBLIC)
    assert receiver.receive(message(*contacts(1)), 0.0)
    for number in range(1, MAX_PEX_MESSAGES):
        assert receiver.receive(message(*contacts(1, 9)), float(number)) == []
    with pytest.raises(WireError, match="more often than once a minute"):
        receiver.receive(message(*contacts(1, 9)), 59.9)
    assert receiver.receive(message(*contacts(1, 9)), PEX_INTERVAL) == [*contacts(1, 9)]


def test_the_first_message_may_be_larger_than_those_that_follow() -> None:
    receiver = PexReceiver(PUBLIC)
    many = message(*contacts(300))
    assert receiver.receive(many, 0.0) == [*contacts(MAX_PEX_FIRST_CONTACTS)]
    assert receiver.receive(many, PEX_INTERVAL) == [*contacts(MAX_PEX_CONTACTS)]


def test_nonsense_is_refused_unless_it_comes_when_nothing_is_read() -> None:
    receiver = PexReceiver(PUBLIC)
    with pytest.raises(WireError, match="peer exchange: no value"):
        receiver.receive(b"nonsense", 0.0)
    assert receiver.receive(b"nonsense", 1.0) == []


def test_local_contacts_are_taken_from_local_peers_alone() -> None:
    at_home = [Contact(Address(HOME, port)) for port in (1, 2)]
    assert is_local(HOME)
    assert PexReceiver(PUBLIC).receive(message(*at_home, *contacts(1)), 0.0) == [*contacts(1)]
    assert PexReceiver(HOME).receive(message(*at_home), 0.0) == at_home


def test_of_one_public_host_the_first_is_taken() -> None:
    crowd = [Contact(Address(PUBLIC, port)) for port in range(1, 50)]
    assert PexReceiver(PUBLIC).receive(message(*crowd, *contacts(1)), 0.0) == [
        crowd[0],
        *contacts(1),
    ]


def test_what_cannot_be_dialled_is_left_out() -> None:
    wrong = [Address("0.0.0.0", 1), Address("224.0.0.1", 1), Address("11.0.0.1", 0)]
    payload = message(*map(Contact, wrong), *contacts(1))
    assert PexReceiver(PUBLIC).receive(payload, 0.0) == [*contacts(1)]
