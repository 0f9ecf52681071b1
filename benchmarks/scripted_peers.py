#!/usr/bin/env python3
"""Peers that follow a script, for ``faults.py``: an honest one, slow ones, and bad ones.

    python benchmarks/scripted_peers.py TORRENT PAYLOAD ROLE...

Each peer listens on an address of its own: 127.0.0.2, 127.0.0.3 and so on, in the order of the
roles.  The first line of output is a JSON list of their addresses.  When the input ends, a
second line says what each of them did, and the process ends.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from scripted_line import Course, Line, Pace, Tally

from torrent_core.metainfo import parse_torrent

KIB = 1024
MIB = 1024 * KIB
BLOCK = 16 * KIB

SAMPLE = 8
"""Blocks that the choker and the leaver give before they turn bad."""

FLAP = 0.25
"""Seconds between a choke and an unchoke of the flapper."""


# --- What they do once the other side is interested -----------------------------------------


async def serve(line: Line, pace: Pace) -> None:
    """Give what is asked for, in order."""
    line.unchoke()
    await _serve(line, pace)


async def corrupt(line: Line, pace: Pace) -> None:
    """Give what is asked for, every block spoiled."""
    line.unchoke()
    await _serve(line, pace, spoil=True)


async def keep_silent(line: Line, _: Pace) -> None:
    """Take every request, answer none."""
    line.unchoke()
    await asyncio.Event().wait()


async def leave(line: Line, pace: Pace) -> None:
    """Give some blocks, then break off within one, owing others; come back when dialled."""
    line.unchoke()
    await _serve(line, pace, blocks=SAMPLE)
    await line.next_request()
    line.break_off()


async def choke_for_good(line: Line, pace: Pace) -> None:
    """Give some blocks, then choke; where BEP 6 is spoken, without the REJECTs it owes."""
    line.unchoke()
    await _serve(line, pace, blocks=SAMPLE)
    await line.next_request()
    line.choke()
    await asyncio.Event().wait()


async def flap(line: Line, pace: Pace) -> None:
    """Choke and unchoke in turn for ever, and serve in between."""
    while True:
        line.unchoke()
        with suppress(TimeoutError):
            await asyncio.wait_for(_serve(line, pace), FLAP)
        line.choke()
        await asyncio.sleep(FLAP)


async def reject(line: Line, _: Pace) -> None:
    """Unchoke, and reject whatever is asked."""
    line.unchoke()
    while True:
        line.reject(await line.next_request())


async def _serve(line: Line, pace: Pace, *, spoil: bool = False, blocks: int | None = None) -> None:
    pace.begin()
    while blocks is None or blocks > 0:
        wanted = await line.next_request(pace)
        await pace.spend(wanted[2])
        if line.asked:  # one that was cancelled meanwhile leaves its time to the next
            await line.give(next(iter(line.asked)), spoil=spoil)
            blocks = None if blocks is None else blocks - 1


# --- Who they are --------------------------------------------------------------------------


class Role(NamedTuple):
    """How one peer behaves."""

    behave: Callable[[Line, Pace], Awaitable[None]]
    rate: float
    """Bytes a second that it sends at most."""
    fast: bool = True
    """Whether it speaks BEP 6."""
    last_piece_only: bool = False


ROLES = {
    "honest": Role(serve, 8 * MIB),
    "slow": Role(serve, 50_000),
    "slow-last": Role(serve, 20_000, last_piece_only=True),
    "silent": Role(keep_silent, MIB),
    "leaver": Role(leave, MIB),
    "choker": Role(choke_for_good, MIB, fast=False),
    "choker-fast": Role(choke_for_good, MIB),
    "flapper": Role(flap, MIB, fast=False),
    "trickle": Role(serve, BLOCK / 5),
    "corrupter": Role(corrupt, 2 * MIB),
    "rejecter": Role(reject, MIB),
}


class Peer:
    """One peer: it plays its role on every connection that is made to it."""

    def __init__(self, name: str, number: int, course: Course) -> None:
        self.name = name
        self.host = f"127.0.0.{number + 2}"
        self.tally = Tally()
        self._role = ROLES[name]
        self._pace = Pace(self._role.rate)
        self._course = course
        self._peer_id = b"-SP0000-%012d" % number

    async def listen(self) -> tuple[asyncio.Server, str]:
        """Begin to listen; the server, and its address as HOST:PORT."""
        server = await asyncio.start_server(self._meet, self.host, 0)
        return server, f"{self.host}:{server.sockets[0].getsockname()[1]}"

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tally.connections += 1
        self.tally.first = self.tally.first or time.monotonic()
        line = Line(self._course, (reader, writer), self.tally, fast=self._role.fast)
        play = asyncio.create_task(self._play(line))
        with suppress(OSError, asyncio.IncompleteReadError):
            await line.shake(self._peer_id)
            line.announce([self._course.pieces - 1] if self._role.last_piece_only else None)
            await line.listen()
        play.cancel()
        with suppress(OSError, asyncio.CancelledError):
            await play
        writer.close()

    async def _play(self, line: Line) -> None:
        await line.interest()
        await self._role.behave(line, self._pace)


async def run(course: Course, roles: list[str]) -> None:
    """Be these peers until the input ends."""
    peers = [Peer(name, number, course) for number, name in enumerate(roles)]
    listening = [await peer.listen() for peer in peers]
    print(json.dumps([address for _, address in listening]), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    deeds = [{"role": peer.name, "host": peer.host, **vars(peer.tally)} for peer in peers]
    print(json.dumps(deeds), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("torrent", type=Path)
    parser.add_argument("payload", type=Path)
    parser.add_argument("roles", nargs="+", choices=ROLES, metavar="ROLE")
    given = parser.parse_args()
    metainfo = parse_torrent(given.torrent.read_bytes())
    course = Course(given.payload.read_bytes(), metainfo.info_hash, metainfo.piece_length)
    asyncio.run(run(course, given.roles))


if __name__ == "__main__":
    main()
