"""Peers that misbehave, over real sockets.

Each villain is a coroutine that is given one connection after another.  It does its worst and
then reads on, so that it is the other side that ends the connection.
"""

from __future__ import annotations

import hashlib
import random
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import anyio
import attrs
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.buffered import BufferedByteReceiveStream

from torrent_core.types import CloseReason

from .payload import KIB, Payload

PROTOCOL = b"\x13BitTorrent protocol"
FAST = b"\0\0\0\0\0\0\0\x04"
PLAIN = bytes(8)
EXTENDED = b"\0\0\0\0\0\x10\0\x04"

UNCHOKE, HAVE, BITFIELD, REQUEST, PIECE, HAVE_ALL, EXTENSION = 1, 4, 5, 6, 7, 14, 20
BLOCK = 16 * KIB
RANGE = struct.Struct(">III")
QUIET = 0.3
"""Seconds in which a peer that has greeted us says all that it has to say."""

GONE = (
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.EndOfStream,
    anyio.IncompleteRead,
    OSError,
)
"""What a connection raises that has ended."""


def frame(message_id: int, body: bytes = b"") -> bytes:
    """One message as it stands on the wire."""
    return struct.pack(">IB", 1 + len(body), message_id) + body


class Line:
    """One connection, from the villain's side."""

    def __init__(self, stream: ByteStream, payload: Payload, peer_id: bytes) -> None:
        self.stream = stream
        self.payload = payload
        self.peer_id = peer_id
        self._reader = BufferedByteReceiveStream(stream)

    @property
    def pieces(self) -> int:
        """How many pieces the torrent has."""
        return -(-self.payload.size // self.payload.piece_length)

    async def say(self, data: bytes) -> None:
        """Send bytes."""
        await self.stream.send(data)

    async def shake(self, reserved: bytes = FAST, info_hash: bytes | None = None) -> None:
        """Shake hands, the other side first."""
        await self._reader.receive_exactly(68)
        await self.greet(reserved, info_hash)

    async def greet(self, reserved: bytes = FAST, info_hash: bytes | None = None) -> None:
        """Send our handshake."""
        await self.say(PROTOCOL + reserved + (info_hash or self.payload.info_hash) + self.peer_id)

    async def next_request(self) -> tuple[int, int, int]:
        """The next block that is asked for."""
        while True:
            length = int.from_bytes(await self._reader.receive_exactly(4), "big")
            message = await self._reader.receive_exactly(length) if length else b""
            if message[:1] == bytes([REQUEST]):
                index, begin, count = RANGE.unpack(message[1:])
                return index, begin, count

    async def serve(self, spoil: Callable[[bytes], bytes] = lambda block: block) -> None:
        """Give what is asked for, each block made something else by ``spoil``."""
        (data,) = self.payload.files.values()
        while True:
            index, begin, length = await self.next_request()
            at = index * self.payload.piece_length + begin
            block = spoil(data[at : at + length])
            await self.say(frame(PIECE, RANGE.pack(index, begin, 0)[:8] + block))

    async def stop_reading(self) -> None:
        """Leave to the kernel what comes from now on.

        A stream that was accepted reads ahead until it has once had to wait for something.
        """
        with anyio.move_on_after(QUIET):
            await self.listen_to_the_end()

    async def listen_to_the_end(self) -> None:
        """Read until the other side closes."""
        while True:
            await self.stream.receive()


Behaviour = Callable[[Line], Awaitable[None]]


@attrs.frozen
class Villain:
    """A way to misbehave, and why it ends."""

    behave: Behaviour
    reason: CloseReason
    detail: str = ""
    """Part of what is said beside the reason."""
    receive_buffer: int | None = None
    """Bytes that the kernel holds for a villain that does not read."""

    @property
    def peer_id(self) -> bytes:
        """Its own, so that villains of one host differ."""
        return b"-VV0000-" + hashlib.sha1(self.behave.__name__.encode()).digest()[:12]


@asynccontextmanager
async def at_large(villain: Villain, payload: Payload, host: str) -> AsyncIterator[int]:
    """The villain listens on ``host``; the port it can be dialled at."""
    listener = await anyio.create_tcp_listener(local_host=host, local_port=0)
    if villain.receive_buffer is not None:
        raw = listener.extra(SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, villain.receive_buffer)

    async def meet(stream: ByteStream) -> None:
        async with stream:
            with suppress(*GONE):
                line = Line(stream, payload, villain.peer_id)
                await villain.behave(line)
                await line.listen_to_the_end()

    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, meet)
        yield listener.extra(SocketAttribute.local_port)
        tasks.cancel_scope.cancel()


# --- Before the handshake is through -------------------------------------------------------------


async def garbage(line: Line) -> None:
    await line.say(random.Random(1).randbytes(4 * KIB))


async def another_torrent(line: Line) -> None:
    await line.shake(info_hash=b"\xee" * 20)


async def half_a_handshake(line: Line) -> None:
    await line.say((PROTOCOL + FAST + line.payload.info_hash)[:47])


