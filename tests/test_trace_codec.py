"""Every value that a trace can hold, to bytes and back; and bytes that are no value."""

from __future__ import annotations

import struct
from typing import Any, get_args

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core import events as ev
from torrent_core.actions import Action
from torrent_core.errors import TraceError
from torrent_core.events import BlocksRead, LinkClosed
from torrent_core.limits import MAX_PIECE_LENGTH
from torrent_core.pieces import ActivePieceConfig
from torrent_core.session import SessionConfig
from torrent_core.torrent import TorrentConfig
from torrent_core.trace import SessionSetup, TorrentSetup, codec
from torrent_core.trace.codec import ACTIONS, EVENTS, Codec
from torrent_core.trace.setup import read_setup
from torrent_core.trace.values import BYTES, METAINFO, PAYLOAD, TEXT, Cursor
from trace_kit import FIELDS, META, values_of
from world_swarm import OURS

CLASSES = [*EVENTS, *get_args(Action)]


def as_it_is(link: Any) -> int:
    number: int = link
    return number


def codec_for(cls: type) -> Codec:
    return Codec("value", EVENTS if cls in EVENTS else ACTIONS, as_it_is)


@pytest.mark.uncovered
@pytest.mark.parametrize("cls", CLASSES)
@given(data=st.data())
def test_every_event_and_action_comes_back_as_it_was(cls: type, data: st.DataObject) -> None:
    value = data.draw(values_of(cls))
    out = bytearray(b"before")
    codec_for(cls).write(out, value)
    cursor = Cursor(bytes(out[6:]), 0)
    assert codec_for(cls).read(cursor) == value
    assert cursor.left == 0


anything = st.sampled_from(CLASSES).flatmap(values_of)


@given(anything, st.data())
def test_a_record_that_is_cut_short_is_an_error(value: Any, data: st.DataObject) -> None:
    codec_of = codec_for(type(value))
    out = bytearray()
    codec_of.write(out, value)
    cut = data.draw(st.integers(0, len(out) - 1))
    with pytest.raises(TraceError) as caught:
        codec_of.read(Cursor(bytes(out[:cut]), 77))
    assert caught.value.where == "byte 77"


@pytest.mark.parametrize("classes", [EVENTS, ACTIONS])
@given(noise=st.binary(max_size=400))
def test_noise_is_a_value_or_an_error(classes: tuple[type, ...], noise: bytes) -> None:
    try:
        value = Codec("value", classes, as_it_is).read(Cursor(noise, 0))
    except TraceError:
        return
    assert type(value) in classes


@given(anything, st.data(), st.binary(min_size=1, max_size=4))
def test_a_mutated_record_is_a_value_or_an_error(
    value: Any, data: st.DataObject, noise: bytes
) -> None:
    codec_of = codec_for(type(value))
    out = bytearray()
    codec_of.write(out, value)
    at = data.draw(st.integers(0, len(out)))
    out[at : at + len(noise)] = noise
    try:
        read = codec_of.read(Cursor(bytes(out), 0))
    except TraceError:
        return
    assert type(read) in CLASSES


def test_links_are_written_by_their_numbers() -> None:
    out = bytearray()
    Codec("event", EVENTS, {"a link": 7}.__getitem__).write(out, LinkClosed("a link", "gone"))
    assert Codec("event", EVENTS, as_it_is).read(Cursor(bytes(out), 0)) == LinkClosed(7, "gone")


def test_another_class_cannot_be_written() -> None:
    with pytest.raises(KeyError):
        Codec("event", EVENTS, as_it_is).write(bytearray(), object())


def test_payload_is_its_length_alone() -> None:
    out = bytearray()
    PAYLOAD.write(out, b"secret")
    assert len(out) == 4
    assert PAYLOAD.read(Cursor(bytes(out), 0)) == bytes(6)


@pytest.mark.parametrize(
    ("kind", "data", "what"),
    [
        (TEXT, b"\x01\0\0\0\xff", "text that is not UTF-8"),
        (METAINFO, b"\x02\0\0\0de", "not a usable torrent"),
        (BYTES, b"\xff\xff\xff\xff", "a length of 4294967295 where 0 bytes are left"),
        (PAYLOAD, struct.pack("<I", MAX_PIECE_LENGTH + 1), "payload of 536870913 bytes"),
    ],
)
def test_what_no_writer_wrote_is_named(kind: Any, data: bytes, what: str) -> None:
    with pytest.raises(TraceError, match=what):
        kind.read(Cursor(data, 3))


def test_the_fingerprint_is_of_names_order_fields_and_members() -> None:
    @attrs.frozen
    class Written:
        torrent: bytes

    both = codec._fingerprint([LinkClosed, BlocksRead])
    assert both == codec._fingerprint([LinkClosed, BlocksRead])
    assert both != codec._fingerprint([BlocksRead, LinkClosed])
    assert codec._fingerprint([Written]) != codec._fingerprint([ev.Written])


configs = st.builds(
    TorrentConfig,
    active=st.builds(ActivePieceConfig, FIELDS["float"], FIELDS["int"], FIELDS["int"]),
    upload_slots=FIELDS["int"],
    listen_port=FIELDS["int | None"],
    client_name=st.text(),
)


@given(st.builds(SessionConfig, configs, FIELDS["int"], FIELDS["int"]), st.binary())
def test_the_arguments_of_a_session_come_back(config: SessionConfig, peer_id: bytes) -> None:
    setup = SessionSetup(peer_id, config)
    out = bytearray()
    setup.write(out)
    assert read_setup(Cursor(bytes(out), 0)) == setup


@given(configs, FIELDS["tuple[int, ...] | None"])
def test_the_arguments_of_a_torrent_come_back(
    config: TorrentConfig, priorities: tuple[int, ...] | None
) -> None:
    setup = TorrentSetup(META, OURS, config, priorities)
    out = bytearray()
    setup.write(out)
    assert read_setup(Cursor(bytes(out), 0)) == setup


@given(st.binary(max_size=200))
def test_noise_is_the_arguments_of_no_machine(noise: bytes) -> None:
    try:
        setup = read_setup(Cursor(noise, 0))
    except TraceError:
        return
    assert isinstance(setup, SessionSetup)


def test_an_unknown_machine_is_an_error() -> None:
    with pytest.raises(TraceError, match="no machine has the number 9"):
        read_setup(Cursor(b"\x09", 0))


def test_an_unknown_enum_member_is_an_error() -> None:
    with pytest.raises(TraceError, match="no StorageFault has the number 200"):
        codec._KINDS["StorageFault"].read(Cursor(b"\xc8", 0))


def test_what_is_neither_yes_nor_no_is_an_error() -> None:
    assert codec._KINDS["bool"].read(Cursor(b"\x01", 0)) is True
    with pytest.raises(TraceError, match="2 for yes or no"):
        codec._KINDS["bool"].read(Cursor(b"\x02", 0))
