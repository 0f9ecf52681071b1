"""The body of a response, within a bound that counts what it unpacks to."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable

from ..errors import FetchRefused

GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
"""Either header will do; servers mean zlib by "deflate" (RFC 9110, 8.4.1.2)."""


async def read_body(chunks: AsyncIterable[bytes], encoding: str, limit: int) -> bytes:
    """The whole body, unpacked; no more than ``limit`` bytes of it are ever held.

    ``encoding`` is the value of Content-Encoding.  Raises FetchRefused for one that is not
    gzip or deflate, above all for several at once: each would multiply the bomb in the
    last.  Raises it for a body that is too long or cut off as well, and zlib.error.
    """
    if encoding.strip().lower() in ("", "identity"):
        return await _plain(chunks, limit)
    if encoding.strip().lower() in ("gzip", "x-gzip", "deflate"):
        return await _packed(chunks, limit)
    raise FetchRefused(f"the body has an encoding that was not asked for: {encoding[:40]!r}")


async def _plain(chunks: AsyncIterable[bytes], limit: int) -> bytes:
    body = bytearray()
    async for chunk in chunks:
        if len(body) + len(chunk) > limit:
            raise _too_long(limit)
        body += chunk
    return bytes(body)


async def _packed(chunks: AsyncIterable[bytes], limit: int) -> bytes:
    """Unpacks one stream; what follows its end is not looked at."""
    inflater = zlib.decompressobj(GZIP_OR_ZLIB)
    body = bytearray()
    taken = 0
    async for chunk in chunks:
        body += inflater.decompress(chunk, limit + 1 - len(body))
        # Empty blocks unpack to nothing, for ever.
        if len(body) > limit or taken > 2 * limit:
            raise _too_long(limit)
        taken += len(chunk)
        if inflater.eof:
            return bytes(body)
    raise FetchRefused("the compressed body ends too early")


def _too_long(limit: int) -> FetchRefused:
    return FetchRefused(f"the body is longer than {limit} bytes")
