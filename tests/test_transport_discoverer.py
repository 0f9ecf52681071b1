"""Lookups, kept nodes, and all means of discovery behind the one face that a driver has."""

from __future__ import annotations

import socket

import anyio
import pytest

from discovery_kit import Told, response, web
from torrent_core.actions import (
    CancelFetch,
    Fetch,
    Resolve,
    SaveNodes,
    SendDatagram,
    SendMulticast,
)
from torrent_core.events import DatagramReceived, Fetched, FetchFailed, Resolved, Tick
from torrent_core.types import Address
from transport_kit import PATIENCE, NoDisk, NoNetwork, Script
from transports import resolve
from transports.discoverer import NetworkDiscoverer
from transports.driver import Driver
from transports.nodes import MAX_NODES_BYTES, NodesFile
from transports.resolve import MAX_ADDRESSES, Resolver, look_up
from transports.udp.multicast import MulticastSockets, open_groups
from transports.udp.sockets import UdpSockets, open_sockets

GROUP = Address("239.192.152.143", 16772)
LOOPBACK = [name for _, name in socket.if_nameindex() if name.startswith("lo")]

# --- Names -------------------------------------------------------------------------------------


def test_literals_and_localhost_are_found_and_absurd_names_are_not():
    assert look_up("127.0.0.1") == ("127.0.0.1",)
    assert look_up("::1") == ("::1",)
    assert set(look_up("localhost")) <= {"127.0.0.1", "::1"}
    assert look_up("localhost")
    for absurd in ("a" * 70 + ".invalid", "a\x00b", "a..b", "\udc80"):
        assert look_up(absurd) == ()


def test_of_many_addresses_each_comes_once_and_a_bounded_number(monkeypatch):
    names = [(0, 0, 0, "", (f"192.0.2.{number // 2}", 0)) for number in range(200)]
    monkeypatch.setattr(resolve.socket, "getaddrinfo", lambda *args, **kind: names)
    assert look_up("x") == tuple(f"192.0.2.{number}" for number in range(MAX_ADDRESSES))


@pytest.mark.anyio
async def test_every_lookup_is_answered_also_one_that_is_cancelled():
    told, resolver = Told(), Resolver()
    resolver.attach(told)
    async with anyio.create_task_group() as tasks:
        await tasks.start(resolver.run)
        resolver.resolve(Resolve(1, "127.0.0.1"))
        await told.until(1)
        resolver.resolve(Resolve(2, "127.0.0.1"))
        tasks.cancel_scope.cancel()
    assert told.events[0] == Resolved(1, ("127.0.0.1",))
    assert told.events[1].resolve_id == 2


# --- Nodes -------------------------------------------------------------------------------------


def test_nodes_are_kept_and_replaced_and_their_absence_is_no_error(tmp_path):
    nodes = NodesFile(tmp_path / "state" / "dht.nodes")
    assert nodes.load() is None
    nodes.save(b"old")
    nodes.save(b"new")
    assert nodes.load() == b"new"
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["dht.nodes"]


def test_a_file_of_nodes_is_read_up_to_a_bound_and_one_that_cannot_be_read_is_none(tmp_path):
    path = tmp_path / "dht.nodes"
    path.write_bytes(bytes(MAX_NODES_BYTES + 1))
    assert len(NodesFile(path).load()) == MAX_NODES_BYTES
    assert NodesFile(tmp_path).load() is None


# --- Together ----------------------------------------------------------------------------------


class Running:
    """A driver of a script with a discoverer on loopback."""

    def __init__(self, script: Script, **means) -> None:
        self.script = script
        self.discoverer = NetworkDiscoverer(**means)
        self.driver = Driver(
            script, anyio.current_time, NoDisk(), NoNetwork(), discoverer=self.discoverer
        )

    async def __aenter__(self):
        self.tasks = anyio.create_task_group()
        await self.tasks.__aenter__()
        await self.tasks.start(self.discoverer.run)
        return self

    async def __aexit__(self, *details):
        with anyio.fail_after(PATIENCE):
            await self.discoverer.aclose()
        self.tasks.cancel_scope.cancel()
        await self.tasks.__aexit__(*details)


