"""Fetching over real loopback sockets: bounds, bombs, redirections, families, giving up."""

from __future__ import annotations

import gzip
import socket
import ssl
import subprocess
import sys
import tracemalloc
import zlib

import anyio
import anyio.lowlevel
import httpcore
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from discovery_kit import Told, response, web
from torrent_core.actions import CancelFetch, Fetch
from torrent_core.addresses import is_local, literal
from torrent_core.events import Fetched, FetchFailed
from torrent_core.limits import MAX_REDIRECTS
from torrent_core.types import Family
from transport_kit import PATIENCE
from transports.errors import FetchRefused
from transports.http.body import read_body
from transports.http.fetcher import HttpFetcher
from transports.http.way import CONNECTED, Way

LIMIT = 1000


class Fetching:
    """A fetcher that runs, and what it told."""

    async def __aenter__(self):
        self.told = Told()
        self.fetcher = HttpFetcher()
        self.fetcher.attach(self.told)
        self.tasks = anyio.create_task_group()
        await self.tasks.__aenter__()
        await self.tasks.start(self.fetcher.run)
        return self

    async def __aexit__(self, *details):
        with anyio.fail_after(PATIENCE):
            await self.fetcher.aclose()
        self.tasks.cancel_scope.cancel()
        await self.tasks.__aexit__(*details)

    async def get(self, url, limit=LIMIT, family=None):
        """The one answer to one fetch."""
        serial = len(self.told.events)
        self.fetcher.fetch(Fetch(serial, url, limit, family))
        answer = (await self.told.until(serial + 1))[-1]
        assert answer.fetch_id == serial
        return answer


def always(data: bytes):
    async def answer(path, stream):
        await stream.send(data)

    return answer


@pytest.mark.anyio
async def test_a_body_comes_whole_with_its_status_and_the_request_says_who_we_are():
    data = response(b"d5:filesdee", status="404 Not Found")
    async with web(always(data)) as server, Fetching() as fetching:
        answer = await fetching.get(server.url("/scrape"))
    assert answer == Fetched(0, 404, b"d5:filesdee")
    [request] = server.requests
    assert request.startswith(b"GET /scrape HTTP/1.1\r\n")
    lines = request.split(b"\r\n")
    assert b"User-Agent: torrent-core/0.1.0" in lines
    assert b"Accept-Encoding: gzip" in lines


@pytest.mark.anyio
async def test_bytes_in_a_query_arrive_as_they_were_escaped():
    escaped = "".join(f"%{byte:02X}" for byte in range(256)) + "".join(
        f"%{byte:02x}" for byte in range(160, 256)
    )
    async with web(always(response())) as server, Fetching() as fetching:
        await fetching.get(server.url(f"/a?info_hash={escaped}&x=1"))
    assert server.requests[0].split(b" ")[1].decode() == f"/a?info_hash={escaped}&x=1"


@pytest.mark.anyio
@pytest.mark.parametrize(("size", "status"), [(LIMIT, 200), (LIMIT + 1, None)])
@pytest.mark.parametrize("packed", [False, True])
async def test_a_body_may_be_as_long_as_the_limit_and_no_longer(size, status, packed):
    body = bytes(size)
    data = response(gzip.compress(body), "Content-Encoding: gzip") if packed else response(body)
    async with web(always(data)) as server, Fetching() as fetching:
        answer = await fetching.get(server.url())
    if status is None:
        assert answer == FetchFailed(0, f"the body is longer than {LIMIT} bytes")
    else:
        assert answer == Fetched(0, status, body)


@pytest.mark.anyio
async def test_a_body_without_a_length_is_cut_off_by_the_limit_however_long_it_is():
    async def endless(path, stream):
        await stream.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await stream.send(bytes(64 * 1024))

    async with web(endless) as server, Fetching() as fetching:
        answer = await fetching.get(server.url())
    assert answer == FetchFailed(0, f"the body is longer than {LIMIT} bytes")


@pytest.mark.anyio
async def test_a_bomb_is_stopped_before_it_takes_memory():
    bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join(bomb.compress(bytes(1 << 20)) for _ in range(256)) + bomb.flush()
    data = response(packed, "Content-Encoding: gzip")
    async with web(always(data)) as server, Fetching() as fetching:
        await fetching.get(server.url(), limit=1)  # loads what is loaded once
        tracemalloc.start()
        try:
            answer = await fetching.get(server.url(), limit=1 << 20)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert answer == FetchFailed(1, f"the body is longer than {1 << 20} bytes")
    assert peak < 16 << 20


