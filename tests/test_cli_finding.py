"""Commands that find peers, against a tracker and DHT nodes on loopback."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random

import pytest

from torrent_core.actions import SendDatagram
from torrent_core.dht import Dht, DhtConfig
from torrent_core.discovery import Found
from torrent_core.events import DatagramReceived, Tick
from torrent_core.metainfo import MagnetLink
from torrent_core.types import Address, Family
from tracker_kit import RealTracker
from transports.cli import main, options
from transports.cli.options import NO_DISCOVERY_VARIABLE
from transports.cli.sources import info_hash_of

HASH = bytes(range(40, 60))


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's own folder is touched."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def tracker() -> Iterator[RealTracker]:
    with RealTracker() as real:
        yield real


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder with a payload in it, beside which torrents may be made."""
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "data.bin").write_bytes(os.urandom(100_000))
    return folder


def make(shared: Path, *more: str) -> Path:
    target = shared.parent / "t.torrent"
    assert main(["create", str(shared / "data.bin"), "-o", str(target), *more]) == 0
    return target


def printed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


# --- The options ---------------------------------------------------------------------------


def test_each_means_has_its_switch_and_one_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[options.FindBy] = []

    @options.discovery_options
    def probe(find_by: options.FindBy) -> None:
        seen.append(find_by)

    import click

    command = click.command()(probe)
    monkeypatch.delenv(NO_DISCOVERY_VARIABLE)
    for arguments in ([], ["--no-dht", "--no-pex"], ["--no-lsd", "--no-trackers"]):
        command.main(arguments, standalone_mode=False)
    command.main(["--dht-router", "127.0.0.1:9"], standalone_mode=False)
    command.main(["--no-discovery"], standalone_mode=False)
    monkeypatch.setenv(NO_DISCOVERY_VARIABLE, "1")
    command.main([], standalone_mode=False)
    assert [tuple(one[:4]) for one in seen] == [
        (True, True, True, True),
        (True, False, True, False),
        (False, True, False, True),
        (True, True, True, True),
        (False, False, False, False),
        (False, False, False, False),
    ]
    given = seen[3].for_client()
    assert given["discovery"].routers == (Address("127.0.0.1", 9),)
    assert given["state_dir"].endswith("torrent-core")
    assert seen[4].for_client()["state_dir"] is None


def test_an_info_hash_is_forty_hexadecimal_digits() -> None:
    assert info_hash_of(HASH.hex()) == HASH
    assert info_hash_of(HASH.hex().upper()) == HASH
    for bad in ("", HASH.hex()[1:], "g" * 40, " " * 40, "a " * 20, "é" * 40):
        assert info_hash_of(bad) is None


# --- get -----------------------------------------------------------------------------------

ONLY_TRACKERS = ["--no-dht", "--no-lsd", "--no-pex"]


@contextmanager
def web(*bodies: bytes) -> Iterator[str]:
    """Serves these bodies at /0, /1, ... on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            at = int(self.path[1:])
            self.send_response(200 if at < len(bodies) else 404)
            self.end_headers()
            if at < len(bodies):
                with suppress(ConnectionError):
                    self.wfile.write(bodies[at])

        def log_message(self, format: str, *args: object) -> None:
            """Nothing to say."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("how", ["http", "udp"])
