"""What differs between a file and a server, and what would make it the same. Pure."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rmactors.client.configuration.reading import Entry, Fault, reference
from rmactors.client.configuration.server import Kept
from rmactors.client.configuration.tables import (
    ALL,
    CHANNELS,
    HOSTS,
    POLICIES,
    SCHEDULES,
    SILENCES,
    USERS,
    WAYS,
    Table,
    Values,
    differences,
)
from rmactors.client.connection import key_of
from rmactors.common.text import one_line
from rmactors.common.vocabulary import Role

Sign = Literal["+", "~", "-"]


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `{id}` in its path is the id in the answer to the call before."""

    method: str
    path: str
    body: Any = None

    def __repr__(self) -> str:
        return f"Call({self.method} {self.path})"  # without the body: it may hold secrets


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs: `+` it is to be made, `~` changed, `-` deleted. `lines` say how."""

    sign: Sign
    table: Table
    title: str
    lines: Sequence[str]
    calls: Sequence[Call]
    entry: Entry | None = None
    notes: Sequence[str] = ()

    @property
    def role(self) -> Role:
        """The weakest role that may."""
        return "admin" if self.table in (HOSTS, CHANNELS, USERS) else "operator"

    @property
    def head(self) -> str:
        return one_line(f"{self.sign} {self.table.one} {self.title}")


@dataclass(frozen=True, slots=True)
class Pair:
    """An entry of the file, and what the server has of it."""

    entry: Entry
    kept: Kept | None


@dataclass(slots=True)
class Pairs:
    pairs: list[Pair] = field(default_factory=list)
    only_there: list[Kept] = field(default_factory=list)
    """What the file does not name."""


def pair(entries: Iterable[Entry], kept: Iterable[Kept]) -> Pairs:
    """Entries and things with the same identity, one to one: equal ones first, so that doubles stay as they are."""
    there: dict[tuple[str, ...], list[Kept]] = defaultdict(list)
    for each in kept:
        there[(each.table.name, *each.table.identity(each.values))].append(each)
    found, unequal = Pairs(), []
    for entry in entries:
        same = there[(entry.table.name, *entry.table.identity(entry.values))]
        equal = next((one for one in same if not differences(entry.table, one.values, entry.values)), None)
        if equal is None:
            unequal.append(entry)
        else:
            same.remove(equal)
            found.pairs.append(Pair(entry, equal))
    for entry in unequal:
        same = there[(entry.table.name, *entry.table.identity(entry.values))]
        found.pairs.append(Pair(entry, same.pop(0) if same else None))
    found.pairs.sort(key=lambda each: each.entry.number)
    found.only_there = [one for rest in there.values() for one in rest]
    return found


# ---- the bodies that the API takes


def body_of(entry: Entry, host_ids: Mapping[str, str]) -> Values:
    """What a POST of it takes, but for secrets."""
    body = {name: value for name, value in entry.values.items() if value is not None and name != "host"}
    if entry.table is SILENCES and entry.values["host"] is not None:
        body["host_id"] = host_ids[entry.values["host"].casefold()]
    return body


def changed_body(entry: Entry, kept: Kept) -> Values:
    """What a PATCH of it takes: the keys that differ. A way to say when takes the place of the one before."""
    changed = differences(entry.table, kept.values, entry.values)
    return {
        name: entry.values[name] for name in changed if name not in WAYS or entry.values[name] is not None
    }  # fmt: skip


# ---- changes


def change_of(each: Pair, host_ids: Mapping[str, str]) -> Change | None:
    """Of everything but a channel; None where nothing differs."""
    entry, kept = each.entry, each.kept
    if kept is None:
        return _new(entry, host_ids)
    changed = differences(entry.table, kept.values, entry.values)
    if entry.table is SILENCES and entry.values["starts_at"] is None:
        changed = [name for name in changed if name != "starts_at"]
    if not changed:
        return None
    lines = [_difference(name, kept.values[name], entry.values[name]) for name in changed]
    if entry.table is SILENCES:  # none can be changed: another takes its place
        calls = [Call("POST", "/api/silences", body_of(entry, host_ids)), _deletion(kept)]
    else:
        calls = [Call("PATCH", _path(kept), changed_body(entry, kept))]
    return Change("~", entry.table, entry.title, lines, calls, entry)


def _new(entry: Entry, host_ids: Mapping[str, str]) -> Change:
    body, notes = body_of(entry, host_ids), []
    lines = [
        f"{name} = {shown(value)}" for name, value in entry.values.items()
        if name not in entry.table.key and name != "password" and value != entry.table.keys[name]
    ]  # fmt: skip
    path = {
        SCHEDULES.name: f"/api/hosts/{host_ids.get(str(entry.values.get('host')).casefold())}/schedules",
        POLICIES.name: "/api/policies", SILENCES.name: "/api/silences", USERS.name: "/api/users",
    }[entry.table.name]  # fmt: skip
    calls = [Call("POST", path, body)]
    if entry.table is USERS:
        body.pop("disabled")
        if entry.values["disabled"]:
            calls.append(Call("PATCH", "/api/users/{id}", {"disabled": True}))
        if entry.values["password"] is None:
            name = entry.values["username"]
            lines.append("without a password that anybody knows")
            notes.append(
                f"{name} cannot sign in with a password yet: set one in Settings, Users, or with"
                f" `rmactors admin reset-user --username {name}`"
            )
    return Change("+", entry.table, entry.title, lines, calls, entry, notes)


def channel_change(each: Pair, sent: Values, stored: Values, told: Sequence[str] | None) -> Change | None:
    """`sent` is the body with its secrets, `stored` its config as the server would keep it, secrets as they are read,
    and `told` the secrets that would be other ones; None where the server does not say."""
    entry, kept = each.entry, each.kept
    if kept is None:
        lines = [
            f"{name} = {shown(value)}" for name, value in entry.values.items()
            if name not in ("name", "config") and value != CHANNELS.keys[name]
        ]  # fmt: skip
        lines += [f"config.{name} = {_given(value)}" for name, value in entry.values["config"].items()]
        return Change("+", CHANNELS, entry.title, lines, [Call("POST", "/api/notifications", sent)], entry)
    lines = [
        _difference(name, kept.values[name], entry.values[name])
        for name in differences(CHANNELS, kept.values, entry.values)
    ]  # fmt: skip
    before = kept.values["config"]
    for name in [*before, *(name for name in stored if name not in before)]:
        if before.get(name) != stored.get(name):
            lines.append(_difference(f"config.{name}", before.get(name), stored.get(name)))
    lines += [f"config.{name}: another secret" for name in told or ()]
    if not lines:
        return None
    path = f"{_path(kept)}?queued=keep"
    return Change("~", CHANNELS, entry.title, lines, [Call("PUT", path, {**sent, "id": kept.id})], entry)


def deletion(kept: Kept) -> Change:
    return Change("-", kept.table, kept.title, (), [_deletion(kept)])


def _deletion(kept: Kept) -> Call:
    return Call("DELETE", _path(kept))


def _path(kept: Kept) -> str:
    folder = "notifications" if kept.table is CHANNELS else kept.table.name
    return f"/api/{folder}/{kept.id}"


def shown(value: object) -> str:
    """A value as one line."""
    return one_line(json.dumps(value, ensure_ascii=False))


def _given(value: object) -> str:
    found = reference(value)
    return str(found) if found is not None else shown(value)


def _difference(name: str, before: object, after: object) -> str:
    return f"{name}: {_read(before)} → {_read(after)}"


def _read(value: object) -> str:
    return "not set" if value is None else "set" if value == {"set": True} else shown(value)


def no_admin_left(kept: Iterable[Kept], changes: Iterable[Change]) -> bool:
    """Whether a change to an admin would leave none who can sign in, which the server refuses."""
    able = {each.id: _is_able_admin(each.values) for each in kept}
    was_admin = {each.id for each in kept if each.values["role"] == "admin"}
    touches_admins = False
    for change in changes:
        if change.table is not USERS:
            continue
        values = change.entry.values if change.entry is not None else {"role": "", "disabled": True}
        user_id = change.title if change.sign == "+" else change.calls[0].path.rpartition("/")[2]
        able[user_id] = _is_able_admin(values)
        touches_admins |= user_id in was_admin or values["role"] == "admin"
    return touches_admins and not any(able.values())


def _is_able_admin(values: Values) -> bool:
    return values["role"] == "admin" and not values["disabled"]


def in_order(changes: Iterable[Change]) -> list[Change]:
    """What others refer to comes first; of users those who are admins now, so that there is always one."""
    return sorted(
        changes,
        key=lambda each: (
            ALL.index(each.table),
            each.table is USERS and each.entry is not None and not _is_able_admin(each.entry.values),
        ),
    )


def fault_at(entry: Entry, pointer: str, detail: str) -> Fault:
    """An error of the API as one of the file. `pointer` is within the object."""
    key = key_of(pointer)
    return Fault(detail, entry, "host" if key == "host_id" else key)
