"""Plain values as bytes and back: what the fields of events and actions are made of.

A ``Kind`` is one type of field.  Writers append to a buffer; readers take from a ``Cursor``
and accept only what a writer can have made, since a trace comes from outside.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple, TypeVar

from ..errors import InvalidData, TraceError
from ..limits import MAX_PIECE_LENGTH
from ..metainfo import Metainfo, parse_torrent
from ..metainfo.model import HASH_LENGTH
from ..types import Address, BlockInfo, FileStat, Identity, Span

_INT = struct.Struct("<q")
_FLOAT = struct.Struct("<d")
_LENGTH = struct.Struct("<I")

E = TypeVar("E", bound=Enum)


class Cursor:
    """Reads on and on from bytes; ``offset`` is where in the file an error is said to be."""

    __slots__ = ("_at", "_data", "offset")

    def __init__(self, data: bytes, offset: int) -> None:
        self._data = data
        self._at = 0
        self.offset = offset

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes.  Raises TraceError if there are fewer."""
        if count > self.left:
            raise self.error("a record ends too early")
        self._at += count
        return self._data[self._at - count : self._at]

    def unpack(self, form: struct.Struct) -> tuple[Any, ...]:
        """The next values, as ``form`` has them."""
        return form.unpack(self.take(form.size))

    def byte(self) -> int:
        """The next byte as a number."""
        return self.take(1)[0]

    def length(self) -> int:
        """A count of bytes or of items, none of which is smaller than a byte."""
        count: int = self.unpack(_LENGTH)[0]
        if count > self.left:
            raise self.error(f"a length of {count} where {self.left} bytes are left")
        return count

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self._data) - self._at

    def error(self, what: str) -> TraceError:
        """What to raise for something that no writer can have written."""
        return TraceError(what, f"byte {self.offset}")


class Kind(NamedTuple):
    """How one type of value is written and read."""

    write: Callable[[bytearray, Any], None]
    read: Callable[[Cursor], Any]
    code: str = ""
    """What ``struct`` calls it, if it always takes the same space: neighbours in a class are
    then written at one go."""


def fixed(form: str, make: Callable[..., Any]) -> Kind:
    """A tuple of numbers, ``make`` being its class."""
    shape = struct.Struct(form)
    pack = shape.pack

    def write(out: bytearray, value: Any) -> None:
        out += pack(*value)

    return Kind(write, lambda cursor: make(*cursor.unpack(shape)))


def optional(kind: Kind) -> Kind:
    """The same, or None."""
    write_value, read_value, _ = kind

    def write(out: bytearray, value: Any) -> None:
        out.append(value is not None)
        if value is not None:
            write_value(out, value)

    def read(cursor: Cursor) -> Any:
        return read_value(cursor) if cursor.byte() else None

    return Kind(write, read)


def many(kind: Kind) -> Kind:
    """A tuple of any number of them."""
    write_value, read_value, _ = kind

    def write(out: bytearray, values: Any) -> None:
        out += _LENGTH.pack(len(values))
        for value in values:
            write_value(out, value)

    def read(cursor: Cursor) -> tuple[Any, ...]:
        return tuple(read_value(cursor) for _ in range(cursor.length()))

    return Kind(write, read)


def pair(first: Kind, second: Kind) -> Kind:
    """A tuple of two."""

    def write(out: bytearray, values: Any) -> None:
        one, other = values
        first.write(out, one)
        second.write(out, other)

    return Kind(write, lambda cursor: (first.read(cursor), second.read(cursor)))


def one_of(enum: type[E]) -> Kind:
    """A member of ``enum``."""
    members = list(enum)
    numbers = {member: number for number, member in enumerate(members)}

    def write(out: bytearray, value: E) -> None:
        out.append(numbers[value])

    def read(cursor: Cursor) -> E:
        number = cursor.byte()
        if number >= len(members):
            raise cursor.error(f"no {enum.__name__} has the number {number}")
        return members[number]

    return Kind(write, read)


def _write_int(out: bytearray, value: int) -> None:
    out += _INT.pack(value)


def _write_float(out: bytearray, value: float) -> None:
    out += _FLOAT.pack(value)


def _write_bool(out: bytearray, value: bool) -> None:
    out.append(value)


def _read_bool(cursor: Cursor) -> bool:
    number = cursor.byte()
    if number > 1:
        raise cursor.error(f"{number} for yes or no")
    return bool(number)


def _write_hash(out: bytearray, value: bytes) -> None:
    check_hash(value)
    out += value


def check_hash(value: bytes) -> None:
    """Raise ValueError for what is no info-hash."""
    if len(value) != HASH_LENGTH:
        raise ValueError(f"an info-hash of {len(value)} bytes")


def _write_bytes(out: bytearray, value: Any) -> None:
    out += _LENGTH.pack(len(value))
    out += value


def _read_bytes(cursor: Cursor) -> bytes:
    return cursor.take(cursor.length())


def _write_text(out: bytearray, value: str) -> None:
    # Names of files come from the system with what it could not decode kept as surrogates.
    _write_bytes(out, value.encode("utf-8", "surrogatepass"))


def _read_text(cursor: Cursor) -> str:
    try:
        return _read_bytes(cursor).decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise cursor.error("text that is not UTF-8") from error


def _write_payload(out: bytearray, value: Any) -> None:
    out += _LENGTH.pack(len(value))


def _read_payload(cursor: Cursor) -> memoryview:
    length: int = cursor.unpack(_LENGTH)[0]
    if length > MAX_PIECE_LENGTH:
        raise cursor.error(f"payload of {length} bytes")
    return memoryview(bytes(length))


def _write_metainfo(out: bytearray, value: Metainfo) -> None:
    _write_bytes(out, value.encode())


def _read_metainfo(cursor: Cursor) -> Metainfo:
    try:
        return parse_torrent(_read_bytes(cursor))
    except InvalidData as error:
        raise cursor.error(f"not a usable torrent: {error}") from error


def _write_identity(out: bytearray, value: Identity) -> None:
    _write_text(out, value[0])
    _write_bytes(out, value[1])


def _write_address(out: bytearray, value: Address) -> None:
    _write_text(out, value[0])
    _write_int(out, value[1])


INT = Kind(_write_int, lambda cursor: cursor.unpack(_INT)[0], "q")
FLOAT = Kind(_write_float, lambda cursor: cursor.unpack(_FLOAT)[0], "d")
BOOL = Kind(_write_bool, _read_bool)
HASH = Kind(_write_hash, lambda cursor: cursor.take(HASH_LENGTH), f"{HASH_LENGTH}s")
BYTES = Kind(_write_bytes, _read_bytes)
TEXT = Kind(_write_text, _read_text)
PAYLOAD = Kind(_write_payload, _read_payload)
METAINFO = Kind(_write_metainfo, _read_metainfo)
ADDRESS = Kind(_write_address, lambda cursor: Address(_read_text(cursor), INT.read(cursor)))
IDENTITY = Kind(_write_identity, lambda cursor: Identity(_read_text(cursor), _read_bytes(cursor)))
SPAN = fixed("<qqq", Span)
BLOCK = fixed("<qqq", BlockInfo)
FILE_STAT = fixed("<qq", FileStat)
