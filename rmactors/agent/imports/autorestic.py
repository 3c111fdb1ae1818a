"""autorestic's file: locations with a cron expression. Pure.

`autorestic cron`, run every few minutes, backs up what is due: some minutes late, and all that is due in one process.
To report each location by itself, each gets a line of its own.
"""

import shlex
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rmactors.agent.imports.found import Found, When, Wrapper, name_of

SOURCE: Final = "autorestic"
_LATE: Final = 600
"""Seconds: it is usual to run `autorestic cron` every five minutes."""


def found_in(file: Mapping[str, Any], path: str, zone: str, wrapper: Wrapper) -> Iterator[Found]:
    """What it backs up by itself. `zone` is the machine's."""
    locations = file.get("locations")
    for name, location in locations.items() if isinstance(locations, Mapping) else ():
        expression = location.get("cron") if isinstance(location, Mapping) else None
        if not isinstance(expression, str) or not expression.strip():
            continue
        command = shlex.join(["autorestic", "-c", path, "--ci", "backup", "-l", str(name)])
        when = When(cron=expression.strip(), timezone=zone, grace_seconds=_LATE)
        before = wrapper.before("backup", name_of(str(name)), when)
        yield Found(
            SOURCE, name_of(str(name)), "backup", when, f"{path}, locations.{name}",
            f"{expression.strip()} {before} {command}".replace("%", "\\%"),
            "in the crontab of its user; take the location's cron out, and `autorestic cron` when it is the last",
            job=f"autorestic {name}",
        )  # fmt: skip
