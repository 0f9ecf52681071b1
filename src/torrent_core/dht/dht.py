"""Our part in the DHT, for all torrents of a session (BEP 5, 32, 33, 42, 43).

Wiring only: which datagram goes where, when what is due, and what is kept over a restart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from ..actions import Resolve, SaveNodes
from ..deadlines import Deadline, soonest
from ..errors import LocalProtocolError, WireError
from ..events import DatagramReceived, Resolved, Tick
from ..limits import DHT_ROUTERS, DHT_SAVE_INTERVAL
from ..types import Address, Family, InfoHash, RandomSource
from ..wire import krpc
from ..wire.contacts import ID_BYTES
from ..wire.krpc_values import BadQuery, Query
from . import persist
from .config import DhtConfig
from .desk import Desk, Found
from .hosts import family_of, look_at, look_at_sender
from .lookup import Purpose
from .overlay import Overlay
from .searches import Searches, SwarmSize
from .server import Server
from .tokens import Tokens

DhtEvent: TypeAlias = DatagramReceived | Resolved | Tick
"""What ``Dht.handle`` takes."""


class Dht:
    """One node in each of the DHTs, and what it looks for there.

    ``secret`` makes our tokens and must be unguessable; ``new_id`` numbers our ``Resolve``
    actions; ``saved`` is what an earlier ``SaveNodes`` held, and is ignored where it makes no
    sense.
    """

    __slots__ = (
        "_clock",
        "_desk",
        "_new_id",
        "_resolving",
        "_routers",
        "_save_at",
        "_saved",
        "_searches",
        "_tokens",
        "config",
        "overlays",
        "servers",
    )

    def __init__(
        self,
        secret: bytes,
        random: RandomSource,
        config: DhtConfig,
        new_id: Callable[[], int],
        saved: bytes | None = None,
    ) -> None:
        if not secret:
            raise LocalProtocolError("the tokens of the DHT need a secret")
        self.config = config
        self.overlays: dict[Family, Overlay] = {}
        """Our node in each DHT, while it runs."""
        self.servers: dict[Family, Server] = {}
        """What answers in each, while it runs."""
        self._clock = 0.0
        self._desk = Desk(random, config)
        self._new_id = new_id
        self._tokens = Tokens(secret)
        self._saved = saved
        self._searches = Searches(())
        self._resolving: dict[int, Address] = {}
        self._routers: dict[Address, None] = dict.fromkeys(config.routers[:DHT_ROUTERS])
        self._save_at = 0.0

    # --- Beginning and end ------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        """Between ``start`` and ``stop``."""
        return bool(self.overlays)

    def start(self, now: float) -> list[Found]:
        """Take part from now on.  Raises LocalProtocolError if it does already."""
        if self.is_running:
            raise LocalProtocolError("the DHT is running already")
        self._clock = now
        self._save_at = now + DHT_SAVE_INTERVAL
        saved = persist.decode(self._saved)
        for family in self.config.families:
            self.overlays[family] = Overlay(self._desk, family, saved[family], now)
        for overlay in self.overlays.values():
            overlay.others = [other for other in self.overlays.values() if other is not overlay]
        searches = self._searches = Searches(self.overlays.values())
        for family in self.overlays:
            self.servers[family] = Server(
                self._desk, family, self.overlays, self._tokens, searches, now
            )
        for address in self._routers:
            self._add_literal(address, now)
        for overlay in self.overlays.values():
            overlay.bootstrap(now)
        return self._settle(now)

    def stop(self, now: float) -> list[Found]:
        """Take part no longer, and forget every search; no effect if it does not run."""
        if not self.is_running:
            return []
        self._pass(now)
        self._save()
        self.overlays.clear()
        self.servers.clear()
        self._searches = Searches(())
        return self._desk.take()

    def add_router(self, host: str, port: int, now: float) -> list[Found]:
        """Somewhere to begin, by name or literal; at most DHT_ROUTERS, later ones are ignored."""
        _check_port(port)
        address = Address(host, port)
        if address in self._routers or len(self._routers) >= DHT_ROUTERS:
            return []
        self._routers[address] = None
        if not self.is_running:
            return []
        now = self._pass(now)
        self._add_literal(address, now)
        self._resolve(address)
        return self._settle(now)

    def add_node(self, address: Address, now: float) -> list[Found]:
        """There may be a node here, as a PORT message says, or a torrent file, or a person.

        Raises LocalProtocolError if the host is no literal, the port none, or the DHT does not
        run; an address of a family that we do not take part in is ignored.
        """
        _check_port(address.port)
        host = look_at_sender(address.host)
        if host is None:
            raise LocalProtocolError(f"no node can be at {address}")
        self._check_running()
        now = self._pass(now)
        overlay = self.overlays.get(host.family)
        if overlay is not None:
            overlay.ping(Address(host.text, address.port), b"", now)
        return self._settle(now)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Where the nodes of each DHT see us, as far as enough of them agree (BEP 42)."""
        hosts = (overlay.host for overlay in self.overlays.values())
        return tuple(host for host in hosts if host is not None)

    # --- Searches ----------------------------------------------------------------------------

    def search(
        self,
        info_hash: InfoHash,
        port: int | None,
        now: float,
        *,
        seed: bool = False,
        scrape: bool = False,
    ) -> list[Found]:
        """Look for peers of a torrent, now and every 15 minutes, until ``forget``;
        sooner where few nodes answer.

        ``port``, if given, is announced to the nodes closest to it: we take part in the torrent
        there, as a ``seed`` or not.  ``scrape`` asks how many do (``swarm_size``).  Again for
        the same torrent, it changes these, and looks again as soon as a minute has passed since
        the last time.  Raises LocalProtocolError if the DHT does not run, or an argument is
        none.
        """
        if len(info_hash) != ID_BYTES:
            raise LocalProtocolError("an info-hash has 20 bytes")
        if port is not None:
            _check_port(port)
        self._check_running()
        now = self._pass(now)
        self._searches.add(bytes(info_hash), Purpose(port, seed, scrape), now)
        for server in self.servers.values():
            server.tell(bytes(info_hash), now)
        return self._settle(now)

    def forget(self, info_hash: InfoHash) -> None:
        """Look for this torrent no longer; no effect if it is not looked for."""
        self._searches.forget(info_hash)

    def is_searching(self, info_hash: InfoHash) -> bool:
        """Whether a search for this torrent is under way, or will be as soon as nodes answer."""
        return bool(self._resolving) or self._searches.is_under_way(info_hash)

    def swarm_size(self, info_hash: InfoHash) -> SwarmSize | None:
        """What the latest search with ``scrape`` counted; None if it counted nobody."""
        return self._searches.size(info_hash)

    def due(self, info_hash: InfoHash) -> Deadline | None:
        """What the DHT does next for this torrent; None if it is not looked for."""
        return self._searches.due(info_hash)

    # --- What happens ------------------------------------------------------------------------

    def owns(self, resolve_id: int) -> bool:
        """Whether this names a ``Resolve`` of ours that is not answered yet."""
        return resolve_id in self._resolving

    def handle(self, event: DhtEvent, now: float) -> list[Found]:
        """What follows from an event; nothing while the DHT does not run.

        Raises LocalProtocolError for an answer to a ``Resolve`` that is not out.
        """
        if isinstance(event, Resolved) and not self.owns(event.resolve_id):
            raise LocalProtocolError(f"no Resolve {event.resolve_id} is out")
        now = self._pass(now)
        if isinstance(event, Resolved):
            self._resolved(self._resolving.pop(event.resolve_id), event.hosts, now)
        if not self.is_running:
            return []
        if isinstance(event, DatagramReceived):
            self._received(event, now)
        # Whatever came: what is due at this moment is done in the same step.
        for overlay in self.overlays.values():
            overlay.tick(now)
        return self._settle(now)

    def next_deadline(self) -> Deadline | None:
        """When ``handle`` is owed a ``Tick``, and why; None while the DHT does not run."""
        if not self.is_running:
            return None
        search_at = self._searches.next_at()
        return soonest(
            *(overlay.next_deadline() for overlay in self.overlays.values()),
            None if search_at is None else Deadline(search_at, "a search in the DHT"),
            Deadline(self._save_at, "nodes of the DHT are saved"),
        )

    # --- Inside --------------------------------------------------------------------------------

    def _pass(self, now: float) -> float:
        """Time that goes backwards stands still."""
        self._clock = max(self._clock, now)
        return self._clock

    def _settle(self, now: float) -> list[Found]:
        """The end of every step."""
        self._searches.run(now)
        calls = [overlay.take_call_for_routers() for overlay in self.overlays.values()]
        if any(calls):
            for address in self._routers:
                self._resolve(address)
        if self._save_at <= now:
            self._save_at = now + DHT_SAVE_INTERVAL
            self._save()
            for server in self.servers.values():
                server.store.expire(now)
        return self._desk.take()

    def _received(self, event: DatagramReceived, now: float) -> None:
        host = look_at_sender(event.address.host)
        overlay = None if host is None else self.overlays.get(host.family)
        if host is None or overlay is None:
            return
        source = Address(host.text, event.address.port)
        if family_of(source) is None:
            return
        try:
            packet = krpc.decode(event.data)
        except WireError:
            return
        if not isinstance(packet, Query | BadQuery):
            overlay.answered(packet, source, now)
        elif not self.config.read_only:
            admitted = self.servers[host.family].answer(packet, source, now)
            if admitted and isinstance(packet, Query) and not packet.read_only:
                overlay.heard(packet.ask.node_id, source, now)

    def _resolve(self, address: Address) -> None:
        if look_at(address.host) is None and address not in self._resolving.values():
            resolve_id = self._new_id()
            self._resolving[resolve_id] = address
            self._desk.emit(Resolve(resolve_id, address.host))

    def _resolved(self, router: Address, hosts: tuple[str, ...], now: float) -> None:
        for host in hosts[:DHT_ROUTERS]:
            self._add_literal(Address(host, router.port), now)

    def _add_literal(self, address: Address, now: float) -> None:
        host = look_at(address.host)
        overlay = None if host is None else self.overlays.get(host.family)
        if host is not None and overlay is not None:
            overlay.add_router(Address(host.text, address.port), now)

    def _save(self) -> None:
        parts = {family: overlay.saved() for family, overlay in self.overlays.items()}
        self._saved = persist.encode(parts)
        self._desk.emit(SaveNodes(self._saved))

    def _check_running(self) -> None:
        if not self.is_running:
            raise LocalProtocolError("the DHT does not run")


def _check_port(port: int) -> None:
    if not 1 <= port <= 0xFFFF:
        raise LocalProtocolError(f"{port} is no port")
