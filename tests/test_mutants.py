"""Every fault on the list is noticed by the test that it names, and for the right reason."""

from __future__ import annotations

import attrs
import pytest

from mutant_kit import Mutant, patched, source_of, verdict
from mutant_table import COMMITTED, row
from mutants import MUTANTS


def test_the_list_is_long_enough_and_names_each_fault_once() -> None:
    assert len(MUTANTS) >= 25
    assert len({mutant.fault for mutant in MUTANTS}) == len(MUTANTS)


def test_the_table_that_is_committed_has_every_fault_in_order() -> None:
    lines = COMMITTED.read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| ")][2:]
    assert len(rows) == len(MUTANTS)
    for line, mutant in zip(rows, MUTANTS, strict=True):
        assert line.startswith(row(mutant))
        assert line.removeprefix(row(mutant)).removesuffix(" |").isdecimal()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.fault.replace(" ", "-"))
def test_the_suite_kills(mutant: Mutant) -> None:
    patched(mutant, source_of(mutant))
    seen = verdict(mutant)
    assert seen.failed, f"{mutant.killer} does not notice: {seen.message}"


# --- The kit itself ---------------------------------------------------------------------------

FAULT = Mutant(
    "no link has more than one request out",
    "made up",
    "torrent_core.pieces.pace",
    "    depth = max(int(blocks), MIN_PIPELINE)\n",
    "    depth = 1\n",
    "test_pieces_pace.py::test_depth_follows_the_rate_and_reqq_only_lowers_it",
)


def test_a_fault_that_is_asserted_against_is_noticed_and_the_message_says_how() -> None:
    seen = verdict(FAULT)
    assert seen.failed
    assert seen.message.startswith("AssertionError")


def test_the_same_fault_has_the_same_verdict_again() -> None:
    mutant = MUTANTS[0]
    seen = verdict(mutant)
    assert seen.steps
    assert seen == verdict(mutant)


@pytest.mark.parametrize("old", ["no such text", "blocks"])
def test_a_patch_that_does_not_fit_once_is_refused(old: str) -> None:
    mutant = attrs.evolve(FAULT, old=old)
    with pytest.raises(ValueError, match=r"its patch fits \d+ times in torrent_core.pieces.pace"):
        patched(mutant, source_of(mutant))
    seen = verdict(mutant)
    assert not seen.failed
    assert "its patch fits" in seen.message


def test_a_killer_that_passes_is_no_killer() -> None:
    seen = verdict(attrs.evolve(FAULT, new=FAULT.old))
    assert (seen.failed, seen.message) == (False, "passed")


@pytest.mark.parametrize(
    ("new", "error"),
    [
        ("    depth = no_such_name\n", "NameError"),
        ("    depth = blocks.no_such_attribute\n", "AttributeError"),
        ('    depth = max("", MIN_PIPELINE)\n', "TypeError"),
        ("    depth = {}[rate]\n", "KeyError"),
    ],
)
def test_a_fault_that_crashes_the_test_is_not_noticed_by_it(new: str, error: str) -> None:
    seen = verdict(attrs.evolve(FAULT, new=new))
    assert not seen.failed
    assert seen.message.startswith(f"crashed: {error}")


@pytest.mark.parametrize("new", ["    depth = \n", "    depth = 1\n\nno_such_name\n"])
def test_a_fault_that_cannot_be_imported_is_not_noticed(new: str) -> None:
    seen = verdict(attrs.evolve(FAULT, new=new))
    assert not seen.failed
    assert seen.message.startswith("not collected:")


def test_a_test_that_does_not_exist_notices_nothing() -> None:
    seen = verdict(attrs.evolve(FAULT, killer="test_pieces_pace.py::test_no_such_thing"))
    assert (seen.failed, seen.message) == (False, "no test ran")
