"""TCP over real loopback sockets, between scripted machines."""

from __future__ import annotations

import socket
import ssl
import struct

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core.actions import CancelDial, Close, Dial, Send
from torrent_core.events import BytesReceived, DialFailed, LinkClosed, LinkOpened, Sent
from torrent_core.types import Address, CloseReason
from transport_kit import PATIENCE, Script, nowhere
from transport_kit import node as any_node
from transports.driver import Driver
from transports.tcp import LoopNetwork, TcpNetwork, base, loop, sockets
from transports.tcp import link as tcplink
from transports.tcp.link import SEND_CHUNK, TcpLink

CLOSE = CloseReason.STOPPING


@pytest.fixture(params=["streams", "loop"])
def make(request, anyio_backend):
    """Each network that the event loop can have."""
    if request.param == "streams":
        return TcpNetwork
    if anyio_backend != "asyncio":
        pytest.skip("only asyncio has one without streams")
    return LoopNetwork


@pytest.fixture
def node(make):
    """A node on that network."""
    return lambda *react: any_node(*react, make=make)


def on(kind, *actions):
    """A reaction to one kind of event."""
    return lambda event: actions if type(event) is kind else ()


def on_open(*makers):
    """A reaction to a link that opens: actions made for that link."""
    return lambda event: [make(event.link) for make in makers] if type(event) is LinkOpened else ()


def dial(port: int, host: str = "127.0.0.1") -> Dial:
    return Dial(7, Address(host, port))


@pytest.mark.anyio
async def test_two_nodes_meet_exchange_bytes_and_part_each_told_once(node):
    asking = on_open(lambda link: Send(link, b"ping"), lambda link: Send(link, b"pong"))

    def answering(event):
        if type(event) is BytesReceived:
            return [Send(event.link, bytes(event.data)), Close(event.link, CLOSE)]
        return []

    async with node(asking) as a, node(answering) as b:
        a.network.dial(dial(b.port))
        await a.script.until(lambda: a.script.of(LinkClosed))
        await b.script.until(lambda: b.script.of(LinkClosed))
        opened = a.script.of(LinkOpened)[0]
        assert opened.dial_id == 7
        assert opened.address == Address("127.0.0.1", b.port)
        taken = b.script.of(LinkOpened)[0]
        assert taken.dial_id is None
        assert taken.address.host == "127.0.0.1"
        assert b.script.received == b"pingpong"
        assert a.script.received == b"pingpong"
        assert sum(event.count for event in a.script.of(Sent)) == 8
        assert [event.detail for event in a.script.of(LinkClosed)] == [""]
    assert len(a.script.of(LinkClosed)) == len(b.script.of(LinkClosed)) == 1


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("address", "detail"),
    [
        (Address("127.0.0.1", 1), "Connection refused"),
        (Address("127.0.0.1", 70_000), "port"),
        (Address("a" * 70 + ".example", 80), ""),
        (Address("", 0), ""),
    ],
)
async def test_a_dial_that_cannot_work_fails_once_with_a_reason(node, address, detail):
    async with node() as a:
        a.network.dial(Dial(3, address))
        await a.script.until(lambda: a.script.events)
        a.network.cancel_dial(CancelDial(3))
    [failed] = a.script.events
    assert isinstance(failed, DialFailed)
    assert failed.dial_id == 3
    assert failed.detail
    assert detail in failed.detail


class Unanswering:
    """A port whose backlog is full: connections to it neither stand nor fail."""

    def __enter__(self) -> int:
        self.sockets = [socket.socket()]
        self.sockets[0].bind(("127.0.0.1", 0))
        self.sockets[0].listen(0)
        port = self.sockets[0].getsockname()[1]
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            self.sockets.append(filler)
        return port

    def __exit__(self, *details):
        for each in self.sockets:
            each.close()


@pytest.mark.anyio
async def test_a_dial_that_is_cancelled_is_answered_all_the_same(node):
    with Unanswering() as port:
        async with node() as a:
            a.network.dial(dial(port))
            await anyio.wait_all_tasks_blocked()
            assert a.script.events == []
            a.network.cancel_dial(CancelDial(7))
            await a.script.until(lambda: a.script.events)
        assert a.script.events == [DialFailed(7, "cancelled")]


@pytest.mark.anyio
async def test_closing_the_network_answers_dials_and_links_that_are_out(node):
    with Unanswering() as port:
        async with node() as b, node() as a:
            a.network.dial(Dial(1, Address("127.0.0.1", port)))
            a.network.dial(Dial(2, Address("127.0.0.1", b.port)))
            await a.script.until(lambda: a.script.of(LinkOpened))
        assert a.script.of(DialFailed) == [DialFailed(1, "cancelled")]
        assert len(a.script.of(LinkClosed)) == 1


