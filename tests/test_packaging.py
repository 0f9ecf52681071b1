"""What the packages promise as packages: names, version, types, purity."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import torrent_core
import transports

ROOT = Path(__file__).parent.parent
CORE = Path(torrent_core.__file__).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

ALLOWED = {
    "__future__",
    "array",
    "attrs",
    "base64",
    "binascii",
    "bisect",
    "collections",
    "contextlib",
    "enum",
    "functools",
    "hashlib",
    "heapq",
    "importlib",
    "ipaddress",
    "itertools",
    "math",
    "operator",
    "reprlib",
    "string",
    "struct",
    "torrent_core",
    "typing",
    "unicodedata",
    "urllib.parse",
    "zlib",
}
"""All that the core may import: nothing here can see a clock, a file or another thread."""

BARRED_CALLS = {"open", "print", "input", "exec", "eval", "__import__", "id", "hash"}
"""``id`` and ``hash`` differ from run to run, and so would what depends on them.  A ``__hash__``
may call ``hash``: that is for dictionaries, whose order does not depend on it."""


def _modules(package: object) -> list[str]:
    path: list[str] = package.__path__  # type: ignore[attr-defined]
    name: str = package.__name__  # type: ignore[attr-defined]
    found = [m.name for m in pkgutil.walk_packages(path, name + ".")]
    return [name, *(module for module in found if not module.endswith("__main__"))]


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""


def _impurities(source: str) -> list[str]:
    tree = ast.parse(source)
    found = [
        f"imports {name}"
        for name in _imports(tree)
        if name not in ALLOWED and name.split(".")[0] not in ALLOWED
    ]
    hashing = _hashing(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            found.append(f"asserts in line {node.lineno}")
        elif isinstance(node, ast.Call) and _is_barred(node.func) and node not in hashing:
            found.append(f"calls {ast.unparse(node.func)} in line {node.lineno}")
    return found


def _hashing(tree: ast.AST) -> set[ast.AST]:
    """The calls of ``hash`` inside of a ``__hash__``."""
    return {
        call
        for method in ast.walk(tree)
        if isinstance(method, ast.FunctionDef) and method.name == "__hash__"
        for call in ast.walk(method)
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "hash"
    }


def _is_barred(called: ast.expr) -> bool:
    return isinstance(called, ast.Name) and called.id in BARRED_CALLS


@pytest.mark.parametrize("module", [*_modules(torrent_core), *_modules(transports)])
def test_every_public_name_is_there_once_and_has_a_docstring_around_it(module: str) -> None:
    loaded = importlib.import_module(module)
    assert (loaded.__doc__ or "").strip(), f"{module} has no docstring"
    names: list[str] = list(getattr(loaded, "__all__", []))
    assert [name for name in names if not hasattr(loaded, name)] == []
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("package", [torrent_core, transports])
def test_each_package_says_what_is_public(package: object) -> None:
    assert package.__all__  # type: ignore[attr-defined]


def _pure_sources() -> list[Path]:
    """All of the core but the simulator: it throws dice, and nothing in the core imports it."""
    return sorted(path for path in CORE.rglob("*.py") if CORE / "testing" not in path.parents)


@pytest.mark.parametrize("path", _pure_sources(), ids=lambda p: str(p.relative_to(CORE)))
def test_the_core_is_pure(path: Path) -> None:
    assert _impurities(path.read_text()) == []


@pytest.mark.parametrize(
    ("source", "impurity"),
    [
        ("import time", "imports time"),
        ("from os.path import join", "imports os.path"),
        ("import urllib.request", "imports urllib.request"),
        ("def f():\n    import socket", "imports socket"),
        ("assert x", "asserts in line 1"),
        ("y = [open(f) for f in z]", "calls open in line 1"),
        ("y = hash(x)", "calls hash in line 1"),
        ("def __hash__(x):\n    return hash(id(x))", "calls id in line 2"),
    ],
)
def test_an_impurity_would_be_found(source: str, impurity: str) -> None:
    assert _impurities(source) == [impurity]


@pytest.mark.parametrize("package", [torrent_core, transports])
def test_each_package_says_that_it_is_typed(package: object) -> None:
    assert (Path(package.__file__).parent / "py.typed").is_file()  # type: ignore[attr-defined]


def test_the_version_is_the_same_everywhere() -> None:
    assert torrent_core.__version__ == PROJECT["version"]


def test_the_base_installation_needs_attrs_alone() -> None:
    assert [need.split(">")[0] for need in PROJECT["dependencies"]] == ["attrs"]


def _loaded_by(module: str, *, depth: int = 1) -> set[str]:
    """The names of what one import has loaded, cut to so many parts."""
    script = (
        f"import sys, {module}; "
        f"print(*sorted({{'.'.join(m.split('.')[:{depth}]) for m in sys.modules}}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return set(run.stdout.split())


def test_importing_the_core_loads_no_event_loop_and_no_transport() -> None:
    barred = {"asyncio", "anyio", "trio", "socket", "ssl", "transports", "click", "rich"}
    assert _loaded_by("torrent_core.session, torrent_core.trace") & barred == set()


def test_importing_the_package_loads_none_of_its_modules_and_nothing_that_is_installed() -> None:
    loaded = _loaded_by("torrent_core", depth=2)
    assert [name for name in loaded if name.startswith("torrent_core.")] == []
    assert loaded & {"attr", "attrs", "inspect"} == set()


def test_reading_a_torrent_file_loads_no_machine() -> None:
    loaded = _loaded_by("torrent_core; torrent_core.parse_torrent", depth=2)
    own = {name for name in loaded if name.startswith("torrent_core.")}
    assert "torrent_core.metainfo" in own
    assert (
        own & {f"torrent_core.{name}" for name in ("session", "torrent", "peer", "wire")} == set()
    )


def test_names_and_modules_of_the_core_are_there_when_they_are_asked_for() -> None:
    assert torrent_core.Session is importlib.import_module("torrent_core.session").Session
    assert torrent_core.__getattr__("limits") is importlib.import_module("torrent_core.limits")
    assert {"Session", "events", "__version__"} <= set(dir(torrent_core))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = torrent_core.Nothing


def test_importing_the_kit_for_tests_needs_nothing_to_be_installed() -> None:
    assert _loaded_by("torrent_core.testing") & {"hypothesis", "pytest", "asyncio"} == set()


def test_importing_the_client_loads_nothing_of_the_command_line() -> None:
    assert _loaded_by("transports.client") & {"click", "rich"} == set()
