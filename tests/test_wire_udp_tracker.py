"""Layouts of BEP 15 and BEP 41, offset by offset as their tables give them."""

from __future__ import annotations

import contextlib

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from test_wire_compact import peers4, peers6
from torrent_core.errors import LocalProtocolError, WireError
from torrent_core.types import Address, Family, Totals
from torrent_core.wire.udp_tracker import (
    MAX_SCRAPED,
    AnnounceEvent,
    AnnounceRequest,
    AnnounceResponse,
    ConnectRequest,
    ConnectResponse,
    ErrorResponse,
    Request,
    Response,
    ScrapeRequest,
    ScrapeResponse,
    decode_request,
    decode_response,
    encode_request,
    encode_response,
    transaction_of,
)

u32, u64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
hashes = st.binary(min_size=20, max_size=20)
announces = st.builds(
    AnnounceRequest,
    connection_id=u64,
    transaction_id=u32,
    info_hash=hashes,
    peer_id=hashes,
    totals=st.builds(Totals, u64, u64, u64),
    event=st.sampled_from(AnnounceEvent),
    key=u32,
    num_want=st.integers(-1, 2**31 - 1),
    port=st.integers(0, 65535),
    url_data=st.binary(max_size=600),
)
requests = (
    st.builds(ConnectRequest, u32)
    | announces
    | st.builds(ScrapeRequest, u64, u32, st.lists(hashes, max_size=MAX_SCRAPED).map(tuple))
)
plain = (
    st.builds(ConnectResponse, u32, u64)
    | st.builds(ScrapeResponse, u32, st.lists(st.tuples(u32, u32, u32), max_size=4).map(tuple))
    | st.builds(ErrorResponse, u32, st.binary(max_size=40))
)


def _replies(peers: st.SearchStrategy[Address]) -> st.SearchStrategy[Response]:
    listed = st.lists(peers, max_size=5).map(tuple)
    return plain | st.builds(AnnounceResponse, u32, u32, u32, u32, listed)


ANNOUNCE = AnnounceRequest(
    connection_id=0x0102030405060708,
    transaction_id=0x11121314,
    info_hash=bytes(range(20)),
    peer_id=bytes(range(20, 40)),
    totals=Totals(uploaded=3, downloaded=1, left=2),
    event=AnnounceEvent.STARTED,
    key=0xCAFE,
    num_want=-1,
    port=6881,
)


@given(requests)
def test_a_request_decodes_to_itself(request: Request) -> None:
    assert decode_request(encode_request(request)) == request


@given(_replies(peers4))
def test_a_response_over_ipv4_decodes_to_itself(response: Response) -> None:
    data = encode_response(response, Family.IPV4)
    assert decode_response(data, Family.IPV4) == response
    assert transaction_of(data) == response.transaction_id


@given(_replies(peers6))
def test_a_response_over_ipv6_decodes_to_itself(response: Response) -> None:
    assert decode_response(encode_response(response, Family.IPV6), Family.IPV6) == response


def _offsets(data: bytes, *fields: tuple[int, str]) -> None:
    for at, text in fields:
        wanted = bytes.fromhex(text)
        assert data[at : at + len(wanted)] == wanted, at


def test_layout_of_connect() -> None:
    data = encode_request(ConnectRequest(0xA1A2A3A4))
    _offsets(data, (0, "0000041727101980"), (8, "00000000"), (12, "a1a2a3a4"))
    assert len(data) == 16
    answer = bytes.fromhex("00000000 a1a2a3a4 0102030405060708")
    assert decode_response(answer, Family.IPV4) == ConnectResponse(0xA1A2A3A4, 0x0102030405060708)


def test_layout_of_announce() -> None:
    data = encode_request(ANNOUNCE)
    _offsets(
        data,
        (0, "0102030405060708"),
        (8, "00000001"),
        (12, "11121314"),
        (16, bytes(range(20)).hex()),
        (36, bytes(range(20, 40)).hex()),
        (56, "0000000000000001"),
        (64, "0000000000000002"),
        (72, "0000000000000003"),
        (80, "00000002"),
        (84, "00000000"),
        (88, "0000cafe"),
        (92, "ffffffff"),
        (96, "1ae1"),
    )
    assert len(data) == 98