@pytest.mark.anyio
@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "x" * 500])
async def test_an_encoding_that_was_not_asked_for_is_refused(encoding):
    data = response(gzip.compress(gzip.compress(b"x")), f"Content-Encoding: {encoding}")
    async with web(always(data)) as server, Fetching() as fetching:
        answer = await fetching.get(server.url())
    assert isinstance(answer, FetchFailed)
    assert "encoding" in answer.detail
    assert len(answer.detail) < 120


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (response(b"no gzip", "Content-Encoding: gzip"), "header"),
        (response(gzip.compress(b"x" * 99, mtime=0)[:-12], "Content-Encoding: gzip"), "too early"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "without sending complete"),
        (b"220 this is no web server\r\n", ""),
        (b"", "disconnected"),
    ],
)
async def test_a_response_that_is_broken_fails_with_a_reason(data, detail):
    async with web(always(data)) as server, Fetching() as fetching:
        answer = await fetching.get(server.url())
    assert isinstance(answer, FetchFailed)
    assert answer.detail
    assert detail in answer.detail


def redirecting(to):
    """Answers by a redirection to what ``to`` makes of the path, until that is None."""

    async def answer(path, stream):
        target = to(path)
        body = b"the end" if target is None else b"elsewhere"
        if target is None:
            await stream.send(response(body))
        else:
            await stream.send(response(body, f"Location: {target}", status="302 Found"))

    return answer


@pytest.mark.anyio
async def test_redirections_are_followed_up_to_their_bound():
    count = redirecting(lambda path: f"/{int(path[1:]) - 1}" if path != "/0" else None)
    async with web(count) as server, Fetching() as fetching:
        assert await fetching.get(server.url(f"/{MAX_REDIRECTS}")) == Fetched(0, 200, b"the end")
        one_more = await fetching.get(server.url(f"/{MAX_REDIRECTS + 1}"))
        assert one_more == FetchFailed(1, f"more than {MAX_REDIRECTS} redirections")
    assert len(server.requests) == 2 * (MAX_REDIRECTS + 1)


@pytest.mark.anyio
async def test_a_redirection_in_a_circle_ends():
    async with web(redirecting(lambda path: path)) as server, Fetching() as fetching:
        answer = await fetching.get(server.url("/x"))
    assert isinstance(answer, FetchFailed)
    assert len(server.requests) == MAX_REDIRECTS + 1


@pytest.mark.anyio
async def test_a_redirection_with_a_body_without_end_is_followed_all_the_same():
    async def answer(path, stream):
        if path == "/end":
            await stream.send(response(b"the end"))
            return
        await stream.send(b"HTTP/1.1 301 Moved\r\nLocation: /end\r\n\r\n")
        while True:
            await stream.send(bytes(64 * 1024))

    async with web(answer) as server, Fetching() as fetching:
        assert await fetching.get(server.url()) == Fetched(0, 200, b"the end")


@pytest.mark.anyio
@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "udp://127.0.0.1:1", "http://[::1"]
)
async def test_a_redirection_out_of_http_is_not_followed(target):
    async with web(redirecting(lambda path: target)) as server, Fetching() as fetching:
        answer = await fetching.get(server.url())
    assert isinstance(answer, FetchFailed)
    assert answer.detail
    assert len(server.requests) == 1


@pytest.fixture
def elsewhere(monkeypatch):
    """127.0.0.2 counts as an address of the internet."""
    monkeypatch.setattr("transports.http.way.is_local", "127.0.0.2".__ne__)


@pytest.mark.anyio
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_redirection_from_the_internet_to_a_local_address_is_not_followed(elsewhere, host):
    async with web(always(response(b"secret"))) as near, Fetching() as fetching:
        there = redirecting(lambda path: near.url(host=host) if path == "/" else "/")
        async with web(there, host="127.0.0.2") as far:
            for path in ("/", "/first/to/itself"):
                answer = await fetching.get(far.url(path, host="127.0.0.2"))
                assert isinstance(answer, FetchFailed)
                assert answer.detail == "redirected from the internet to a local address"
    assert near.requests == []


@pytest.mark.anyio
async def test_other_redirections_are_followed_to_local_addresses_as_well(elsewhere):
    async with web(always(response(b"the end")), host="127.0.0.2") as far, Fetching() as fetching:
        ways = {"/far": far.url(host="127.0.0.2"), "/near": "/end", "/end": None}
        async with web(redirecting(ways.__getitem__)) as near:
            for path in ("/far", "/near", "/end"):
                answer = await fetching.get(near.url(path))
                assert isinstance(answer, Fetched)
                assert answer.body == b"the end"


class Gone:
    """A connection that was reset before it was looked at."""

    closed = False

    def get_extra_info(self, name):
        return None

    async def aclose(self):
        self.closed = True


@pytest.mark.anyio
async def test_a_connection_that_nobody_knows_where_it_leads_is_not_used():
    gone = Gone()
    with pytest.raises(FetchRefused, match="gone"):
        await Way()(CONNECTED, {"return_value": gone})
    assert gone.closed


