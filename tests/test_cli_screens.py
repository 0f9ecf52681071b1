"""What goes to the terminal, the log, or the machine."""

from __future__ import annotations

import io
import json
import re

import pytest

from test_cli_render import Status
from transports.cli.screens import (
    JSON_HEARTBEAT,
    JSON_INTERVAL,
    LINE_INTERVAL,
    HashProgress,
    JsonScreen,
    LineScreen,
    LiveScreen,
    QuietScreen,
    choose_screen,
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class FakeClock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_plain_lines_come_every_few_seconds(clock: FakeClock) -> None:
    out = io.StringIO()
    screen = LineScreen(out, clock)
    for clock.now in (0.0, 0.1, LINE_INTERVAL - 0.1, LINE_INTERVAL):
        screen.show("downloading", Status())
    assert len(out.getvalue().splitlines()) == 2


def test_a_new_state_gets_its_line_at_once(clock: FakeClock) -> None:
    out = io.StringIO()
    screen = LineScreen(out, clock)
    screen.show("checking", Status())
    screen.show("downloading", Status())
    assert [line.split()[0] for line in out.getvalue().splitlines()] == [
        "checking",
        "downloading",
    ]


def test_notes_on_plain_lines_are_made_harmless(clock: FakeClock) -> None:
    out = io.StringIO()
    screen = LineScreen(out, clock)
    screen.note("a\x1b[2Jb\nc")
    screen.event("ignored", "x", None, {})
    screen.close()
    assert out.getvalue() == "a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}c\n"


def test_json_progress_comes_every_second_and_events_at_once(clock: FakeClock) -> None:
    out = io.StringIO()
    screen = JsonScreen(out, clock, lambda: 1000 + clock.now)
    for clock.now in (0.0, 0.5, JSON_INTERVAL):
        screen.show("downloading", Status(progress=0.25 + clock.now / 10))
    screen.event("completed", "seeding", Status(progress=1.0), {"path": "x"})
    screen.note("people only")
    events = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [event["event"] for event in events] == ["progress", "progress", "completed"]
    assert [event["time"] for event in events] == [1000.0, 1001.0, 1001.0]
    assert events[2]["path"] == "x"


def test_the_live_bar_shows_rates_peers_pieces_and_time_left() -> None:
    out = Terminal()
    screen = LiveScreen(out, "name [bold]not markup[/bold]")
    screen._console.width = 160
    screen.show("downloading", Status(0.5, 2048, 0, 1, 0, 3, 4, 8, 65))
    screen.note("a note with [brackets]")
    screen.event("ignored", "x", None, {})
    screen.close()
    screen.close()
    text = out.getvalue()
    for part in ("[bold]not", "50.0 %", "2.0 KiB/s", "3 peers", "4/8 pieces", "1:05 left"):
        assert part in text
    assert "a note with [brackets]" in text
    assert "\x1b[?25h" in text
    assert shown(text) == ["a note with [brackets]"]


def shown(text: str) -> list[str]:
    """The lines that are left on a terminal which was sent ``text``."""
    rows, row = [""], 0
    for code, plain in re.findall(r"\x1b\[[?\d;]*([a-zA-Z])|([^\x1b])", text):
        if code == "A":
            row -= 1
        elif code == "K":
            rows[row] = ""
        elif plain == "\n":
            row += 1
            rows += [""] * (row == len(rows))
        elif plain and plain != "\r":
            rows[row] += plain
    return [line for line in rows if line.strip()]


def test_a_bar_that_is_closed_leaves_nothing_behind() -> None:
    out = Terminal()
    screen = LiveScreen(out, "x")
    for progress in (0.0, 0.5, 1.0):
        screen.show("downloading", Status(progress=progress))
    assert shown(out.getvalue())[-1].startswith("x  ")
    screen.note("done: x")
    screen.close()
    assert shown(out.getvalue()) == ["done: x"]


def test_a_terminal_of_ascii_alone_gets_an_ascii_bar() -> None:
    class AsciiTerminal(Terminal):
        encoding = "ascii"

    out = AsciiTerminal()
    screen = LiveScreen(out, "x")
    screen.show("downloading", Status(progress=0.5))
    screen.close()
    assert "=====-----" in re.sub(r"\x1b\[[\d;]*m", "", out.getvalue())
    assert out.getvalue().isascii()


def test_json_says_the_same_thing_again_only_as_a_sign_of_life(clock: FakeClock) -> None:
    out = io.StringIO()
    screen = JsonScreen(out, clock, lambda: clock.now)
    while clock.now <= 2 * JSON_HEARTBEAT:
        screen.show("downloading", Status(progress=0.25))
        clock.now += 0.25
    times = [json.loads(line)["time"] for line in out.getvalue().splitlines()]
    assert times == [0.0, JSON_HEARTBEAT, 2 * JSON_HEARTBEAT]


def test_json_with_quiet_has_events_but_no_progress(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    screen = choose_screen("x", as_json=True, quiet=True)
    screen.show("downloading", Status())
    screen.event("completed", "seeding", Status(), {})
    assert [json.loads(line)["event"] for line in out.getvalue().splitlines()] == ["completed"]


def test_the_live_bar_shows_no_time_left_where_none_is_known() -> None:
    out = Terminal()
    screen = LiveScreen(out, "x")
    screen.show("checking", Status())
    screen.close()
    assert "left" not in out.getvalue()


def test_the_options_choose_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert isinstance(choose_screen("x"), LineScreen)
    assert isinstance(choose_screen("x", as_json=True, quiet=True), JsonScreen)
    assert type(choose_screen("x", quiet=True)) is QuietScreen
    monkeypatch.setattr("sys.stdout", Terminal())
    live = choose_screen("x")
    live.close()
    assert isinstance(live, LiveScreen)


def test_a_quiet_screen_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    screen = QuietScreen()
    screen.show("x", Status())
    screen.event("x", "x", None, {})
    screen.note("x")
    screen.close()
    assert capsys.readouterr() == ("", "")


def test_hashing_prints_a_line_now_and_then(clock: FakeClock) -> None:
    out = io.StringIO()
    progress = HashProgress("x", 100, out=out, clock=clock)
    progress.advance(10)
    clock.now = LINE_INTERVAL
    progress.advance(40)
    progress.close()
    assert out.getvalue() == "hashed 50.0 %, 10 B/s\n"


def test_hashing_on_a_terminal_moves_the_bar(clock: FakeClock) -> None:
    out = Terminal()
    progress = HashProgress("x", 2048, out=out, clock=clock)
    clock.now = 1.0
    progress.advance(1024)
    progress.close()
    assert "50.0 %" in out.getvalue()
    assert "1.0 KiB of 2.0 KiB" in out.getvalue()


def test_quiet_hashing_prints_nothing(clock: FakeClock) -> None:
    out = Terminal()
    progress = HashProgress("x", 0, quiet=True, out=out, clock=clock)
    clock.now = LINE_INTERVAL
    progress.advance(0)
    progress.close()
    assert out.getvalue() == ""
