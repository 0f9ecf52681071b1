"""Running a command's asynchronous part, with signals that end it cleanly."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable
from importlib.util import find_spec

import anyio
from anyio.abc import TaskStatus

from . import at_work
from .failures import INTERRUPTED, CommandFailed
from .signals import SIGNALS, handlers_kept

Work = Callable[[], Awaitable[int]]
Callback = Callable[[], None]


def _nothing() -> None:
    return None


def run_async(
    work: Work, *, backend: str, on_signal: Callback = _nothing, on_abort: Callback = _nothing
) -> int:
    """Run ``work`` to its exit status, or to INTERRUPTED if SIGINT or SIGTERM came before it.

    The first signal calls ``on_signal`` and cancels ``work``, which has then the chance to
    save what it has; the second calls ``on_abort`` and ends the process on the spot,
    as does any that comes once ``work`` is over: then with its status.
    """
    if find_spec(backend) is None:
        raise CommandFailed(f"{backend} is not installed: pip install {backend}")
    options = _loop_options(backend)
    with handlers_kept(), at_work():
        return anyio.run(
            _guarded, work, on_signal, on_abort, backend=backend, backend_options=options
        )


def _loop_options(backend: str) -> dict[str, bool]:
    """The ``fast`` extra brings uvloop; having installed it is asking for it."""
    if backend == "asyncio" and find_spec("uvloop") is not None:
        return {"use_uvloop": True}
    return {}


async def _guarded(work: Work, on_signal: Callback, on_abort: Callback) -> int:
    return await _SignalGuard(on_signal, on_abort).run(work)


class _SignalGuard:
    def __init__(self, on_signal: Callback, on_abort: Callback) -> None:
        self._on_signal = on_signal
        self._on_abort = on_abort
        self._scope = anyio.CancelScope()
        self._interrupted = False
        self._status = INTERRUPTED

    async def run(self, work: Work) -> int:
        async with anyio.create_task_group() as group:
            await group.start(self._listen)
            with self._scope:
                self._status = await work()
            group.cancel_scope.cancel()
        # A loop that ends leaves SIGTERM deadly: the status shall be what the work came to.
        self._abort_on_signals()
        return self._status

    async def _listen(self, *, task_status: TaskStatus[None]) -> None:
        with anyio.open_signal_receiver(*SIGNALS) as signals:
            task_status.started()
            async for _ in signals:
                self._handle()

    def _handle(self) -> None:
        if self._interrupted:
            self._abort()
        self._interrupted = True
        # The next one must not wait for an event loop that is busy, or stuck.
        self._abort_on_signals()
        self._on_signal()
        self._scope.cancel()

    def _abort_on_signals(self) -> None:
        for number in SIGNALS:
            signal.signal(number, self._abort)

    def _abort(self, *_signal: object) -> None:
        try:
            self._on_abort()
        finally:
            os._exit(self._status)
