"""Peers that misbehave beside an honest one: each is shown the door, and the file arrives."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import anyio
import attrs
import pytest
from anyio.abc import SocketStream

from torrent_core import actions
from torrent_core.limits import MAX_PENDING_HANDSHAKES
from torrent_core.types import CloseReason
from transports import Client, TorrentHandle
from transports.client import EventStream

from .command import getting, report
from .libtorrent_peer import LibtorrentPeer, LibtorrentProcess
from .payload import KIB, MIB, Payload, single_file
from .villains import (
    GONE,
    PROTOCOL,
    VILLAINS,
    Behaviour,
    Line,
    Villain,
    at_large,
    corrupt_blocks,
    extension_garbage,
    garbage,
    half_a_handshake,
    promises_only,
)

pytestmark = [pytest.mark.anyio, pytest.mark.real]

LIMIT = 60
HONEST, HOSTILE = "127.0.1.1", "127.0.66.1"
SLOW = 128 * KIB
"""Bytes a second of the honest peer until the villain has had its turn."""


@attrs.frozen
class Scene:
    """A download under way, from an honest peer that is in no hurry."""

    client: Client
    torrent: TorrentHandle
    reports: EventStream
    honest: LibtorrentPeer
    payload: Payload
    into: Path

    async def lost(self, host: str) -> actions.LinkLost:
        """The next link to or from ``host`` that ends."""
        with anyio.fail_after(LIMIT):
            async for said in self.reports:
                if isinstance(said, actions.LinkLost) and said.address.host == host:
                    return said
        raise AssertionError("the client ended")

    async def finish(self) -> None:
        """Let the honest peer hurry, and see that the file arrives."""
        assert self.torrent.status.progress < 1.0
        await self.honest.limit_upload(0)
        with anyio.fail_after(LIMIT):
            await self.torrent.wait_complete()
        assert self.payload.differences(self.into) == []

    async def stranger(self, host: str = HOSTILE) -> SocketStream:
        """A connection from ``host`` to our port."""
        return await anyio.connect_tcp("127.0.0.1", self.client.port, local_host=host)


@asynccontextmanager
async def _scene(libtorrent: LibtorrentProcess, tmp_path: Path) -> AsyncIterator[Scene]:
    # 49 pieces: their bitfield has spare bits.
    payload = single_file(tmp_path, 3 * MIB + 1000, 64 * KIB)
    honest = libtorrent.seeder(payload.torrent, payload.folder, host=HONEST, upload_limit=SLOW)
    into = tmp_path / "got"
    async with Client(download_dir=into, host="127.0.0.1", discovery=None, port=0) as client:
        reports = client.events()
        torrent = await client.add(payload.torrent)
        torrent.add_peer(honest.host, honest.port)
        yield Scene(client, torrent, reports, honest, payload, into)


# --- Those whom we dial --------------------------------------------------------------------------


@pytest.mark.parametrize("name", VILLAINS)
async def test_a_villain_is_closed_for_what_it_did_and_the_file_arrives(
    name: str, libtorrent: LibtorrentProcess, tmp_path: Path
) -> None:
    villain = VILLAINS[name]
    async with (
        _scene(libtorrent, tmp_path) as scene,
        at_large(villain, scene.payload, HOSTILE) as port,
    ):
        scene.torrent.add_peer(HOSTILE, port)
        lost = await scene.lost(HOSTILE)
        assert lost.reason is villain.reason
        assert villain.detail in lost.detail
        await scene.finish()


async def test_who_sent_corrupt_data_is_not_let_in_again(
    libtorrent: LibtorrentProcess, tmp_path: Path
) -> None:
    villain = VILLAINS[corrupt_blocks.__name__]
    async with (
        _scene(libtorrent, tmp_path) as scene,
        at_large(villain, scene.payload, HOSTILE) as port,
    ):
        scene.torrent.add_peer(HOSTILE, port)
        reasons = [(await scene.lost(HOSTILE)).reason for _ in range(2)]
        assert reasons == [CloseReason.CORRUPT_DATA, CloseReason.BANNED]
        await scene.finish()


async def test_ourselves_are_recognised_and_closed(
    libtorrent: LibtorrentProcess, tmp_path: Path
) -> None:
    async with _scene(libtorrent, tmp_path) as scene:
        scene.torrent.add_peer("127.0.0.1", scene.client.port)
        reasons = [(await scene.lost("127.0.0.1")).reason for _ in range(2)]
        assert CloseReason.SELF_CONNECTION in reasons
        await scene.finish()


async def test_who_closes_at_once_is_dialled_more_and_more_rarely(
    libtorrent: LibtorrentProcess, tmp_path: Path
) -> None:
    times: list[float] = []

    async def closes_at_once(line: Line) -> None:
        times.append(anyio.current_time())
        await line.stream.aclose()

    villain = Villain(closes_at_once, CloseReason.REMOTE_CLOSED)
    async with (
        _scene(libtorrent, tmp_path) as scene,
        at_large(villain, scene.payload, HOSTILE) as port,
    ):
        scene.torrent.add_peer(HOSTILE, port)
        for _ in range(3):
            lost = await scene.lost(HOSTILE)
            assert lost.reason in (CloseReason.REMOTE_CLOSED, CloseReason.CONNECTION_FAILED)
        # One second and two, less a tenth of jitter.
        assert times[2] - times[0] >= 2.7
        await scene.finish()


async def test_extension_messages_that_make_no_sense_are_ignored(tmp_path: Path) -> None:
    payload = single_file(tmp_path, MIB, 64 * KIB)
    odd = Villain(extension_garbage, CloseReason.STOPPING)
    async with (
        at_large(odd, payload, HOSTILE) as port,
        Client(download_dir=tmp_path / "got", host="127.0.0.1", discovery=None) as client,
    ):
        reports = client.events()
        torrent = await client.add(payload.torrent)
        torrent.add_peer(HOSTILE, port)
        with anyio.fail_after(LIMIT):
            await torrent.wait_complete()
    lost = [said async for said in reports if isinstance(said, actions.LinkLost)]
    assert {said.reason for said in lost} <= {CloseReason.BOTH_SEEDS, CloseReason.STOPPING}
    assert payload.differences(tmp_path / "got") == []


async def test_promises_that_are_not_kept_hold_nothing_up(
    libtorrent: LibtorrentProcess, tmp_path: Path
) -> None:
    liar = Villain(promises_only, CloseReason.STOPPING)
    async with (
        _scene(libtorrent, tmp_path) as scene,
        at_large(liar, scene.payload, HOSTILE) as port,
    ):
        scene.torrent.add_peer(HOSTILE, port)
        with anyio.fail_after(LIMIT):
            async for said in scene.reports:
                if isinstance(said, actions.LinkReady) and said.address.host == HOSTILE:
                    break
        await scene.finish()


# --- Those who dial us ---------------------------------------------------------------------------


async def _read_to_the_end(stream: SocketStream) -> bytes:
    """All that is said until the other side closes."""
    said = b""
    with anyio.fail_after(LIMIT), suppress(*GONE):
        while True:
            said += await stream.receive()
    return said


async def test_strangers_who_say_nothing_sensible_are_closed_and_learn_nothing(
    libtorrent: LibtorrentProcess, tmp_path: Path
) -> None:
    said: dict[str, bytes] = {}

    async def another(line: Line) -> None:
        await line.greet(info_hash=b"\xee" * 20)

    async with _scene(libtorrent, tmp_path) as scene:

        async def call(behave: Behaviour) -> None:
            async with await scene.stranger() as stream:
                with suppress(*GONE):
                    await behave(Line(stream, scene.payload, b"-VV0000-strangerhere"))
                said[behave.__name__] = await _read_to_the_end(stream)

        # The last of them is given its ten seconds.
        async with anyio.create_task_group() as tasks:
            for behave in (garbage, another, half_a_handshake):
                tasks.start_soon(call, behave)
        await scene.finish()
    assert said == {"garbage": b"", "another": b"", "half_a_handshake": b""}


async def test_strangers_beyond_the_limit_are_closed_at_once(
    libtorrent: LibtorrentProcess, tmp_path: Path
) -> None:
    async with _scene(libtorrent, tmp_path) as scene, AsyncExitStack() as hung_up:
        for _ in range(MAX_PENDING_HANDSHAKES):
            await hung_up.enter_async_context(await scene.stranger())
        for _ in range(5):
            one_more = await hung_up.enter_async_context(await scene.stranger())
            assert await _read_to_the_end(one_more) == b""
        await scene.finish()


async def test_strangers_who_come_and_go_in_hundreds_hold_nothing_up(
    libtorrent: LibtorrentProcess, tmp_path: Path
) -> None:
    async with _scene(libtorrent, tmp_path) as scene:
        for _ in range(300):
            await (await scene.stranger()).aclose()
        for _ in range(50):
            async with await scene.stranger() as stream:
                await Line(stream, scene.payload, b"-VV0000-comesandgoes").greet()
        # Whoever knows the torrent is still answered.
        async with await scene.stranger() as stream:
            await Line(stream, scene.payload, b"-VV0000-knowsit-here").greet()
            with anyio.fail_after(LIMIT):
                assert (await stream.receive()).startswith(PROTOCOL)
        await scene.finish()


async def test_a_second_link_of_one_peer_is_closed(
    libtorrent: LibtorrentProcess, tmp_path: Path
) -> None:
    async with (
        _scene(libtorrent, tmp_path) as scene,
        await scene.stranger() as first,
        await scene.stranger() as second,
    ):
        for stream in (first, second):
            await Line(stream, scene.payload, b"-VV0000-twice-at-all").greet()
            with anyio.fail_after(LIMIT):
                assert (await stream.receive()).startswith(PROTOCOL)
        assert (await scene.lost(HOSTILE)).reason is CloseReason.DUPLICATE_PEER
        await scene.finish()


# --- All of them, against the command ------------------------------------------------------------


async def test_get_downloads_in_the_middle_of_all_villains_and_names_each(
    libtorrent: LibtorrentProcess, tmp_path: Path, anyio_backend_name: str
) -> None:
    payload = single_file(tmp_path, 3 * MIB + 1000, 64 * KIB)
    into = tmp_path / "got"
    honest = libtorrent.seeder(payload.torrent, payload.folder, host=HONEST, upload_limit=SLOW)
    async with AsyncExitStack() as stack:
        peers = [(honest.host, honest.port)]
        expected: dict[str, str] = {}
        for number, villain in enumerate(VILLAINS.values()):
            host = f"127.0.{100 + number}.1"
            port = await stack.enter_async_context(at_large(villain, payload, host))
            peers.append((host, port))
            expected[f"{host}:{port}"] = villain.reason.value
        child = stack.enter_context(getting(payload, into, peers, backend=anyio_backend_name))
        lost: dict[str, str] = {}
        for address in expected:
            line = await child.line(_tells_the_loss_of(address), LIMIT)
            lost[address] = report(line)["reason"]
        assert lost == expected
        await honest.limit_upload(0)
        assert await child.end(LIMIT) == 0, child.lines
    assert payload.differences(into) == []


def _tells_the_loss_of(address: str) -> Callable[[str], bool]:
    def tells(line: str) -> bool:
        said = report(line)
        return said["event"] == "peer_lost" and said["peer"] == address

    return tells