def wanting(*actions):
    return Script(lambda event: actions if event == Tick() else ())


@pytest.mark.anyio
async def test_a_driver_carries_out_all_that_discovery_wants(tmp_path):
    async def answer(path, stream):
        await stream.send(response(b"body"))

    sockets = await open_sockets("127.0.0.1", 0)
    here = Address(*sockets[0].getsockname())
    nodes = NodesFile(tmp_path / "nodes")
    async with web(answer) as server:
        script = wanting(
            Fetch(1, server.url(), 100),
            Resolve(2, "127.0.0.1"),
            SendDatagram(here, b"to myself"),
            SendMulticast(GROUP, b"to all"),
            SaveNodes(b"old nodes"),
            SaveNodes(b"nodes"),
        )
        means = {
            "datagrams": UdpSockets(sockets),
            "multicast": MulticastSockets(open_groups([GROUP]), LOOPBACK),
            "nodes": nodes,
        }
        async with Running(script, **means) as running:
            await anyio.wait_all_tasks_blocked()  # members of the group by now
            running.driver.feed(Tick())
            await script.until(lambda: len(script.events) == 5)
    assert Fetched(1, 200, b"body") in script.events
    assert Resolved(2, ("127.0.0.1",)) in script.events
    assert DatagramReceived(here, b"to myself") in script.events
    assert [event.data for event in script.events if hasattr(event, "data")].count(b"to all") == 1
    assert nodes.load() == b"nodes"


@pytest.mark.anyio
async def test_a_fetch_is_given_up_through_the_driver():
    async def silent(path, stream):
        await anyio.sleep_forever()

    async with web(silent) as server:
        script = wanting(Fetch(1, server.url(), 100), CancelFetch(1))
        async with Running(script) as running:
            running.driver.feed(Tick())
            await script.until(lambda: FetchFailed(1, "cancelled") in script.events)


@pytest.mark.anyio
async def test_nodes_asked_to_be_kept_at_the_last_moment_are():
    kept: list[bytes] = []

    class Nodes:
        def save(self, data):
            kept.append(data)

    async with Running(wanting(SaveNodes(b"last")), nodes=Nodes()) as running:
        running.driver.feed(Tick())
    assert kept == [b"last"]


@pytest.mark.anyio
async def test_nodes_that_cannot_be_kept_are_no_failure(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    nodes = NodesFile(tmp_path / "file" / "nodes")
    async with Running(wanting(SaveNodes(b"x")), nodes=nodes) as running:
        running.driver.feed(Tick())
    assert running.driver.failure is None


@pytest.mark.anyio
async def test_means_that_are_absent_drop_what_needs_no_answer():
    actions = [SendDatagram(GROUP, b"x"), SendMulticast(GROUP, b"x"), SaveNodes(b"x")]
    async with Running(wanting(*actions)) as running:
        running.driver.feed(Tick())
    assert running.driver.failure is None
    assert running.script.events == [Tick()]


def test_a_driver_without_a_discoverer_fails_what_is_owed_an_answer():
    reports: list[object] = []
    script = wanting(
        Fetch(1, "http://192.0.2.1/", 100),
        CancelFetch(1),
        Resolve(2, "tracker.invalid"),
        SendDatagram(GROUP, b"x"),
        SendMulticast(GROUP, b"x"),
        SaveNodes(b"x"),
    )
    driver = Driver(script, lambda: 0.0, NoDisk(), NoNetwork())
    driver.subscribe(reports.append)
    driver.feed(Tick())
    assert driver.failure is None
    assert script.events == [Tick(), FetchFailed(1, "nothing can be fetched here"), Resolved(2, ())]
    assert reports == []