@pytest.mark.anyio
@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "udp://127.0.0.1:1/announce",
        "http://",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:1/",
        "http://[zz]/",
        "no url at all",
        "http://" + "a" * 70 + ".invalid/",
        "http://a\x00b/",
        "",
    ],
)
async def test_a_url_that_cannot_be_fetched_fails_with_a_reason(url):
    async with Fetching() as fetching:
        answer = await fetching.get(url)
    assert isinstance(answer, FetchFailed)
    assert answer.detail


@pytest.mark.anyio
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_port_where_nobody_listens_refuses_the_connection(host):
    async with Fetching() as fetching:
        answer = await fetching.get(f"http://{host}:1/")
    assert answer == FetchFailed(0, "Connection refused")


@pytest.mark.anyio
async def test_what_one_server_says_in_a_cookie_is_never_sent_back():
    async with web(always(response(b"", "Set-Cookie: id=1"))) as server, Fetching() as fetching:
        await fetching.get(server.url("/1"))
        await fetching.get(server.url("/2"))
    assert len(server.requests) == 2
    assert b"cookie" not in server.requests[1].lower()


@pytest.mark.anyio
async def test_each_family_is_used_on_its_own():
    if not socket.has_ipv6:
        pytest.skip("there is no IPv6 here")
    four, six = web(always(response(b"4"))), web(always(response(b"6")), host="::1")
    async with four as four, six as six, Fetching() as fetching:
        new, old = six.url(host="[::1]"), four.url()
        assert await fetching.get(new, family=Family.IPV6) == Fetched(0, 200, b"6")
        assert await fetching.get(old, family=Family.IPV4) == Fetched(1, 200, b"4")
        assert isinstance(await fetching.get(new, family=Family.IPV4), FetchFailed)
        assert isinstance(await fetching.get(old, family=Family.IPV6), FetchFailed)
        assert len(six.requests) == len(four.requests) == 1


async def silent(path, stream):
    await anyio.sleep_forever()


@pytest.mark.anyio
async def test_a_fetch_that_is_given_up_is_answered_once_and_its_connection_closed():
    closed = anyio.Event()

    async def waits(path, stream):
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
        closed.set()

    async with web(waits) as server, Fetching() as fetching:
        fetching.fetcher.fetch(Fetch(5, server.url(), LIMIT))
        with anyio.fail_after(PATIENCE):
            while not server.requests:
                await anyio.wait_all_tasks_blocked()
        fetching.fetcher.cancel(CancelFetch(5))
        fetching.fetcher.cancel(CancelFetch(6))
        assert await fetching.told.until(1) == [FetchFailed(5, "cancelled")]
        fetching.fetcher.cancel(CancelFetch(5))
        with anyio.fail_after(PATIENCE):
            await closed.wait()
    assert len(fetching.told.events) == 1


@pytest.mark.anyio
async def test_closing_gives_up_what_is_out_and_answers_it():
    async with web(silent) as server, Fetching() as fetching:
        for number in range(3):
            fetching.fetcher.fetch(Fetch(number, server.url(), LIMIT))
    assert sorted(event.fetch_id for event in fetching.told.events) == [0, 1, 2]


@pytest.mark.anyio
async def test_cancelling_the_fetcher_leaves_nothing_unanswered():
    told, fetcher = Told(), HttpFetcher()
    fetcher.attach(told)
    async with web(silent) as server, anyio.create_task_group() as tasks:
        await tasks.start(fetcher.run)
        fetcher.fetch(Fetch(1, server.url(), LIMIT))
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert told.events == [FetchFailed(1, "cancelled")]


@pytest.mark.anyio
async def test_many_fetches_run_beside_each_other():
    async with web(always(response(b"x"))) as server, Fetching() as fetching:
        for number in range(50):
            fetching.fetcher.fetch(Fetch(number, server.url(), LIMIT))
        answers = await fetching.told.until(50)
    assert {answer.fetch_id for answer in answers} == set(range(50))
    assert {type(answer) for answer in answers} == {Fetched}


@pytest.mark.anyio
async def test_without_httpx_a_fetch_fails_and_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "httpx", None)
    async with Fetching() as fetching:
        answer = await fetching.get("http://127.0.0.1:1/")
    assert answer.detail == "fetching needs httpx: pip install 'torrent-core[discovery]'"


def test_httpx_is_not_loaded_until_something_is_fetched():
    script = "import sys, transports.discoverer, transports.client; print('httpx' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.strip() == "False"


# --- Whatever a server says -----------------------------------------------------------------


