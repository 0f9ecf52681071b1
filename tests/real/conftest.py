"""Fixtures: counterparts that are gone when their test is."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .debian_peers import RECIPES, DebianSeeder
from .libtorrent_peer import LibtorrentProcess
from .opentracker import OpenTracker, missing
from .payload import Payload


@pytest.fixture
def libtorrent() -> Iterator[LibtorrentProcess]:
    """A child process for libtorrent sessions."""
    if importlib.util.find_spec("libtorrent") is None:
        pytest.skip("libtorrent is not installed (it has no wheel for this platform)")
    process = LibtorrentProcess()
    try:
        yield process
    finally:
        process.stop()


@pytest.fixture(params=sorted(RECIPES))
def debian_seeder(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[[Payload], DebianSeeder]]:
    """Starts the client that the parameter names as a seeder of a payload."""
    recipe = RECIPES[request.param]
    if recipe.missing:
        pytest.skip(recipe.missing)
    with ExitStack() as stop:

        def start(payload: Payload) -> DebianSeeder:
            seeder = DebianSeeder(recipe, payload, tmp_path / request.param)
            stop.callback(seeder.stop)
            return seeder

        yield start


@pytest.fixture
def opentracker(tmp_path: Path) -> Iterator[Callable[..., OpenTracker]]:
    """Starts an opentracker that knows the torrents of these info-hashes."""
    if missing():
        pytest.skip(missing())
    with ExitStack() as stop:

        def start(*info_hashes: bytes) -> OpenTracker:
            tracker = OpenTracker(tmp_path / "opentracker", info_hashes)
            stop.callback(tracker.stop)
            return tracker

        yield start
