"""Values on the command line."""

from __future__ import annotations

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transports.cli.options import moment, parse_peer, peer, piece_length, seconds


@given(st.text())
def test_any_text_is_a_peer_or_a_value_error(text: str) -> None:
    try:
        host, port = parse_peer(text)
    except ValueError:
        return
    assert host
    assert 0 < port < 65536


@given(st.ip_addresses(), st.integers(1, 65535))
def test_every_address_with_a_port_is_a_peer(address: object, port: int) -> None:
    host = str(address)
    text = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    assert parse_peer(text) == (host, port)


def test_a_host_name_is_a_peer() -> None:
    assert parse_peer("seed.example.org:6881") == ("seed.example.org", 6881)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("localhost", "no port"),
        ("localhost:", "1 to 65535"),
        ("localhost:0", "1 to 65535"),
        ("localhost:65536", "1 to 65535"),
        ("localhost:" + "9" * 5000, "1 to 65535"),
        ("localhost:٣", "1 to 65535"),
        ("localhost:-1", "1 to 65535"),
        (":6881", "host is missing"),
        ("a b:1", "not a name"),
        ("::1:6881", "brackets"),
        ("[127.0.0.1]:1", "not an IPv6"),
        ("[]:1", "not an IPv6"),
        ("[x:1", "not a name"),
    ],
)
def test_a_bad_peer_is_refused_with_its_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_peer(text)


def test_a_bad_peer_is_a_usage_error_with_its_reason() -> None:
    assert peer("h:1") == ("h", 1)
    with pytest.raises(click.BadParameter, match="'h': it has no port"):
        peer("h")


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "x", ""])
def test_seconds_are_positive_and_finite(text: str) -> None:
    with pytest.raises(click.BadParameter, match="positive number of seconds"):
        seconds(text)
    assert seconds("2.5") == 2.5


@pytest.mark.parametrize("text", ["-1", "-0.001", "nan", "inf", "x", ""])
def test_a_moment_may_be_the_first_and_is_finite(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a number of seconds from 0 on"):
        moment(text)
    assert moment("0") == 0
    assert moment("2.5") == 2.5


@pytest.mark.parametrize("text", ["0", "16383", "8192", "49152", str(2**30), "-16384", "16K", ""])
def test_a_piece_length_is_a_power_of_two_within_bounds(text: str) -> None:
    with pytest.raises(click.BadParameter, match="power of two"):
        piece_length(text)
    assert piece_length("16384") == 16384
    assert piece_length(str(2**29)) == 2**29
