"""Figures and names as text.  Pure: values in, strings out."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torrent_core.types import PeerSource

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


class Status(Protocol):
    """What a progress display needs of a torrent's status."""

    @property
    def progress(self) -> float: ...
    @property
    def checking(self) -> float: ...
    @property
    def down_rate(self) -> float: ...
    @property
    def up_rate(self) -> float: ...
    @property
    def downloaded(self) -> int: ...
    @property
    def uploaded(self) -> int: ...
    @property
    def peers(self) -> int: ...
    @property
    def pieces_have(self) -> int: ...
    @property
    def pieces_total(self) -> int: ...
    @property
    def eta(self) -> float | None: ...
    @property
    def known(self) -> Mapping[PeerSource, int]: ...


def printable(text: str) -> str:
    """Text from outside made harmless: a torrent must not move the cursor or add lines."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def size(count: float) -> str:
    """Bytes with a binary unit and three to four digits: ``512 B``, ``1.5 MiB``."""
    value = float(count)
    unit = 0
    while value >= 1023.95 and unit < len(_UNITS) - 1:
        value /= 1024
        unit += 1
    return f"{value:.0f} {_UNITS[unit]}" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def rate(bytes_per_second: float) -> str:
    """``1.5 MiB/s``."""
    return f"{size(bytes_per_second)}/s"


def duration(seconds: float | None) -> str:
    """``42 s``, ``3:05``, ``2:03:05``; a dash where nobody knows."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    whole = math.ceil(max(seconds, 0))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def elapsed(seconds: float) -> str:
    """The time that something took: ``less than 0.1 s``, ``0.2 s``, and from ten seconds on as
    ``duration``, but rounded."""
    if seconds < 0.1:
        return "less than 0.1 s"
    tenths = round(seconds, 1)
    return f"{tenths:.1f} s" if tenths < 10 else duration(round(seconds))


def percent(fraction: float) -> str:
    """Cut, not rounded: only what is complete reads ``100.0 %``."""
    return f"{math.floor(fraction * 1000) / 10:.1f} %"


def plural(count: int, noun: str) -> str:
    """``1 piece``, ``2 pieces``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def fraction(state: str, status: Status) -> float:
    """How far the present work has come: the check while checking, else the download."""
    return status.checking if state == "checking" else status.progress


def origins(status: Status) -> dict[str, int]:
    """How many peers each source told of, by a word for each source."""
    return {source.name.lower(): count for source, count in status.known.items() if count}


RESOLVING = "fetching its metadata"
"""The state in which nobody knows how much there is to fetch; TorrentState says the same, and
is not loaded for it."""


def progress_line(state: str, status: Status) -> str:
    """One plain line of progress."""
    if state == RESOLVING:
        return f"the metadata is not here yet, {_peers(status)}"
    parts = [
        f"{state} {percent(fraction(state, status))}",
        f"pieces {status.pieces_have}/{status.pieces_total}",
        f"down {rate(status.down_rate)}",
        f"up {rate(status.up_rate)}",
        _peers(status),
    ]
    if status.eta is not None and state == "downloading":
        parts.append(f"left {duration(status.eta)}")
    return ", ".join(parts)


def _peers(status: Status) -> str:
    """Those that are connected, and where all that are known come from."""
    told = ", ".join(f"{name} {count}" for name, count in origins(status).items())
    return f"peers {status.peers}" + (f" (known: {told})" if told else "")


def _progress(state: str, status: Status | None) -> float | None:
    """Null while nobody knows how much there is."""
    if state == RESOLVING:
        return None
    return math.floor(status.progress * 1e6) / 1e6 if status else 0.0


def json_line(
    event: str, when: float, state: str, status: Status | None, more: Mapping[str, object]
) -> str:
    """One JSON object; the same base fields in every one of them."""
    fields: dict[str, object] = {
        "event": event,
        "time": round(when, 3),
        "progress": _progress(state, status),
        "down_rate": round(status.down_rate, 1) if status else 0.0,
        "up_rate": round(status.up_rate, 1) if status else 0.0,
        "peers": status.peers if status else 0,
        "state": state,
    }
    if status:
        fields |= {
            "checking": math.floor(status.checking * 1e6) / 1e6,
            "downloaded": status.downloaded,
            "uploaded": status.uploaded,
            "pieces_have": status.pieces_have,
            "pieces_total": status.pieces_total,
            "eta": None if status.eta is None else round(status.eta, 1),
            "known": origins(status),
        }
    return json.dumps(fields | dict(more), allow_nan=False)
