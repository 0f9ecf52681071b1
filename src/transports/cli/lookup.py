"""``torrent-core dht lookup``: who has a torrent, as the DHT knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .failures import OK, USAGE, CommandFailed
from .inquiries import Printer, read_subject, timeout_option
from .options import backend_option, json_option, router_option

if TYPE_CHECKING:
    from torrent_core.deadlines import Deadline
    from torrent_core.dht import Dht, DhtEvent
    from torrent_core.discovery import Found
    from torrent_core.types import Address


@click.group(invoke_without_command=True)
@click.pass_context
def dht(context: click.Context) -> int:
    """Ask the distributed hash table."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        return USAGE
    return OK


@dht.command(short_help="Find peers of a torrent.")
@click.argument("source", metavar="SOURCE")
@router_option
@timeout_option
@json_option
@backend_option
def lookup(
    source: str,
    routers: tuple[tuple[str, int], ...],
    timeout: float,
    as_json: bool,
    backend: str,
) -> int:
    """Find peers of SOURCE in the DHT, without taking part in it.

    SOURCE is an info-hash of 40 digits, a magnet link, a .torrent file, its http(s) URL, or -
    for stdin.  Exit status 1 if there are none.
    """
    from .runner import run_async

    subject = read_subject(source)
    if subject.private:
        raise CommandFailed("the torrent is private: it is looked for at its trackers alone")
    printer = Printer(as_json)

    async def work() -> int:
        search = Search(make_node(routers), subject.info_hash)
        await _carry_out(search, timeout, printer)
        if not printer.answered:
            why = search.failure()
            printer.fail({"event": "failed", "message": why}, why)
            raise CommandFailed(why)
        return OK

    return run_async(work, backend=backend)


async def _carry_out(search: Search, timeout: float, printer: Printer) -> None:
    """Search until it is over, or for ``timeout`` seconds; each peer is printed as it is found."""
    import anyio

    from transports.inquiry import inquiring

    async with inquiring(search, lambda found: printer.tell(search.fresh(found))) as inquiry:
        inquiry.do(lambda part, now: part.begin(now))
        with anyio.move_on_after(timeout):
            await inquiry.until(lambda part: not part.is_under_way)


class Search:
    """One search of a node of the DHT, and what can be said when it found nobody."""

    def __init__(self, node: Dht, info_hash: bytes) -> None:
        self._node = node
        self._info_hash = info_hash
        self._asked: set[Address] = set()
        self._answered = False
        self._unresolved = 0
        self._known: set[Address] = set()

    @property
    def is_under_way(self) -> bool:
        """Whether more may be found."""
        return self._node.is_searching(self._info_hash)

    def begin(self, now: float) -> list[Found]:
        """The node starts, and looks for the torrent."""
        found = self._node.start(now)
        return self._note(found + self._node.search(self._info_hash, None, now))

    def handle(self, event: DhtEvent, now: float) -> list[Found]:
        """As ``Dht.handle``."""
        from torrent_core.events import DatagramReceived, Resolved

        if isinstance(event, DatagramReceived):
            self._answered |= event.address in self._asked
        elif isinstance(event, Resolved) and event.hosts:
            self._unresolved -= 1
        return self._note(self._node.handle(event, now))

    def next_deadline(self) -> Deadline | None:
        """As ``Dht.next_deadline``."""
        return self._node.next_deadline()

    def fresh(self, found: Found) -> Found:
        """What was found, without the peers that were found before."""
        from torrent_core.events import PeersFound

        if not isinstance(found, PeersFound):
            return found
        fresh = tuple(peer for peer in found.peers if peer not in self._known)
        self._known.update(fresh)
        return PeersFound(found.torrent, found.source, fresh)

    def failure(self) -> str:
        """Why nobody was found, in a line."""
        from .render import plural

        if self._answered:
            return f"{plural(len(self._asked), 'node')} asked, none knows a peer"
        if self._unresolved and not self._asked:
            return "no router's name could be resolved"
        return "no node of the DHT answered"

    def _note(self, found: list[Found]) -> list[Found]:
        from torrent_core.actions import Resolve, SendDatagram

        for one in found:
            if isinstance(one, SendDatagram):
                self._asked.add(one.address)
            elif isinstance(one, Resolve):
                self._unresolved += 1
        return found


def make_node(routers: tuple[tuple[str, int], ...]) -> Dht:
    """A node that asks and answers nobody (BEP 43), with what an earlier run of a client left."""
    import os
    import secrets
    from itertools import count
    from random import Random

    from torrent_core.dht import ROUTERS, Dht, DhtConfig
    from torrent_core.types import Address
    from transports.client.finding import NODES_NAME
    from transports.nodes import NodesFile

    from .options import state_dir

    named = tuple(Address(*router) for router in routers) or ROUTERS
    saved = None if routers else NodesFile(os.path.join(state_dir(), NODES_NAME)).load()
    return Dht(
        secrets.token_bytes(20),
        Random(secrets.randbits(256)),
        DhtConfig(routers=named, read_only=True),
        count(1).__next__,
        saved,
    )
