"""What would make a server like a file, found and checked as a whole, and then done, one thing after the other."""

import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from rmactors.client.configuration import comparing
from rmactors.client.configuration.comparing import Change, Pair, Pairs
from rmactors.client.configuration.reading import Entry, Fault, Faulty
from rmactors.client.configuration.secret_values import Secrets
from rmactors.client.configuration.server import BY_BROWSERS, Current, look
from rmactors.client.configuration.tables import (
    ALL,
    CHANNELS,
    HOSTS,
    POLICIES,
    SCHEDULES,
    SILENCES,
    USERS,
    Table,
    Values,
)
from rmactors.client.connection import Api, ApiError
from rmactors.common import clock
from rmactors.common.vocabulary import ROLES, Role

NOT_COMPARED: Final = "its secrets were not compared: only an admin's token may, and not too often"
CHECK: Final = "/api/configuration/check"
_MOST_AT_ONCE: Final = 200
_MOST_BYTES: Final = 500_000
_DELETED_IN_ORDER: Final = (SILENCES, CHANNELS, SCHEDULES, POLICIES, USERS)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, in order. `role` is the caller's. `notes` are for the person who applies it."""

    changes: Sequence[Change]
    notes: Sequence[str]
    role: Role

    @property
    def beyond_role(self) -> list[Change]:
        """Changes that the caller may not make."""
        return [change for change in self.changes if ROLES.index(change.role) > ROLES.index(self.role)]


@dataclass(slots=True)
class _Caller:
    role: Role = "viewer"
    user_id: str | None = None


def plan(api: Api, entries: Sequence[Entry], from_outside: Secrets, *, prune: bool) -> Plan:
    """Raises Faulty with everything that is wrong with the file, ApiError."""
    named = {entry.table.name for entry in entries}
    current = look(api, {table.name for table in ALL} if prune and "users" in named else named)
    entries, notes = _without_what_is_over(entries)
    notes += current.broken
    _refuse([*_unknown_hosts(entries, current), *_not_for_files(entries, current)])
    pairs = {
        table.name: comparing.pair([e for e in entries if e.table is table], current.own(table.name)) for table in ALL
    }
    checks = _Checks(api)
    channels = _channel_changes(pairs["channels"], from_outside, checks)
    others = _other_changes(pairs, current, from_outside, checks)
    caller = checks.run()
    changes = comparing.in_order([*others, *channels()])
    if prune:
        deletions, told = _deletions(pairs, caller, users_named="users" in named)
        changes, notes = [*changes, *deletions], [*notes, *told]
    if comparing.no_admin_left(current.kept["users"], changes):
        raise Faulty([Fault("no user would be left who is an admin and not disabled: name one in [[users]]")])
    return Plan(changes, [*notes, *from_outside.notes], caller.role)


def _refuse(faults: list[Fault]) -> None:
    if faults:
        raise Faulty(faults)


def _without_what_is_over(entries: Sequence[Entry]) -> tuple[list[Entry], list[str]]:
    over = [
        entry for entry in entries
        if entry.table is SILENCES and isinstance(entry.values["ends_at"], str)
        and clock.from_rfc3339(entry.values["ends_at"]) <= clock.now()
    ]  # fmt: skip
    notes = [f"{entry.place} is over: take it out" for entry in over]
    return [entry for entry in entries if entry not in over], notes


def _unknown_hosts(entries: Iterable[Entry], current: Current) -> Iterator[Fault]:
    for entry in entries:
        key = "name" if entry.table is HOSTS else "host"
        name = entry.values.get(key) if entry.table in (HOSTS, SCHEDULES, SILENCES) else None
        if isinstance(name, str) and name.casefold() not in current.host_ids:
            yield Fault(f"the server has no host {name!r}: enroll it first, or take this out", entry, key)


def _not_for_files(entries: Iterable[Entry], current: Current) -> Iterator[Fault]:
    by_policy = {
        SCHEDULES.identity(each.values): each for each in current.kept["schedules"] if each.by_policy
    }  # fmt: skip
    for entry in entries:
        if entry.table is SCHEDULES and SCHEDULES.identity(entry.values) in by_policy:
            yield Fault("a policy makes this schedule: take it out, and change the policy", entry)
        if entry.table is CHANNELS and entry.values["kind"] == BY_BROWSERS:
            yield Fault("a browser makes such a channel itself, in Settings, Authentication: take it out", entry)


def _other_changes(pairs: dict[str, Pairs], current: Current, from_outside: Secrets, checks: "_Checks") -> list[Change]:
    changes = []
    for table in ALL:
        for each in pairs[table.name].pairs if table is not CHANNELS else ():
            change = comparing.change_of(each, current.host_ids)
            if change is None:
                continue
            if table is USERS and each.kept is None:
                change = _with_password(change, each.entry, from_outside)
            changes.append(change)
            checks.add(table, each, _to_check(each, change, current))
    _refuse(from_outside.faults)
    return changes


def _with_password(change: Change, user: Entry, from_outside: Secrets) -> Change:
    """A new user has the password that the file names, or one that nobody knows."""
    first = change.calls[0]
    password = from_outside.password(user) or secrets.token_urlsafe(32)
    call = replace(first, body={**first.body, "password": password})
    return replace(change, calls=[call, *change.calls[1:]])


