"""A small tracker on real loopback sockets, HTTP and UDP, that can also misbehave.

How it behaves is part of the URL: ``tracker.url("gzip")``, ``tracker.url("redirect/3")``.
What it was told is in ``seen``; ``wait`` waits for it.
"""

from __future__ import annotations

import gzip
import socket
import threading
import zlib
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import unquote_to_bytes, urlsplit

import attrs

from torrent_core import bencode
from torrent_core.errors import WireError
from torrent_core.types import Address, Family
from torrent_core.wire.compact import pack_all
from torrent_core.wire.udp_tracker import (
    AnnounceEvent,
    AnnounceRequest,
    AnnounceResponse,
    ConnectRequest,
    ConnectResponse,
    ErrorResponse,
    Request,
    Response,
    ScrapeResponse,
    decode_request,
    encode_response,
)

BOMB = 64 * 1024 * 1024
"""Bytes that a bomb inflates to."""


@attrs.frozen
class Seen:
    """One announce as the tracker took it; ``how`` is ``http`` or ``udp``."""

    how: str
    info_hash: bytes
    peer: Address
    event: str
    left: int
    key: int
    path: str


@attrs.define(eq=False)
class Swarms:
    """Who takes part in what; both halves of the tracker share it."""

    interval: int = 60
    seen: list[Seen] = attrs.field(factory=list)
    members: dict[bytes, dict[Address, int]] = attrs.field(factory=dict)
    """By info-hash: who takes part, and how much each has left."""
    changed: threading.Condition = attrs.field(factory=threading.Condition)

    def announce(self, one: Seen) -> tuple[Address, ...]:
        """Take note of it.  Returns the others."""
        with self.changed:
            self.seen.append(one)
            swarm = self.members.setdefault(one.info_hash, {})
            if one.event == "stopped":
                swarm.pop(one.peer, None)
            else:
                swarm[one.peer] = one.left
            self.changed.notify_all()
            return tuple(peer for peer in swarm if peer != one.peer)

    def counts(self, info_hash: bytes) -> tuple[int, int]:
        """(seeds, leechers)."""
        with self.changed:
            left = list(self.members.get(info_hash, {}).values())
        return left.count(0), len(left) - left.count(0)


