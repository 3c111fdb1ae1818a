"""What may stand in a configuration file: its tables, their keys, and what counts where a key is left out. Pure.

An entry is a table of the file in its canonical form: every key is there, lists whose order means nothing are sorted,
times are RFC 3339 in UTC.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from rmactors.common import clock
from rmactors.common.vocabulary import DEFAULT_MAX_RUNTIME_SECONDS, LIFECYCLE_EVENTS

Values = dict[str, Any]


class _Needed:
    def __repr__(self) -> str:
        return "NEEDED"


NEEDED: Final = _Needed()
"""In place of a default: the key must be there."""


@dataclass(frozen=True, slots=True)
class Table:
    """One kind of thing. `key` are the keys that say which one it is; `keys` has them and the others, each with what it
    is where it is left out; `unordered` are lists whose order means nothing; `within` the same for tables in it."""

    name: str
    one: str
    key: tuple[str, ...]
    keys: Mapping[str, Any]
    unordered: frozenset[str] = frozenset()
    within: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def title(self, values: Mapping[str, Any]) -> str:
        """How an entry is called: `nas / Nightly home`."""
        return " / ".join(str(values[name]) for name in self.key if isinstance(values.get(name), str))

    def identity(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        """What two entries that mean the same thing have in common. Names of hosts, policies and users count without
        case."""
        caseless = ("host", "username", "name") if self.name in ("hosts", "policies") else ("host", "username")
        return tuple(_words(values[name], caseless=name in caseless) for name in self.key)

    def canonical(self, values: Mapping[str, Any]) -> Values:
        """Raises ValueError, its message `key: sentence`, for a time that is none."""
        found = {
            name: _short(values.get(name, None if default is NEEDED else default))
            for name, default in self.keys.items()
        }
        for name, defaults in self.within.items():
            if isinstance(found.get(name), Mapping):
                given = found[name]
                left_out = {key: value for key, value in defaults.items() if key not in given}
                found[name] = {key: _short(value) for key, value in {**given, **left_out}.items()}
        for name in self.unordered:
            if isinstance(found[name], list) and all(isinstance(each, str) for each in found[name]):
                found[name] = sorted(set(found[name]))
        for name in _TIMES & found.keys():
            if isinstance(found[name], str):
                found[name] = _time(name, found[name])
        return found


_TIMES: Final = {"starts_at", "ends_at"}
_WAYS: Final = {"cron": None, "on_calendar": None, "every_hours": None}
_RUNS: Final[Values] = {
    **_WAYS, "timezone": "UTC", "mode": "agent", "enabled": True, "grace_seconds": 0,
    "max_runtime_seconds": DEFAULT_MAX_RUNTIME_SECONDS, "max_age_hours": None, "on_partial": "alert", "params": {},
}  # fmt: skip
HOSTS: Final = Table("hosts", "host", ("name",), {"name": NEEDED, "tags": NEEDED}, frozenset({"tags"}))
POLICIES: Final = Table(
    "policies", "policy", ("name",),
    {"name": NEEDED, "host_tags": NEEDED, "kind": NEEDED, **_RUNS, "spread_minutes": 0},
    frozenset({"host_tags"}),
)  # fmt: skip
SCHEDULES: Final = Table(
    "schedules", "schedule", ("host", "name"), {"host": NEEDED, "name": NEEDED, "kind": NEEDED, **_RUNS}
)
CHANNELS: Final = Table(
    "channels", "channel", ("name",),
    {
        "name": NEEDED, "kind": NEEDED, "enabled": True, "default_priority": None, "min_severity": "info",
        "events": sorted(LIFECYCLE_EVENTS), "host_tags": [], "group_seconds": 0, "group_by": "host", "remind_hours": 0,
        "after_minutes": 0, "quiet_hours": None, "digest": None, "config": NEEDED,
    },
    frozenset({"events", "host_tags"}),
    {"quiet_hours": {"timezone": "UTC", "days": []}, "digest": {"timezone": "UTC"}},
)  # fmt: skip
SILENCES: Final = Table(
    "silences", "silence", ("reason", "host", "kind", "tag", "ends_at", "recurrence"),
    {
        "reason": NEEDED, "host": None, "kind": None, "tag": None, "starts_at": None, "ends_at": None,
        "recurrence": None,
    },
    within={"recurrence": {"timezone": "UTC"}},
)  # fmt: skip
USERS: Final = Table(
    "users", "user", ("username",), {"username": NEEDED, "role": NEEDED, "disabled": False, "password": None}
)
ALL: Final = (HOSTS, POLICIES, SCHEDULES, CHANNELS, SILENCES, USERS)
"""In the order in which the file has them, and in which they are changed: what refers to something comes behind it."""
BY_NAME: Final = {table.name: table for table in ALL}
WAYS: Final = tuple(_WAYS)


def _short(value: Any) -> Any:
    """A number without a fraction that says nothing: the API makes 60.0 of 60."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _words(value: Any, *, caseless: bool) -> str:
    """The same for the same, whatever the order of keys and however a number is written."""
    if isinstance(value, Mapping):
        return json.dumps(value, sort_keys=True, default=str)
    return str(value).casefold() if caseless else str(value)


def _time(name: str, text: str) -> str:
    try:
        return clock.to_rfc3339(clock.from_rfc3339(text))
    except (ValueError, OverflowError):
        raise ValueError(f"{name}: must be a time such as 2026-11-23T03:00:00Z") from None


def differences(table: Table, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The keys in which two canonical entries of the same thing differ."""
    aside = (*_ELSEWHERE, *table.key)  # names without regard to case are the same
    return [name for name in table.keys if name not in aside and before[name] != after[name]]


_ELSEWHERE: Final = {"config", "password"}
"""Has secrets in it, and is compared with more care, or not at all."""
