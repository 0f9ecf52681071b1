"""Events, actions and settings as bytes, field by field.

What a class is made of is read from its fields, so that a new event or action needs nothing
here unless it brings a new type of field.  Classes go by number; ``FINGERPRINT`` tells
whether two versions of the package mean the same by all of them.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any, NamedTuple, get_args

import attrs

from ..actions import Action
from ..discovery import DiscoveryConfig
from ..events import BytesPlaced, BytesReceived, Event
from ..metainfo import MagnetLink
from ..pieces import ActivePieceConfig
from ..session import SessionConfig
from ..torrent import TorrentConfig
from ..types import (
    CloseReason,
    Family,
    LinkId,
    PeerSource,
    ReleaseCause,
    StorageFault,
    TorrentState,
)
from .values import (
    ADDRESS,
    BLOCK,
    BOOL,
    BYTES,
    FILE_STAT,
    FLOAT,
    HASH,
    IDENTITY,
    INT,
    METAINFO,
    PAYLOAD,
    SPAN,
    TEXT,
    Cursor,
    Kind,
    check_hash,
    many,
    one_of,
    optional,
    pair,
)

Numbering = Callable[[LinkId], int]
"""Links go by number, since an adapter may name them by anything."""

EVENTS: tuple[type, ...] = tuple(each for each in get_args(Event) if each is not BytesPlaced)
"""What a trace knows.  Bytes that were placed are recorded as received."""
ACTIONS: tuple[type, ...] = get_args(Action)

_ENUMS = (CloseReason, Family, PeerSource, ReleaseCause, StorageFault, TorrentState)

_KINDS: dict[str, Kind] = {
    "Address": ADDRESS,
    "Buffer": PAYLOAD,
    "Identity": IDENTITY,
    "InfoHash": HASH,
    "Metainfo": METAINFO,
    "bool": BOOL,
    "bytes": BYTES,
    "bytes | None": optional(BYTES),
    "float": FLOAT,
    "float | None": optional(FLOAT),
    "int": INT,
    "int | None": optional(INT),
    "memoryview | None": optional(PAYLOAD),
    "str": TEXT,
    "tuple[Address, ...]": many(ADDRESS),
    "tuple[BlockInfo, ...]": many(BLOCK),
    "tuple[FileStat | None, ...]": many(optional(FILE_STAT)),
    "tuple[Span, ...]": many(SPAN),
    "tuple[bytes, ...]": many(BYTES),
    "tuple[str, ...]": many(TEXT),
    "tuple[int, ...]": many(INT),
    "tuple[int, ...] | None": optional(many(INT)),
    "tuple[Run, ...] | None": optional(many(pair(INT, INT))),
    "tuple[tuple[BlockInfo, memoryview], ...]": many(pair(BLOCK, PAYLOAD)),
    "tuple[tuple[Span, memoryview], ...]": many(pair(SPAN, PAYLOAD)),
    **{enum.__name__: one_of(enum) for enum in _ENUMS},
    "Family | None": optional(one_of(Family)),
    "tuple[Family, ...]": many(one_of(Family)),
}
"""By the annotation of the field; what a link is called is added by ``Codec``."""

_EXCEPTIONS: dict[tuple[type, str], Kind] = {(BytesReceived, "data"): BYTES}
"""Where a buffer holds more than payload."""


def _fields(cls: type) -> list[tuple[str, str]]:
    return [(field.name, str(field.type)) for field in attrs.fields(cls)]


def _fingerprint(classes: Iterable[type]) -> int:
    shapes = [f"{cls.__name__}{_fields(cls)}" for cls in classes]
    members = [f"{enum.__name__}{[member.name for member in enum]}" for enum in _ENUMS]
    return zlib.crc32("\n".join(shapes + members).encode())


_CONFIGS = (SessionConfig, DiscoveryConfig, TorrentConfig, ActivePieceConfig)

FINGERPRINT = _fingerprint((*EVENTS, *ACTIONS, MagnetLink, *_CONFIGS))
"""Of the names, order and fields of all that a trace can hold."""


Part = tuple[Callable[[Any], Any], Callable[[bytearray, Any], None]]
"""Gets one or more fields of a value, and writes them."""


class Layout(NamedTuple):
    """The fields of one class, in order."""

    cls: type
    kinds: tuple[Kind, ...]
    parts: tuple[Part, ...]

    def write(self, out: bytearray, value: Any) -> None:
        """Append the fields of ``value``."""
        for get, write in self.parts:
            write(out, get(value))

    def read(self, cursor: Cursor) -> Any:
        """Make an instance of the fields that come next."""
        return self.cls(*[kind.read(cursor) for kind in self.kinds])


def layout(cls: type, kinds: dict[str, Kind]) -> Layout:
    """How ``cls`` is written, by the annotations of its fields."""
    fields = [
        (name, _EXCEPTIONS.get((cls, name)) or kinds[annotation])
        for name, annotation in _fields(cls)
    ]
    # An info-hash leads wherever there is one, and neighbours of fixed size are one part.
    runs: list[list[tuple[str, Kind]]] = []
    for field in fields:
        if runs and field[1].code and runs[-1][-1][1].code and field[1] is not HASH:
            runs[-1].append(field)
        else:
            runs.append([field])
    return Layout(cls, tuple(kind for _, kind in fields), tuple(map(_part, runs)))


def _part(run: list[tuple[str, Kind]]) -> Part:
    get = attrgetter(*[name for name, _ in run])
    first = run[0][1]
    if len(run) == 1:
        return get, first.write
    pack = struct.Struct("<" + "".join(kind.code for _, kind in run)).pack

    def write(out: bytearray, values: tuple[Any, ...]) -> None:
        if first is HASH:
            check_hash(values[0])
        out += pack(*values)

    return get, write


class Codec:
    """Values of any of the classes it is made for, each led by the number of its class.

    ``number_of`` is asked for the number of each link that is written.
    """

    __slots__ = ("_layouts", "_name", "_writers")

    def __init__(self, name: str, classes: Iterable[type], number_of: Numbering) -> None:
        """``name`` says in errors what was looked for."""
        link = Kind(lambda out, value: INT.write(out, number_of(value)), INT.read)
        kinds = {**_KINDS, "LinkId": link, "tuple[LinkId, ...]": many(link)}
        self._name = name
        self._layouts = [layout(cls, kinds) for cls in classes]
        self._writers = {
            shape.cls: (number, shape.parts) for number, shape in enumerate(self._layouts)
        }

    def write(self, out: bytearray, value: Any) -> None:
        """Append ``value``.  Raises KeyError for another class, and TypeError, ValueError,
        AttributeError or struct.error for fields that are not what they are declared to be."""
        number, parts = self._writers[type(value)]
        out.append(number)
        for get, write in parts:
            write(out, get(value))

    def read(self, cursor: Cursor) -> Any:
        """The value that comes next; links are called by their numbers.  Raises TraceError."""
        number = cursor.byte()
        if number >= len(self._layouts):
            raise cursor.error(f"no {self._name} has the number {number}")
        return self._layouts[number].read(cursor)


def _class_kind(cls: type) -> Kind:
    shape = layout(cls, _KINDS)
    return Kind(shape.write, shape.read)


_KINDS["MagnetLink"] = _class_kind(MagnetLink)
_KINDS["ActivePieceConfig"] = _class_kind(ActivePieceConfig)
TORRENT_CONFIG = _KINDS["TorrentConfig"] = _class_kind(TorrentConfig)
_KINDS["DiscoveryConfig | None"] = optional(_class_kind(DiscoveryConfig))
SESSION_CONFIG = _class_kind(SessionConfig)
