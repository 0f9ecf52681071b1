"""The client around a scripted session: life cycle, errors, and nothing left behind."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from types import SimpleNamespace

import anyio
import pytest

from torrent_core.actions import (
    SaveResume,
    StateChanged,
    StorageTrouble,
    TorrentCompleted,
    Warned,
)
from torrent_core.errors import InvalidData, LocalProtocolError
from torrent_core.events import (
    AddPeer,
    AddTorrent,
    DropPeer,
    Recheck,
    RemoveTorrent,
    StopTorrent,
    Tick,
)
from torrent_core.metainfo import TorrentBuilder
from torrent_core.types import Address, StorageFault, TorrentState
from transport_kit import PATIENCE, torrent
from transports.client import client as client_module
from transports.client import subscription
from transports.client.client import Client
from transports.errors import (
    CannotListen,
    ClientClosed,
    DuplicateTorrent,
    StorageError,
    TorrentGone,
    TorrentStopped,
)

META = torrent([("t/a", 5)])
IH = META.info_hash
OTHER = torrent([("t/b", 6)])
pytestmark = pytest.mark.anyio


class ScriptedTorrent:
    """One torrent of a scripted session, moved by the test."""

    def __init__(self) -> None:
        self.state = TorrentState.DOWNLOADING
        self.wanted_left = 5

    def status(self, now):
        return SimpleNamespace(state=self.state, wanted_left=self.wanted_left)

    def peers(self, now):
        return [f"a peer at {now >= 0}"]


class ScriptedSession:
    """Does as it is told at once: a session without a protocol."""

    def __init__(self, *, peer_id, random, config) -> None:
        self.peer_id, self.random, self.config = peer_id, random, config
        self.torrents: dict[bytes, ScriptedTorrent] = {}
        self.magnets: dict[bytes, ScriptedTorrent] = {}
        self.commands: list[object] = []
        self.stops = True

    def next_deadline(self):
        return None

    def handle(self, event, now):
        self.commands.append(event)
        return getattr(self, f"on_{type(event).__name__}", lambda event: [])(event)

    def on_AddTorrent(self, event):  # noqa: N802
        if event.priorities not in (None, (1,)):
            raise LocalProtocolError("one priority per file")
        self.torrents[event.metainfo.info_hash] = ScriptedTorrent()
        return [StateChanged(event.metainfo.info_hash, TorrentState.DOWNLOADING)]

    def on_StopTorrent(self, event):  # noqa: N802
        return self.to(event.torrent, TorrentState.STOPPED) if self.stops else []

    def on_RemoveTorrent(self, event):  # noqa: N802
        actions = self.to(event.torrent, TorrentState.STOPPED)
        del self.torrents[event.torrent]
        return actions

    def on_Recheck(self, event):  # noqa: N802
        return self.to(event.torrent, TorrentState.CHECKING)

    def on_Tick(self, event):  # noqa: N802
        raise KeyError("a bug")

    def to(self, torrent, state):
        self.torrents[torrent].state = state
        saves = [SaveResume(torrent, b"saved")] if state is TorrentState.STOPPED else []
        return [*saves, StateChanged(torrent, state)]


@pytest.fixture(autouse=True)
def scripted(monkeypatch):
    monkeypatch.setattr(client_module, "Session", ScriptedSession)


@pytest.fixture
def make(tmp_path):
    return lambda **options: Client(tmp_path, host="127.0.0.1", discovery=None, **options)


def enter(client, torrent, state, **fields):
    """What a real session would do later: change state and report it."""
    for name, value in fields.items():
        setattr(client.session.torrents[torrent], name, value)
    for report in client.session.to(torrent, state):
        if isinstance(report, StateChanged):
            client.driver.report(report)


def trouble(fault, retry_at=5.0):
    return StorageTrouble(IH, fault, "/some/path", retry_at)


async def run_together(*functions):
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for function in functions:
                tasks.start_soon(function)


def resume_file(folder, info_hash=IH):
    return folder / ".torrent-core" / f"{info_hash.hex()}.resume"


async def test_a_torrent_is_added_from_path_bytes_or_value(make, tmp_path):
    builder = TorrentBuilder("x", [(("x",), 3)], single_file=True)
    builder.update(b"abc")
    data = builder.finish().encode()
    (tmp_path / "x.torrent").write_bytes(data)
    async with make() as client:
        for source in (tmp_path / "x.torrent", str(tmp_path / "x.torrent"), data, META):
            handle = await client.add(source)
            assert client.torrents == [handle]
            assert handle.info_hash == handle.metainfo.info_hash
            assert handle.download_dir == str(tmp_path)
            await handle.remove()


async def test_a_source_that_is_no_torrent_is_refused_with_the_cores_own_error(make, tmp_path):
    async with make() as client:
        with pytest.raises(InvalidData):
            await client.add(b"not a torrent")
        with pytest.raises(FileNotFoundError):
            await client.add(tmp_path / "nothing.torrent")
        assert client.torrents == []


async def test_a_torrent_is_added_once(make):
    async with make() as client:
        await client.add(META)
        with pytest.raises(DuplicateTorrent):
            await client.add(META)
        assert len(client.torrents) == 1


async def test_what_the_core_refuses_is_not_kept(make):
    async with make() as client:
        with pytest.raises(LocalProtocolError):
            await client.add(META, priorities=[1, 1])
        assert client.torrents == []
        await client.add(META, priorities=[1])
        assert client.session.commands[-1] == AddTorrent(META, None, (1,))


async def test_resume_data_is_saved_on_leaving_and_given_back_on_the_next_run(make, tmp_path):
    async with make() as client:
        await client.add(META)
        await client.add(OTHER, download_dir=tmp_path / "elsewhere")
    assert resume_file(tmp_path).read_bytes() == b"saved"
    assert resume_file(tmp_path / "elsewhere", OTHER.info_hash).exists()
    async with make() as client:
        await client.add(META)
        assert client.session.commands[-1] == AddTorrent(META, b"saved", None)
        await client.torrents[0].remove()
    async with make(resume_dir=tmp_path / "kept") as client:
        await client.add(META)
        assert client.session.commands[-1] == AddTorrent(META, None, None)
    assert (tmp_path / "kept" / f"{IH.hex()}.resume").exists()


async def test_resume_data_may_be_left_unread(make, tmp_path):
    resume_file(tmp_path).parent.mkdir()
    resume_file(tmp_path).write_bytes(b"old")
    async with make() as client:
        await client.add(META, resume=False)
        assert client.session.commands[-1] == AddTorrent(META, None, None)


async def test_resume_data_that_cannot_be_read_is_a_warning(make, tmp_path):
    resume_file(tmp_path).mkdir(parents=True)
    async with make() as client:
        events = client.events()
        await client.add(META)
        report = await anext(events)
        assert isinstance(report, Warned)
        assert "resume" in report.text
        assert client.session.commands[-1] == AddTorrent(META, None, None)


async def test_peers_are_named_and_dropped_and_status_is_the_sessions(make):
    async with make() as client:
        handle = await client.add(META)
        handle.add_peer("10.0.0.1", 6881)
        handle.drop_peer("10.0.0.1", 6881)
        address = Address("10.0.0.1", 6881)
        assert client.session.commands[-2:] == [AddPeer(IH, address), DropPeer(IH, address)]
        assert handle.status.state is TorrentState.DOWNLOADING
        assert handle.peers == ["a peer at True"]


async def test_waiting_ends_when_everything_wanted_is_there(make):
    async with make() as client:
        handle = await client.add(META)
        done: list[str] = []

        async def wait() -> None:
            await handle.wait_complete()
            done.append("done")

        async def complete() -> None:
            await anyio.wait_all_tasks_blocked()
            enter(client, IH, TorrentState.CHECKING, wanted_left=0)
            await anyio.wait_all_tasks_blocked()
            assert done == []
            client.session.torrents[IH].state = TorrentState.SEEDING
            client.driver.report(TorrentCompleted(IH))

        await run_together(wait, wait, complete)
        assert done == ["done", "done"]
        await handle.wait_complete()


@pytest.mark.parametrize(
    "fault", [StorageFault.DISK_FULL, StorageFault.PERMISSION, StorageFault.OTHER]
)
async def test_a_disk_that_only_a_person_can_mend_is_raised_once_for_each_time(make, fault):
    async with make() as client:
        handle = await client.add(META)
        client.driver.report(trouble(StorageFault.MISSING))
        client.driver.report(trouble(StorageFault.OTHER, retry_at=None))
        client.driver.report(trouble(fault))
        with pytest.raises(StorageError, match="/some/path") as caught:
            await handle.wait_complete()
        assert caught.value.fault is fault
        again: list[StorageError] = []

        async def wait() -> None:
            try:
                await handle.wait_complete()
            except StorageError as error:
                again.append(error)

        async def fail() -> None:
            await anyio.wait_all_tasks_blocked()
            assert again == []
            client.driver.report(trouble(fault))

        await run_together(wait, wait, fail)
        assert len(again) == 2


def test_an_error_without_detail_is_still_a_sentence():
    assert str(StorageError(StorageFault.DISK_FULL, "")) == "no space left on the disk"


async def test_waiting_for_a_torrent_that_stops_or_goes_raises(make):
    async with make() as client:
        for end in ("stop", "remove"):
            handle = await client.add(META, resume=False)
            ended: list[str] = []

            async def wait(handle=handle, ended=ended) -> None:
                try:
                    await handle.wait_complete()
                except TorrentStopped as error:
                    ended.append(str(error))

            await run_together(wait, getattr(handle, end))
            assert ended == ["torrent"]
            await handle.stop()
            if end == "stop":
                await handle.remove()


async def test_a_stopped_torrent_stays_and_its_resume_data_is_saved(make, tmp_path):
    async with make() as client:
        handle = await client.add(META)
        await handle.stop()
        assert resume_file(tmp_path).read_bytes() == b"saved"
        await handle.stop()
        assert handle.status.state is TorrentState.STOPPED
        assert client.session.commands.count(StopTorrent(IH)) == 1


async def test_a_removed_torrent_is_forgotten_with_its_resume_data(make, tmp_path):
    async with make() as client:
        handle = await client.add(META)
        await handle.remove()
        assert client.torrents == []
        assert not resume_file(tmp_path).exists()
        assert RemoveTorrent(IH) in client.session.commands
        for use in (lambda: handle.status, lambda: handle.peers):
            with pytest.raises(TorrentGone):
                use()
        with pytest.raises(TorrentGone):
            await handle.remove()
        await client.add(META)


async def test_removing_a_torrent_twice_at_once_removes_it_once(make):
    async with make() as client:
        handle = await client.add(META)
        client.session.stops = False

        def begin(event):
            client.session.torrents[event.torrent].state = TorrentState.STOPPING
            return []

        client.session.on_RemoveTorrent = begin

        async def finish() -> None:
            await anyio.wait_all_tasks_blocked()
            enter(client, IH, TorrentState.STOPPED)
            del client.session.torrents[IH]

        await run_together(handle.remove, handle.remove, finish)
        assert client.torrents == []


async def test_a_recheck_is_waited_for(make):
    async with make() as client:
        handle = await client.add(META)
        order: list[str] = []

        async def recheck() -> None:
            await handle.recheck()
            order.append("rechecked")

        async def finish() -> None:
            await anyio.wait_all_tasks_blocked()
            assert client.session.commands[-1] == Recheck(IH)
            order.append("finished")
            enter(client, IH, TorrentState.DOWNLOADING)

        await run_together(recheck, finish)
        assert order == ["finished", "rechecked"]


async def test_leaving_by_cancellation_saves_resume_data_too(make, tmp_path):
    with anyio.CancelScope() as scope:
        async with make() as client:
            await client.add(META)
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert resume_file(tmp_path).read_bytes() == b"saved"


async def test_leaving_by_an_exception_raises_it_as_it_is(make, tmp_path):
    error = ValueError("the user's own")

    async def use() -> None:
        async with make() as client:
            await client.add(META)
            raise error

    with pytest.raises(ValueError, match="own") as caught:
        await use()
    assert caught.value is error
    assert resume_file(tmp_path).exists()


async def test_a_bug_in_the_core_ends_the_client_with_that_exception(make):
    async def use() -> None:
        async with make() as client:
            await client.add(META)
            client.driver.feed(Tick())
            await anyio.sleep_forever()

    with pytest.raises(KeyError, match="a bug"), anyio.fail_after(PATIENCE):
        await use()


async def test_a_bug_and_an_exception_of_the_user_are_both_told(make):
    async def use() -> None:
        async with make() as client:
            client.driver.feed(Tick())
            try:
                await anyio.sleep_forever()
            finally:
                raise ValueError("mine")

    with pytest.raises(BaseExceptionGroup) as caught:
        await use()
    kinds = {type(client_module.sole(error)) for error in caught.value.exceptions}
    assert {KeyError, ValueError} <= kinds


async def test_a_torrent_that_does_not_stop_cannot_hold_the_client(make, monkeypatch):
    monkeypatch.setattr(client_module, "STOP_TIMEOUT", 0.05)
    with anyio.fail_after(PATIENCE):
        async with make() as client:
            await client.add(META)
            client.session.stops = False
    assert StopTorrent(IH) in client.session.commands


async def test_a_client_is_usable_only_while_it_is_open(make):
    client = make()
    with pytest.raises(ClientClosed):
        await client.add(META)
    async with client:
        handle = await client.add(META)
        with pytest.raises(ClientClosed):
            await client.__aenter__()
    with pytest.raises(ClientClosed):
        await client.add(OTHER)
    with pytest.raises(ClientClosed):
        handle.add_peer("10.0.0.1", 1)


async def test_a_port_that_is_taken_is_told(make):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        client = make(port=port)
        with pytest.raises(OSError, match="in use") as caught:
            await client.__aenter__()
    assert isinstance(caught.value, CannotListen)
    assert caught.value.errno == errno.EADDRINUSE
    assert str(caught.value) == f"cannot listen on port {port}: Address already in use"


async def test_what_the_session_does_not_accept_leaves_no_socket_open(make, monkeypatch):
    def refuse(**options):
        raise LocalProtocolError("a peer id has 20 bytes")

    monkeypatch.setattr(client_module, "Session", refuse)
    with pytest.raises(LocalProtocolError):
        await make(peer_id=b"short").__aenter__()


async def test_entropy_and_port_are_drawn_here_and_passed_in(make):
    async with make() as one, make() as two:
        assert one.session.peer_id[:8] == b"-TC0100-"
        assert len(one.session.peer_id) == 20
        assert one.session.peer_id != two.session.peer_id
        assert one.session.random.getrandbits(64) != two.session.random.getrandbits(64)
        assert one.session.config.torrent.listen_port == one.port != two.port
    async with make(peer_id=b"p" * 20, random="dice", clock=lambda: 7.0) as fixed:
        assert fixed.session.peer_id == b"p" * 20
        assert fixed.session.random == "dice"
        assert fixed.driver.now == 7.0


async def test_every_reader_gets_every_report_until_the_client_closes(make):
    heard: list[list[object]] = [[], []]

    async def read(events, into) -> None:
        async for event in events:
            into.append(event)

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks, make() as client:
            for into in heard:
                tasks.start_soon(read, client.events(), into)
            await client.add(META)
    assert heard[0] == heard[1]
    assert heard[0] == [
        StateChanged(IH, TorrentState.DOWNLOADING),
        StateChanged(IH, TorrentState.STOPPED),
    ]
    assert [event async for event in client.events()] == []


async def test_reports_that_do_not_hurry_come_in_their_place_and_wake_nobody():
    stream = subscription.EventStream(backlog=8, unhurried=(int,))
    heard: list[object] = []

    async def read() -> None:
        async for report in stream:
            heard.append(report)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        for number in range(4):
            stream.push(number)
        await anyio.wait_all_tasks_blocked()
        assert heard == []
        stream.push("now")
        await anyio.wait_all_tasks_blocked()
        assert heard == [0, 1, 2, 3, "now"]
        for number in range(5):
            stream.push(number)
        await anyio.wait_all_tasks_blocked()
        assert heard[5:] == [0, 1, 2, 3, 4], "half the backlog is full"
        stream.push(5)
        stream.close()
    assert heard[10:] == [5]
    assert stream.lost == 0


async def test_a_slow_reader_loses_the_oldest_and_knows_it():
    stream = subscription.EventStream(backlog=3)
    for number in range(5):
        stream.push(Warned(IH, str(number)))
    stream.close()
    assert [event.text async for event in stream] == ["2", "3", "4"]
    assert stream.lost == 2


async def test_a_reader_that_lets_go_is_forgotten():
    streams = subscription.Subscriptions()
    kept, gone = streams.open(), streams.open()
    del gone
    streams.publish(Warned(IH, "x"))
    assert len(streams._streams) == 1
    streams.close()
    assert [event.text async for event in kept] == ["x"]


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, transports;"
        "print([m for m in ('anyio', 'rich', 'click', 'attrs') if m in sys.modules]);"
        "print(transports.Client.__module__, 'anyio' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.splitlines() == ["[]", "transports.client.client True"]


def test_without_anyio_the_error_says_what_to_install():
    code = (
        "import sys; sys.modules['anyio'] = None; import transports\n"
        "try: transports.Client\n"
        "except ModuleNotFoundError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "transports.Client needs anyio: pip install 'torrent-core[anyio]'\n"


def test_every_public_name_is_there_and_no_other():
    import transports

    assert all(getattr(transports, name) for name in transports.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        transports.nothing  # noqa: B018
