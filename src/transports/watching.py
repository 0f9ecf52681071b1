"""Being called when a descriptor can be read, as cheaply as the event loop allows."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

import anyio


def has_watching_loop() -> bool:
    """Whether this task runs on an asyncio loop that watches descriptors."""
    if sys.platform == "win32":  # its usual loop completes reads, and cannot watch
        return False
    try:
        return asyncio.current_task() is not None
    except RuntimeError:
        return False


async def call_when_readable(descriptor: int, callback: Callable[[], None]) -> None:
    """Call ``callback`` each time there is something to read, for ever; raises what it raises."""
    if not has_watching_loop():
        while True:
            await anyio.wait_readable(descriptor)
            callback()
    loop = asyncio.get_running_loop()
    failed: asyncio.Future[None] = loop.create_future()

    def call() -> None:
        try:
            callback()
        except Exception as error:
            loop.remove_reader(descriptor)
            failed.set_exception(error)

    # One task that waits again and again would cost more than most callbacks do.
    loop.add_reader(descriptor, call)
    try:
        await failed
    finally:
        loop.remove_reader(descriptor)