@pytest.mark.anyio
async def test_cancelling_the_network_leaves_nothing_unanswered(make):
    script = Script()
    listeners = await sockets.open_listeners("127.0.0.1", 0)
    network = make(listeners)
    Driver(script, anyio.current_time, NoDiskHere(), network)
    with Unanswering() as port:
        async with anyio.create_task_group() as tasks:
            await tasks.start(network.run)
            network.dial(Dial(1, Address("127.0.0.1", port)))
            network.dial(Dial(2, Address("127.0.0.1", sockets.local_port(listeners))))
            await script.until(lambda: len(script.of(LinkOpened)) == 2)
            tasks.cancel_scope.cancel()
    assert len(script.of(LinkClosed)) == 2
    assert len(script.of(DialFailed)) == 1


class NoDiskHere:
    def attach(self, feed, report):
        pass

    def submit(self, action):
        raise AssertionError


@pytest.mark.anyio
async def test_what_is_queued_is_sent_before_a_link_closes(node):
    payload = bytes(range(256)) * 4096 * 3
    giving = on_open(
        lambda link: Send(link, payload),
        lambda link: Close(link, CLOSE),
        lambda link: Send(link, b"too late"),
    )
    async with node(giving) as a, node() as b:
        b.network.dial(dial(a.port))
        await b.script.until(lambda: b.script.of(LinkClosed))
        assert b.script.received == payload
        await a.script.until(lambda: a.script.of(LinkClosed))
        assert sum(event.count for event in a.script.of(Sent)) == len(payload)
        assert a.script.of(LinkClosed)[0].detail == ""


@pytest.mark.anyio
async def test_a_peer_that_does_not_read_cannot_keep_a_closing_link_open(node, monkeypatch):
    monkeypatch.setattr(tcplink, "FLUSH_TIMEOUT", 0.05)
    monkeypatch.setattr(loop, "FLUSH_TIMEOUT", 0.05)
    flood = on_open(lambda link: Send(link, bytes(64 << 20)), lambda link: Close(link, CLOSE))
    async with node(flood) as a:
        with socket.create_connection(("127.0.0.1", a.port)):
            await a.script.until(lambda: a.script.of(LinkClosed))
            assert sum(event.count for event in a.script.of(Sent)) < 64 << 20


@pytest.mark.anyio
async def test_a_connection_that_is_reset_is_told_as_such(node):
    async with node() as a:
        with socket.create_connection(("127.0.0.1", a.port)) as peer:
            await a.script.until(lambda: a.script.of(LinkOpened))
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await a.script.until(lambda: a.script.of(LinkClosed))
    [closed] = a.script.of(LinkClosed)
    assert closed.detail == "Connection reset by peer"


@pytest.mark.anyio
async def test_actions_for_a_link_that_is_gone_have_no_effect(node):
    async with node() as a:
        a.network.send(Send(99, b"x"))
        a.network.close(Close(99, CLOSE))
        assert a.script.events == []


@pytest.mark.anyio
async def test_an_incoming_connection_that_the_system_refuses_is_waited_out(make, monkeypatch):
    monkeypatch.setattr(base, "ACCEPT_PAUSE", 0.001)
    listeners = await sockets.open_listeners("127.0.0.1", 0)
    script = Script()

    class Refusing:
        tries = 0

        async def accept(self):
            self.tries += 1
            if self.tries < 3:
                raise OSError(24, "Too many open files")
            return await listeners[0].accept()

        def extra(self, attribute):
            self.tries += 1
            if self.tries < 3:
                raise OSError(24, "Too many open files")
            return listeners[0].extra(attribute)

        async def aclose(self):
            await listeners[0].aclose()

    refusing = Refusing()
    network = make([refusing])
    network.attach(lambda event: script.handle(event, 0.0), nowhere)
    async with anyio.create_task_group() as tasks:
        await tasks.start(network.run)
        with socket.create_connection(("127.0.0.1", sockets.local_port(listeners))):
            await script.until(lambda: script.of(LinkOpened))
        tasks.cancel_scope.cancel()
    assert refusing.tries >= 3


@pytest.mark.anyio
async def test_a_link_that_opens_while_the_network_closes_is_closed(node):
    async with node() as b, node() as a:
        a.network._closing = True
        a.network.dial(dial(b.port))
        await a.script.until(lambda: a.script.of(LinkClosed))
        assert len(a.script.of(LinkOpened)) == 1


@pytest.mark.anyio
async def test_all_interfaces_are_listened_on_and_ipv4_is_named_as_such(make):
    listeners = await sockets.open_listeners(None, 0)
    network = make(listeners)
    script = Script()
    network.attach(lambda event: script.handle(event, 0.0), nowhere)
    async with anyio.create_task_group() as tasks:
        await tasks.start(network.run)
        with socket.create_connection(("127.0.0.1", sockets.local_port(listeners))):
            await script.until(lambda: script.of(LinkOpened))
        tasks.cancel_scope.cancel()
    assert script.of(LinkOpened)[0].address.host == "127.0.0.1"


