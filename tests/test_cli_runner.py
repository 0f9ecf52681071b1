"""Signals end a command cleanly, and a second one ends it at once."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys

import anyio
import pytest

from transports import cli
from transports.cli import runner
from transports.cli.failures import INTERRUPTED, CommandFailed
from transports.cli.signals import SIGNALS

STUBBORN = """
import signal, os, sys, anyio
from transports.cli.runner import run_async

async def work():
    try:
        os.kill(os.getpid(), signal.SIGINT)
        await anyio.sleep_forever()
    finally:
        with anyio.CancelScope(shield=True):
            os.kill(os.getpid(), signal.SIGTERM)
            await anyio.sleep_forever()

def say(text):
    print(text, flush=True)

run_async(work, backend=sys.argv[1], on_signal=lambda: say("first"), on_abort=lambda: say("second"))
"""


STUCK = """
import signal, os, sys, anyio
from transports.cli.runner import run_async

async def work():
    try:
        os.kill(os.getpid(), signal.SIGINT)
        await anyio.sleep_forever()
    finally:
        os.kill(os.getpid(), signal.SIGINT)
        while True:
            pass

def fail():
    raise RuntimeError("the screen is gone")

run_async(work, backend=sys.argv[1], on_signal=lambda: None, on_abort=fail)
"""


def nothing() -> None:
    return None


def test_the_garbage_collector_is_as_it_was_when_a_command_is_over(monkeypatch):
    before, during = gc.get_threshold(), []

    async def work() -> int:
        during.append((gc.get_threshold(), gc.get_freeze_count() > 0))
        return 0

    def run(argv: object) -> int:
        during.append((gc.get_threshold(), gc.get_freeze_count() > 0))
        return runner.run_async(work, backend="asyncio", on_signal=nothing, on_abort=nothing)

    monkeypatch.setattr("transports.cli.app.run", run)
    assert cli.main([]) == 0
    assert during == [(cli.GC_LOADING, False), (cli.GC_WORKING, True)]
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_work_that_ends_gives_its_status(backend: str) -> None:
    async def work() -> int:
        await anyio.lowlevel.checkpoint()
        return 7

    assert runner.run_async(work, backend=backend, on_signal=nothing, on_abort=nothing) == 7


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_cancels_the_work_and_lets_it_clean_up(
    backend: str, number: signal.Signals
) -> None:
    happened = []

    async def work() -> int:
        try:
            os.kill(os.getpid(), number)
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
            happened.append("saved")
        return 0

    status = runner.run_async(
        work, backend=backend, on_signal=lambda: happened.append("told"), on_abort=nothing
    )
    assert status == INTERRUPTED
    assert happened == ["told", "saved"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_second_signal_ends_the_process_on_the_spot(backend: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", STUBBORN, backend],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == INTERRUPTED
    assert result.stdout.splitlines() == ["first", "second"]
    assert result.stderr == ""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_second_signal_waits_neither_for_a_busy_loop_nor_for_the_screen(backend: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", STUCK, backend],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stdout) == (INTERRUPTED, "")


def test_a_backend_that_is_not_installed_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> int:
        return 0

    monkeypatch.setattr(runner, "find_spec", lambda _name: None)
    with pytest.raises(CommandFailed, match="pip install trio"):
        runner.run_async(work, backend="trio", on_signal=nothing, on_abort=nothing)


def test_asyncio_does_without_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "find_spec", lambda _name: None)
    assert runner._loop_options("asyncio") == {}
    monkeypatch.setattr(runner, "find_spec", lambda _name: object())
    assert runner._loop_options("asyncio") == {"use_uvloop": True}
    assert runner._loop_options("trio") == {}


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_work_that_is_over_in_spite_of_a_signal_gives_its_status(backend: str) -> None:
    async def work() -> int:
        with anyio.CancelScope(shield=True):
            os.kill(os.getpid(), signal.SIGTERM)
            await told.wait()
        return 7

    told = anyio.Event()
    status = runner.run_async(work, backend=backend, on_signal=told.set, on_abort=nothing)
    assert status == 7


LATE = """
import os, signal, sys
from transports.cli.runner import run_async

async def work():
    return 7

async def guarded(*arguments):
    await before(*arguments)
    os.kill(os.getpid(), signal.SIGTERM)

from transports.cli import runner
before = runner._guarded
runner._guarded = guarded
run_async(work, backend=sys.argv[1], on_signal=lambda: None, on_abort=lambda: None)
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_signal_while_the_loop_ends_does_not_change_the_status(backend: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", LATE, backend],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stderr) == (7, "")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_handlers_of_signals_are_as_they_were_afterwards(backend: str) -> None:
    async def work() -> int:
        return 0

    before = [signal.getsignal(number) for number in SIGNALS]
    runner.run_async(work, backend=backend, on_signal=nothing, on_abort=nothing)
    assert [signal.getsignal(number) for number in SIGNALS] == before