@pytest.mark.parametrize(
    ("family", "packed", "peer"),
    [
        (Family.IPV4, "01020304 1ae1", Address("1.2.3.4", 6881)),
        (Family.IPV6, "20010db8000000000000000000000005 1ae1", Address("2001:db8::5", 6881)),
    ],
)
def test_layout_of_an_announce_response(family: Family, packed: str, peer: Address) -> None:
    data = bytes.fromhex("00000001 11121314 00000708 00000005 00000007" + packed)
    assert decode_response(data, family) == AnnounceResponse(0x11121314, 1800, 5, 7, (peer,))


def test_layout_of_scrape_and_error() -> None:
    data = encode_request(ScrapeRequest(1, 2, (b"a" * 20, b"b" * 20)))
    _offsets(data, (0, "0000000000000001"), (8, "00000002"), (12, "00000002"))
    assert data[16:] == b"a" * 20 + b"b" * 20
    answer = bytes.fromhex("00000002 00000002 00000003 00000004 00000005 ffff")
    assert decode_response(answer, Family.IPV4) == ScrapeResponse(2, ((3, 4, 5),))
    assert decode_response(b"\0\0\0\3\0\0\0\2no", Family.IPV4) == ErrorResponse(2, b"no")


def test_the_examples_of_bep_41() -> None:
    bare = encode_request(ANNOUNCE)
    url_data = b"/dir?a=b&c=d"
    assert encode_request(attrs.evolve(ANNOUNCE, url_data=url_data)) == (
        bare + b"\x02\x0c" + url_data
    )
    for tail, found in [
        (b"\x02\x0c" + url_data, url_data),
        (b"\x02\x0c" + url_data + b"\1\1\0", url_data),
        (b"\x02\x00", b""),
        (b"\x02\x01/\x07\x02??\x02\x01a", b"/a"),  # an option of the future between
        (b"\x00\x02\x01/", b""),
    ]:
        assert decode_request(bare + tail) == attrs.evolve(ANNOUNCE, url_data=found)


@pytest.mark.parametrize("tail", [b"\x02", b"\x02\x05/", b"\x07\x01"])
def test_an_option_that_is_cut_off_is_refused(tail: bytes) -> None:
    with pytest.raises(WireError):
        decode_request(encode_request(ANNOUNCE) + tail)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 15,
        b"\0" * 16,  # connect without the magic number
        b"\0" * 11 + b"\4" + b"\0" * 4,
        encode_request(ANNOUNCE)[:97],
        encode_request(ANNOUNCE)[:80] + b"\0\0\0\4" + encode_request(ANNOUNCE)[84:],
    ],
)
def test_bad_requests_are_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        decode_request(data)


@pytest.mark.parametrize(
    "data",
    [b"\0" * 7, b"\0" * 15, b"\0\0\0\1" + b"\0" * 15, b"\0\0\0\4" + b"\0" * 30],
)
def test_bad_responses_are_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        decode_response(data, Family.IPV4)


@pytest.mark.parametrize(
    "request_",
    [
        ConnectRequest(2**32),
        attrs.evolve(ANNOUNCE, peer_id=b"short"),
        attrs.evolve(ANNOUNCE, info_hash=b"short"),
        attrs.evolve(ANNOUNCE, port=65536),
        ScrapeRequest(1, 1, (b"short",)),
        ScrapeRequest(1, 1, (b"x" * 20,) * (MAX_SCRAPED + 1)),
    ],
)
def test_requests_that_bep_15_cannot_say_are_the_callers_slip(request_: Request) -> None:
    with pytest.raises(LocalProtocolError):
        encode_request(request_)


def test_responses_that_bep_15_cannot_say_are_the_callers_slip() -> None:
    with pytest.raises(LocalProtocolError):
        encode_response(ConnectResponse(1, 2**64), Family.IPV4)


@given(st.binary(max_size=200), st.sampled_from(Family), st.integers(0, 5))
def test_arbitrary_bytes_give_a_value_or_a_wire_error(
    data: bytes, family: Family, action: int
) -> None:
    for guess in (data, b"\0\0\0" + bytes([action]) + data):
        assert (transaction_of(guess) is None) == (len(guess) < 8)
        with contextlib.suppress(WireError):
            assert decode_response(guess, family).transaction_id == transaction_of(guess)
    for guess in (data, data[:8].ljust(8, b"\0") + b"\0\0\0" + bytes([action]) + data):
        with contextlib.suppress(WireError):
            decode_request(guess)
