"""All benchmarks, one after the other, and the table of what they found.

    python -m benchmarks [--quick] [--json] [--only PART]... [--pairs N] [--no-table]

Each part is a script beside this file, and runs alone as well.  A full run takes about twenty
minutes on an idle machine, writes its table into README.md (``--quick`` does not) and
draws ``growth.svg``.  ``--json`` prints all that was found as one object.  Exit status 1: a part
failed, or something that was fetched was wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from suite import PARTS, Part  # noqa: E402
from table import as_markdown, into_readme  # noqa: E402

README = HERE / "README.md"


def machine() -> str:
    """What the figures were taken on."""
    cpu = "an unknown processor"
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    names = [_named(name) for name in ("torrent-core", "libtorrent", "anyio", "trio", "uvloop")]
    return ", ".join(
        [
            f"{os.cpu_count()} cores of {cpu}",
            f"{platform.system()} {platform.release()}",
            f"Python {platform.python_version()}",
            *(name for name in names if name),
        ]
    )


def _named(name: str) -> str:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return ""


def run(part: Part, options: list[str]) -> tuple[Any, float]:
    """What one part found, and how many seconds it took.

    Raises CalledProcessError if it failed.
    """
    argv = [sys.executable, str(HERE / part.script), *part.options, *options, "--json"]
    start = time.perf_counter()
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return found if part.lines else found[0], time.perf_counter() - start


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="small amounts: does it run at all?")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of a table")
    parser.add_argument("--only", action="append", choices=list(PARTS), metavar="PART")
    parser.add_argument("--pairs", type=int, default=7, metavar="N", help="rounds of the races")
    parser.add_argument("--no-table", action="store_true", help="leave README.md as it is")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    found: dict[str, Any] = {}
    failed = []
    for name in given.only or [
        n for n, part in PARTS.items() if not (given.quick and part.is_long)
    ]:
        part = PARTS[name]
        options = part.sized(quick=given.quick, pairs=given.pairs)
        try:
            found[name], took = run(part, options)
        except subprocess.CalledProcessError as error:
            failed.append(name)
            print(f"{name}: failed with status {error.returncode}", file=sys.stderr)
            continue
        print(f"{name}: {took:.0f} s", file=sys.stderr)
    facts = {"date": datetime.now(UTC).date().isoformat(), "machine": machine()}
    if given.json:
        print(json.dumps({**facts, "found": found, "failed": failed}))
    else:
        table = as_markdown(found, facts["date"], facts["machine"])
        print(table)
        if not (given.quick or given.no_table or given.only or failed):
            README.write_text(into_readme(README.read_text(), table))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
