"""The progress bar fits its line, and never loses the percentage."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from test_cli_render import Status
from transports.cli.bar import MARKS, PLAIN_MARKS, cells, cut, hashing_line, transfer_line

STATUSES = st.builds(
    Status,
    progress=st.floats(0, 1),
    down_rate=st.floats(0, 1e12),
    up_rate=st.floats(0, 1e12),
    peers=st.integers(0, 1000),
    pieces_have=st.integers(0, 10**6),
    pieces_total=st.integers(1, 10**6),
    eta=st.none() | st.floats(0, 1e7),
    checking=st.floats(0, 1),
)
STATES = st.sampled_from(["checking", "downloading", "seeding", "stopping", "stopped"])
BOTH = st.sampled_from([MARKS, PLAIN_MARKS])

BUSY = Status(0.5, 10.5 * 2**20, 0.0, 1, 0, 3, 40, 80, 65)
NAME = "ubuntu-24.04.1-desktop-amd64.iso"


@given(st.integers(20, 200), st.text(), STATES, STATUSES, BOTH)
def test_the_line_fits_and_has_the_percentage(width, name, state, status, marks) -> None:
    line = transfer_line(width, name, state, status, marks)
    assert cells(line) <= width
    assert " %" in line


@given(st.integers(20, 200), st.text(), st.integers(0, 10**15), st.floats(0, 1e12), BOTH)
def test_so_does_the_line_of_hashing(width, name, done, speed, marks) -> None:
    line = hashing_line(width, name, done, 10**15, speed, marks)
    assert cells(line) <= width
    assert " %" in line


@given(st.text(), st.integers(3, 40), BOTH)
def test_what_is_cut_fits_and_is_a_beginning(text, width, marks) -> None:
    short = cut(text, width, marks)
    assert cells(short) <= width
    assert short == text or text.startswith(short.removesuffix(marks.cut))


def test_eighty_columns_have_room_for_all_that_matters() -> None:
    line = transfer_line(80, NAME, "downloading", BUSY, MARKS)
    assert line == (
        "ubuntu-24.04.1-desk…  ━━━━━━━╌╌╌╌╌╌╌╌   50.0 %  ↓ 10.5 MiB/s  3 peers  1:05 left"
    )


def test_a_wide_terminal_shows_everything_but_what_is_nothing() -> None:
    line = transfer_line(160, NAME, "downloading", BUSY, PLAIN_MARKS)
    assert line == (
        f"{NAME}  {'=' * 20}{'-' * 20}   50.0 %  down 10.5 MiB/s  downloading  3 peers"
        "  40/80 pieces  1:05 left"
    )
    uploads = Status(0.5, 0.0, 2048.0)
    assert "↑ 2.0 KiB/s" in transfer_line(160, "x", "downloading", uploads, MARKS)


def test_a_very_narrow_terminal_still_shows_the_percentage() -> None:
    assert transfer_line(9, NAME, "downloading", BUSY, MARKS).strip() == "50.0 %"


def test_hashing_nothing_at_all_is_done() -> None:
    assert "100.0 %" in hashing_line(60, "x", 0, 0, 0.0, MARKS)


def test_wide_and_combining_characters_are_counted_as_terminals_show_them() -> None:
    assert cells("日本") == 4
    assert cells("e\N{COMBINING ACUTE ACCENT}") == 1
