"""Turns an object and all that hangs on it into bytes that are equal for equal states.

Every field of every object counts unless the ``View`` of its class leaves it out: a field
that somebody adds tomorrow makes more states distinct, never fewer.  Objects that are met
again are written as "the n-th object", so sharing and cycles are part of the state.
Callbacks count by what they are bound to: a retry that is scheduled is state too.
"""

from __future__ import annotations

import marshal
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial
from types import FunctionType, MethodType
from typing import Any, TypeAlias

import attrs

_ATOMS = frozenset({int, str, bytes, bool, type(None)})

DIGITS = 6
"""Seconds are compared to the microsecond: sums of the same delays in another order differ
in their last bits."""

MARSHAL_VERSION = 2
"""The last one that does not write whether an object is referenced from elsewhere as well."""


@attrs.frozen(kw_only=True)
class View:
    """How the objects of one class are looked at."""

    without: tuple[str, ...] = ()
    """Fields that make no difference to what the machine will do."""
    moments: tuple[str, ...] = ()
    """Fields that hold a moment or None: what counts is how far away it is."""
    only_if: Mapping[str, Callable[[Any, float], bool]] = attrs.field(factory=dict)
    """Moments that make a difference only if this says so of the object and now."""
    through: Callable[[Any, float], object] | None = None
    """What to look at, beside the fields, given the object and now."""


Writer: TypeAlias = Callable[[Any], None]


class Canon:
    """Writes objects; remembers how those of each class are written."""

    def __init__(self, views: Mapping[type, View]) -> None:
        self._views = views
        self._writers: dict[type, Writer] = {
            float: self._float,
            list: self._list,
            deque: self._list,
            dict: self._dict,
            OrderedDict: self._dict,
            set: self._set,
            bytearray: lambda value: self._out.append(bytes(value)),
            memoryview: lambda value: self._out.append(len(value)),
            MethodType: self._method,
            FunctionType: self._function,
            partial: self._partial,
        }
        self._now = 0.0
        self._out: list[object] = []
        self._met: dict[int, int] = {}
        self._kept: list[object] = []  # what was met, so that no id is used again

    def bytes_of(self, now: float, *roots: object) -> bytes:
        """All that hangs on ``roots``, with moments relative to ``now``."""
        self._now = now
        self._out, self._met, self._kept = [], {}, []
        for root in roots:
            self._walk(root)
        return marshal.dumps(self._out, MARSHAL_VERSION)

    def _walk(self, value: object) -> None:
        kind = type(value)
        if kind in _ATOMS:
            self._out.append(value)
        else:
            writer = self._writers.get(kind) or self._learn(kind, value)
            writer(value)

    def _is_news(self, value: object) -> bool:
        """Whether the object is met for the first time; else writes which one it is."""
        at = self._met.setdefault(id(value), len(self._kept))
        if at < len(self._kept):
            self._out.append(("again", at))
            return False
        self._kept.append(value)
        return True

    # --- Plain values ------------------------------------------------------------------

    def _float(self, value: float) -> None:
        self._out.append(round(value, DIGITS))

    def _moment(self, value: float | None) -> None:
        self._out.append(None if value is None else round(value - self._now, DIGITS))

    def _items(self, value: tuple[object, ...]) -> None:
        self._out.append(len(value))
        for item in value:
            self._walk(item)

    def _list(self, value: list[object]) -> None:
        if self._is_news(value):
            self._items(tuple(value))

    def _dict(self, value: dict[object, object]) -> None:
        if self._is_news(value):
            self._out.append(len(value))
            for key, item in value.items():
                self._walk(key)
                self._walk(item)

    def _set(self, value: set[Any]) -> None:
        self._items(tuple(sorted(value)))

    # --- Callbacks ---------------------------------------------------------------------

    def _method(self, value: MethodType) -> None:
        self._out.append(value.__func__.__qualname__)
        self._walk(value.__self__)

    def _function(self, value: FunctionType) -> None:
        self._out.append((value.__qualname__, value.__code__.co_firstlineno))
        for cell in value.__closure__ or ():
            self._walk(cell.cell_contents)

    def _partial(self, value: partial[object]) -> None:
        self._walk(value.func)
        self._items(value.args)
        self._walk(value.keywords)

    # --- Objects -----------------------------------------------------------------------

    def _learn(self, kind: type, example: object) -> Writer:
        writer: Writer
        if issubclass(kind, Enum):
            writer = self._name
        elif issubclass(kind, type):
            writer = self._class
        elif issubclass(kind, tuple):
            writer = self._items
        else:
            writer = self._object(kind, example)
        self._writers[kind] = writer
        return writer

    def _name(self, value: Enum) -> None:
        self._out.append(value.name)

    def _class(self, value: type) -> None:
        self._out.append(value.__name__)

    def _object(self, kind: type, example: object) -> Writer:
        view = self._views.get(kind, View())
        plain = [name for name in _fields(kind, example) if name not in view.without]
        timeless = [name for name in plain if name not in view.moments]
        timed = [(name, view.only_if.get(name, _always)) for name in view.moments]
        through = view.through

        def write(value: object) -> None:
            if not self._is_news(value):
                return
            self._out.append(kind.__name__)
            out = self._out
            for name in timeless:
                field = getattr(value, name)
                if type(field) in _ATOMS:  # most are: one call less for each
                    out.append(field)
                else:
                    self._walk(field)
            for name, matters in timed:
                self._moment(getattr(value, name) if matters(value, self._now) else None)
            if through is not None:
                self._walk(through(value, self._now))

        return write


def _always(_value: object, _now: float) -> bool:
    return True


def _fields(kind: type, example: object) -> list[str]:
    """The names of all fields, slots first; of a class without slots, as the example has them."""
    slots = [name for base in reversed(kind.__mro__) for name in base.__dict__.get("__slots__", ())]
    named = [name for name in slots if not name.startswith("__")]
    return named + sorted(getattr(example, "__dict__", ()))