class RealTracker:
    """Listens on ``host`` while it is entered.  The first ``drop`` datagrams are lost."""

    def __init__(self, host: str = "127.0.0.1", interval: int = 60, drop: int = 0) -> None:
        self.host = host
        self.swarms = Swarms(interval)
        self._drop = drop
        self._leave = threading.Event()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        server_class = type("_Server", (ThreadingHTTPServer,), {"address_family": family})
        self._http: ThreadingHTTPServer = server_class((host, 0), self._handler())
        self._http.daemon_threads = True
        self._udp = socket.socket(family, socket.SOCK_DGRAM)
        self._udp.bind((host, 0))
        self._threads = [
            threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True),
            threading.Thread(target=self._serve_udp, daemon=True),
        ]

    def __enter__(self) -> RealTracker:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leave.set()
        self._http.shutdown()
        self._http.server_close()
        with socket.socket(self._udp.family, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self._udp.getsockname())
        for thread in self._threads:
            thread.join()
        self._udp.close()

    # --- What tests ask --------------------------------------------------------------------

    def url(self, behaviour: str = "") -> str:
        """Where to announce over HTTP.  ``behaviour``: nothing, ``gzip``, ``redirect/N`` (N
        times), ``loop``, ``elsewhere`` (to a scheme that is not HTTP), ``bomb`` (gzip of 64
        MiB), ``big`` (2 MiB plainly), ``silent``, ``cut`` (the body ends early), ``junk``,
        ``status/N``, ``refuse``."""
        port = self._http.server_address[1]
        return f"http://{self._netloc}:{port}/{behaviour}{'/' if behaviour else ''}announce"

    @property
    def udp_url(self) -> str:
        """Where to announce over UDP."""
        return f"udp://{self._netloc}:{self._udp.getsockname()[1]}/announce"

    @property
    def seen(self) -> list[Seen]:
        """Announces so far."""
        with self.swarms.changed:
            return list(self.swarms.seen)

    def wait(self, wanted: Callable[[list[Seen]], bool], limit: float = 20.0) -> list[Seen]:
        """Wait until the announces are as ``wanted``.  Raises TimeoutError."""
        with self.swarms.changed:
            if not self.swarms.changed.wait_for(lambda: wanted(self.swarms.seen), limit):
                raise TimeoutError(f"not announced so in {limit} s; but: {self.swarms.seen}")
            return list(self.swarms.seen)

    @property
    def _netloc(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    # --- HTTP ------------------------------------------------------------------------------

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        tracker = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with suppress(ConnectionError):
                    tracker._get(self)

            def log_message(self, format: str, *args: object) -> None:
                """Tests say what they have to say themselves."""

        return Handler

    def _get(self, request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path)
        behaviour, _, number = parts.path.strip("/").rpartition("/")[0].partition("/")
        if behaviour == "silent":
            self._leave.wait()
        elif behaviour in ("redirect", "loop", "elsewhere"):
            _redirect(request, behaviour, int(number or 0), parts.query)
        else:
            self._answer(request, behaviour, int(number or 200))

    def _answer(self, request: BaseHTTPRequestHandler, behaviour: str, status: int) -> None:
        body, encoding, declared = self._body(request), "", 0
        if behaviour == "gzip":
            body, encoding = gzip.compress(body), "gzip"
        elif behaviour == "bomb":
            body, encoding = _bomb(), "gzip"
        elif behaviour == "big":
            body = b"x" * (2 * 1024 * 1024)
        elif behaviour == "junk":
            body = b"<html>It works!</html>"
        elif behaviour == "refuse":
            body = bencode.encode({"failure reason": "not here", "retry in": "5"})
        elif behaviour == "cut":
            declared = len(body) + 100
        request.send_response(status)
        request.send_header("Content-Length", str(declared or len(body)))
        if encoding:
            request.send_header("Content-Encoding", encoding)
        request.end_headers()
        request.wfile.write(body)

    def _body(self, request: BaseHTTPRequestHandler) -> bytes:
        parts = urlsplit(request.path)
        pairs = (field.partition("=") for field in parts.query.split("&"))
        fields = {name: unquote_to_bytes(value) for name, _, value in pairs}
        info_hash = fields.get("info_hash", b"")
        if "scrape" in parts.path:
            seeds, leechers = self.swarms.counts(info_hash)
            swarm = {"complete": seeds, "incomplete": leechers, "downloaded": 0}
            return bencode.encode({"files": {info_hash: swarm}})
        peers = self.swarms.announce(
            Seen(
                how="http",
                info_hash=info_hash,
                peer=Address(request.client_address[0], int(fields["port"])),
                event=fields.get("event", b"").decode(),
                left=int(fields["left"]),
                key=_key(fields.get("key", b"")),
                path=parts.path,
            )
        )
        seeds, leechers = self.swarms.counts(info_hash)
        return bencode.encode(
            {
                "interval": self.swarms.interval,
                "complete": seeds,
                "incomplete": leechers,
                "peers": pack_all(peers, Family.IPV4),
                "peers6": pack_all(peers, Family.IPV6),
            }
        )

    # --- UDP -------------------------------------------------------------------------------

    def _serve_udp(self) -> None:
        while True:
            data, source = self._udp.recvfrom(65536)
            if self._leave.is_set():
                return
            if self._drop > 0:
                self._drop -= 1
                continue
            family = Family.IPV6 if ":" in self.host else Family.IPV4
            with suppress(WireError):
                answer = self._udp_answer(decode_request(data), source[0])
                self._udp.sendto(encode_response(answer, family), source)

    def _udp_answer(self, request: Request, host: str) -> Response:
        number = request.transaction_id
        own = zlib.crc32(host.encode())
        if isinstance(request, ConnectRequest):
            return ConnectResponse(number, own)
        if request.connection_id != own:
            return ErrorResponse(number, b"connection id mismatch")
        if not isinstance(request, AnnounceRequest):
            counts = [self.swarms.counts(one) for one in request.info_hashes]
            return ScrapeResponse(number, tuple((seeds, 0, rest) for seeds, rest in counts))
        event = request.event
        peers = self.swarms.announce(
            Seen(
                how="udp",
                info_hash=request.info_hash,
                peer=Address(host, request.port),
                event="" if event is AnnounceEvent.NONE else event.name.lower(),
                left=request.totals.left,
                key=request.key,
                path=request.url_data.decode("latin-1"),
            )
        )
        seeds, leechers = self.swarms.counts(request.info_hash)
        return AnnounceResponse(number, self.swarms.interval, leechers, seeds, peers)


def _key(text: bytes) -> int:
    """Hexadecimal digits from us; whatever they like from others."""
    try:
        return int(text, 16)
    except ValueError:
        return 0


def _redirect(request: BaseHTTPRequestHandler, behaviour: str, number: int, query: str) -> None:
    if behaviour == "elsewhere":
        target = "ftp://127.0.0.1/announce"
    elif behaviour == "loop":
        target = f"/loop/announce?{query}"
    elif number > 1:
        target = f"/redirect/{number - 1}/announce?{query}"
    else:
        target = f"/announce?{query}"
    request.send_response(302)
    request.send_header("Location", target)
    request.send_header("Content-Length", "0")
    request.end_headers()


def _bomb() -> bytes:
    """A little gzip that is a lot of zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(1024 * 1024)
    return b"".join(packer.compress(zeros) for _ in range(BOMB // len(zeros))) + packer.flush()
