"""The table of faults, anew: ``python tests/mutant_table.py > tests/MUTANTS.md``."""

from __future__ import annotations

import sys
from pathlib import Path

from mutant_kit import Mutant, Verdict, verdict
from mutants import MUTANTS

COMMITTED = Path(__file__).parent / "MUTANTS.md"
INTRODUCTION = f"""\
# Faults put in on purpose

Each of these {len(MUTANTS)} faults is a patch of one module in `mutants.py`. `test_mutants.py`
runs the test that is named beside it against the module so patched, and is content only if
something that the test asserts does not hold; a fault that merely crashes does not count. The
steps are the events handled until then, none where the test is of one function.

This page is the output of `python tests/mutant_table.py > tests/MUTANTS.md`.

| Fault | What it breaks | Killed by | Steps |
| --- | --- | --- | ---: |
"""


def row(mutant: Mutant) -> str:
    """The row of a fault, but for what running it shows."""
    file, _, test = mutant.killer.partition("::")
    return f"| {mutant.fault} | {mutant.lesson} | `{test}` in `{file}` | "


def outcome(seen: Verdict) -> str:
    """What running it showed."""
    return f"{seen.steps} |" if seen.failed else f"**survives**: {seen.message} |"


def main() -> int:
    """Run every fault; the exit status says whether all were noticed."""
    print(INTRODUCTION, end="")
    survivors = 0
    for mutant in MUTANTS:
        seen = verdict(mutant)
        survivors += not seen.failed
        print(row(mutant) + outcome(seen), flush=True)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
