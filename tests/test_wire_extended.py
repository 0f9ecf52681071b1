from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core import bencode
from torrent_core.errors import BencodeError, WireError
from torrent_core.limits import MAX_CLIENT_NAME, MAX_REQQ
from torrent_core.wire import extended
from torrent_core.wire.extended import ExtendedHandshake

handshakes = st.builds(
    ExtendedHandshake,
    m=st.dictionaries(st.binary(max_size=12), st.integers(0, 255), max_size=5),
    v=st.none() | st.text(st.characters(exclude_categories=("C", "Z")), max_size=MAX_CLIENT_NAME),
    p=st.none() | st.integers(1, 65535),
    reqq=st.none() | st.integers(1, MAX_REQQ),
    yourip=st.none() | st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16),
    metadata_size=st.none() | st.integers(1, 2**63 - 1),
    upload_only=st.none() | st.booleans(),
)

leaves = st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=20)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.binary(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYS = (b"m", b"v", b"p", b"reqq", b"yourip", b"metadata_size", b"upload_only", b"ipv4")


@given(handshakes)
def test_what_is_encoded_decodes_to_the_same(value: ExtendedHandshake) -> None:
    data = extended.encode(value)
    assert extended.decode(data) == value
    bencode.decode(data, strict=True)


@given(st.dictionaries(st.sampled_from(KEYS), values))
def test_whatever_the_fields_hold_each_is_credible_or_left_out(fields: dict[bytes, object]) -> None:
    value = extended.decode(bencode.encode(fields))  # type: ignore[arg-type]
    assert all(0 <= number <= 255 for number in value.m.values())
    assert value.v is None or (value.v.isprintable() and len(value.v) <= MAX_CLIENT_NAME)
    assert value.p is None or 1 <= value.p <= 65535
    assert value.reqq is None or 1 <= value.reqq <= MAX_REQQ
    assert value.yourip is None or len(value.yourip) in (4, 16)
    assert value.metadata_size is None or value.metadata_size > 0
    assert extended.decode(extended.encode(value)) == value


@given(st.binary(max_size=60) | values.map(bencode.encode))
def test_arbitrary_bytes_give_a_value_or_a_wire_error(data: bytes) -> None:
    try:
        fields = bencode.decode(data, strict=False)
    except BencodeError:
        fields = b""
    if isinstance(fields, dict):
        assert isinstance(extended.decode(data), ExtendedHandshake)
    else:
        with pytest.raises(WireError):
            extended.decode(data)


@given(handshakes, st.data())
def test_a_changed_byte_gives_a_value_or_a_wire_error(
    value: ExtendedHandshake, data: st.DataObject
) -> None:
    payload = bytearray(extended.encode(value))
    payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    try:
        again = extended.decode(payload)
    except WireError:
        return
    assert extended.decode(extended.encode(again)) == again


def test_the_example_of_bep_10_with_its_second_name_in_plain_letters() -> None:
    data = b"d1:md11:LT_metadatai1e6:ut_PEXi2ee1:pi6881e1:v13:\xc2\xb5Torrent 1.2e"
    value = ExtendedHandshake({b"LT_metadata": 1, b"ut_PEX": 2}, v="µTorrent 1.2", p=6881)
    assert extended.decode(data) == value
    assert extended.encode(value) == data


def test_one_bad_field_does_not_spoil_the_others() -> None:
    data = b"d1:md1:ai1e1:b1:x1:ci256e1:di-1ee1:pi0e4:reqqi250e1:vi7e6:yourip3:abce"
    assert extended.decode(data) == ExtendedHandshake({b"a": 1}, reqq=250)


@pytest.mark.parametrize("reqq", [0, -5, MAX_REQQ + 1, 2**32 + 1])
def test_an_absurd_reqq_is_left_out(reqq: int) -> None:
    assert extended.decode(b"d4:reqqi%dee" % reqq).reqq is None


@pytest.mark.parametrize(
    ("said", "meant"), [(b"i0e", False), (b"i1e", True), (b"i7e", True), (b"1:1", None)]
)
def test_upload_only_is_a_number_that_means_yes_or_no(said: bytes, meant: bool | None) -> None:
    assert extended.decode(b"d11:upload_only" + said + b"e").upload_only is meant


def test_a_name_is_cut_and_cleaned() -> None:
    name = b"evil\x00\x1b[2J\xff" + b"x" * 1000
    value = extended.decode(bencode.encode({b"v": name}))
    assert value.v == ("evil[2J�" + "x" * 1000)[:MAX_CLIENT_NAME]


@pytest.mark.parametrize("data", [b"", b"le", b"i1e", b"d", b"dexx", b"d1:mi1"])
def test_what_is_not_a_bencoded_dictionary_is_refused(data: bytes) -> None:
    with pytest.raises(WireError, match="extension handshake"):
        extended.decode(data)
