"""Fetches by httpx: streamed, bounded, cancelled when the core has waited long enough.

There are no timeouts, retries, cookies or credentials from files here, and no proxies from
the environment: a tracker has to see where we come from.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup, TaskStatus

from torrent_core import __version__
from torrent_core.actions import CancelFetch, Fetch
from torrent_core.events import Fetched, FetchFailed
from torrent_core.limits import MAX_REDIRECTS
from torrent_core.types import Family

from ..errors import FetchRefused
from ..faces import Feed
from ..tcp.sockets import describe
from .body import read_body
from .way import Way

if TYPE_CHECKING:
    import ssl
    from http.cookiejar import CookieJar

    import httpx

USER_AGENT = f"torrent-core/{__version__}"
"""Who we are, to trackers and to those who serve torrent files."""

LOCAL_ADDRESS = {None: None, Family.IPV4: "0.0.0.0", Family.IPV6: "::"}
"""Bound to it, a connection can only be of that family."""


class HttpFetcher:
    """Every HTTP request of one driver."""

    def __init__(self, verify: ssl.SSLContext | None = None) -> None:
        """``verify`` says which certificates are believed; by default those that browsers
        believe."""
        self._verify = verify
        self._feed: Feed
        self._tasks: TaskGroup
        self._fetches: dict[int, anyio.CancelScope] = {}
        self._clients: dict[Family | None, httpx.AsyncClient] = {}
        self._opening = anyio.Lock()
        self._changed = anyio.Event()

    def attach(self, feed: Feed) -> None:
        """Answer by ``feed``."""
        self._feed = feed

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Fetch until cancelled; ``started`` once actions may be carried out."""
        try:
            async with anyio.create_task_group() as self._tasks:
                task_status.started()
                await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                for client in self._clients.values():
                    await client.aclose()

    async def aclose(self) -> None:
        """Give every fetch up, and wait for the last to be answered."""
        for scope in list(self._fetches.values()):
            scope.cancel()
        while self._fetches:
            self._changed = anyio.Event()
            await self._changed.wait()

    def fetch(self, action: Fetch) -> None:
        """Start to fetch."""
        scope = self._fetches[action.fetch_id] = anyio.CancelScope()
        self._tasks.start_soon(self._fetch, action, scope)

    def cancel(self, action: CancelFetch) -> None:
        """Give a fetch up; no effect if it is answered already."""
        scope = self._fetches.get(action.fetch_id)
        if scope is not None:
            scope.cancel()

    async def _fetch(self, action: Fetch, scope: anyio.CancelScope) -> None:
        answer: Fetched | FetchFailed = FetchFailed(action.fetch_id, "cancelled")
        try:
            with scope:
                answer = await self._get(action)
        except Exception as error:  # as many kinds as there are absurd URLs and servers
            answer = FetchFailed(action.fetch_id, describe(error))
        finally:
            del self._fetches[action.fetch_id]
            self._changed.set()
            self._feed(answer)

    async def _get(self, action: Fetch) -> Fetched:
        client = await self._client(action.family)
        request = client.build_request("GET", action.url, extensions={"trace": Way()})
        for _ in range(MAX_REDIRECTS + 1):
            if request.url.scheme not in ("http", "https"):
                raise FetchRefused(f"not an http or https URL: {str(request.url)[:200]}")
            response = await client.send(request, stream=True)
            try:
                if response.next_request is None:
                    body = await _body_of(response, action.limit)
                    return Fetched(action.fetch_id, response.status_code, body)
                request = response.next_request
            finally:
                await response.aclose()
        raise FetchRefused(f"more than {MAX_REDIRECTS} redirections")

    async def _client(self, family: Family | None) -> httpx.AsyncClient:
        async with self._opening:
            client = self._clients.get(family)
            if client is None:
                # Loading httpx and certificates takes long enough to be felt by the loop.
                client = await anyio.to_thread.run_sync(self._open, LOCAL_ADDRESS[family])
                self._clients[family] = client
            return client

    def _open(self, local_address: str | None) -> httpx.AsyncClient:
        try:
            import httpx
        except ModuleNotFoundError:
            hint = "fetching needs httpx: pip install 'torrent-core[discovery]'"
            raise FetchRefused(hint) from None
        if self._verify is None:
            self._verify = httpx.create_ssl_context()
        # Announces are half an hour apart: no connection is worth keeping.
        transport = httpx.AsyncHTTPTransport(
            verify=self._verify,
            local_address=local_address,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        )
        headers = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "gzip"}
        return httpx.AsyncClient(
            transport=transport,
            headers=headers,
            cookies=_no_cookies(),
            timeout=None,
            trust_env=False,
        )


async def _body_of(response: httpx.Response, limit: int) -> bytes:
    chunks = response.aiter_raw()
    try:
        return await read_body(chunks, response.headers.get("content-encoding", ""), limit)
    finally:
        # What is left unread lies in generators within generators, and only an exception from
        # the innermost ends them all.  Where all was read, this does nothing.
        with anyio.CancelScope() as scope, suppress(Exception):
            scope.cancel()
            async for _ in chunks:
                pass


def _no_cookies() -> CookieJar:
    """A jar that takes none: what one torrent's tracker says is no other's business."""
    from http.cookiejar import CookieJar, DefaultCookiePolicy

    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))
