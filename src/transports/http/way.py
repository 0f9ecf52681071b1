"""The way of one fetch: from the internet no redirection leads to where only we can go.

A server on the internet that redirects to 127.0.0.1 or to a router would have us ask, in its
place, who trusts whoever is near (libtorrent's ``ssrf_mitigation`` has the same rule for web
seeds).  What is local itself may redirect to wherever it likes: whoever named it meant it.
"""

from __future__ import annotations

from typing import Any

from torrent_core.addresses import is_local

from ..errors import FetchRefused

CONNECTED = "connection.connect_tcp.complete"
"""What httpcore tells before a byte is sent; by then a name can lead nowhere else."""


class Way:
    """Refuses the step from a public address to a local one."""

    def __init__(self) -> None:
        self._was_public = False

    async def __call__(self, event: str, info: dict[str, Any]) -> None:
        """Httpx's ``trace`` extension.  Raises FetchRefused, the connection being closed."""
        if event != CONNECTED:
            return
        stream = info["return_value"]
        try:
            self._step(stream.get_extra_info("server_addr"))
        except Exception:  # it may also be gone already
            await stream.aclose()
            raise

    def _step(self, address: tuple[str, int] | None) -> None:
        if address is None:
            raise FetchRefused("the connection is gone as soon as it is made")
        here = is_local(address[0])
        if here and self._was_public:
            raise FetchRefused("redirected from the internet to a local address")
        self._was_public = not here
