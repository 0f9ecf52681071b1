"""The extension handshake (BEP 10): a dictionary in which everything is optional.

One field that makes no sense is left out and does not spoil the others, since clients have
always disagreed about the details.
"""

from __future__ import annotations

import attrs

from ..bencode import Encodable, Value
from ..bencode import decode as bdecode
from ..bencode import encode as bencode
from ..classes import frozen
from ..errors import BencodeError, WireError
from ..limits import MAX_CLIENT_NAME, MAX_REQQ
from ..types import Buffer


@frozen
class ExtendedHandshake:
    """Fields bear the names of BEP 10; None means not said, or not credible."""

    m: dict[bytes, int] = attrs.field(factory=dict)
    """Number that the sender gave to each extension, 1 to 255; 0 switches it off."""
    v: str | None = None
    """Name and version of the client, printable characters only."""
    p: int | None = None
    """TCP port that the sender listens on."""
    reqq: int | None = None
    """Requests that the sender is ready to queue."""
    yourip: bytes | None = None
    """Address of the receiver as the sender sees it: 4 or 16 bytes."""
    metadata_size: int | None = None
    """Bytes of the info dictionary (BEP 9); any positive number, for BEP 9 to judge."""
    upload_only: bool | None = None
    """The sender wants nothing (BEP 21)."""


def encode(value: ExtendedHandshake) -> bytes:
    """The dictionary, keys sorted; fields that are None are left out, ``m`` never is."""
    fields: dict[bytes, Encodable] = {b"m": value.m}
    if value.v is not None:
        fields[b"v"] = value.v.encode()
    if value.upload_only is not None:
        fields[b"upload_only"] = int(value.upload_only)
    for key, field in (
        (b"p", value.p),
        (b"reqq", value.reqq),
        (b"yourip", value.yourip),
        (b"metadata_size", value.metadata_size),
    ):
        if field is not None:
            fields[key] = field
    return bencode(fields)


def decode(payload: Buffer) -> ExtendedHandshake:
    """What the sender said, as far as it makes sense.

    Raises WireError when it is not a bencoded dictionary.
    """
    try:
        fields = bdecode(bytes(payload), strict=False)
    except BencodeError as error:
        raise WireError(f"extension handshake: {error.what}", error.where) from error
    if not isinstance(fields, dict):
        raise WireError("extension handshake is not a dictionary", "extension handshake")
    return ExtendedHandshake(
        m=_numbers(fields.get(b"m")),
        v=_name(fields.get(b"v")),
        p=_integer(fields.get(b"p"), 0xFFFF),
        reqq=_integer(fields.get(b"reqq"), MAX_REQQ),
        yourip=_packed_address(fields.get(b"yourip")),
        metadata_size=_integer(fields.get(b"metadata_size"), 2**63 - 1),
        upload_only=_flag(fields.get(b"upload_only")),
    )


def _numbers(field: Value | None) -> dict[bytes, int]:
    if not isinstance(field, dict):
        return {}
    return {
        name: number
        for name, number in field.items()
        if isinstance(number, int) and 0 <= number <= 0xFF
    }


def _name(field: Value | None) -> str | None:
    if not isinstance(field, bytes):
        return None
    text = field[: 4 * MAX_CLIENT_NAME].decode(errors="replace")
    return "".join(filter(str.isprintable, text))[:MAX_CLIENT_NAME]


def _integer(field: Value | None, most: int) -> int | None:
    return field if isinstance(field, int) and 1 <= field <= most else None


def _packed_address(field: Value | None) -> bytes | None:
    return field if isinstance(field, bytes) and len(field) in (4, 16) else None


def _flag(field: Value | None) -> bool | None:
    return field != 0 if isinstance(field, int) else None
