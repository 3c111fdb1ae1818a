"""What a server has, as a configuration file would say it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from rmactors.client.configuration.tables import (
    ALL,
    CHANNELS,
    HOSTS,
    NEEDED,
    POLICIES,
    SCHEDULES,
    SILENCES,
    USERS,
    Table,
    Values,
)
from rmactors.client.connection import Api, ApiError
from rmactors.common import clock

PATHS: Final = {
    "policies": "/api/policies", "channels": "/api/notifications", "silences": "/api/silences", "users": "/api/users",
}  # fmt: skip
BY_BROWSERS: Final = "webpush"
"""Channels of this kind are made by the browser that they lead to. No file can hold them."""


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """A thing that the server has. `values` are canonical; `policy` says whether a policy made the schedule."""

    table: Table
    id: str
    values: Values
    by_policy: bool = False

    @property
    def title(self) -> str:
        return self.table.title(self.values)


@dataclass(slots=True)
class Current:
    """Everything of a server. `host_ids` are by case-folded name. `not_told` are tables that the token may not see."""

    host_ids: dict[str, str] = field(default_factory=dict)
    kept: dict[str, list[Kept]] = field(default_factory=lambda: {table.name: [] for table in ALL})
    browsers: int = 0
    broken: list[str] = field(default_factory=list)
    """What the server itself cannot show, as sentences: it is left alone."""
    not_told: list[str] = field(default_factory=list)

    def own(self, name: str) -> list[Kept]:
        """Those of a table that a file may name."""
        return [each for each in self.kept[name] if not each.by_policy]


def look(api: Api, needed: Collection[str]) -> Current:
    """Raises ApiError where the token may not see a table that is `needed`; others are left out then."""
    current = Current()
    names: dict[str, str] = {}
    for host in api.items("/api/hosts"):
        if _is_broken(current, HOSTS, host):
            continue
        names[host["id"]] = host["name"]
        current.host_ids[host["name"].casefold()] = host["id"]
        current.kept["hosts"].append(Kept(HOSTS, host["id"], _of(HOSTS, host)))
        for schedule in host["schedules"]:
            values = _of(SCHEDULES, {**schedule, "host": host["name"]})
            by_policy = schedule.get("policy_id") is not None
            current.kept["schedules"].append(Kept(SCHEDULES, schedule["id"], values, by_policy))
    for table in (POLICIES, CHANNELS, SILENCES, USERS):
        try:
            for item in api.items(PATHS[table.name]):
                _add(current, table, item, names)
        except ApiError as error:
            if error.status == 403 and table.name not in needed:
                current.not_told.append(table.name)
            elif not (error.status == 404 and table is POLICIES):  # a server from before there were any
                raise
    return current


def _add(current: Current, table: Table, item: Mapping[str, Any], names: Mapping[str, str]) -> None:
    if _is_broken(current, table, item):
        return
    if table is CHANNELS and item["kind"] == BY_BROWSERS:
        current.browsers += 1
        return
    if table is SILENCES:
        if is_over(item) or (item["host_id"] is not None and item["host_id"] not in names):
            return
        item = {**item, "host": names.get(item["host_id"])}
    current.kept[table.name].append(Kept(table, item["id"], _of(table, item)))


def _is_broken(current: Current, table: Table, item: Mapping[str, Any]) -> bool:
    if "problem" not in item:
        return False
    current.broken.append(f"{table.one} {item.get('name') or item.get('id')} cannot be read: {item['problem']}")
    return True


def is_over(silence: Mapping[str, Any]) -> bool:
    """Whether it has ended for good, by this machine's clock."""
    return silence["ends_at"] is not None and clock.from_rfc3339(silence["ends_at"]) <= clock.now()


def _of(table: Table, item: Mapping[str, Any]) -> Values:
    """An object of the API in canonical form; an older server lacks keys, which are as they are by default then."""
    given = {name: item[name] for name in table.keys if name in item}
    assert all(name in given for name, default in table.keys.items() if default is NEEDED), item
    return table.canonical(given)
