"""The programs of other people that `deploy/` has files for, as Debian ships them.

`make debian-tools` unpacks them beside the virtual environment; one that is installed serves as well.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.processes import ROOT, environment

DEPLOY = ROOT / "deploy"
UNPACKED = Path(sys.prefix) / "tools"


def program(name: str) -> str:
    """The path of a program. Where CI=true it must be there; elsewhere its absence skips the test."""
    return _found(name, [str(UNPACKED / "usr" / "bin"), str(UNPACKED / "usr" / "sbin")], "debian-tools")


def receiver(folder: str, name: str) -> str:
    """The path of a program of a receiver of notifications, by its folder in `tests/fetch_receivers.sh`."""
    there = UNPACKED / "receivers" / folder / "usr"
    return _found(name, [str(there / "bin"), str(there / "sbin")], "debian-receivers")


def _found(name: str, folders: list[str], target: str) -> str:
    found = shutil.which(name, path=os.pathsep.join([*folders, os.environ.get("PATH", ""), "/usr/sbin"]))
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} is not there, and CI=true does not skip: make {target}")
        pytest.skip(f"needs {name}: make {target}")
    return found


def libraries(root: Path = UNPACKED) -> dict[str, str]:
    """Variables for a program whose libraries were unpacked beside it."""
    return {"LD_LIBRARY_PATH": os.pathsep.join(str(path) for path in (root / "usr" / "lib").glob("*-linux-gnu*"))}


@contextmanager
def running(command: list[str], folder: Path, variables: Mapping[str, str] | None = None) -> Iterator[Path]:
    """The program, for as long as the block lasts; gives the file with its output."""
    log_file = folder / "output"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment(variables or {}), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        yield log_file
        assert process.poll() is None, f"{command[0]} ended with {process.returncode}\n{log_file.read_text()[-4000:]}"
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