class Said(httpcore.AsyncNetworkStream):
    """A connection on which the server says ``data``, whatever it is asked."""

    def __init__(self, data: bytes, host: str) -> None:
        self.left = data
        self.host = host

    async def read(self, max_bytes, timeout=None):
        data, self.left = self.left[:max_bytes], self.left[max_bytes:]
        return data

    async def write(self, buffer, timeout=None):
        pass

    async def aclose(self):
        pass

    async def start_tls(self, *context, **options):
        return self

    def get_extra_info(self, info):
        return (self.host, 80) if info == "server_addr" else None


class Everywhere(httpcore.AsyncNetworkBackend):
    """At every host of the world is the same server."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.hosts: list[str] = []

    async def connect_tcp(self, host, *where, **options):
        self.hosts.append(host)
        return Said(self.data, "11.0.0.1" if literal(host) is None else host)


CONTEXT = ssl.create_default_context()
HOSTS = ["11.0.0.1", "127.0.0.1", "10.0.0.1", "name", "[::1]", "[", ""]
locations = st.builds(
    "".join,
    st.lists(
        st.sampled_from(["http://", "https://", "//", "file:", "udp://", ":", "80", "/", "?", "#"])
        | st.sampled_from(HOSTS)
        | st.text(st.characters(codec="latin-1"), max_size=4),
        max_size=6,
    ),
)
heads = st.builds(
    "HTTP/1.{} {}{}\r\nLocation: {}\r\n{}".format,
    st.integers(0, 2),
    st.sampled_from([200, 204, 300, 301, 302, 303, 304, 307, 308, 404, 101, 99, 1000]),
    st.sampled_from(["", " OK", " \x00"]),
    locations,
    st.sampled_from(
        [
            "",
            "Content-Length: 5\r\n",
            "Content-Length: -5\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Content-Encoding: gzip\r\n",
            "Location: /\r\n",
        ]
    ),
).map(lambda head: head.encode("latin-1"))


@pytest.mark.uncovered
@given(st.binary(max_size=200) | st.builds(b"%b\r\n%b".__mod__, st.tuples(heads, st.binary())))
@example(b"HTTP/1.1 302 x\r\nLocation: http://127.0.0.1/\r\n\r\n")
@example(b"HTTP/1.1 302 x\r\nLocation: http://[::1]/\r\n\r\n")
def test_whatever_a_server_says_there_is_one_answer_after_so_many_steps(data):
    backend = Everywhere(data)

    class Fetcher(HttpFetcher):
        def _open(self, local_address):
            client = super()._open(local_address)
            client._transport._pool._network_backend = backend
            return client

    answers: list[Fetched | FetchFailed] = []

    async def run() -> None:
        fetcher = Fetcher(CONTEXT)
        fetcher.attach(answers.append)
        async with anyio.create_task_group() as tasks:
            await tasks.start(fetcher.run)
            fetcher.fetch(Fetch(1, "http://11.0.0.1/", 50))
            while not answers:
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()

    anyio.run(run)
    [answer] = answers
    if isinstance(answer, Fetched):
        assert len(answer.body) <= 50
    else:
        assert answer.detail
        assert len(answer.detail) < 500
    assert len(backend.hosts) <= MAX_REDIRECTS + 1
    steps = [is_local(host) for host in backend.hosts]
    assert True not in steps[:-1]  # where that is so, it ends


async def pieces(data: bytes, size: int):
    for at in range(0, len(data), size):
        yield data[at : at + size]


@given(st.binary(max_size=3000), st.integers(1, 400), st.sampled_from(["", "gzip", "deflate"]))
def test_any_body_in_any_pieces_is_whole_or_refused_for_its_length(body, size, encoding):
    pack = {"": bytes, "gzip": gzip.compress, "deflate": zlib.compress}[encoding]

    async def run() -> None:
        if len(body) <= LIMIT:
            assert await read_body(pieces(pack(body), size), encoding, LIMIT) == body
        else:
            with pytest.raises(FetchRefused, match="longer"):
                await read_body(pieces(pack(body), size), encoding, LIMIT)

    anyio.run(run)


@given(st.binary(max_size=500), st.integers(1, 100))
def test_any_bytes_that_claim_to_be_packed_raise_what_is_documented_or_unpack(data, size):
    async def run() -> None:
        try:
            body = await read_body(pieces(b"\x1f\x8b\x08" + data, size), "gzip", 100)
        except (FetchRefused, zlib.error):
            return
        assert len(body) <= 100

    anyio.run(run)


def test_blocks_that_unpack_to_nothing_for_ever_are_refused():
    packer = zlib.compressobj()
    data = packer.compress(b"x") + b"".join(packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    empty = b"\x00\x00\x00\xff\xff"

    async def endless():
        yield data
        for _ in range(LIMIT):
            yield empty
        raise AssertionError("nobody stopped it")

    async def run() -> None:
        with pytest.raises(FetchRefused, match="longer"):
            await read_body(endless(), "deflate", LIMIT)

    anyio.run(run)
