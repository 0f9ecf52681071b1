"""Bencode (BEP 3): byte strings, integers, lists and dictionaries.

The decoder is one loop with an explicit stack, so that nesting in the input never becomes
nesting of calls, and it claims no memory before the bytes that need it are there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from .errors import BencodeError
from .limits import MAX_BENCODE_DEPTH, MAX_BENCODE_TOKENS, MAX_INTEGER_DIGITS
from .types import Buffer

Value: TypeAlias = bytes | int | list["Value"] | dict[bytes, "Value"]
"""What ``decode`` returns."""

_Container: TypeAlias = list[Value] | dict[bytes, Value]

Encodable: TypeAlias = (
    bytes
    | str
    | int
    | Sequence["Encodable"]
    | Mapping[bytes, "Encodable"]
    | Mapping[str, "Encodable"]
    | Mapping[bytes | str, "Encodable"]
)
"""What ``encode`` takes; of sequences only lists and tuples."""

_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1


def decode(
    data: Buffer,
    *,
    strict: bool = True,
    max_depth: int = MAX_BENCODE_DEPTH,
    max_tokens: int = MAX_BENCODE_TOKENS,
) -> Value:
    """The one value that ``data`` holds.

    ``strict`` asks for the canonical form: keys sorted and unique.  Otherwise any order
    will do, and of equal keys the first counts, as in libtorrent.  ``max_depth`` bounds how
    many containers lie in one another, ``max_tokens`` the values, keys included.  Raises
    BencodeError.
    """
    reader = _Reader(data, strict, max_tokens)
    value = reader.read(max_depth)
    reader.expect_end()
    return value


def decode_prefix(
    data: Buffer,
    *,
    strict: bool = True,
    max_depth: int = MAX_BENCODE_DEPTH,
    max_tokens: int = MAX_BENCODE_TOKENS,
) -> tuple[Value, int]:
    """The value at the start of ``data``, and the offset where it ends.

    Arguments and errors as for ``decode``; whatever follows is not looked at (BEP 9 puts
    payload behind a dictionary).
    """
    reader = _Reader(data, strict, max_tokens)
    return reader.read(max_depth), reader.pos


def decode_with_span(
    data: Buffer,
    key: bytes,
    *,
    strict: bool = True,
    max_depth: int = MAX_BENCODE_DEPTH,
    max_tokens: int = MAX_BENCODE_TOKENS,
) -> tuple[dict[bytes, Value], tuple[int, int] | None]:
    """The dictionary that ``data`` holds, and where the value of ``key`` lies in it.

    The span is (start, end) in bytes, or None without such a key: a torrent's info-hash is
    taken of the bytes as they stand.  Arguments and errors as for ``decode``, which reads
    the same values; anything but a dictionary is refused.
    """
    reader = _Reader(data, strict, max_tokens)
    found, spans = reader.read_top(max_depth)
    reader.expect_end()
    return found, spans.get(key)


class _Reader:
    """A place in some bytes, and what may still be read from there."""

    __slots__ = ("_data", "_strict", "_tokens", "pos")

    def __init__(self, data: Buffer, strict: bool, max_tokens: int) -> None:
        self._data = bytes(data)  # no copy of what is bytes already
        self._strict = strict
        self._tokens = max_tokens
        self.pos = 0

    def expect_end(self) -> None:
        """Raise BencodeError unless everything has been read."""
        if self.pos != len(self._data):
            raise _error("bytes after the end of the value", self.pos)

    def read_top(self, depth: int) -> tuple[dict[bytes, Value], dict[bytes, tuple[int, int]]]:
        """A dictionary read one value at a time, and the span of each value."""
        data = self._data
        if data[:1] != b"d":
            raise _error("not a dictionary", 0)
        if depth < 1:
            raise _error("too many levels", 0)
        found: dict[bytes, Value] = {}
        spans: dict[bytes, tuple[int, int]] = {}
        last: bytes | None = None
        self._tokens -= 1
        self.pos = 1
        while data[self.pos : self.pos + 1] != b"e":
            self._tokens -= 1
            last, start = _key(data, self.pos, last, self._strict)
            self.pos = start
            found.setdefault(last, self.read(depth - 1))
            spans.setdefault(last, (start, self.pos))
        self.pos += 1
        if self._tokens < 0:
            raise _error("too many values", self.pos)
        return found, spans

    def read(self, depth: int) -> Value:
        """The value at ``pos``, which moves behind it; at most ``depth`` levels deep.

        One loop rather than a method for each kind: this is where a large torrent spends
        its time.  The stack holds the containers around ``box``, each with its latest key.
        """
        data, pos, tokens, strict = self._data, self.pos, self._tokens, self._strict
        stack: list[tuple[_Container, bytes | None]] = []
        box: _Container | None = None
        last: bytes | None = None
        key = b""
        while True:
            lead = data[pos : pos + 1]
            if lead == b"e" and box is not None:
                pos += 1
                if not stack:
                    self.pos, self._tokens = pos, tokens
                    return box
                box, last = stack.pop()
                continue
            tokens -= 1
            if type(box) is dict:
                tokens -= 1
                key, pos = _key(data, pos, last, strict)
                last = key
                lead = data[pos : pos + 1]
            if tokens < 0:
                raise _error("too many values", pos)
            item: Value
            inner: _Container | None = None
            if lead.isdigit():
                item, pos = _string(data, pos)
            elif lead == b"i":
                item, pos = _integer(data, pos)
            else:
                item = inner = _opened(lead, pos, len(stack) + (box is not None) < depth)
                pos += 1
            if type(box) is list:
                box.append(item)
            elif type(box) is dict:
                box.setdefault(key, item)
            elif inner is None:
                self.pos, self._tokens = pos, tokens
                return item
            if inner is not None:
                if box is not None:
                    stack.append((box, last))
                box, last = inner, None


def _opened(lead: bytes, at: int, room: bool) -> _Container:
    """An empty container of the kind that ``lead`` announces."""
    if lead not in (b"l", b"d"):
        raise _error("no value" if lead else "the end comes too early", at)
    if not room:
        raise _error("too many levels", at)
    return [] if lead == b"l" else {}


def _key(data: bytes, at: int, last: bytes | None, strict: bool) -> tuple[bytes, int]:
    """The key at ``at`` and where its value begins."""
    if not data[at : at + 1].isdigit():
        raise _error("a key that is no string" if at < len(data) else "the end comes too early", at)
    key, pos = _string(data, at)
    if strict and last is not None and key <= last:
        raise _error("keys out of order, or twice the same", at)
    return key, pos


def _string(data: bytes, at: int) -> tuple[bytes, int]:
    """The string at ``at`` and where it ends."""
    colon = data.find(b":", at, at + MAX_INTEGER_DIGITS + 1)
    digits = data[at:colon]
    if colon < 0 or not digits.isdigit() or (digits[0] == 48 and colon - at > 1):
        raise _error("a string whose length is no number", at)
    start = colon + 1
    end = start + int(digits)
    if end > len(data):
        raise _error("a string longer than what is left", at)
    return data[start:end], end


def _integer(data: bytes, at: int) -> tuple[int, int]:
    """The integer at ``at`` and where it ends."""
    end = data.find(b"e", at, at + MAX_INTEGER_DIGITS + 2)
    text = data[at + 1 : end]
    digits = text.removeprefix(b"-")
    if end < 0 or not digits.isdigit() or (digits[0] == 48 and text != b"0"):
        raise _error("an integer that is no canonical number", at)
    value = int(text)
    if not _INT64_MIN <= value <= _INT64_MAX:
        raise _error("an integer beyond 64 bits", at)
    return value, end + 1


def _error(what: str, at: int) -> BencodeError:
    return BencodeError(what, f"offset {at}")


def encode(value: Encodable) -> bytes:
    """The canonical bencoding of ``value``: what ``decode`` accepts, and no other form.

    Strings become UTF-8, keys are sorted.  Raises TypeError for a type that bencode does
    not have (bool included), ValueError for an integer beyond 64 bits, a key that occurs
    both as ``str`` and as ``bytes``, or nesting that ``decode`` would refuse by default.
    """
    parts: list[bytes] = []
    _encode(value, parts, MAX_BENCODE_DEPTH)
    return b"".join(parts)


def _encode(value: object, parts: list[bytes], depth: int) -> None:
    if isinstance(value, bytes | str):
        text = value.encode() if isinstance(value, str) else value
        parts += (b"%d:" % len(text), text)
    elif isinstance(value, int) and not isinstance(value, bool):
        if not _INT64_MIN <= value <= _INT64_MAX:
            raise ValueError("an integer beyond 64 bits cannot be bencoded")
        parts.append(b"i%de" % value)
    elif not isinstance(value, list | tuple | Mapping):
        raise TypeError(f"cannot bencode {type(value).__name__}")
    elif depth == 0:
        raise ValueError(f"more than {MAX_BENCODE_DEPTH} levels cannot be bencoded")
    elif isinstance(value, Mapping):
        parts.append(b"d")
        for key, item in _sorted_pairs(value):
            _encode(key, parts, depth)
            _encode(item, parts, depth - 1)
        parts.append(b"e")
    else:
        parts.append(b"l")
        for item in value:
            _encode(item, parts, depth - 1)
        parts.append(b"e")


def _sorted_pairs(table: Mapping[object, object]) -> list[tuple[bytes, object]]:
    pairs: dict[bytes, object] = {}
    for key, item in table.items():
        if not isinstance(key, bytes | str):
            raise TypeError(f"a key must be bytes or str, not {type(key).__name__}")
        text = key.encode() if isinstance(key, str) else key
        if text in pairs:
            raise ValueError(f"key {text!r} occurs twice")
        pairs[text] = item
    return sorted(pairs.items(), key=lambda pair: pair[0])
