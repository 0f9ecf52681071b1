"""Errors: whose doing it was, and where."""

from __future__ import annotations

import pytest

import torrent_core
from torrent_core.errors import (
    BencodeError,
    InvalidData,
    LocalProtocolError,
    MetainfoError,
    ResumeError,
    TorrentCoreError,
    TraceError,
    WireError,
)

KINDS = [InvalidData, BencodeError, MetainfoError, ResumeError, TraceError, WireError]


@pytest.mark.parametrize("kind", KINDS)
def test_bad_data_says_what_and_where(kind: type[InvalidData]) -> None:
    error = kind("is negative", "info.length")
    assert str(error) == "is negative (at info.length)"
    assert (error.what, error.where) == ("is negative", "info.length")
    assert isinstance(error, InvalidData)
    assert isinstance(error, ValueError)
    assert isinstance(error, TorrentCoreError)


def test_every_error_is_exported_under_its_name() -> None:
    for kind in [*KINDS, LocalProtocolError, TorrentCoreError]:
        assert kind.__name__ in torrent_core.__all__
        assert getattr(torrent_core, kind.__name__) is kind


def test_the_place_may_be_unknown() -> None:
    error = WireError("too long")
    assert str(error) == "too long"
    assert error.where == ""


def test_a_slip_of_the_caller_is_not_bad_data() -> None:
    error = LocalProtocolError("no such torrent")
    assert isinstance(error, TorrentCoreError)
    assert not isinstance(error, InvalidData)
