"""What the kernel says a process has used."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def own_memory_kib(pid: int) -> int:
    """Anonymous resident memory: without the pages of files, which the kernel takes back when it likes."""
    return _status(pid, "RssAnon")


def resident_kib(pid: int) -> int:
    """All resident memory."""
    return _status(pid, "VmRSS")


def highest_resident_kib(pid: int) -> int:
    """The most that `resident_kib` has been."""
    return _status(pid, "VmHWM")


def _status(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise ValueError(f"/proc/{pid}/status names no {name}")


def seconds_short_of_cores() -> float:
    """How long, since the machine started, somebody had to wait for a core. 0 where the kernel does not tell."""
    try:
        text = Path("/proc/pressure/cpu").read_text()
    except OSError:
        return 0.0
    return int(text.splitlines()[0].rpartition("total=")[2]) / 1e6


def percentile(values: list[float], share: float) -> float:
    """The value below which that share of them lies. Raises ValueError where there are none."""
    if not values:
        raise ValueError("nothing was measured")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
