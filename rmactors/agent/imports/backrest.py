"""Backrest's file: plans and repositories with a schedule. Pure.

Backrest starts restic itself and has no place for a command before it. What it starts instead of restic can be named:
a small script that reports the backups of each plan, known by the tag that Backrest gives them.
"""

import shlex
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rmactors.agent.imports.found import Found, When, Wrapper, name_of

SOURCE: Final = "backrest"


def found_in(file: Mapping[str, Any], path: str, zone: str, wrapper: Wrapper) -> Iterator[Found]:
    """The plans that are on. `zone` is the machine's."""
    for plan in _tables(file.get("plans")):
        name, schedule = str(plan.get("id", "")), plan.get("schedule")
        if not name or not isinstance(schedule, Mapping) or schedule.get("disabled"):
            continue
        when, notes = _when(schedule, zone)
        before = wrapper.before("backup", name_of(name), when)
        pattern = f'*" backup "*{shlex.quote(f" plan:{name} ")}*'
        yield Found(
            SOURCE, name_of(name), "backup", when, f"{path}, plan {name}",
            f'case " $* " in {pattern}) exec {before} restic "$@" ;; esac',
            "in a script that ends with `exec restic \"$@\"`, and that Backrest starts as BACKREST_RESTIC_COMMAND;"
            " with the path of restic",
            tuple(notes), f"backrest {name}",
        )  # fmt: skip


def _when(schedule: Mapping[str, Any], zone: str) -> tuple[When, list[str]]:
    """A cron expression in local time, whatever its clock says; or so long after the last run."""
    clock = str(schedule.get("clock", "CLOCK_DEFAULT"))
    hours = _number(schedule.get("maxFrequencyHours")) or _number(schedule.get("maxFrequencyDays")) * 24
    if hours:
        return When(every_hours=hours), []
    expression = schedule.get("cron")
    if not isinstance(expression, str) or not expression.strip():
        return When(timezone=zone), ["it has no schedule that can be read here"]
    notes = []
    if clock == "CLOCK_LAST_RUN_TIME":
        notes.append("its clock is the last run's time: a run may come later than the expression says")
    if clock == "CLOCK_UTC":
        notes.append("its clock says UTC, but Backrest reads the expression in local time")
    return When(cron=expression.strip(), timezone=zone), notes


def _number(value: object) -> float:
    """Protocol buffers may write a number as text."""
    try:
        return max(0.0, float(value)) if isinstance(value, int | float | str) else 0.0
    except ValueError:
        return 0.0


def _tables(value: object) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []
