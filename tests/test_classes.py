"""Classes of ours say and compare what those of attrs would."""

from __future__ import annotations

import copy
import pickle

import attrs
import pytest

from torrent_core.classes import define, frozen


@frozen
class Empty:
    """Nothing to compare."""


@frozen
class Point:
    x: int
    y: int = 0
    secret: bytes = attrs.field(default=b"", repr=False)


@frozen
class Other:
    x: int
    y: int = 0
    secret: bytes = b""


@frozen(kw_only=True)
class Named:
    name: str


@frozen
class Polite:
    name: str

    def __repr__(self) -> str:
        return f"dear {self.name}"

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 7


@define(eq=False)
class Record:
    count: int
    holds: object = None


@define
class Mutable:
    count: int


def test_a_value_is_shown_as_what_makes_it_and_secrets_are_not():
    assert repr(Point(1, 2, b"x")) == "Point(x=1, y=2)"
    assert repr(Empty()) == "Empty()"
    assert repr(Named(name="it's")) == 'Named(name="it\'s")'
    assert repr(Record(1, Point(2))) == "Record(count=1, holds=Point(x=2, y=0))"


def test_a_class_inside_a_function_is_shown_by_its_name():
    @frozen
    class Inner:
        x: int

    assert repr(Inner(1)) == repr(attrs.make_class("Inner", ["x"])(1)) == "Inner(x=1)"


def test_what_holds_itself_is_shown():
    record = Record(1)
    record.holds = record
    assert repr(record) == "Record(count=1, holds=...)"


def test_values_are_equal_if_they_are_of_one_class_and_hold_the_same():
    assert Point(1, 2) == Point(1, 2)
    assert hash(Point(1, 2)) == hash(Point(1, 2))
    assert {Point(1), Point(1), Point(2), Empty(), Empty()} == {Point(2), Point(1), Empty()}
    assert Point(1, 2) != Point(1, 2, b"what is not shown counts")
    assert Point(1, 2) != Other(1, 2)
    assert Point(1, 2) != (1, 2, b"")
    assert hash(Point(1, 2)) != hash(Other(1, 2))


def test_a_value_does_not_change_and_has_nothing_but_its_fields():
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Point(1).x = 2  # type: ignore[misc]
    assert not hasattr(Point(1), "__dict__")


def test_a_record_is_itself_alone():
    record = Record(1)
    record.count = 2
    assert record == record
    assert record != Record(2)
    assert {record: 1}[record] == 1


def test_what_changes_and_is_compared_has_no_place_in_a_set():
    assert Mutable(1) == Mutable(1)
    with pytest.raises(TypeError):
        hash(Mutable(1))


def test_what_a_class_says_of_itself_stays():
    assert repr(Polite("sir")) == "dear sir"
    assert Polite("sir") == Polite("madam")
    assert hash(Polite("sir")) == 7


def test_what_is_done_to_classes_of_attrs_can_be_done_to_these():
    assert attrs.evolve(Point(1, 2), y=3) == Point(1, 3)
    assert [field.name for field in attrs.fields(Point)] == ["x", "y", "secret"]
    assert copy.copy(Point(1, 2)) == pickle.loads(pickle.dumps(Point(1, 2))) == Point(1, 2)
    match Point(1, 2):
        case Point(x, y):
            assert (x, y) == (1, 2)
