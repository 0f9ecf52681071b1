"""What the explorer takes for the state of a machine."""

from __future__ import annotations

from collections import deque
from enum import Enum
from functools import partial
from random import Random
from typing import Any, NamedTuple

import attrs
import pytest

from torrent_core.limits import BLOCK_SIZE
from torrent_core.testing.explore import Choice, Setting, What, choices, take, world_after
from torrent_core.testing.explore.graph import Canon, View
from torrent_core.testing.explore.peers import Peer
from torrent_core.testing.explore.projection import VIEWS, Projector
from torrent_core.testing.explore.world import Fixed, World
from torrent_core.types import BlockInfo
from torrent_core.wire.messages import encode_cancels, encode_requests

LIKELY = {What.ANSWER: 9, What.UNCHOKE: 9, What.STORAGE: 9, What.TICK: 6}
"""How likely each kind of step is, where others are 1: towards runs that get somewhere."""


@attrs.define(eq=False)
class Node:
    value: object = None
    due: float | None = None
    next: Node | None = None


class Plain:
    def __init__(self, value: object) -> None:
        self.value = value

    def call(self) -> None:
        """Bound methods count by what they are bound to."""


class Colour(Enum):
    RED = 1
    GREEN = 2


class Pair(NamedTuple):
    left: object
    right: object


def written(value: object, now: float = 0.0, **view: Any) -> bytes:
    return Canon({Node: View(**view)}).bytes_of(now, value)


def closure(value: object) -> Any:
    return lambda: value


MAKERS: list[Any] = [
    Node,
    Plain,
    lambda value: [value],
    lambda value: deque([value]),
    lambda value: {"key": value},
    lambda value: {value: "item"},
    lambda value: {value},
    lambda value: Pair(1, value),
    lambda value: Plain(value).call,
    closure,
    lambda value: partial(print, value),
    lambda value: partial(print, end=value),
    lambda value: partial(closure(value)),
]


@pytest.mark.parametrize("make", MAKERS)
def test_equal_graphs_are_equal_and_others_are_not(make: Any) -> None:
    values = [1, 2, "1", b"1", None, 1.5, Colour.RED, Colour.GREEN, int, str]
    texts = [written(make(value)) for value in values]
    assert texts == [written(make(value)) for value in values]
    assert len(set(texts)) == len(values)


def test_buffers_count_by_content_and_views_by_length() -> None:
    assert written(bytearray(b"ab")) != written(bytearray(b"ac"))
    assert written(memoryview(b"ab")) == written(memoryview(b"ac")) != written(memoryview(b"a"))


def test_the_members_of_a_set_have_no_order() -> None:
    assert written({8, 0, 16}) == written({16, 8, 0})


def test_sharing_and_cycles_are_part_of_the_state() -> None:
    one, other = Node(), Node()
    assert written([one, one]) != written([one, other])
    for shared, equal in ([[1], [1]], [{1: 2}, {1: 2}]):
        assert written([shared, shared]) != written([shared, equal])
    one.next = one
    other.next = Node()
    assert written(one) != written(other)
    other.next = other
    assert written(one) == written(other)


def test_functions_without_a_closure_differ_by_their_place() -> None:
    first = lambda: None  # noqa: E731
    second = lambda: None  # noqa: E731
    assert written(first) == written(first) != written(second)


def test_moments_count_by_their_distance_to_the_microsecond() -> None:
    options = {"moments": ("due",)}
    assert written(Node(due=5.0), 3.0, **options) == written(Node(due=0.1 + 0.2), -1.7, **options)
    assert written(Node(due=5.0), 3.0, **options) != written(Node(due=5.0), 3.1, **options)
    assert written(Node(due=None), 3.0, **options) == written(Node(due=None), 4.0, **options)


def test_moments_count_only_if_they_are_looked_at() -> None:
    options = {"moments": ("due",), "only_if": {"due": lambda node, now: node.due > now}}
    assert written(Node(due=1.0), 5.0, **options) == written(Node(due=4.0), 5.0, **options)
    assert written(Node(due=6.0), 5.0, **options) != written(Node(due=7.0), 5.0, **options)


def test_what_is_left_out_does_not_count_and_what_is_seen_through_does() -> None:
    assert written(Node(1), without=("value",)) == written(Node(2), without=("value",))
    through = {"without": ("value",), "through": lambda node, now: node.value % 10}
    assert written(Node(1), **through) == written(Node(11), **through)
    assert written(Node(1), **through) != written(Node(2), **through)


def test_every_view_names_fields_that_there_are() -> None:
    for kind, view in VIEWS.items():
        slots = {name for base in kind.__mro__ for name in base.__dict__.get("__slots__", ())}
        named = {*view.without, *view.moments}
        assert named <= slots or not slots, f"{kind.__name__} has no {named - slots}"
        assert set(view.only_if) <= set(view.moments)


def test_time_that_changes_nothing_makes_no_new_state() -> None:
    """An idle link, the same distance from its next keep-alive."""
    projector, setting = Projector(), Setting()
    idle = (Choice(What.OPEN, 0), Choice(What.TICK), Choice(What.STORAGE, 0), Choice(What.TICK))
    once = world_after(setting, idle[:2])
    twice = world_after(setting, idle)
    assert projector.project(once).around == projector.project(twice).around
    assert once.now < twice.now


SETTINGS = (Setting(), Setting(pieces=3, memory=1), Setting(links=3, blocks=4, memory=1))


@pytest.mark.parametrize("setting", SETTINGS, ids=["roomy", "tight", "long pieces"])
def test_it_makes_no_difference_when_a_run_began(setting: Setting) -> None:
    """So no moment that the machine keeps is written as it is."""
    projector = Projector()
    for seed in range(8):
        random = Random(seed)
        early, later = World(setting), World(setting, now=1000.0)
        for _ in range(25):
            open_to = choices(early)
            assert choices(later) == open_to
            if not open_to:  # complete, and everybody has left
                break
            choice = random.choices(open_to, [LIKELY.get(one.what, 1) for one in open_to])[0]
            take(early, choice)
            take(later, choice)
            assert projector.project(early) == projector.project(later), (seed, choice)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((What.ANSWER,), (What.CORRUPT,)),
        ((What.ANSWER,), (What.ANSWER_NEWEST,)),
        ((What.REJECT,), (What.CHOKE,)),
        ((What.LEAVE, What.OPEN), (What.CHOKE,)),
        ((), (What.TICK,)),
        ((), (What.WAIT,)),
    ],
)
def test_what_can_go_on_differently_is_told_apart(
    one: tuple[What, ...], other: tuple[What, ...]
) -> None:
    projector, setting = Projector(), Setting()
    asked = (Choice(What.OPEN, 0), Choice(What.UNCHOKE, 0))
    first, second = (
        projector.project(world_after(setting, (*asked, *map(Choice, kinds))))
        for kinds in (one, other)
    )
    assert first.machine != second.machine


def test_fixed_randomness_is_the_least_there_is() -> None:
    assert (Fixed().getrandbits(32), Fixed().random()) == (0, 0.0)


def test_a_peer_owes_no_answer_for_a_cancel_of_what_it_has_answered() -> None:
    peer, block = Peer(1, False, bytes(20)), BlockInfo(0, 0, BLOCK_SIZE)
    peer.connect()
    peer.bitfield(1, 1)
    peer.unchoke()
    peer.hear(encode_requests([block]))
    peer.take(newest=False)
    peer.hear(encode_cancels([block]))
    assert not peer.asked
    assert not peer.owed
