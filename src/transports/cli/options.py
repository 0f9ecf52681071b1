"""Options that several commands share, and values that click does not know by itself."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import click

MAX_PORT = 65535
MIN_PIECE_LENGTH = 16 * 1024
"""One block; nobody makes smaller pieces, and every client asks in blocks of this size."""

F = TypeVar("F", bound=Callable[..., Any])


def parse_peer(text: str) -> tuple[str, int]:
    """``HOST:PORT`` or ``[IPV6]:PORT``; ValueError says what is wrong."""
    host, colon, port = text.rpartition(":")
    if not colon:
        raise ValueError("it has no port (HOST:PORT)")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) <= MAX_PORT):
        raise ValueError(f"the port must be 1 to {MAX_PORT}")
    if host.startswith("[") and host.endswith("]"):
        return _ipv6(host[1:-1]), int(port)
    if ":" in host:
        raise ValueError("an IPv6 address goes in brackets ([::1]:6881)")
    if not host or not host.isprintable() or any(c in " []/@" for c in host):
        raise ValueError("the host is missing or is not a name")
    return host, int(port)


def _ipv6(text: str) -> str:
    from ipaddress import IPv6Address

    try:
        IPv6Address(text)
    except ValueError as error:
        raise ValueError("what is in brackets is not an IPv6 address") from error
    return text


def peer(text: str) -> tuple[str, int]:
    """A peer on the command line."""
    try:
        return parse_peer(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r}: {error}") from error


def seconds(text: str) -> float:
    """A positive, finite number of seconds."""
    number = _finite(text)
    if number is None or number <= 0:
        raise click.BadParameter(f"{text!r} is not a positive number of seconds")
    return number


def moment(text: str) -> float:
    """Seconds after the first moment, which is one as well."""
    number = _finite(text)
    if number is None or number < 0:
        raise click.BadParameter(f"{text!r} is not a number of seconds from 0 on")
    return number


def _finite(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def piece_length(text: str) -> int:
    """Bytes of a piece: a power of two, at least one block."""
    from torrent_core.limits import MAX_PIECE_LENGTH

    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else 0
    if number & (number - 1) or not MIN_PIECE_LENGTH <= number <= MAX_PIECE_LENGTH:
        bounds = f"from {MIN_PIECE_LENGTH} to {MAX_PIECE_LENGTH}"
        raise click.BadParameter(f"{text!r} is not a power of two {bounds}")
    return number


def port_from(lowest: int) -> Callable[[str], int]:
    """A port on the command line, ``lowest`` to MAX_PORT."""

    def port(text: str | int) -> int:
        digits = str(text)
        is_number = digits.isascii() and digits.isdigit() and len(digits) <= 5
        if not is_number or not lowest <= int(digits) <= MAX_PORT:
            raise click.BadParameter(f"{digits!r} is no port: {lowest} to {MAX_PORT}")
        return int(digits)

    return port


def tracker(text: str) -> str:
    """The URL of a tracker of a kind that clients announce to."""
    from torrent_core.trackers import parse_url

    if parse_url(text) is None:
        raise click.BadParameter(f"{text!r} is no http, https or udp URL of a tracker")
    return text.strip()


def peer_option(function: F) -> F:
    return click.option(
        "--peer",
        "peers",
        type=peer,
        metavar="HOST:PORT",
        multiple=True,
        help="Dial this peer, again and again; IPv6 in brackets. May be repeated.",
    )(function)


def port_option(function: F) -> F:
    return click.option(
        "--port",
        type=port_from(0),
        default=0,
        metavar="N",
        help="Listen for peers on this port.  [default: any that is free]",
    )(function)


class FindBy(NamedTuple):
    """By which means a command finds peers; the names of ``PeerDiscovery``."""

    trackers: bool = True
    dht: bool = True
    lsd: bool = True
    pex: bool = True
    routers: tuple[tuple[str, int], ...] = ()
    """Empty for the well-known ones."""

    def for_client(self) -> dict[str, Any]:
        """What to make a ``Client`` with."""
        import attrs

        from torrent_core.types import Address
        from transports.client import PeerDiscovery

        policy = PeerDiscovery(*self[:4])
        if self.routers:
            named = tuple(Address(*router) for router in self.routers)
            policy = attrs.evolve(policy, routers=named)
        return {"discovery": policy, "state_dir": state_dir() if self.dht else None}


def state_dir() -> str:
    """The user's folder for what is kept from run to run."""
    import platformdirs

    return platformdirs.user_state_dir("torrent-core", appauthor=False)


_MEANS = {
    "trackers": "Do not announce to the torrent's trackers.",
    "dht": "Do not take part in the DHT.",
    "lsd": "Do not announce on the local network.",
    "pex": "Do not exchange peers with peers.",
}

NO_DISCOVERY_VARIABLE = "TORRENT_CORE_NO_DISCOVERY"


def router_option(function: F) -> F:
    return click.option(
        "--dht-router",
        "routers",
        type=peer,
        metavar="HOST:PORT",
        multiple=True,
        help="Enter the DHT here. May be repeated.  [default: well-known nodes]",
    )(function)


def discovery_options(function: F) -> F:
    """The switches of all means; the command gets a ``FindBy`` as ``find_by``."""

    @functools.wraps(function)
    def gathered(
        *arguments: Any, no_discovery: bool, routers: tuple[tuple[str, int], ...], **options: Any
    ) -> Any:
        means = {name: not options.pop(f"no_{name}") and not no_discovery for name in _MEANS}
        return function(*arguments, find_by=FindBy(**means, routers=routers), **options)

    command = click.option(
        "--no-discovery",
        is_flag=True,
        envvar=NO_DISCOVERY_VARIABLE,
        show_envvar=True,
        help="None of these: only peers that are named, or dial us.",
    )(router_option(gathered))
    for name, text in reversed(_MEANS.items()):
        command = click.option(f"--no-{name}", is_flag=True, help=text)(command)
    return cast(F, command)


def json_option(function: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")(
        function
    )


def backend_option(function: F) -> F:
    return click.option(
        "--backend",
        type=click.Choice(["asyncio", "trio"]),
        default="asyncio",
        show_default=True,
        help="Event loop to run on.",
    )(function)
