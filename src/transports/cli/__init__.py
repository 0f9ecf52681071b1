"""The ``torrent-core`` command.

Importing this package costs next to nothing and needs nothing but the standard library, so
that a bare installation can say what it lacks instead of failing with a traceback.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import NoReturn

from .signals import SIGNALS

REQUIRED = ("click", "rich", "anyio")
"""What the ``cli`` extra brings."""

GC_LOADING = (500_000, 20, 50)
"""Objects made before the garbage collector looks at them, and how often it looks at older ones
(Python: 700, 10, 10), while modules are loaded.  A start makes an eighth of that, and what is
loaded stays: there is nothing to be found, and it took 12 % of the start to see that."""

GC_WORKING = (20_000, 20, 50)
"""The same of what runs long (``at_work``).  What a transfer makes, some hundred requests at a
time, seldom needs the collector's help; it took 4 % of a download."""


def script() -> NoReturn:
    """Be the process ``torrent-core``: end it with the status that ``main`` comes to."""
    ended: list[int] = []
    if not sys.warnoptions:  # who asks for warnings shall have those of the very end as well
        atexit.register(_leave, ended)  # the first to be registered is the last to be called
    ended.append(main())
    sys.exit(ended[0])


def _leave(ended: list[int]) -> None:
    """End the process on the spot.

    Threads are over by now, and so is what was to be done at the exit since ``script`` began.
    Python would take its modules apart, object by object, for as long as a twelfth of a start: the
    system is faster.
    """
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):  # full or closed, which is Python's to tell
        return
    if ended:  # else something was raised
        os._exit(ended[0])


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
    try:
        with _collected(*GC_LOADING):
            from .app import run

            status = run(argv)
    except KeyboardInterrupt:  # while modules were loaded: later ones are run's to tell
        print("error: interrupted", file=sys.stderr)
        status = 130
    if argv is None:
        _let_signals_pass()
        gc.freeze()  # Python's last collection, of all there is, took a tenth of a short download
    return status


def _let_signals_pass() -> None:
    """The process is about to end, and its status is settled."""
    for number in SIGNALS:
        with suppress(ValueError):  # only the main thread may
            signal.signal(number, signal.SIG_IGN)


@contextmanager
def _collected(*thresholds: int) -> Iterator[None]:
    """Have the garbage collector look as seldom as that."""
    before = gc.get_threshold()
    gc.set_threshold(*thresholds)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def at_work() -> Iterator[None]:
    """What is loaded by now stays for good, and what is made from now on may be garbage."""
    gc.freeze()
    with _collected(*GC_WORKING):
        try:
            yield
        finally:
            gc.unfreeze()