async def slow_loris(line: Line) -> None:
    whole = PROTOCOL + FAST + line.payload.info_hash + line.peer_id
    for at in range(len(whole) - 1):
        await line.say(whole[at : at + 1])
        await anyio.sleep(0.5)


# --- Messages that break the protocol ------------------------------------------------------------


async def endless_message(line: Line) -> None:
    await line.shake()
    await line.say((2**31).to_bytes(4, "big") + bytes([PIECE]))


async def short_bitfield(line: Line) -> None:
    await line.shake()
    await line.say(frame(BITFIELD, b"\xff"))


async def bitfield_with_spare_bits(line: Line) -> None:
    assert line.pieces % 8, "there are no spare bits"
    await line.shake()
    await line.say(frame(BITFIELD, b"\xff" * -(-line.pieces // 8)))


async def have_beyond_the_end(line: Line) -> None:
    await line.shake()
    await line.say(frame(HAVE, line.pieces.to_bytes(4, "big")))


async def have_of_three_bytes(line: Line) -> None:
    await line.shake()
    await line.say(frame(HAVE, bytes(3)))


async def piece_beyond_the_end(line: Line) -> None:
    await line.shake()
    await line.say(frame(PIECE, RANGE.pack(line.pieces, 0, 0)[:8] + bytes(BLOCK)))


async def block_across_pieces(line: Line) -> None:
    await line.shake()
    begin = line.payload.piece_length - BLOCK // 2
    await line.say(frame(PIECE, RANGE.pack(0, begin, 0)[:8] + bytes(BLOCK)))


async def fast_message_unagreed(line: Line) -> None:
    await line.shake(PLAIN)
    await line.say(frame(HAVE_ALL))


async def unknown_messages(line: Line) -> None:
    await line.shake()
    await line.say(frame(99, b"what") * 300)


# --- Too much of everything ----------------------------------------------------------------------


async def blocks_unasked(line: Line) -> None:
    await line.shake()
    await line.say(frame(HAVE_ALL))
    for _ in range(600):
        await line.say(frame(PIECE, bytes(8 + BLOCK)))


async def requests_without_reading(line: Line) -> None:
    await line.shake()
    await line.say(frame(HAVE_ALL))
    await line.stop_reading()
    asked = frame(REQUEST, RANGE.pack(0, 0, BLOCK)) * 4096
    while True:
        await line.say(asked)


async def corrupt_blocks(line: Line) -> None:
    await line.shake()
    await line.say(frame(HAVE_ALL) + frame(UNCHOKE))
    await line.serve(spoil=lambda block: bytes(len(block)))


# --- Odd, but no crime ---------------------------------------------------------------------------


async def extension_garbage(line: Line) -> None:
    """Every extension message is nonsense; all else is as it should be."""
    await line.shake(EXTENDED)
    for body in (
        b"\0not bencode",
        b"\0d1:md3:abci99999ee",
        b"\0d4:reqqi-5e1:pi123456e1:v2:\xff\xfee",
        b"\0" + b"l" * 5000,
        b"\xff" * 1000,
        b"\x03",
    ):
        await line.say(frame(EXTENSION, body))
    await line.say(frame(HAVE_ALL) + frame(UNCHOKE))
    await line.serve()


async def promises_only(line: Line) -> None:
    """Has everything, unchokes, and never sends a block."""
    await line.shake()
    await line.say(frame(HAVE_ALL) + frame(UNCHOKE))


VILLAINS = {
    villain.behave.__name__: villain
    for villain in (
        Villain(garbage, CloseReason.WRONG_PROTOCOL),
        Villain(another_torrent, CloseReason.WRONG_TORRENT, "it named eeee"),
        Villain(endless_message, CloseReason.PROTOCOL_ERROR, "message of 2147483648 bytes"),
        Villain(short_bitfield, CloseReason.PROTOCOL_ERROR, ""),
        Villain(bitfield_with_spare_bits, CloseReason.PROTOCOL_ERROR, "bitfield"),
        Villain(have_beyond_the_end, CloseReason.PROTOCOL_ERROR, "have"),
        Villain(have_of_three_bytes, CloseReason.PROTOCOL_ERROR, ""),
        Villain(piece_beyond_the_end, CloseReason.PROTOCOL_ERROR, "block of 16384 bytes"),
        Villain(block_across_pieces, CloseReason.PROTOCOL_ERROR, "block of 16384 bytes"),
        Villain(fast_message_unagreed, CloseReason.PROTOCOL_ERROR, "without the Fast Extension"),
        Villain(unknown_messages, CloseReason.PROTOCOL_ERROR, "unknown messages"),
        Villain(blocks_unasked, CloseReason.UNSOLICITED_DATA),
        Villain(
            requests_without_reading,
            CloseReason.PROTOCOL_ERROR,
            "asks for more than it reads",
            receive_buffer=4 * KIB,
        ),
        Villain(corrupt_blocks, CloseReason.CORRUPT_DATA),
        Villain(slow_loris, CloseReason.HANDSHAKE_TIMEOUT, "of 68 bytes came"),
    )
}
"""Those whom we close, with the reason."""
