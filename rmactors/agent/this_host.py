"""What the agent says of the machine it runs on. Reads the system, changes nothing."""

import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from rmactors.agent.tampering import trouble_with

OLDEST_RESTIC: Final = (0, 14)
"""Older ones are not tried, and say much of what jobs read in other words."""
VERSION_SECONDS: Final = 10.0
_LONGEST: Final = 200
_VERSION: Final = re.compile(r"^restic (\d+\.\d+\.\d+\S*)", re.MULTILINE)
_NUMBER: Final = re.compile(r"(\d+)\.(\d+)\.(\d+)")


def hostname() -> str:
    return os.uname().nodename[:_LONGEST]


def os_name() -> str:
    """`Debian GNU/Linux 12 (bookworm)`, or the kernel's name if the system does not say."""
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")[:_LONGEST]
    except OSError:
        return os.uname().sysname


def arch() -> str:
    return os.uname().machine[:_LONGEST]


def timezone(localtime: Path = Path("/etc/localtime")) -> str:
    """The IANA name of local time, `UTC` if it cannot be told."""
    named = os.environ.get("TZ", "").lstrip(":")
    if named and not named.startswith("/"):
        return named[:_LONGEST]
    try:
        target = os.readlink(localtime)
    except OSError:
        return "UTC"
    _, found, zone = target.partition("zoneinfo/")
    return zone[:_LONGEST] if found and zone else "UTC"


def process_identity(pid: int | None = None) -> str | None:
    """What tells this process, or that with the number `pid`, from all others, also after a reboot.

    None if there is none. If the system does not let us look, it ends in `unknown`.
    """
    number = os.getpid() if pid is None else pid
    try:
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return f"{number}:unknown" if answers(number) else None
    return None if fields[0] in {"Z", "X"} else f"{number}:{fields[19]}:{boot}"


def is_running(identity: str) -> bool:
    """Whether the process with that identity still runs."""
    number, _, _ = identity.partition(":")
    found = process_identity(int(number)) if number.isdecimal() else None
    return found is not None and (found == identity or found.endswith(":unknown"))


def answers(pid: int) -> bool:
    """Whether there is a process with that number now."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@dataclass(frozen=True, slots=True)
class Restic:
    """What `restic version` says. `problem` is why this restic cannot be used, a few words; None if it can."""

    version: str | None
    problem: str | None


def look_at_restic(restic: str = "restic") -> Restic:
    """The restic that jobs use. Blocks for some 50 ms, `VERSION_SECONDS` at most. One that others can change is
    not run.
    """
    if (path := shutil.which(restic)) is not None and (trouble := trouble_with(path)):
        return Restic(None, trouble)
    try:
        answer = subprocess.run(  # noqa: S603 - the path comes from the administrator's own file
            [restic, "version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=VERSION_SECONDS, check=False,
            text=True, errors="replace",
        )  # fmt: skip
    except FileNotFoundError:
        return Restic(None, f"{restic}: command not found")
    except OSError as error:
        return Restic(None, f"{restic}: {(error.strerror or str(error)).lower()}")
    except subprocess.TimeoutExpired:
        return Restic(None, f"`{restic} version` does not answer within {VERSION_SECONDS:.0f} s")
    found = _VERSION.search(answer.stdout)
    if found is None:
        said = [line.strip() for line in (answer.stderr + "\n" + answer.stdout).splitlines() if line.strip()]
        why = f"exit code {answer.returncode}: {said[-1][:_LONGEST]}" if said else f"exit code {answer.returncode}"
        return Restic(None, f"`{restic} version` says no version ({why})")
    version = found.group(1)[:_LONGEST]
    major, minor = (int(part) for part in version.split(".")[:2])
    if (major, minor) < OLDEST_RESTIC:
        oldest = ".".join(map(str, OLDEST_RESTIC))
        return Restic(version, f"restic {version} is older than {oldest}: not supported")
    return Restic(version, None)


def restic_version(restic: str = "restic") -> str | None:
    """The version of the restic that jobs use; None if there is none."""
    return look_at_restic(restic).version


def restic_number(restic: str = "restic") -> tuple[int, ...] | None:
    """`0.18.0` as (0, 18, 0), which compares as versions do. Asks each program once; blocks like `restic_version`."""
    path = shutil.which(restic)
    try:
        return _number(path, os.stat(path).st_mtime_ns) if path else None
    except OSError:
        return None


@cache
def _number(path: str, changed_at: int) -> tuple[int, ...] | None:
    version = restic_version(path)
    found = _NUMBER.match(version or "")
    return tuple(map(int, found.groups())) if found else None
