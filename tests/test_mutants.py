"""Every fault on the list is noticed by the test that it names."""

from __future__ import annotations

import pytest

from mutant_kit import Mutant, patched, source_of, verdict
from mutants import MUTANTS


def test_the_list_is_long_enough_and_names_each_fault_once() -> None:
    assert len(MUTANTS) >= 25
    assert len({mutant.fault for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.fault.replace(" ", "-"))
def test_the_suite_kills(mutant: Mutant) -> None:
    patched(mutant, source_of(mutant))
    seen = verdict(mutant)
    assert seen.failed, f"{mutant.killer} does not notice: {seen.message}"
