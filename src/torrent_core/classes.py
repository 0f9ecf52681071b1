"""``frozen`` and ``define`` of attrs, which compile no more than an ``__init__`` for each class.

attrs writes ``__repr__``, ``__eq__`` and ``__hash__`` for each class anew, as source that is
compiled when the module is loaded: more than half of what a class costs, and a sixth of the
start of a program that has two hundred of them.  Here they are written once, for any class: they
say and compare what attrs would have them, a microsecond slower, and no transfer calls them.  What
attrs can be told of single fields in this is not looked at, but for ``repr=False``.

Type checkers see attrs itself, so that they know these classes, and ``attrs.evolve`` of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attrs import define, frozen
else:
    from functools import partial
    from reprlib import recursive_repr

    import attrs

    class _Shown:
        """What every class gets, unless it has its own."""

        @recursive_repr()
        def __repr__(self):
            shown = (
                f"{field.name}={getattr(self, field.name)!r}"
                for field in self.__attrs_attrs__
                if field.repr
            )
            return f"{type(self).__qualname__.rpartition('>.')[2]}({', '.join(shown)})"

    class _Compared:
        """What those get that are frozen: equal is what is of one class and holds the same."""

        def __eq__(self, other):
            if other.__class__ is not self.__class__:
                return NotImplemented
            return _content(self) == _content(other)

        def __hash__(self):
            return hash((self.__class__, *_content(self)))

    def _content(value):
        return [getattr(value, field.name) for field in value.__attrs_attrs__]

    def frozen(cls=None, /, **options):
        if cls is None:
            return partial(frozen, **options)
        _give(cls, _Shown, "__repr__")
        _give(cls, _Compared, "__eq__", "__hash__")
        return attrs.frozen(cls, repr=False, eq=False, **options)

    def define(cls=None, /, **options):
        if cls is None:
            return partial(define, **options)
        _give(cls, _Shown, "__repr__")
        return attrs.define(cls, repr=False, **options)

    def _give(cls, source, *names):
        for name in names:
            if name not in vars(cls):
                setattr(cls, name, vars(source)[name])


__all__ = ["define", "frozen"]
