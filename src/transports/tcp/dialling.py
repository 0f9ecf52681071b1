"""Connecting a plain socket on an asyncio loop, to a name's addresses in turn (RFC 8305)."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

import anyio
from anyio.abc import TaskGroup

ATTEMPT_DELAY = 0.25
"""Seconds until the next address of a name is tried beside those before it (RFC 8305, 8)."""


async def connect(host: str, port: int) -> socket.socket:
    """A connected socket that does not block.

    Raises OSError, and for an absurd name or port UnicodeError or OverflowError.
    """
    race = _Race()
    try:
        await race.run(await _resolve(host, port))
    except BaseException as error:
        race.close_all_but(0)
        if isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            raise error.exceptions[0] from None
        raise
    race.close_all_but(1)  # several were through in the same moment
    if not race.won:
        raise race.failures[0] if race.failures else OSError(f"{host} has no address")
    return race.won[0]


class _Race:
    """Addresses of one name, tried one after the other and then beside each other."""

    def __init__(self) -> None:
        self.won: list[socket.socket] = []
        self.failures: list[OSError] = []

    async def run(self, addresses: list[tuple[int, tuple[str, int]]]) -> None:
        """Try until one stands or all have failed."""
        async with anyio.create_task_group() as tasks:
            for family, address in addresses:
                over = anyio.Event()
                tasks.start_soon(self._try, tasks, family, address, over)
                with anyio.move_on_after(ATTEMPT_DELAY):
                    await over.wait()

    async def _try(
        self, tasks: TaskGroup, family: int, address: tuple[str, int], over: anyio.Event
    ) -> None:
        try:
            self.won.append(await _attempt(family, address))
            tasks.cancel_scope.cancel()
        except OSError as error:
            self.failures.append(error)
        finally:
            over.set()

    def close_all_but(self, first: int) -> None:
        """Close what is connected, but for the first so many."""
        for late in self.won[first:]:
            late.close()


async def _attempt(family: int, address: tuple[str, int]) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        await asyncio.get_running_loop().sock_connect(made, address)
    except BaseException:
        made.close()
        raise
    return made


async def _resolve(host: str, port: int) -> list[tuple[int, tuple[str, int]]]:
    """The addresses of a host, as sockets take them: (family, (address, port))."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return [(family, (str(where[0]), port)) for family, _, _, _, where in found]
    return [(socket.AF_INET if version == 4 else socket.AF_INET6, (host, port))]
