"""A session that finds its peers, on virtual time: scripted trackers, a network of DHT nodes."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any
from urllib.parse import urlsplit

import attrs

from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.actions import Action
from torrent_core.discovery import DiscoveryConfig
from torrent_core.session import SessionConfig
from torrent_core.testing import SessionWorld
from torrent_core.testing.clock import Clock
from torrent_core.testing.dht_network import DhtNetwork
from torrent_core.torrent import TorrentConfig
from torrent_core.trace import Recorder, SessionSetup
from torrent_core.types import Address, Family
from tracker_world import HttpTracker, event_of
from world import BLOCK
from world_swarm import OURS

SECRET = bytes(range(20))
PORT = 6881
HOST = "tracker.example"
URL = f"http://{HOST}/announce"


def discovery(**more: Any) -> DiscoveryConfig:
    """A policy with nothing on, over IPv4, but for what is said."""
    usual: dict[str, Any] = {
        "trackers": False,
        "dht": False,
        "local": False,
        "families": (Family.IPV4,),
        "routers": (),
    }
    return DiscoveryConfig(SECRET, **(usual | more))


class FindingWorld(SessionWorld):
    """A session with the means of ``policy``; ``trackers`` answer by host.

    Torrent 0 is public and torrent 1 private, both with ``tiers``."""

    def __init__(
        self,
        policy: DiscoveryConfig | None,
        *,
        tiers: Sequence[Sequence[str]] = ((URL,),),
        network: DhtNetwork | None = None,
        listen_port: int | None = PORT,
        dht_port: int | None = None,
        **world: Any,
    ) -> None:
        torrent = TorrentConfig(listen_port=listen_port, dht_port=dht_port)
        config = SessionConfig(torrent=torrent, discovery=policy)
        clock = Clock() if network is None else network.clock
        super().__init__(4 * BLOCK, 4 * BLOCK, config=config, clock=clock, **world)
        named = tuple(tuple(tier) for tier in tiers)
        self.metas = [
            attrs.evolve(meta, trackers=named, private=bool(index))
            for index, meta in enumerate(self.metas)
        ]
        self.trackers: dict[str, HttpTracker] = {}
        self.fetching: dict[int, act.Fetch] = {}
        self.names: dict[str, tuple[str, ...]] = {}
        self.network = network
        if network is not None:
            self.address = network.new_address()
            self.addresses = {Family.IPV4: self.address}
            network._listeners[self.address] = self.hear

    def hear(self, data: bytes, source: Address) -> None:
        """A datagram comes."""
        self.feed(ev.DatagramReceived(source, data))

    def record(self) -> list[bytes]:
        """From now on, as the first thing done, keep a trace."""
        chunks: list[bytes] = []
        setup = SessionSetup(OURS, self.session.config)
        recorder = Recorder(setup, Random(1), chunks.append)
        self.session, self.machine = recorder.machine, recorder
        return chunks

    def feed(self, event: ev.Event) -> list[Action]:
        if isinstance(event, ev.Fetched | ev.FetchFailed):
            del self.fetching[event.fetch_id]
        return super().feed(event)

    def _carry_out(self, action: Action) -> None:
        match action:
            case act.Fetch():
                self.fetching[action.fetch_id] = action
                answer = self.trackers.get(urlsplit(action.url).hostname or "", _silent)(action)
                if isinstance(answer, str):
                    self._answer(ev.FetchFailed(action.fetch_id, answer))
                elif answer is not None:
                    self._answer(ev.Fetched(action.fetch_id, *answer))
            case act.CancelFetch(fetch_id=fetch_id):
                self._answer(ev.FetchFailed(fetch_id, "cancelled"))
            case act.Resolve(resolve_id=resolve_id, host=host):
                answered = ev.Resolved(resolve_id, self.names.get(host, ()))
                self.at(self.now + 0.1, lambda: self.feed(answered))
            case act.SendDatagram():
                if self.network is not None:
                    self.network.send(self, action)  # type: ignore[arg-type]
            case _:
                super()._carry_out(action)

    def _answer(self, event: ev.Fetched | ev.FetchFailed) -> None:
        def say() -> None:
            if event.fetch_id in self.fetching:
                self.feed(event)

        self.at(self.now + 0.1, say)

    def told(self, since: float = 0.0) -> list[str]:
        """What trackers were told, in order."""
        return [event_of(fetch) for fetch in self.actions(act.Fetch, since)]

    def of(self, kinds: tuple[type, ...]) -> list[Action]:
        """Every action of these kinds, in order."""
        return [done for step in self.trace for done in step.actions if isinstance(done, kinds)]

    def hash(self, which: int) -> bytes:
        """The info-hash of one of the torrents."""
        return self.metas[which].info_hash


def _silent(_fetch: act.Fetch) -> None:
    return None
