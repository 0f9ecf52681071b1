"""One stable object per live entity, made on first need and destroyed on purpose.

This is the plan's lazy-instantiation pattern.  It holds pieces by index, links by id,
torrents by info-hash and files by index: the same life cycle everywhere, so that a reader
who knows one knows all.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

from .errors import LocalProtocolError

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Registry(Generic[K, V]):
    """Live objects by key, in order of creation.

    ``create`` makes the object for a key; ``destroy``, where given, is called once with
    the object that leaves.  Both may be left to a subclass that overrides ``create_item``
    and ``destroy_item``.
    """

    __slots__ = ("_create", "_destroy", "_items")

    def __init__(
        self,
        create: Callable[[K], V] | None = None,
        destroy: Callable[[V], None] | None = None,
    ) -> None:
        self._items: dict[K, V] = {}
        self._create = create
        self._destroy = destroy

    def create_item(self, key: K) -> V:
        """Make the object for ``key``; the default calls the ``create`` argument."""
        if self._create is None:
            raise TypeError("a Registry needs create= or a subclass with create_item()")
        return self._create(key)

    def destroy_item(self, item: V) -> None:
        """Let go of what ``item`` holds; the default calls the ``destroy`` argument."""
        if self._destroy is not None:
            self._destroy(item)

    def get_or_create(self, key: K) -> V:
        """The object for ``key``, made now if there is none.  Always returns one."""
        item = self._items.get(key)
        if item is None:
            item = self._items[key] = self.create_item(key)
        return item

    def add(self, key: K, item: V) -> None:
        """Take in an object that needed more than its key to be made.

        Raises LocalProtocolError if the key is taken, and changes nothing.
        """
        if key in self._items:
            raise LocalProtocolError(f"{key!r} is registered already")
        self._items[key] = item

    def get(self, key: K) -> V | None:
        """The object for ``key``, or None; never makes one."""
        return self._items.get(key)

    def remove(self, key: K) -> V | None:
        """Forget and destroy the object for ``key``; None, and no effect, if there is none."""
        item = self._items.pop(key, None)
        if item is not None:
            self.destroy_item(item)
        return item

    def clear(self) -> None:
        """Remove every object, oldest first."""
        for key in list(self._items):
            self.remove(key)

    @property
    def active(self) -> list[V]:
        """The live objects, oldest first; a copy, so that it may be walked while changing."""
        return list(self._items.values())

    def keys(self) -> list[K]:
        """The live keys, oldest first."""
        return list(self._items)

    def items(self) -> list[tuple[K, V]]:
        """The live keys with their objects, oldest first."""
        return list(self._items.items())

    def __contains__(self, key: object) -> bool:
        return key in self._items

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[V]:
        return iter(self._items.values())
