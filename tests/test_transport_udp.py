"""Datagrams over real loopback sockets, multicast on the loopback interface alone."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import asynccontextmanager

import anyio
import pytest

from discovery_kit import Told
from torrent_core.actions import SendDatagram, SendMulticast
from torrent_core.events import DatagramReceived, MulticastReceived
from torrent_core.types import Address
from transports.udp import multicast, reading
from transports.udp import sockets as udp
from transports.udp.multicast import MulticastSockets, interface_indexes, open_groups
from transports.udp.reading import MAX_BURST, read_datagrams
from transports.udp.sockets import UdpSockets, close_sockets, open_sockets

LOOPBACK = [name for _, name in socket.if_nameindex() if name.startswith("lo")]
GROUP = Address("239.192.152.143", 10_000 + os.getpid() % 20_000)
"""BEP 14's group at a port where no client listens, nor another run of these tests."""
GROUP_6 = Address("ff15::efc0:988f", GROUP.port)


@asynccontextmanager
async def udp_node(host="127.0.0.1", port=0):
    """Sockets that run, what they told, and the address to reach them by."""
    opened = await open_sockets(host, port)
    told, node = Told(), UdpSockets(opened)
    node.attach(told)
    node.told = told
    node.address = Address(*opened[0].getsockname()[:2])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(node.run)
        yield node
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_datagram_arrives_with_the_address_to_answer_to(host):
    async with udp_node(host) as a, udp_node(host) as b:
        a.send(SendDatagram(b.address, b"ping"))
        assert await b.told.until(1) == [DatagramReceived(a.address, b"ping")]
        b.send(SendDatagram(a.address, b"pong"))
        assert await a.told.until(1) == [DatagramReceived(b.address, b"pong")]


@pytest.mark.anyio
async def test_all_interfaces_share_one_port_and_each_family_has_its_own_form():
    async with udp_node(None) as both, udp_node("127.0.0.1") as four, udp_node("::1") as six:
        for other in (four, six):
            there = Address(other.address.host, both.address.port)
            other.send(SendDatagram(there, b"x"))
            await other.told.until(0)
        heard = await both.told.until(2)
        assert {event.address for event in heard} == {four.address, six.address}
        both.send(SendDatagram(four.address, b"4"))
        both.send(SendDatagram(six.address, b"6"))
        assert (await four.told.until(1))[0].address.port == both.address.port
        assert (await six.told.until(1))[0].data == b"6"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("address", "data"),
    [
        (Address("localhost", 9), b"a name would have to be looked up"),
        (Address("tracker.invalid", 9), b"x"),
        (Address("::1", 9), b"the other family"),
        (Address("127.0.0.1", 0), b"x"),
        (Address("127.0.0.1", 70_000), b"x"),
        (Address("255.255.255.255", 9), b"a broadcast, which nobody allowed"),
        (Address("127.0.0.1", 9), bytes(70_000)),
        (Address("a\x00b", 9), b"x"),
    ],
)
async def test_a_datagram_that_cannot_be_sent_is_lost_and_nothing_else_is(address, data):
    async with udp_node() as a, udp_node() as b:
        a.send(SendDatagram(address, data))
        a.send(SendDatagram(b.address, b"next"))
        assert await b.told.until(1) == [DatagramReceived(a.address, b"next")]


@pytest.mark.anyio
async def test_the_answer_that_nobody_listens_does_not_end_the_reading():
    async with udp_node() as a:
        async with udp_node() as gone:
            pass
        a.send(SendDatagram(gone.address, b"x"))
        async with udp_node() as b:
            b.send(SendDatagram(a.address, b"still there"))
            assert await a.told.until(1) == [DatagramReceived(b.address, b"still there")]


@pytest.mark.anyio
async def test_many_and_the_longest_datagrams_come_whole_and_in_order():
    sizes = [0, 1, 1400, 65_507, *range(2 * MAX_BURST)]
    async with udp_node() as a, udp_node() as b:
        for count, size in enumerate(sizes, 1):
            a.send(SendDatagram(b.address, bytes(size)))
            await b.told.until(count)
        assert [len(event.data) for event in b.told.events] == sizes


@pytest.mark.anyio
async def test_a_socket_that_cannot_be_read_is_tried_again(monkeypatch):
    monkeypatch.setattr(reading, "RECEIVE_PAUSE", 0.001)
    [real] = await open_sockets("127.0.0.1", 0)
    tries = []

    class Failing:
        def fileno(self):
            return real.fileno()

        def recvfrom(self, limit):
            tries.append(limit)
            if len(tries) < 3:
                raise OSError(errno.ENETDOWN, "Network is down")
            return real.recvfrom(limit)

    told = Told()
    async with anyio.create_task_group() as tasks, udp_node() as sender:
        tasks.start_soon(read_datagrams, Failing(), lambda address, data: told(data))
        sender.send(SendDatagram(Address(*real.getsockname()), b"in the end"))
        assert await told.until(1) == [b"in the end"]
        tasks.cancel_scope.cancel()
    real.close()
    assert len(tries) >= 3


@pytest.mark.anyio
async def test_cancelling_closes_the_sockets():
    opened = await open_sockets("127.0.0.1", 0)
    node = UdpSockets(opened)
    node.attach(Told())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(node.run)
        tasks.cancel_scope.cancel()
    assert [sock.fileno() for sock in opened] == [-1]


