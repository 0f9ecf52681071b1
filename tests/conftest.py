"""What every test shares: hypothesis profiles, the ``long`` marker, both event loops."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from zlib import crc32

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from xdist.scheduler import Scheduling

LONG = os.environ.get("CI_LONG") == "1"

# Deadlines are off in all of them: a loaded machine is not a failing test.
_quiet = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("dev", max_examples=50, **_quiet)
settings.register_profile("ci", max_examples=50, derandomize=True, **_quiet)
settings.register_profile(
    "long", max_examples=500, stateful_step_count=100, print_blob=True, **_quiet
)
settings.load_profile("long" if LONG else os.environ.get("HYPOTHESIS_PROFILE", "dev"))


os.environ["TORRENT_CORE_NO_DISCOVERY"] = "1"
"""For every command that a test runs, also in processes of their own; tests of discovery say
otherwise, and name routers and trackers on loopback."""


# Whoever runs the tests in the background of a shell without job control has SIGINT ignored, and so
# would each process that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


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
    """Under ``-n 3``, one test at a time for whoever is free, but ``tests/real`` in one process.

    Each of those has other programs running, and limits of time for what they do.
    """
    from xdist.scheduler import LoadScopeScheduling

    class RealInARow(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "real" if nodeid.startswith("tests/real/") else nodeid

    return RealInARow(config, log)


@pytest.hookimpl(tryfirst=True)  # before ``-m long`` looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked ``long`` unless CI_LONG=1; mark what goes by the folder."""
    skip = pytest.mark.skip(reason="runs only with CI_LONG=1")
    for item in items:
        if item.path.parent.name == "real":
            item.add_marker(pytest.mark.uncovered)
        if _is_on_other_loop(item):
            item.add_marker(pytest.mark.long)
        if not LONG and item.get_closest_marker("long"):
            item.add_marker(skip)


def _is_on_other_loop(item: pytest.Item) -> bool:
    """Whether a test among other programs, most of which is waiting, runs in short on the other
    of the two event loops.  Its name tells which has the turn, so that each has half of them."""
    name, _, parameters = item.name.partition("[")
    backend = [word for word in ("asyncio", "trio") if word in parameters]
    if not backend or item.path.parent.name != "real":
        return False
    rest = name + parameters.replace(backend[0], "")
    return ("asyncio", "trio")[crc32(rest.encode()) % 2] != backend[0]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Run without coverage what is marked so: swarms, for which it makes 0.1 s into 0.4 s, and
    other programs, of which it sees nothing.  (``no_cover`` of pytest-cov has no effect in the
    processes of pytest-xdist, where two tracers lie one upon the other.)"""
    tracer = sys.gettrace()
    measured = type(tracer).__module__.partition(".")[0] == "coverage"
    if measured and item.get_closest_marker("uncovered"):
        sys.settrace(None)
        yield
        sys.settrace(tracer)
    else:
        yield


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Every test marked ``anyio`` runs once on each event loop."""
    backend: str = request.param
    return backend