def _to_check(each: Pair, change: Change, current: Current) -> Values:
    """The whole object as the check takes it."""
    entry, body = each.entry, comparing.body_of(each.entry, current.host_ids)
    if entry.table is HOSTS:
        body = {"tags": body["tags"]}
    if entry.table is SCHEDULES:
        body["host_id"] = current.host_ids[entry.values["host"].casefold()]
    if entry.table is USERS:
        body.pop("password", None)
        if each.kept is None and entry.values["password"] is not None:
            body["password"] = change.calls[0].body["password"]
    return body if each.kept is None or entry.table is SILENCES else {**body, "id": each.kept.id}


def _channel_changes(found: Pairs, from_outside: Secrets, checks: "_Checks") -> Callable[[], list[Change]]:
    """All channels are checked: only the server can say whether their config is another one. The result is there when
    the checks have run."""
    sent: list[tuple[Pair, Values]] = []
    for each in found.pairs:
        stored = each.kept.values["config"] if each.kept is not None and _same_kind(each) else {}
        body = {**comparing.body_of(each.entry, {}), "config": from_outside.config(each.entry, stored)}
        sent.append((each, body))
        checks.add(CHANNELS, each, body if each.kept is None else {**body, "id": each.kept.id})

    def changes() -> list[Change]:
        made = []
        for (each, body), answer in zip(sent, checks.channels, strict=True):
            if answer["changed"] is None and each.kept is not None and any(map(_is_text, _secrets(answer, body))):
                from_outside.notes.append(f"channel {each.entry.title}: {NOT_COMPARED}")
            made.append(comparing.channel_change(each, body, answer["config"], answer["changed"]))
        return [change for change in made if change is not None]

    return changes


def _same_kind(each: Pair) -> bool:
    return each.kept is not None and each.kept.values["kind"] == each.entry.values["kind"]


def _secrets(answer: dict[str, Any], body: Values) -> list[object]:
    return [body["config"].get(name) for name in answer["secrets"]]


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _deletions(pairs: dict[str, Pairs], caller: _Caller, *, users_named: bool) -> tuple[list[Change], list[str]]:
    deletions, notes = [], []
    for table in _DELETED_IN_ORDER:
        for kept in pairs[table.name].only_there:
            if table is USERS and not users_named:
                continue
            if table is USERS and kept.id == caller.user_id:
                notes.append(f"user {kept.title} stays: this token is theirs")
                continue
            deletions.append(comparing.deletion(kept))
    if not users_named and pairs["users"].only_there:
        notes.append("the file has no [[users]]: all users stay")
    return deletions, notes


# ---- asking the server


class _Checks:
    """What is to be checked, and what the server says of it."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._items: list[tuple[Table, Pair, Values]] = []
        self.channels: list[dict[str, Any]] = []

    def add(self, table: Table, each: Pair, item: Values) -> None:
        self._items.append((table, each, item))

    def run(self) -> _Caller:
        """Raises Faulty with all that the server would refuse."""
        faults: list[Fault] = []
        caller = _Caller()
        for part in self._parts():
            body: dict[str, list[Values]] = {}
            entries: dict[str, list[Entry]] = {}
            for table, each, item in part:
                body.setdefault(table.name, []).append(item)
                entries.setdefault(table.name, []).append(each.entry)
            answer = self._ask(body)
            caller = _Caller(answer["role"], answer["user_id"])
            for error in answer["errors"]:
                _, table_name, number, *rest = error["pointer"].split("/")
                entry = entries[table_name][int(number)]
                faults.append(comparing.fault_at(entry, "/".join(rest), error["detail"]))
            for entry, found in zip(entries.get("channels", ()), answer["channels"], strict=True):
                faults += _secrets_in_clear(entry, found)
                self.channels.append(found)
        _refuse(faults)
        return caller

    def _ask(self, body: dict[str, list[Values]]) -> Any:
        try:
            return self._api.call("POST", CHECK, body)
        except ApiError as error:
            if error.status == 404:
                raise ApiError("this server is too old to apply a file to: upgrade it", 404) from None
            raise

    def _parts(self) -> Iterator[list[tuple[Table, Pair, Values]]]:
        """All that is to be checked, in requests that are not too large. There is at least one: it says who asks."""
        part: list[tuple[Table, Pair, Values]] = []
        size = 0
        for item in self._items:
            length = len(json.dumps(item[2]))
            if part and (len(part) == _MOST_AT_ONCE or size + length > _MOST_BYTES):
                yield part
                part, size = [], 0
            part.append(item)
            size += length
        yield part


def _secrets_in_clear(entry: Entry, found: dict[str, Any] | None) -> Iterator[Fault]:
    for name in (found or {}).get("secrets", ()):
        if isinstance(entry.values["config"].get(name), str):
            detail = 'is a secret, which belongs in no file: write { env = "NAME" } or { file = "PATH" }'
            yield Fault(detail, entry, f"config.{name}")


def carry_out(api: Api, changes: Sequence[Change], done: Callable[[Change], None]) -> None:
    """Make the changes; `done` is told of each. Raises ApiError at the first that does not go well."""
    for change in changes:
        made_id = ""
        for call in change.calls:
            answer = api.call(call.method, call.path.replace("{id}", made_id), call.body)
            made_id = str((answer or {}).get("id", ""))
        done(change)