def test_mapped_addresses_and_no_others_are_unmapped():
    assert sockets.unmapped("::ffff:10.1.2.3") == "10.1.2.3"
    assert sockets.unmapped("::ffff:0:0:1") == "::ffff:0:0:1"
    assert sockets.unmapped("2001:db8::1") == "2001:db8::1"
    assert sockets.unmapped("10.1.2.3") == "10.1.2.3"


def test_errors_are_told_in_the_words_of_their_first_cause():
    refused = OSError(111, "Connect call failed")
    outer = OSError("All connection attempts failed")
    outer.__cause__ = ExceptionGroup("several", [refused, OSError(1, "x")])
    assert sockets.describe(outer) == "Connection refused"
    assert sockets.describe(socket.gaierror(-2, "Name unknown")) == "[Errno -2] Name unknown"
    untrusted = ssl.SSLCertVerificationError(1, "certificate verify failed")
    assert "certificate verify failed" in sockets.describe(untrusted)
    assert sockets.describe(ValueError()) == "ValueError"


def test_a_cause_that_is_only_carried_along_is_found_and_one_without_words_is_passed_over():
    unreachable = OSError("All connection attempts failed")
    unreachable.__cause__ = OSError(111, "Connect call failed")
    wrapped = RuntimeError("failed")
    wrapped.__cause__ = ConnectionError(unreachable)  # as httpcore raises it, from None
    assert sockets.describe(wrapped) == "Connection refused"
    silent = RuntimeError("the server went away")
    silent.__cause__ = ConnectionError(anyio.EndOfStream())
    assert sockets.describe(silent) == "the server went away"


class Sink:
    """A stream that keeps what is sent and says nothing."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    async def send(self, data: bytes) -> None:
        self.sent.append(data)
        await anyio.lowlevel.checkpoint()

    async def receive(self, limit: int) -> bytes:
        await anyio.sleep_forever()
        raise AssertionError


@given(st.lists(st.integers(0, 3 * SEND_CHUNK), max_size=12))
def test_any_sends_leave_in_order_in_bounded_chunks_and_are_told_exactly(sizes):
    async def run() -> None:
        sink, told = Sink(), []
        link = TcpLink(1, sink, told.append)
        expected = b"".join(bytes([at]) * size for at, size in enumerate(sizes))
        for at, size in enumerate(sizes):
            link.send(bytes([at]) * size)
        link.close()
        with anyio.fail_after(PATIENCE):
            await link.run()
        assert b"".join(sink.sent) == expected
        assert all(len(chunk) <= SEND_CHUNK for chunk in sink.sent)
        assert told == [Sent(1, len(chunk)) for chunk in sink.sent]

    anyio.run(run)


class Broken(Sink):
    """A stream whose other end is gone, with something still to be read."""

    def __init__(self) -> None:
        super().__init__()
        self.left = [b"last words"]

    async def send(self, data: bytes) -> None:
        raise anyio.BrokenResourceError from BrokenPipeError(32, "Broken pipe")

    async def receive(self, limit: int) -> bytes:
        await anyio.wait_all_tasks_blocked()
        if self.left:
            return self.left.pop()
        return await super().receive(limit)


@pytest.mark.anyio
async def test_a_link_that_cannot_send_still_delivers_what_came_and_then_ends(monkeypatch):
    monkeypatch.setattr(tcplink, "FLUSH_TIMEOUT", 0.05)
    told: list[object] = []
    link = TcpLink(1, Broken(), told.append)
    link.send(b"x")
    with anyio.fail_after(PATIENCE):
        await link.run()
    assert told == [BytesReceived(1, b"last words")]
    assert link.detail == "Broken pipe"


@pytest.mark.anyio
async def test_closing_twice_is_closing_once():
    link = TcpLink(1, Sink(), lambda event: None)
    link.close()
    link.close()
    with anyio.fail_after(PATIENCE):
        await link.run()
    assert link.detail == ""


@pytest.mark.anyio
async def test_a_connection_that_is_gone_before_it_is_looked_at_has_no_address():
    class Gone:
        def extra(self, attribute):
            raise OSError(107, "Transport endpoint is not connected")

    assert sockets.prepare(Gone()) is None


@pytest.mark.anyio
async def test_more_may_gather_after_a_chunk_that_is_neither_short_nor_long(monkeypatch):
    chunks = [b"one", b"read", b"again", b"long reads", b"reads"]
    happened: list[object] = []

    class Saying:
        async def receive(self, most):
            if not chunks:
                raise anyio.EndOfStream
            return chunks.pop(0)

    async def sleep(seconds):
        happened.append(seconds)

    monkeypatch.setattr(tcplink, "GATHERED", range(4, 8))
    monkeypatch.setattr(tcplink.anyio, "sleep", sleep)
    with anyio.fail_after(PATIENCE):
        await TcpLink(1, Saying(), lambda event: happened.append(bytes(event.data))).run()
    waited = tcplink.GATHER
    assert happened == [b"one", b"read", waited, b"again", waited, b"long reads", b"reads", waited]
