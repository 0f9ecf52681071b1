"""TCP on an asyncio loop without streams: its links, and how it connects."""

from __future__ import annotations

import socket

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core.events import BytesPlaced, BytesReceived, Event, Sent
from torrent_core.types import LinkId
from transport_kit import PATIENCE, kept, nowhere
from transports import watching
from transports.faces import ReceiveInto
from transports.tcp import LoopNetwork, TcpNetwork, dialling, loop, make_network
from transports.tcp.dialling import connect
from transports.tcp.loop import GATHER, SENT_AT_ONCE, LoopLink


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Pair:
    """A link, the other end of its connection, and what the link has told."""

    def __init__(self, room: int | None = None, receive_into: ReceiveInto = nowhere) -> None:
        ours, self.other = socket.socketpair()
        if room is not None:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, room)
        ours.setblocking(False)
        self.other.setblocking(False)
        self.ours = ours
        self.told: list[object] = []
        buffer = memoryview(bytearray(1000))

        def told(event: Event) -> None:
            self.told.append(kept(event))

        self.link = LoopLink(1, ours, told, receive_into, buffer)

    async def read_to_the_end(self) -> bytes:
        parts = []
        while True:
            await anyio.wait_readable(self.other)
            part = self.other.recv(1 << 20)
            if not part:
                return b"".join(parts)
            parts.append(part)

    async def run(self) -> None:
        with anyio.fail_after(PATIENCE):
            await self.link.run()
        self.ours.close()

    def sent(self) -> int:
        return sum(event.count for event in self.told if isinstance(event, Sent))

    def __enter__(self):
        return self

    def __exit__(self, *details):
        self.ours.close()
        self.other.close()


@given(st.lists(st.integers(0, 300_000), max_size=100))
def test_any_sends_leave_in_order_and_are_told_exactly(sizes):
    async def run() -> None:
        with Pair(room=4096) as pair:
            for at, size in enumerate(sizes):
                pair.link.send(bytes([at]) * size)
            pair.link.close()
            pair.link.send(b"too late")
            got: list[bytes] = []

            async def read() -> None:
                got.append(await pair.read_to_the_end())

            with anyio.fail_after(PATIENCE):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(read)
                    await pair.run()
            assert got == [b"".join(bytes([at]) * size for at, size in enumerate(sizes))]
            assert pair.sent() == sum(sizes)
            assert all(event.count for event in pair.told)

    anyio.run(run)


@given(st.lists(st.binary(min_size=1, max_size=2500), max_size=8))
def test_all_that_comes_is_told_in_order_and_never_more_than_the_buffer_holds(parts):
    async def run() -> None:
        with Pair() as pair:
            for part in parts:
                pair.other.sendall(part)
            pair.other.close()
            await pair.run()
            assert b"".join(event.data for event in pair.told) == b"".join(parts)
            assert all(len(event.data) <= 1000 for event in pair.told)
            assert pair.link.detail == ""

    anyio.run(run)


@pytest.mark.anyio
async def test_a_block_is_told_at_once_and_a_request_a_little_later(monkeypatch):
    monkeypatch.setattr(loop, "SENT_DELAY", 0.0)
    with Pair() as pair:
        pair.link.send(bytes(SENT_AT_ONCE))
        assert pair.told == [Sent(1, SENT_AT_ONCE)]
        pair.link.send(b"abc")
        pair.link.send(b"de")
        assert pair.told == [Sent(1, SENT_AT_ONCE)]
        with anyio.fail_after(PATIENCE):
            while len(pair.told) < 2:
                await anyio.lowlevel.checkpoint()
        assert pair.told[1:] == [Sent(1, 5)]


@pytest.mark.anyio
async def test_a_link_that_ends_tells_what_has_left():
    with Pair() as pair:
        pair.link.send(b"abc")
        pair.other.close()
        await pair.run()
        assert pair.told == [Sent(1, 3)]


