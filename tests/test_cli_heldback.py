"""Hashing is interrupted between pieces, and ends."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Generator

import pytest

from test_cli_app import run_python
from transports.cli.heldback import interruptible
from transports.cli.signals import SIGNALS


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in SIGNALS]


class Items:
    """Three of them, the second of which comes with a signal."""

    def __init__(self, number: int | None) -> None:
        self.number = number
        self.closed = False

    def __iter__(self) -> Generator[int, None, None]:
        try:
            yield 1
            if self.number is not None:
                os.kill(os.getpid(), self.number)
            yield 2
            yield 3
        finally:
            self.closed = True


def test_what_nobody_interrupts_is_given_whole() -> None:
    before, items = handlers(), Items(None)
    assert list(interruptible(iter(items))) == [1, 2, 3]
    assert items.closed
    assert handlers() == before


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_told_between_two_items_once_what_was_begun_is_over(number: int) -> None:
    before, items = handlers(), Items(number)
    given = interruptible(iter(items))
    assert next(given) == 1
    with pytest.raises(KeyboardInterrupt):
        next(given)
    assert items.closed
    assert handlers() == before


def test_one_that_comes_with_the_end_is_told_then() -> None:
    def last() -> Generator[int, None, None]:
        yield 1
        os.kill(os.getpid(), signal.SIGINT)

    given = interruptible(last())
    assert next(given) == 1
    with pytest.raises(KeyboardInterrupt):
        next(given)


def test_other_threads_leave_signals_to_the_host() -> None:
    got: list[int] = []
    thread = threading.Thread(target=lambda: got.extend(interruptible(iter(Items(None)))))
    thread.start()
    thread.join()
    assert got == [1, 2, 3]


AT_EACH_LOCK = """
import os, signal, sys, threading
from transports.cli import main
take = threading.Condition.__enter__
left, main_thread = [int(sys.argv[1])], threading.get_ident()
def enter(self):
    taken = take(self)
    if threading.get_ident() == main_thread:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGINT)
            sum(range(100))  # it is noticed within that
    return taken
threading.Condition.__enter__ = enter
sys.exit(main(["create", sys.argv[2], "-o", sys.argv[3]]))
"""


@pytest.mark.parametrize("at", [1, 2, 5, 20, 50])
def test_whichever_lock_it_finds_taken_the_command_ends(at: int, tmp_path) -> None:
    payload, made = tmp_path / "payload", tmp_path / "made.torrent"
    payload.write_bytes(bytes(1 << 20))
    run = run_python(AT_EACH_LOCK, str(at), str(payload), str(made))
    assert run.returncode == 130, run.stderr
    assert run.stderr.splitlines()[-1] == "error: interrupted"
    assert not made.exists()


TWICE = """
import os, signal
from transports.cli.heldback import interruptible
def stuck():
    yield 1
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
    signal.pause()
list(interruptible(stuck()))
"""


def test_a_second_signal_ends_the_process_on_the_spot() -> None:
    assert run_python(TWICE).returncode == 130
