"""The demo's ledger and its cast."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.abc
import pytest

from torrent_core import actions
from torrent_core.metainfo import Metainfo, TorrentBuilder
from torrent_core.types import Address, BlockInfo, ReleaseCause
from torrent_core.wire import handshake, messages
from transports.demo.ledger import Ledger
from transports.demo.peers import HOST, Fault, FaultySeed, Throttle, listen

HASH = bytes(20)
BLOCKS = tuple(BlockInfo(0, begin, 16384) for begin in range(0, 3 * 16384, 16384))


# --- The ledger ----------------------------------------------------------------------------


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger({1: "silent", 2: "honest"})
    ledger.take(actions.LinkReady(HASH, "a", Address(HOST, 1), bytes(20)))
    ledger.take(actions.LinkReady(HASH, "b", Address(HOST, 2), bytes(20)))
    return ledger


def test_the_ledger_says_who_was_asked_after_whom_and_why(ledger: Ledger) -> None:
    ledger.take(actions.BlocksReleased(HASH, "a", ReleaseCause.SNUBBED, BLOCKS))
    ledger.take(actions.BlocksReassigned(HASH, "b", BLOCKS[:2]))
    assert ledger.released_by("silent") == 3
    assert ledger.released_by("honest") == 0
    assert ledger.lines() == [
        "3 blocks asked of silent, void because the peer went silent:"
        " 2 asked again of honest, 1 came without asking again"
    ]


def test_a_block_that_was_never_released_is_not_counted_as_moved(ledger: Ledger) -> None:
    ledger.take(actions.BlocksReassigned(HASH, "b", BLOCKS))
    assert ledger.lines() == []


def test_links_that_were_never_ready_and_unknown_ports_have_names_too(ledger: Ledger) -> None:
    ledger.take(actions.LinkReady(HASH, "c", Address(HOST, 9), bytes(20)))
    ledger.take(actions.BlocksReleased(HASH, "c", ReleaseCause.CHOKED, BLOCKS[:1]))
    ledger.take(actions.BlocksReassigned(HASH, "d", BLOCKS[:1]))
    assert ledger.lines() == [
        "1 block asked of 127.0.0.1:9, void because the peer choked us:"
        " 1 asked again of a peer that was never ready"
    ]


def test_the_ledger_notices_completion_and_ignores_what_it_need_not_know(ledger: Ledger) -> None:
    ledger.take(actions.PieceVerified(HASH, 0))
    assert not ledger.completed
    ledger.take(actions.TorrentCompleted(HASH))
    assert ledger.completed


# --- The cast ------------------------------------------------------------------------------


class Leech:
    """Asks by hand, over a real socket."""

    def __init__(self, stream: anyio.abc.SocketStream, metainfo: Metainfo) -> None:
        self._stream = stream
        self._metainfo = metainfo
        self._buffer = b""

    async def greet(self) -> messages.Message:
        hello = handshake.Handshake(self._metainfo.info_hash, b"l" * 20, bytes(8))
        await self._stream.send(handshake.encode(hello))
        theirs = handshake.decode(await self._take(handshake.HANDSHAKE_LENGTH))
        assert theirs is not None
        assert theirs.info_hash == self._metainfo.info_hash
        return await self.receive()

    async def send(self, *wanted: messages.Message) -> None:
        await self._stream.send(b"".join(map(messages.encode, wanted)))

    async def hang_up(self) -> None:
        await self._stream.send_eof()

    async def receive(self) -> messages.Message:
        (length,) = messages.PREFIX.unpack(await self._take(4))
        return messages.decode(await self._take(length))

    async def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._buffer += await self._stream.receive()
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken


DATA = bytes(range(256)) * 1024


@pytest.fixture
def metainfo() -> Metainfo:
    files = [(("x",), len(DATA))]
    builder = TorrentBuilder("x", files, single_file=True, piece_length=32768)
    builder.update(DATA)
    return builder.finish()


@asynccontextmanager
async def cast(fault: Fault, metainfo: Metainfo) -> AsyncIterator[tuple[FaultySeed, int]]:
    seed = FaultySeed(fault, metainfo, lambda at, count: DATA[at : at + count], 2, 0.001)
    async with anyio.create_task_group() as group:
        yield seed, await group.start(seed.serve)
        group.cancel_scope.cancel()


def requests(count: int) -> list[messages.Request]:
    return [messages.Request(index, 0, 16384) for index in range(count)]


@pytest.mark.anyio
@pytest.mark.parametrize("fault", list(Fault))
async def test_a_faulty_seed_serves_its_quota_and_then_fails(
    fault: Fault, metainfo: Metainfo
) -> None:
    with anyio.fail_after(30):
        async with cast(fault, metainfo) as (seed, port):
            assert seed.story(0.0) == f"{fault.value}: served 0 blocks (0.0 MiB)"
            async with await anyio.connect_tcp(HOST, port) as stream:
                leech = Leech(stream, metainfo)
                assert isinstance(await leech.greet(), messages.Bitfield)
                await leech.send(messages.Interested(), messages.KeepAlive())
                assert await leech.receive() == messages.Unchoke()
                extra = messages.Cancel(9, 0, 16384)
                await leech.send(*requests(5), extra, messages.Cancel(4, 0, 16384))
                for index in range(2):
                    start = index * metainfo.piece_length
                    want = messages.Piece(index, 0, DATA[start : start + 16384])
                    assert await leech.receive() == want
                await ends_as_it_must(fault, leech, seed)
            assert "served 2 blocks" in seed.story(0.0)
            assert re.search(r" \d+\.\d s after the start$", seed.story(0.0))


async def ends_as_it_must(fault: Fault, leech: Leech, seed: FaultySeed) -> None:
    if fault is Fault.LEAVES:
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await leech.receive()
        return
    if fault is Fault.CHOKES:
        assert await leech.receive() == messages.Choke()
        await leech.send(messages.Interested(), *requests(1))
    await seed.failed.wait()
    await leech.hang_up()
    with pytest.raises(anyio.EndOfStream):  # and not one message before it
        await leech.receive()


@pytest.mark.anyio
async def test_a_faulty_seed_survives_garbage(metainfo: Metainfo) -> None:
    with anyio.fail_after(30):
        async with cast(Fault.CHOKES, metainfo) as (_, port):
            async with await anyio.connect_tcp(HOST, port) as stream:
                leech = Leech(stream, metainfo)
                await leech.greet()
                await stream.send(b"\0\0\0\2\1\1")
                with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                    await leech.receive()
            async with await anyio.connect_tcp(HOST, port) as stream:
                assert isinstance(await Leech(stream, metainfo).greet(), messages.Bitfield)


@pytest.mark.anyio
async def test_the_throttle_passes_both_ways_what_it_is_given() -> None:
    async def echo(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            async for data in stream:
                await stream.send(data)

    async def upstream(*, task_status: anyio.abc.TaskStatus[int]) -> None:
        await listen(echo, task_status, anyio.Event())

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            throttle = Throttle("honest-1", await group.start(upstream), 1e6)
            port = await group.start(throttle.serve)
            async with await anyio.connect_tcp(HOST, port) as stream:
                await stream.send(b"x" * 20000)
                received = b""
                while len(received) < 20000:
                    received += await stream.receive()
            assert received == b"x" * 20000
            assert throttle.story(3 * 2**20) == (
                "honest-1: served 192 blocks (3.0 MiB), held at 1.0 MiB/s"
            )
            group.cancel_scope.cancel()


def test_the_throttle_spreads_bytes_over_time_and_saves_up_nothing() -> None:
    throttle = Throttle("x", 1, 100.0)
    assert throttle.due(100, 10.0) == 11.0
    assert throttle.due(50, 10.2) == 11.5
    assert throttle.due(100, 20.0) == 21.0
