"""The registry: one stable object per key, made on need, destroyed once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core.registry import Registry


class Entity:
    """Something with an identity."""

    def __init__(self, key: int) -> None:
        self.key = key


STEPS = st.lists(
    st.tuples(st.sampled_from(["get_or_create", "get", "remove", "clear"]), st.integers(0, 4))
)


@given(STEPS)
def test_objects_are_stable_while_they_live_and_destroyed_exactly_once(
    steps: list[tuple[str, int]],
) -> None:
    created: list[Entity] = []
    destroyed: list[Entity] = []

    def create(key: int) -> Entity:
        created.append(Entity(key))
        return created[-1]

    registry = Registry(create, destroyed.append)
    live: dict[int, Entity] = {}
    for step, key in steps:
        if step == "get_or_create":
            item = registry.get_or_create(key)
            assert item is live.setdefault(key, item)
            assert item.key == key
        elif step == "get":
            assert registry.get(key) is live.get(key)
        elif step == "remove":
            assert registry.remove(key) is live.pop(key, None)
        else:
            registry.clear()
            live.clear()
        assert registry.items() == list(live.items())
        assert registry.keys() == list(live)
        assert registry.active == list(registry) == list(live.values())
        assert len(registry) == len(live)
        assert (key in registry) == (key in live)
    assert len(destroyed) == len(set(map(id, destroyed))) == len(created) - len(live)


def test_removing_what_is_not_there_destroys_nothing() -> None:
    registry: Registry[int, Entity] = Registry(Entity, lambda item: pytest.fail("destroyed"))
    assert registry.remove(1) is None


def test_objects_may_be_removed_while_walking_over_the_active_ones() -> None:
    registry = Registry(Entity)
    for key in range(5):
        registry.get_or_create(key)
    for item in registry.active:
        registry.remove(item.key)
    assert len(registry) == 0


def test_clearing_destroys_the_oldest_first() -> None:
    destroyed: list[int] = []
    registry = Registry(Entity, lambda item: destroyed.append(item.key))
    for key in (3, 1, 2):
        registry.get_or_create(key)
    registry.clear()
    assert destroyed == [3, 1, 2]


def test_falsy_objects_are_objects() -> None:
    registry: Registry[str, int] = Registry(lambda key: 0)
    registry.get_or_create("a")
    assert registry.get("a") == 0
    assert registry.remove("a") == 0


def test_a_subclass_may_make_and_destroy() -> None:
    class Own(Registry[int, list[int]]):
        def create_item(self, key: int) -> list[int]:
            return [key]

        def destroy_item(self, item: list[int]) -> None:
            item.clear()

    registry = Own()
    item = registry.get_or_create(7)
    assert item == [7]
    registry.remove(7)
    assert item == []


def test_without_a_way_to_create_only_looking_works() -> None:
    registry: Registry[int, Entity] = Registry()
    assert registry.get(1) is None
    with pytest.raises(TypeError, match="create"):
        registry.get_or_create(1)
    assert 1 not in registry
