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
    places = [str(UNPACKED / "usr" / "bin"), str(UNPACKED / "usr" / "sbin"), os.environ.get("PATH", ""), "/usr/sbin"]
    found = shutil.which(name, path=os.pathsep.join(places))
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} is not there, and CI=true does not skip: make debian-tools")
        pytest.skip(f"needs {name}: make debian-tools")
    return found


def libraries() -> dict[str, str]:
    """Variables for a program whose libraries were unpacked beside it."""
    return {"LD_LIBRARY_PATH": os.pathsep.join(str(path) for path in (UNPACKED / "usr" / "lib").glob("*-linux-gnu*"))}


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