@pytest.mark.anyio
async def test_a_link_that_cannot_send_still_delivers_what_came_and_then_ends(monkeypatch):
    monkeypatch.setattr(loop, "FLUSH_TIMEOUT", 0.05)

    class Broken:
        """A socket that takes nothing, with something still to be read."""

        def fileno(self):
            return pair.ours.fileno()

        def sendmsg(self, parts):
            raise BrokenPipeError(32, "Broken pipe")

        def recv_into(self, buffer):
            return pair.ours.recv_into(buffer)

    with Pair() as pair:
        pair.other.sendall(b"last words")
        told: list[object] = []
        buffer = memoryview(bytearray(99))
        link = LoopLink(1, Broken(), lambda event: told.append(kept(event)), nowhere, buffer)
        link.send(b"x")
        with anyio.fail_after(PATIENCE):
            await link.run()
        assert told == [BytesReceived(1, b"last words")]
        assert link.detail == "Broken pipe"


@pytest.mark.anyio
async def test_a_socket_that_has_nothing_after_all_is_no_end():
    class Empty:
        def recv_into(self, buffer):
            raise BlockingIOError

    told: list[object] = []
    link = LoopLink(1, Empty(), told.append, nowhere, memoryview(bytearray(9)))
    link._read()
    assert not told
    assert not link._over.is_set()


@pytest.mark.anyio
async def test_bytes_go_where_the_machine_wants_them_once_some_have_come():
    places = [memoryview(bytearray(3)), memoryview(bytearray(4))]
    asked: list[tuple[LinkId, int]] = []

    def receive_into(link: LinkId, most: int) -> list[memoryview]:
        asked.append((link, most))
        return places

    with Pair(receive_into=receive_into) as pair:
        for said in (b"hello", b"placed", b"more than that"):
            pair.other.sendall(said)
            pair.link._read()
        assert pair.told == [BytesReceived(1, b"hello"), BytesPlaced(1, 6), BytesPlaced(1, 7)]
        assert b"".join(places) == b"more th"
        assert asked == [(1, 10), (1, 12)]  # as much again as the last time
        pair.link._read()
        pair.other.close()
        pair.link._read()
        assert pair.told[3:] == [BytesPlaced(1, 7)]
        assert pair.link._over.is_set()


