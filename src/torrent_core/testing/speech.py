"""What bytes on a link say, the slow and obvious way, and as one short phrase."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from ..actions import Action, Send
from ..errors import WireError
from ..types import BlockInfo, Buffer, LinkId
from ..wire import messages as wire
from ..wire.handshake import HANDSHAKE_LENGTH, PROTOCOL

_PREFIX = 4
_MOST_WORDS = 6


def parse(data: bytes) -> Iterator[wire.Message]:
    """The messages in ``data``, which holds whole ones.  Raises WireError."""
    while data:
        end = _PREFIX + int.from_bytes(data[:_PREFIX], "big")
        yield wire.decode(data[_PREFIX:end])
        data = data[end:]


def messages_in(data: Buffer) -> list[wire.Message]:
    """The messages that begin ``data``, as far as they are whole and make sense.

    A handshake in front is passed over.  What begins in the middle of a message makes no
    sense, or the wrong one: this is for people to read.
    """
    rest = bytes(data)
    if rest.startswith(PROTOCOL):
        rest = rest[HANDSHAKE_LENGTH:]
    found: list[wire.Message] = []
    while len(rest) >= _PREFIX:
        end = _PREFIX + int.from_bytes(rest[:_PREFIX], "big")
        if end > len(rest):
            break
        try:
            found.append(wire.decode(rest[_PREFIX:end]))
        except WireError:
            break
        rest = rest[end:]
    return found


def sent(actions: Iterable[Action], link: LinkId) -> list[wire.Message]:
    """What these actions tell one link."""
    data = b"".join(a.data for a in actions if isinstance(a, Send) and a.link == link)
    return messages_in(data)


def requested(actions: Iterable[Action], link: LinkId) -> set[BlockInfo]:
    """The blocks that these actions ask of one link."""
    return {
        BlockInfo(message.index, message.begin, message.length)
        for message in sent(actions, link)
        if isinstance(message, wire.Request)
    }


def phrase(data: Buffer) -> str:
    """What ``data`` says, in a few words: neighbours of one kind are counted."""
    words = ["HANDSHAKE"] if bytes(data[: len(PROTOCOL)]) == PROTOCOL else []
    for name, group in groupby(messages_in(data), key=lambda message: type(message).__name__):
        words.append(_of_one_kind(name, list(group)))
    if len(words) > _MOST_WORDS:
        words[_MOST_WORDS:] = [f"and {len(words) - _MOST_WORDS} more"]
    return f"{len(data)} bytes" + (f" ({', '.join(words)})" if words else "")


def _of_one_kind(name: str, group: list[wire.Message]) -> str:
    places = [place(message) for message in group]
    if len(group) == 1:
        return f"{name} {places[0]}".rstrip()
    between = f" {places[0]} to {places[-1]}" if places[0] else ""
    return f"{len(group)} x {name}{between}"


def place(message: wire.Message) -> str:
    """The piece that a message is about, and the offset in it; nothing if it is about none."""
    match message:
        case (
            wire.Request(index, begin, _)
            | wire.Cancel(index, begin, _)
            | wire.Reject(index, begin, _)
            | wire.Piece(index, begin, _)
        ):
            return f"{index}+{begin}"
        case wire.Have(index) | wire.Suggest(index) | wire.AllowedFast(index):
            return str(index)
    return ""