def test_a_torrent_from_the_web_is_downloaded_by_its_tracker_alone(
    shared: Path,
    tmp_path: Path,
    how: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from seeding import seed
    from torrent_core.metainfo import parse_torrent

    with RealTracker() as tracker:
        url = tracker.url() if how == "http" else tracker.udp_url
        torrent = make(shared, "--tracker", url)
        metainfo = parse_torrent(torrent.read_bytes())
        monkeypatch.delenv(NO_DISCOVERY_VARIABLE)
        with seed(metainfo, shared) as port, web(torrent.read_bytes()) as site:
            tracker.swarms.members[metainfo.info_hash] = {Address("127.0.0.1", port): 0}
            capsys.readouterr()
            got = tmp_path / "got"
            arguments = ["get", site + "0", "-o", str(got), "--json", *ONLY_TRACKERS]
            assert main(arguments) == 0
    assert (got / "data.bin").read_bytes() == (shared / "data.bin").read_bytes()
    events = [one.event for one in tracker.seen]
    assert (events[0], events[-1]) == ("started", "stopped")
    said = {str(one["event"]): one for one in printed(capsys)}
    assert said["peers_learned"]["source"] == "tracker"
    assert said["tracker_replied"]["url"] == url
    assert said["completed"]["known"]["tracker"] >= 1  # type: ignore[index]


def test_a_tracker_that_does_not_answer_rightly_is_told_once(
    shared: Path,
    tmp_path: Path,
    tracker: RealTracker,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    torrent = make(shared, "--tracker", tracker.url("refuse"))
    monkeypatch.delenv(NO_DISCOVERY_VARIABLE)
    got = tmp_path / "got"
    arguments = ["get", str(torrent), "-o", str(got), "--timeout", "2", *ONLY_TRACKERS]
    assert main(arguments) == 1
    shown = capsys.readouterr()
    assert shown.out.count("does not help: ") == 1
    assert "announce to " in shown.err


@pytest.mark.parametrize(
    ("path", "why"), [("0", "is not a usable torrent: "), ("7", "HTTP status 404")]
)
def test_what_is_no_torrent_on_the_web_is_one_line(
    path: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with web(b"<html>") as site:
        assert main(["info", site + path]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert why in line


# --- announce and scrape -------------------------------------------------------------------


@pytest.mark.parametrize("how", ["http", "udp"])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_announce_shows_the_answer_and_leaves_again(
    tracker: RealTracker, how: str, backend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = tracker.url() if how == "http" else tracker.udp_url
    tracker.swarms.members[HASH] = {Address("127.0.0.2", 7): 0, Address("127.0.0.3", 8): 9}
    arguments = ["announce", HASH.hex(), "--tracker", url, "--port", "6990"]
    assert main([*arguments, "--backend", backend]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "127.0.0.2:7",
        "127.0.0.3:8",
        f"{url}: 1 seed, 2 leechers, told of 2 peers",
    ]
    assert [(one.event, one.peer.port) for one in tracker.seen] == [
        ("started", 6990),
        ("stopped", 6990),
    ]


def test_announce_asks_the_trackers_of_a_torrent_all_of_them(
    shared: Path, tracker: RealTracker, capsys: pytest.CaptureFixture[str]
) -> None:
    torrent = make(shared, "--tracker", tracker.url("refuse"), "--tracker", tracker.udp_url)
    capsys.readouterr()
    assert main(["announce", str(torrent), "--json"]) == 0
    assert {one["event"] for one in printed(capsys)} >= {"failed", "replied"}
    assert [one.event for one in tracker.seen if one.how == "udp"] == ["started", "stopped"]


@pytest.mark.parametrize("how", ["http", "udp"])
def test_scrape_counts_the_swarm_and_takes_no_part(
    tracker: RealTracker, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = tracker.url() if how == "http" else tracker.udp_url
    tracker.swarms.members[HASH] = {Address("127.0.0.2", 7): 0, Address("127.0.0.3", 8): 9}
    assert main(["scrape", HASH.hex(), "--tracker", url, "--json"]) == 0
    (said,) = printed(capsys)
    assert (said["event"], said["seeds"], said["leechers"]) == ("scraped", 1, 1)
    assert tracker.seen == []


def test_scrape_asks_the_trackers_that_a_magnet_link_names(
    tracker: RealTracker, capsys: pytest.CaptureFixture[str]
) -> None:
    tracker.swarms.members[HASH] = {Address("127.0.0.2", 7): 0}
    assert main(["scrape", str(MagnetLink(HASH, trackers=(tracker.url(),))), "--json"]) == 0
    (said,) = printed(capsys)
    assert (said["event"], said["seeds"]) == ("scraped", 1)


def test_a_tracker_that_is_silent_or_none_fails_in_words(
    tracker: RealTracker, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = tracker.url("silent")
    assert main(["scrape", HASH.hex(), "--tracker", silent, "--timeout", "0.2"]) == 1
    assert capsys.readouterr() == ("", f"error: {silent}: no answer in 0.2 s\n")
    assert main(["scrape", str(make(shared))]) == 1
    assert capsys.readouterr().err == "error: no tracker is named: say --tracker URL\n"


@pytest.mark.parametrize("command", ["announce", "scrape"])
def test_a_bare_info_hash_without_a_tracker_is_a_mistake_of_usage(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, HASH.hex()]) == 2
    help_is = f"(see torrent-core {command} --help)"
    line = f"error: an info-hash names no tracker: say --tracker URL {help_is}\n"
    assert capsys.readouterr() == ("", line)


def test_a_tracker_on_a_closed_port_refuses_the_connection(
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = "http://127.0.0.1:1/announce"
    assert main(["announce", HASH.hex(), "--tracker", url]) == 1
    assert capsys.readouterr() == ("", f"error: {url}: Connection refused\n")


@pytest.mark.parametrize("command", ["announce", "scrape"])
def test_a_url_of_no_tracker_is_wrong_usage_as_for_create(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, HASH.hex(), "--tracker", "gopher://x"]) == 2
    assert "'gopher://x' is no http, https or udp URL of a tracker" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["announce", "scrape"])
def test_what_a_torrent_calls_a_tracker_and_is_none_does_not_keep_others_from_being_asked(
    command: str, tracker: RealTracker, capsys: pytest.CaptureFixture[str]
) -> None:
    named = "".join(f"&tr={url}" for url in ("gopher://x", tracker.url()))
    link = f"magnet:?xt=urn:btih:{HASH.hex()}"
    assert main([command, link + named]) == 0
    failed, replied = capsys.readouterr().out.splitlines()
    assert failed == "gopher://x: no http, https or udp URL of a tracker"
    assert replied.startswith(tracker.url())
    assert main([command, f"{link}&tr=gopher://x"]) == 1
    assert capsys.readouterr().err == f"error: {failed}\n"


def test_trackers_that_all_fail_are_told_each_and_the_command_fails_in_one_line(
    tracker: RealTracker, capsys: pytest.CaptureFixture[str]
) -> None:
    refusing, silent = tracker.url("refuse"), tracker.url("silent")
    arguments = ["announce", HASH.hex(), "--tracker", refusing, "--tracker", silent]
    assert main([*arguments, "--timeout", "0.3"]) == 1
    out, err = capsys.readouterr()
    assert sorted(line.startswith(refusing) for line in out.splitlines()) == [False, True]
    assert err.startswith(f"error: none of 2 trackers gave an answer; {refusing}: ")
    assert len(err.splitlines()) == 1


def test_a_tracker_that_fails_is_an_object_and_a_line(
    tracker: RealTracker, capsys: pytest.CaptureFixture[str]
) -> None:
    url = tracker.url("refuse")
    assert main(["announce", HASH.hex(), "--tracker", url, "--json"]) == 1
    out, err = capsys.readouterr()
    (said,) = map(json.loads, out.splitlines())
    assert (said["event"], said["url"]) == ("failed", url)
    assert err == f"error: {url}: {said['message']}\n"


# --- dht lookup ----------------------------------------------------------------------------


@contextmanager
def dht_nodes(count: int) -> Iterator[list[int]]:
    """Nodes on loopback that know each other through the first; gives their ports."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    for sock in sockets:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(0.02)
    ports = [sock.getsockname()[1] for sock in sockets]
    enough = threading.Event()

    def serve(number: int) -> None:
        first = () if number == 0 else (Address("127.0.0.1", ports[0]),)
        config = DhtConfig(routers=first, families=(Family.IPV4,))
        node = Dht(b"secret" * 4, Random(number), config, lambda: 1)
        now = 0.0

        def carry(found: list[Found]) -> None:
            for one in found:
                if isinstance(one, SendDatagram):
                    sockets[number].sendto(one.data, one.address)

        carry(node.start(now))
        if number == count - 1:
            carry(node.search(HASH, 7007, now))
        while not enough.is_set():
            now += 0.02
            try:
                data, source = sockets[number].recvfrom(65536)
                carry(node.handle(DatagramReceived(Address(*source), data), now))
            except TimeoutError:
                carry(node.handle(Tick(), now))

    threads = [threading.Thread(target=serve, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield ports
    finally:
        enough.set()
        for thread in threads:
            thread.join()
        for sock in sockets:
            sock.close()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_dht_lookup_prints_the_peers_that_nodes_know(
    backend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with dht_nodes(5) as ports:
        arguments = ["dht", "lookup", HASH.hex(), "--dht-router", f"127.0.0.1:{ports[0]}"]
        arguments += ["--timeout", "5", "--backend", backend]
        while main(arguments) == 1:  # until the last node has announced itself
            assert capsys.readouterr().out == ""
        out = capsys.readouterr().out
    assert out == "127.0.0.1:7007\n"


NOBODY_ANSWERED = "no node of the DHT answered"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_dht_lookup_that_nobody_answers_says_so_within_its_time(
    backend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        mute.bind(("127.0.0.1", 0))
        router = f"127.0.0.1:{mute.getsockname()[1]}"
        arguments = ["dht", "lookup", HASH.hex(), "--dht-router", router, "--backend", backend]
        assert main([*arguments, "--timeout", "0.3"]) == 1
        assert capsys.readouterr() == ("", f"error: {NOBODY_ANSWERED}\n")
        assert main([*arguments, "--timeout", "0.3", "--json"]) == 1
    out, err = capsys.readouterr()
    assert [json.loads(line) for line in out.splitlines()] == [
        {"event": "failed", "message": NOBODY_ANSWERED}
    ]
    assert err == f"error: {NOBODY_ANSWERED}\n"


def test_dht_lookup_says_that_no_routers_name_means_anything(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("transports.resolve.look_up", lambda host: ())
    arguments = ["dht", "lookup", HASH.hex(), "--dht-router", "nobody.invalid:6881"]
    assert main(arguments) == 1
    assert capsys.readouterr() == ("", "error: no router's name could be resolved\n")


def test_dht_lookup_by_a_routers_name_that_resolves_to_who_is_silent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("transports.resolve.look_up", lambda host: ("127.0.0.1",))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        mute.bind(("127.0.0.1", 0))
        router = f"somebody.invalid:{mute.getsockname()[1]}"
        arguments = ["dht", "lookup", HASH.hex(), "--dht-router", router]
        assert main([*arguments, "--timeout", "0.3"]) == 1
    assert capsys.readouterr().err == f"error: {NOBODY_ANSWERED}\n"


def test_dht_lookup_of_what_no_node_knows_says_how_many_were_asked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with dht_nodes(3) as ports:
        arguments = ["dht", "lookup", "ab" * 20, "--dht-router", f"127.0.0.1:{ports[0]}"]
        assert main([*arguments, "--timeout", "5"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"error: \d nodes? asked, none knows a peer\n", err)


def test_dht_lookup_takes_a_magnet_link_and_a_torrent_that_is_not_private(
    shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = ["--dht-router", "127.0.0.1:9", "--timeout", "0.2"]
    for source in (str(MagnetLink(HASH)), str(make(shared))):
        assert main(["dht", "lookup", source, *quick]) == 1
        assert capsys.readouterr().err == f"error: {NOBODY_ANSWERED}\n"
    private = make(shared, "--private", "--tracker", "http://127.0.0.1:9/")
    capsys.readouterr()
    assert main(["dht", "lookup", str(private), *quick]) == 1
    assert "is private" in capsys.readouterr().err


def test_dht_lookup_of_what_is_nothing_fails_in_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["dht", "lookup", "x"]) == 1
    assert "cannot read x" in capsys.readouterr().err


def test_dht_alone_shows_its_help_as_the_program_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dht"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Usage: torrent-core dht ")
    assert "\n  lookup " in err
