"""What every test shares: hypothesis profiles, the ``long`` marker, both event loops."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from xdist.scheduler import Scheduling

LONG = os.environ.get("CI_LONG") == "1"

# Deadlines are off in all of them: a loaded machine is not a failing test.
_quiet = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("dev", max_examples=50, **_quiet)
settings.register_profile("ci", max_examples=50, print_blob=True, **_quiet)
settings.register_profile(
    "long", max_examples=500, stateful_step_count=100, print_blob=True, **_quiet
)
settings.load_profile("long" if LONG else os.environ.get("HYPOTHESIS_PROFILE", "dev"))


os.environ["TORRENT_CORE_NO_DISCOVERY"] = "1"
"""For every command that a test runs, also in processes of their own; tests of discovery say
otherwise, and name routers and trackers on loopback."""


class _NotOnLoopback(BaseException):
    """A test would have sent something beyond this machine; nothing may catch it."""


def _guarded(send: Any) -> Any:
    def guarded(self: socket.socket, *arguments: Any) -> Any:
        address = arguments[-1]
        if self.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple):
            _check_loopback(str(address[0]))
        return send(self, *arguments)

    return guarded


def _check_loopback(host: str) -> None:
    try:
        there = ip_address(host)
    except ValueError:
        return  # a name: who looks it up comes by here again with what it stands for
    if host == "255.255.255.255":  # which the system refuses unless it is allowed
        return
    if not (there.is_loopback or there.is_unspecified or there.is_multicast):
        raise _NotOnLoopback(host)


@pytest.fixture(autouse=True, scope="session")
def nothing_leaves_this_machine() -> Iterator[None]:
    """Connections and datagrams go to loopback.  Multicast, which is sent on the interfaces that
    a test names, is left to those tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex", "sendto"):
            patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)), False)
        yield


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduling:
    """Under ``-n 2``, one test at a time for whoever is free, but ``tests/real`` in one process.

    Each of those has other programs running, and limits of time for what they do.
    """
    from xdist.scheduler import LoadScopeScheduling

    class RealInARow(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "real" if nodeid.startswith("tests/real/") else nodeid

    return RealInARow(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked ``long`` unless CI_LONG=1."""
    if LONG:
        return
    skip = pytest.mark.skip(reason="runs only with CI_LONG=1")
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(skip)


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Every test marked ``anyio`` runs once on each event loop."""
    backend: str = request.param
    return backend