# --- Ports -------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_port_that_is_taken_is_an_error_and_leaves_no_socket_open():
    async with udp_node("127.0.0.1") as taken:
        with pytest.raises(OSError, match="use"):
            await open_sockets("127.0.0.1", taken.address.port)


@pytest.mark.anyio
async def test_a_free_port_is_looked_for_until_it_is_free_in_both_families(monkeypatch):
    bind, tries = udp._bind, []

    def in_use_at_first(family, host, port):
        if family == socket.AF_INET6:
            tries.append(port)
            if len(tries) < 4:
                raise OSError(errno.EADDRINUSE, "in use")
        return bind(family, host, port)

    monkeypatch.setattr(udp, "_bind", in_use_at_first)
    opened = await open_sockets(None, 0)
    assert len({sock.getsockname()[1] for sock in opened}) == 1
    assert len(tries) == 4
    close_sockets(opened)


@pytest.mark.anyio
@pytest.mark.parametrize("lacking", [socket.AF_INET, socket.AF_INET6])
async def test_a_machine_without_one_family_does_with_the_other(monkeypatch, lacking):
    bind = udp._bind

    def one_family(family, host, port):
        if family == lacking:
            raise OSError(errno.EAFNOSUPPORT, "no such family")
        return bind(family, host, port)

    monkeypatch.setattr(udp, "_bind", one_family)
    [only] = await open_sockets(None, 0)
    assert only.family != lacking
    only.close()


@pytest.mark.anyio
async def test_a_host_that_is_not_here_or_not_at_all_is_an_error(monkeypatch):
    for host in ("192.0.2.123", "no-such-host.invalid"):
        monkeypatch.setattr(anyio, "getaddrinfo", known_hosts)
        with pytest.raises(OSError, match=r"."):
            await open_sockets(host, 0)


async def known_hosts(host, port, **kind):
    """Looks nothing up outside."""
    if host.endswith(".invalid"):
        raise socket.gaierror(-2, "Name or service not known")
    return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", (host, 0))]


# --- Multicast ---------------------------------------------------------------------------------


@asynccontextmanager
async def listener(group=GROUP, interfaces=LOOPBACK):
    told, node = Told(), MulticastSockets(open_groups([group]), interfaces)
    node.attach(told)
    node.told = told
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(node.run)
        await anyio.wait_all_tasks_blocked()
        yield node
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_what_is_sent_to_a_group_is_heard_by_every_member_of_this_machine():
    async with listener() as a, listener() as b:
        a.send(SendMulticast(GROUP, b"BT-SEARCH"))
        for each in (a, b):
            [heard] = await each.told.until(1)
            assert isinstance(heard, MulticastReceived)
            assert heard.data == b"BT-SEARCH"
            assert heard.address == Address("127.0.0.1", GROUP.port)


@pytest.mark.anyio
async def test_what_is_sent_to_this_machine_alone_is_not_heard():
    async with listener() as a, udp_node() as sender:
        sender.send(SendDatagram(Address("127.0.0.1", GROUP.port), b"forged"))
        a.send(SendMulticast(GROUP, b"real"))
        assert [event.data for event in await a.told.until(1)] == [b"real"]


@pytest.mark.anyio
async def test_another_group_or_no_interface_means_that_nothing_is_sent():
    async with listener() as a, listener(interfaces=["none"]) as mute:
        a.send(SendMulticast(Address("239.192.152.144", GROUP.port), b"x"))
        mute.send(SendMulticast(GROUP, b"x"))
        a.send(SendMulticast(GROUP, b"y"))
        assert [event.data for event in await a.told.until(1)] == [b"y"]


def ipv6_multicast_is_routed_on_loopback() -> bool:
    """Most machines route it nowhere but to their networks, which no test may reach."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        index = interface_indexes(LOOPBACK)[0]
        try:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
            sock.sendto(b"", GROUP_6)
        except OSError:
            return False
    return True


@pytest.mark.anyio
async def test_a_group_of_ipv6_is_heard_where_the_machine_routes_it_and_else_it_is_lost():
    async with listener(GROUP_6) as a:
        assert [sock.getsockname()[:2] for sock in a._sockets.values()] == [GROUP_6]
        routed = ipv6_multicast_is_routed_on_loopback()
        a.send(SendMulticast(GROUP_6, b"real"))
        if routed:
            assert (await a.told.until(2))[1].data == b"real"
    assert routed or a.told.events == []


def test_a_group_that_cannot_be_listened_to_is_left_out():
    opened = open_groups([Address("no address", 1), Address("192.0.2.55", 1), GROUP])
    assert list(opened) == [GROUP]
    close_sockets(opened.values())


def test_loopback_is_used_only_by_name_or_where_there_is_nothing_else(monkeypatch):
    names = [(1, "lo"), (2, "eth0"), (3, "wlan0")]
    monkeypatch.setattr(multicast.socket, "if_nameindex", lambda: names)
    assert interface_indexes() == [2, 3]
    assert interface_indexes(["lo"]) == [1]
    del names[1:]
    assert interface_indexes() == [1]
    names += [(index, f"veth{index}") for index in range(2, 200)]
    assert len(interface_indexes()) == multicast.MAX_INTERFACES
