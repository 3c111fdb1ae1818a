"""Which systemd unit and timer a run came from, as systemd tells the processes that it starts.

The time at which a timer went off is told too, and is no slot of a schedule: it holds the random delay. So a run
counts for a slot by when it began, as any other does.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_UNIT: Final = re.compile(r"[\w:.\\@-]{1,200}\.service", re.ASCII)
_TIMER: Final = re.compile(r"[\w:.\\@-]{1,200}\.timer", re.ASCII)


def systemd(environ: Mapping[str, str] = os.environ, cgroup: Path = Path("/proc/self/cgroup")) -> dict[str, str]:
    """`systemd_unit` and `systemd_timer`, as far as they are known; nothing if systemd did not start this.

    systemd says which timer from version 252 on (TRIGGER_UNIT).
    """
    if not environ.get("INVOCATION_ID"):
        return {}
    found = {}
    if unit := _unit_in(cgroup):
        found["systemd_unit"] = unit
    if _TIMER.fullmatch(timer := environ.get("TRIGGER_UNIT", "")):
        found["systemd_timer"] = timer[:200]
    return found


def _unit_in(cgroup: Path) -> str | None:
    """The innermost service of this process's control group."""
    try:
        lines = cgroup.read_text(errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        hierarchy, _, path = line.partition("::")
        if hierarchy == "0" or ":name=systemd:" in line:
            for part in reversed((path or line.rpartition(":")[2]).split("/")):
                if _UNIT.fullmatch(part):
                    return part[:200]
    return None
