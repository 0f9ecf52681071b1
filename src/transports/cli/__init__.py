"""The ``torrent-core`` command.

Importing this package costs next to nothing and needs nothing but the standard library, so
that a bare installation can say what it lacks instead of failing with a traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec

REQUIRED = ("click", "rich", "anyio")
"""What the ``cli`` extra brings."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the result is the process's exit status.

    0 done and verified, 1 could not, 2 usage, 130 interrupted with resume data saved.
    """
    missing = [name for name in REQUIRED if find_spec(name) is None]
    if missing:
        need = ", ".join(missing)
        print(
            f"error: the command line needs {need}: pip install 'torrent-core[cli]'",
            file=sys.stderr,
        )
        return 1
    from .app import run

    return run(argv)
