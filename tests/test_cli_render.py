"""Figures and names as text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core.types import PeerSource
from transports.cli import render


@attrs.frozen
class Status:
    progress: float = 0.0
    down_rate: float = 0.0
    up_rate: float = 0.0
    downloaded: int = 0
    uploaded: int = 0
    peers: int = 0
    pieces_have: int = 0
    pieces_total: int = 8
    eta: float | None = None
    checking: float = 0.0
    known: Mapping[PeerSource, int] = attrs.field(factory=dict)


def test_progress_says_where_the_peers_come_from() -> None:
    known = {PeerSource.TRACKER: 40, PeerSource.NAMED: 0, PeerSource.DHT: 2}
    status = Status(peers=3, known=known)
    assert "peers 3 (known: tracker 40, dht 2)" in render.progress_line("seeding", status)
    said = json.loads(render.json_line("progress", 0.0, "seeding", status, {}))
    assert said["known"] == {"tracker": 40, "dht": 2}


@given(st.text())
def test_printable_text_cannot_move_the_cursor_or_add_lines(text: str) -> None:
    shown = render.printable(text)
    assert shown.isprintable() or "\N{REPLACEMENT CHARACTER}" in shown
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e]", shown)
    assert len(shown.splitlines()) <= 1


@given(st.integers(0, 2**69))
def test_sizes_have_at_most_four_digits_before_the_unit(count: int) -> None:
    number, unit = render.size(count).split()
    assert unit in ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
    assert float(number) < 1024


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1024 * 1024 - 1, "1.0 MiB"),
        (32 * 2**20, "32.0 MiB"),
    ],
)
def test_sizes_read_as_people_expect(count: int, text: str) -> None:
    assert render.size(count) == text
    assert render.rate(count) == text + "/s"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (float("inf"), "-"),
        (-3, "0 s"),
        (0.2, "1 s"),
        (59, "59 s"),
        (60, "1:00"),
        (185, "3:05"),
        (7385, "2:03:05"),
    ],
)
def test_durations_read_as_people_expect(seconds: float | None, text: str) -> None:
    assert render.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "less than 0.1 s"),
        (0.099, "less than 0.1 s"),
        (0.1, "0.1 s"),
        (0.233, "0.2 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (10.2, "10 s"),
        (59.7, "1:00"),
    ],
)
def test_what_is_over_is_told_as_exactly_as_its_rate(seconds: float, text: str) -> None:
    assert render.elapsed(seconds) == text


@given(st.floats(0, 1, exclude_max=True))
def test_only_what_is_complete_reads_as_a_hundred_percent(fraction: float) -> None:
    assert render.percent(fraction) != "100.0 %"
    assert render.percent(1.0) == "100.0 %"


def test_plural_only_for_more_or_less_than_one() -> None:
    assert render.plural(1, "peer") == "1 peer"
    assert render.plural(0, "peer") == "0 peers"


def test_a_progress_line_names_state_pieces_rates_peers_and_time_left() -> None:
    status = Status(0.5, 2048, 1024, 4, 2, 3, 4, 8, 65)
    assert render.progress_line("downloading", status) == (
        "downloading 50.0 %, pieces 4/8, down 2.0 KiB/s, up 1.0 KiB/s, peers 3, left 1:05"
    )
    assert "left" not in render.progress_line("downloading", Status())
    assert "left" not in render.progress_line("seeding", status)


def test_while_checking_the_check_is_what_progresses() -> None:
    status = Status(progress=0.25, checking=0.5)
    assert render.progress_line("checking", status).startswith("checking 50.0 %,")
    assert render.progress_line("seeding", status).startswith("seeding 25.0 %,")


@given(
    st.builds(
        Status,
        progress=st.floats(0, 1),
        down_rate=st.floats(0, 1e12),
        up_rate=st.floats(0, 1e12),
        eta=st.none() | st.floats(0, 1e9),
    ),
    st.text(),
)
def test_a_json_line_is_one_object_with_the_base_fields(status: Status, message: str) -> None:
    line = render.json_line("warning", 1.5, "downloading", status, {"message": message})
    assert "\n" not in line
    fields = json.loads(line)
    assert fields["event"] == "warning"
    assert fields["time"] == 1.5
    assert fields["state"] == "downloading"
    assert fields["message"] == message
    assert {"progress", "down_rate", "up_rate", "peers", "pieces_total"} <= fields.keys()
    assert fields["progress"] == 1.0 or status.progress < 1.0


def test_a_json_line_without_a_torrent_still_has_the_base_fields() -> None:
    fields = json.loads(render.json_line("failed", 2, "stopped", None, {}))
    assert fields == {
        "event": "failed",
        "time": 2,
        "progress": 0.0,
        "down_rate": 0.0,
        "up_rate": 0.0,
        "peers": 0,
        "state": "stopped",
    }
