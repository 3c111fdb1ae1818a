"""resticprofile's file: profiles and groups with a schedule. Pure: the file comes as the tables and lists it holds."""

import shlex
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rmactors.agent.imports import systemd
from rmactors.agent.imports.commands import KINDS
from rmactors.agent.imports.found import Found, When, Wrapper, name_of

SOURCE: Final = "resticprofile"
_NOT_PROFILES: Final = {"version", "global", "groups", "includes", "mixins", "profiles"}
_DEEPEST: Final = 20


def found_in(file: Mapping[str, Any], path: str, zone: str, wrapper: Wrapper) -> Iterator[Found]:
    """Version 1 has its profiles at the top, version 2 below `profiles`."""
    second = str(file.get("version", "1")).startswith("2")
    profiles = _table(file.get("profiles")) if second else {
        name: value for name, value in file.items() if name not in _NOT_PROFILES
    }  # fmt: skip
    scheduler = str(_table(file.get("global")).get("scheduler", ""))
    for name in profiles:
        if name.startswith("__"):
            continue  # only to be inherited from
        whole = _inherited(profiles, name)
        for section, value in whole.items():
            if isinstance(value, Mapping) and (at := _times(value.get("schedule"))):
                yield from _found(section, name, at, path, scheduler, zone, wrapper)
    for name, group in _table(file.get("groups")).items():
        for section, value in _table(_table(group).get("schedules")).items():
            if at := _times(value):
                yield from _found(section, name, at, path, scheduler, zone, wrapper)


def _inherited(profiles: Mapping[str, Any], name: str, depth: int = 0) -> dict[str, Any]:
    """A profile over the one that it inherits from, section by section."""
    own = dict(_table(profiles.get(name)))
    parent = own.pop("inherit", None)
    if not isinstance(parent, str) or depth > _DEEPEST:
        return own
    return _over(_inherited(profiles, parent, depth + 1), own)


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = _over(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
    return merged


def _times(value: object) -> list[str]:
    """One expression, several, or a table with them as `at`."""
    if isinstance(value, Mapping):
        value = value.get("at")
    found = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return [each.strip() for each in found if isinstance(each, str) and each.strip()]


def _found(
    section: str, name: str, at: list[str], path: str, scheduler: str, zone: str, wrapper: Wrapper
) -> Iterator[Found]:
    section = "forget" if section == "retention" else section
    kind = next((each for each in KINDS if each == section), None)
    if kind is None:
        return
    job = f"{section}@{name}"
    one, rest = systemd.one_calendar(at)
    notes = [f"one schedule has one expression; not watched by it: {', '.join(rest)}"] if rest else []
    command = shlex.join(["resticprofile", "--config", path, "run-schedule", job])
    when = When(on_calendar=one, timezone=zone)
    before = wrapper.before(kind, name_of(job), when)
    if scheduler.startswith(("crond", "crontab")):
        line, how = f"{before} {command}", "in the crontab, in place of the command that ends with run-schedule " + job
    else:
        unit = f"resticprofile-{section}@profile-{name}.service"
        line = f"ExecStart={before.replace('%', '%%')} {command.replace('%', '%%')}"
        how = f"by `systemctl edit {unit}`, below [Service] and a line `ExecStart=`; with the path of resticprofile"
    yield Found(
        SOURCE, name_of(job), kind, when, f"{path}, {name}.{section}", line, how,
        tuple(notes), f"resticprofile {job}",
    )  # fmt: skip


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
