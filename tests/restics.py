"""The restics that tests run against: the one that is installed, and those of other Debian suites.

`make debian-restics` fetches the latter beside the virtual environment. Where it could fetch none, the installed one
is the only one, and the header of the test run says so.
"""

import atexit
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

from rmactors.agent.tampering import trouble_with

INSTALLED_SAFELY: Final = trouble_with(sys.executable) is None
"""Whether nobody else can change what these tests run: a checkout may belong to another user."""
FETCHED: Final = Path(sys.prefix) / "tools" / "restics"
EXPECTED: Final = ("0.14.0", "0.18.0", "0.19.1")
"""What Debian 12, Debian 13 and Debian sid had when the cases were written."""


@cache
def restics() -> dict[str, str]:
    """The path of each restic by its version, oldest first."""
    found: dict[str, str] = {}
    installed = shutil.which("restic")
    for path in [*map(_trusted, sorted(FETCHED.glob("*/restic"))), *([installed] if installed else [])]:
        said = subprocess.run([path, "version"], capture_output=True, text=True, timeout=30).stdout
        if version := re.match(r"restic (\d+\.\d+\.\d+)", said):
            found.setdefault(version[1], path)
    return dict(sorted(found.items(), key=lambda item: number(item[0])))


def _trusted(path: Path) -> str:
    """Its path, or that of a copy: an agent runs no restic that others could change, and a checkout may belong to
    another user than the one who runs the tests."""
    if trouble_with(path) is None:
        return str(path)
    own = Path(_own_folder(), path.parent.name, path.name)
    own.parent.mkdir()
    shutil.copy(path, own)
    return str(own)


@cache
def _own_folder() -> str:
    folder = tempfile.mkdtemp(prefix="restics-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def number(version: str) -> tuple[int, ...]:
    """`0.18.0` as (0, 18, 0), which compares as versions do."""
    return tuple(map(int, version.split(".")))


def version_of(path: str) -> tuple[int, ...]:
    """The version of a restic that `restics` found, as numbers. Its path does not tell: one of them is installed."""
    return next(number(version) for version, found in restics().items() if found == path)


def header() -> str:
    """Which versions the restic cases run against, for the head of the test run."""
    missing = [version for version in EXPECTED if version not in restics()]
    text = f"restic: {', '.join(restics()) or 'none installed'}"
    return text + (f" (not here: {', '.join(missing)}; `make debian-restics` fetches them)" if missing else "")
