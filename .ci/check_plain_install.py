"""Run by the interpreter of a virtual environment that holds the base installation only."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from importlib.metadata import distributions
from pathlib import Path

import torrent_core

TOOLS = {"pip", "setuptools", "wheel"}


def main() -> None:
    installed = {dist.metadata["Name"].lower() for dist in distributions()} - TOOLS
    if installed != {"attrs", "torrent-core"}:
        sys.exit(f"installed are {sorted(installed)}, not attrs and torrent-core alone")
    if "site-packages" not in torrent_core.__file__:
        sys.exit(f"torrent_core comes from {torrent_core.__file__}, not from the installation")
    import_module("transports.blocking")  # sockets and files of the standard library alone
    command = Path(sys.executable).with_name("torrent-core")
    run = subprocess.run([command, "demo"], capture_output=True, text=True, timeout=60)
    if run.returncode != 1 or "torrent-core[cli]" not in run.stderr or "\n" in run.stderr.strip():
        sys.exit(
            f"without its extras, the command says {run.stderr!r} and returns {run.returncode}"
        )
    version = torrent_core.__version__
    sys.stdout.write(f"torrent_core {version} with attrs alone; the command names its extra\n")


main()
