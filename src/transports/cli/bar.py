"""The progress bar as one line that fits the terminal.  Pure: values in, a string out."""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

from .render import RESOLVING, Status, duration, fraction, percent, plural, printable, rate, size

MAX_NAME = 32
"""Cells of the name, on a wide terminal; a quarter of a narrow one."""

MIN_BAR = 10
MAX_BAR = 40
GAP = "  "


class Marks(NamedTuple):
    """What the bar is drawn with."""

    done: str
    left: str
    down: str
    up: str
    cut: str


MARKS = Marks("━", "╌", "↓", "↑", "…")
PLAIN_MARKS = Marks("=", "-", "down", "up", ".")
"""For terminals that show ASCII alone."""


class Part(NamedTuple):
    """One figure of the line; those of the lowest rank stay longest where room is short."""

    rank: int
    text: str


def transfer_line(width: int, name: str, state: str, status: Status, marks: Marks) -> str:
    """The line of a download or a seed."""
    if state == RESOLVING:
        return _resolving_line(width, name, status, marks)
    parts = [Part(1, f"{marks.down} {rate(status.down_rate)}")]
    if status.up_rate >= 0.5:
        parts.append(Part(6, f"{marks.up} {rate(status.up_rate)}"))
    parts.append(Part(5, state))
    parts.append(Part(3, plural(status.peers, "peer")))
    parts.append(Part(7, f"{status.pieces_have}/{plural(status.pieces_total, 'piece')}"))
    if status.eta is not None and state == "downloading":
        parts.append(Part(2, f"{duration(status.eta)} left"))
    return compose(width, name, fraction(state, status), parts, marks)


def _resolving_line(width: int, name: str, status: Status, marks: Marks) -> str:
    """Without a bar: nobody knows how much there is."""
    title = cut(printable(name), min(MAX_NAME, width // 4), marks)
    parts = [title, "the metadata is not here yet", plural(status.peers, "peer")]
    return cut(GAP.join(parts), width, marks)


def hashing_line(width: int, name: str, done: int, total: int, speed: float, marks: Marks) -> str:
    """The line of work that has no peers: ``done`` of ``total`` bytes hashed."""
    parts = [Part(1, rate(speed)), Part(2, f"{size(done)} of {size(total)}")]
    return compose(width, name, done / total if total else 1.0, parts, marks)


def compose(width: int, name: str, done: float, parts: list[Part], marks: Marks) -> str:
    """As much as fits into ``width`` cells: the percentage always, then by rank."""
    share = f"{percent(done):>7}"
    title = cut(printable(name), min(MAX_NAME, width // 4), marks)
    left = width - len(share)
    kept: set[Part] = set()
    shows_name = shows_bar = False
    for part in sorted([*parts, Part(0, title), Part(4, "")]):
        need = len(GAP) + (MIN_BAR if part.rank == 4 else cells(part.text))
        if need > left:
            continue
        left -= need
        shows_name |= part.rank == 0
        shows_bar |= part.rank == 4
        kept.add(part)
    line = [title] if shows_name else []
    if shows_bar:
        line.append(_bar(min(MAX_BAR, MIN_BAR + left), done, marks))
    return GAP.join([*line, share, *(part.text for part in parts if part in kept)])


def _bar(width: int, done: float, marks: Marks) -> str:
    full = int(width * min(max(done, 0.0), 1.0))
    return marks.done * full + marks.left * (width - full)


def cells(text: str) -> int:
    """Columns that a terminal takes for ``text``."""
    return sum(_cells(character) for character in text)


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, width: int, marks: Marks) -> str:
    """``text`` in at most ``width`` cells, its end marked where something is missing."""
    if cells(text) <= width:
        return text
    kept, room = "", width - len(marks.cut)
    for character in text:
        room -= _cells(character)
        if room < 0:
            break
        kept += character
    return kept + marks.cut