class Watching:
    """A loop that notes what it is asked to do."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def add_reader(self, *_what: object) -> None:
        self.calls.append("look")

    def remove_reader(self, *_what: object) -> None:
        self.calls.append("look away")

    def call_later(self, delay: float, _what: object) -> object:
        self.calls.append(f"in {delay}")
        return self


@pytest.mark.anyio
async def test_more_may_gather_after_a_read_that_is_neither_short_nor_long(monkeypatch):
    monkeypatch.setattr(loop, "GATHERED", range(4, 8))
    with Pair() as pair:
        watching = pair.link._loop = Watching()
        for said, follows in (
            (b"one", []),
            (b"read", ["look away", f"in {GATHER}"]),
            (b"again", [f"in {GATHER}"]),
            (b"", ["look"]),  # nothing had gathered
            (b"reads", ["look away", f"in {GATHER}"]),
            (b"long reads", ["look"]),
            (b"long reads", []),
        ):
            pair.other.sendall(said)
            pair.link._readable()
            assert watching.calls == follows, said
            watching.calls.clear()
        assert [len(event.data) for event in pair.told] == [3, 4, 5, 5, 10, 10]
        pair.other.sendall(b"ended")
        pair.other.close()
        pair.link._readable()
        pair.link._readable()
        assert watching.calls == ["look away", f"in {GATHER}", "look"]
        assert pair.link._over.is_set()


@given(st.lists(st.binary(min_size=1, max_size=12), max_size=20), st.booleans())
def test_whatever_gathers_comes_in_order_to_the_end(parts, closes):
    async def run() -> None:
        with Pair() as pair, pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "GATHERED", range(4, 8))
            patch.setattr(loop, "GATHER", 0.0)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(pair.run)
                for part in parts:
                    pair.other.sendall(part)
                    await anyio.lowlevel.checkpoint()
                pair.other.shutdown(socket.SHUT_WR)
                if closes:
                    pair.link.close()
            said, heard = b"".join(parts), b"".join(event.data for event in pair.told)
            assert heard == said[: len(heard)]
            assert closes or heard == said

    anyio.run(run)


@pytest.mark.anyio
async def test_closing_twice_is_closing_once():
    with Pair() as pair:
        pair.link.close()
        pair.link.close()
        await pair.run()
        assert pair.link.detail == ""
        assert pair.told == []


# --- Connecting ------------------------------------------------------------------------------


class Server:
    def __enter__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        return self.socket.getsockname()[1]

    def __exit__(self, *details):
        self.socket.close()


def resolving(monkeypatch, *hosts: str) -> None:
    async def getaddrinfo(host, port, **details):
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (each, port)) for each in hosts]

    monkeypatch.setattr(dialling.anyio, "getaddrinfo", getaddrinfo)


@pytest.mark.anyio
async def test_a_name_is_connected_to_at_the_first_address_that_answers(monkeypatch):
    with Server() as port:
        resolving(monkeypatch, "127.0.0.2", "127.0.0.1", "127.0.0.3")
        made = await connect("somewhere", port)
        assert made.getpeername() == ("127.0.0.1", port)
        assert not made.getblocking()
        made.close()


@pytest.mark.anyio
async def test_an_address_that_does_not_answer_keeps_none_of_the_others_waiting(monkeypatch):
    monkeypatch.setattr(dialling, "ATTEMPT_DELAY", 0.0)
    attempt = dialling._attempt

    async def one_hangs(family, address):
        if address[0] == "127.0.0.9":
            await anyio.sleep_forever()
        return await attempt(family, address)

    monkeypatch.setattr(dialling, "_attempt", one_hangs)
    with Server() as port:
        resolving(monkeypatch, "127.0.0.9", "127.0.0.1")
        with anyio.fail_after(PATIENCE):
            made = await connect("somewhere", port)
        made.close()


@pytest.mark.anyio
async def test_of_two_that_are_through_at_once_one_is_closed(monkeypatch):
    monkeypatch.setattr(dialling, "ATTEMPT_DELAY", 0.0)
    made: list[socket.socket] = []
    gate = anyio.Event()

    async def attempt(family, address):
        if made:
            gate.set()
        mine = socket.socket()
        made.append(mine)
        with anyio.CancelScope(shield=True):
            await gate.wait()
        return mine

    monkeypatch.setattr(dialling, "_attempt", attempt)
    resolving(monkeypatch, "127.0.0.1", "127.0.0.2")
    won = await connect("somewhere", 1)
    open_ones = [each for each in made if each.fileno() != -1]
    assert open_ones == [won]
    won.close()


@pytest.mark.anyio
async def test_a_dial_that_is_cancelled_when_it_was_through_leaves_no_socket(monkeypatch):
    made = socket.socket()

    async def attempt(family, address):
        outside.cancel()
        return made

    monkeypatch.setattr(dialling, "_attempt", attempt)
    resolving(monkeypatch, "127.0.0.1", "127.0.0.2")
    with anyio.CancelScope() as outside:
        await connect("somewhere", 1)
    assert outside.cancelled_caught
    assert made.fileno() == -1


@pytest.mark.anyio
async def test_a_name_without_addresses_and_one_whose_addresses_refuse_are_told(monkeypatch):
    resolving(monkeypatch)
    with pytest.raises(OSError, match="no address"):
        await connect("nowhere", 1)
    resolving(monkeypatch, "127.0.0.1", "127.0.0.2")
    with pytest.raises(ConnectionRefusedError):
        await connect("closed", 1)


def test_the_network_without_streams_is_taken_where_the_loop_can_have_it(monkeypatch):
    async def made() -> type:
        return type(make_network([]))

    assert anyio.run(made) is LoopNetwork
    assert anyio.run(made, backend="trio") is TcpNetwork
    monkeypatch.setattr(watching.sys, "platform", "win32")
    assert anyio.run(made) is TcpNetwork
