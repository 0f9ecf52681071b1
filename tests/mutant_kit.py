"""Faults put into the engine on purpose, and the proof that a test notices each.

A ``Mutant`` is a small patch of one module and names the test that must fail under it.
``verdict`` runs that test in a process of its own, with the module patched while it is
imported, so that neither the files nor the process at hand are touched.  The processes are
forked from one that has pytest loaded and none of the engine.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from multiprocessing.connection import Connection
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import attrs
import pytest

ROOT = Path(__file__).parent.parent
PRELOADED = ["pytest", "pytest_timeout", "hypothesis.stateful", "anyio.pytest_plugin", "attrs"]
"""What takes time to import and knows nothing of the engine."""
PATIENCE = 100.0
"""Seconds after which a mutant counts as not noticed: a test that hangs says nothing."""


@attrs.frozen
class Mutant:
    """One fault: in ``module``, ``old`` (there exactly once) becomes ``new``."""

    fault: str
    """What the engine does wrong, as a phrase; also the mutant's name."""
    lesson: str
    """What it breaks: a lesson of engines that stalled, and the scenario that has it."""
    module: str
    old: str
    new: str
    killer: str
    """The test that must fail: ``file.py::test``, below ``tests``."""


@attrs.frozen
class Verdict:
    """What became of the killer."""

    failed: bool
    """The test ran, and something that it asserts did not hold.

    A fault that raises TypeError, or anything else but a failed assertion, is a patch that went
    wrong: any test that runs the line would notice that, so it proves nothing."""
    steps: int
    """Events handled by then: by torrents, or by a scheduler that is tested on its own."""
    message: str
    """What it said, or why it did not run."""


def verdict(mutant: Mutant) -> Verdict:
    """Run the mutant's killer against it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_run, args=(mutant, theirs), daemon=True)
    child.start()
    theirs.close()
    try:
        if not ours.poll(PATIENCE):
            return Verdict(False, 0, f"no end after {PATIENCE:.0f} s")
        answer: Verdict = ours.recv()
        return answer
    except EOFError:
        return Verdict(False, 0, "the process died")
    finally:
        child.kill()
        child.join()
        ours.close()


def patched(mutant: Mutant, source: str) -> str:
    """The module's source with the fault in it.  ValueError if it does not fit exactly once."""
    found = source.count(mutant.old)
    if found != 1:
        raise ValueError(f"{mutant.fault}: its patch fits {found} times in {mutant.module}")
    return source.replace(mutant.old, mutant.new)


def source_of(mutant: Mutant) -> str:
    """The module as it stands."""
    path = ROOT / "src" / (mutant.module.replace(".", "/") + ".py")
    return path.read_text(encoding="utf-8")


# --- In the child -----------------------------------------------------------------------------


class _Loader(SourceFileLoader):
    """Compiles the module with its fault; no byte code is read or written."""

    mutant: Mutant

    def get_code(self, fullname: str) -> CodeType:
        text = patched(self.mutant, Path(self.path).read_text(encoding="utf-8"))
        code: CodeType = compile(text, self.path, "exec", dont_inherit=True)
        return code


class _Finder(MetaPathFinder):
    """Finds one module before anybody else does."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self.mutant.module:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(fullname, spec.origin)
            spec.loader.mutant = self.mutant
        return spec


class _Witness:
    """A pytest plugin that counts events and keeps the first failure."""

    def __init__(self) -> None:
        self.steps = 0
        self.failed = False
        self.message = "no test ran"

    def pytest_collection_finish(self) -> None:
        from torrent_core.torrent import Torrent

        self._count(Torrent, "handle")
        kit = sys.modules.get("pieces_kit")
        if kit is not None:
            self._count(kit.Swarm, "settle")

    def _count(self, machine: type, name: str) -> None:
        step = getattr(machine, name)

        def counted(*args: Any) -> Any:
            self.steps += 1
            return step(*args)

        setattr(machine, name, counted)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.message = f"not collected: {report.longrepr}"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and not self.failed and not report.failed:
            self.message = report.outcome

    def pytest_exception_interact(
        self, call: pytest.CallInfo[Any], report: pytest.TestReport | pytest.CollectReport
    ) -> None:
        if report.when != "call" or call.excinfo is None:
            return
        self.failed = call.excinfo.errisinstance((AssertionError, pytest.fail.Exception))
        said = call.excinfo.exconly().splitlines()[0]
        where = str(call.excinfo.traceback[-1].statement).strip()
        self.message = f"{said} ({where})" if self.failed else f"crashed: {said} ({where})"


def _run(mutant: Mutant, answer: Connection) -> None:
    import hypothesis.configuration

    os.chdir(ROOT)
    sys.meta_path.insert(0, _Finder(mutant))
    witness = _Witness()
    with tempfile.TemporaryDirectory() as scratch, open(os.devnull, "w") as nowhere:
        hypothesis.configuration.set_hypothesis_home_dir(scratch)
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
        options = [
            "-q",
            "-x",
            "--assert=plain",
            "-p",
            "no:cacheprovider",
            "--timeout=0",
            "--hypothesis-seed=0",
        ]
        pytest.main([*options, f"tests/{mutant.killer}"], plugins=[witness])
    answer.send(Verdict(witness.failed, witness.steps, witness.message))
