"""Steps of machines as people read them, and what happened to one piece."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import attrs

from .. import actions as act
from .. import events as ev
from ..types import BlockInfo
from .speech import messages_in, phrase

_LONGEST_VALUE = 60


class Step(NamedTuple):
    """One call of ``handle``."""

    now: float
    event: ev.Event
    actions: list[act.Action]


def timeline(steps: Iterable[tuple[str, Step]]) -> str:
    """One line for each event and each action, with the time and the name of the machine."""
    lines = []
    for name, step in steps:
        lines.append(f"{step.now:12.4f}  {name}  {describe(step.event)}")
        lines += [f"{'':12}  {'':{len(name)}}    -> {describe(action)}" for action in step.actions]
    return "\n".join(lines)


def describe(what: ev.Event | act.Action) -> str:
    """An event or an action in one line, payload by its length and what it says."""
    words = [type(what).__name__]
    for field in attrs.fields(type(what)):
        value = getattr(what, field.name)
        if field.name != "torrent":
            words.append(f"{field.name}={_value(value)}")
    return " ".join(words)


def _value(value: object) -> str:
    match value:
        case bytes() | bytearray():
            return phrase(value)
        case memoryview():
            return f"{len(value)} bytes"
        case tuple() if value and not hasattr(value, "_fields") and not isinstance(value[0], int):
            return f"[{', '.join(map(_value, value[:3]))}{', ...' if len(value) > 3 else ''}]"
        case BlockInfo(piece, begin, _):
            return f"{piece}+{begin}"
    text = str(value)
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "..."


def history(steps: Iterable[Step], piece: int) -> list[Step]:
    """The steps with anything about ``piece`` in them, and of these only what is about it."""
    found = []
    for step in steps:
        actions = [action for action in step.actions if _mentions(action, piece)]
        if actions or _mentions(step.event, piece):
            found.append(Step(step.now, step.event, actions))
    return found


def _mentions(what: ev.Event | act.Action, piece: int) -> bool:
    if isinstance(what, ev.BytesReceived | act.Send):
        return any(getattr(message, "index", None) == piece for message in messages_in(what.data))
    blocks: tuple[BlockInfo, ...] = getattr(what, "blocks", ())
    return getattr(what, "piece", None) == piece or any(block.piece == piece for block in blocks)
