"""A configuration file, read: its entries, or all that is wrong with it. Pure."""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Final

from rmactors.client.configuration.tables import ALL, BY_NAME, NEEDED, Table, Values
from rmactors.common import clock

REFERENCES: Final = ("env", "file")
_NOT_TEXT: Final = ("ends_at", "recurrence")
"""What tells silences apart, and is no text in TOML."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the file: where, and what to do. `entry` is None for the file itself."""

    detail: str
    entry: "Entry | None" = None
    key: str = ""

    def text(self, file: str) -> str:
        where = [file, self.entry.place] if self.entry is not None else [file]
        return ": ".join([*where, *([self.key] if self.key else []), self.detail])


class Faulty(Exception):
    """The file cannot be applied. Nothing was changed."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(fault.detail for fault in faults))
        self.faults = faults


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A table of the file: the `number`th of its kind, from 1. `values` are canonical."""

    table: Table
    number: int
    values: Values

    @property
    def title(self) -> str:
        return self.table.title(self.values)

    @property
    def place(self) -> str:
        """`[[schedules]] number 3 (nas / Nightly home)`."""
        title = self.title
        return f"[[{self.table.name}]] number {self.number}" + (f" ({title})" if title else "")


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a secret is: in an environment variable, or in a file."""

    how: str
    name: str

    def __str__(self) -> str:
        return f"{{ {self.how} = {self.name!r} }}"


def reference(value: object) -> Reference | None:
    """The reference that `{ env = "X" }` or `{ file = "PATH" }` is; None for what is none."""
    if isinstance(value, Mapping) and len(value) == 1:
        ((how, name),) = value.items()
        if how in REFERENCES and isinstance(name, str) and name:
            return Reference(how, name)
    return None


def read(text: str) -> list[Entry]:
    """The entries of a file. Raises Faulty with everything that can be seen to be wrong without a server."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # the error names line and column
        raise Faulty([Fault(f"is not TOML: {error}")]) from None
    faults: list[Fault] = []
    entries: list[Entry] = []
    for name, found in document.items():
        if name not in BY_NAME:
            faults.append(Fault(f"unknown table {name!r}: use {', '.join(BY_NAME)}"))
        elif not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            faults.append(Fault(f"{name} must be tables: begin each with [[{name}]]"))
    for table in ALL:
        found = document.get(table.name, [])
        for number, given in enumerate(found if isinstance(found, list) else [], 1):
            if isinstance(given, dict):
                entries += _entry(table, number, given, faults)
    _find_doubles(entries, faults)
    if faults:
        raise Faulty(faults)
    return entries


def _entry(table: Table, number: int, given: Mapping[str, Any], faults: list[Fault]) -> list[Entry]:
    """The entry, where it can be understood; what is wrong with it is added to `faults`."""
    rough = Entry(table, number, dict(given))
    before = len(faults)
    for name in given:
        if name not in table.keys:
            faults.append(Fault(f"unknown key: use {', '.join(table.keys)}", rough, name))
    for name, default in table.keys.items():
        if default is NEEDED and name not in given:
            faults.append(Fault("is missing", rough, name))
    for name in table.key:
        if name not in _NOT_TEXT and not isinstance(given.get(name, ""), str):
            faults.append(Fault("must be text", rough, name))
    if not isinstance(given.get("config", {}), dict):
        faults.append(Fault(f"must be a table: [{table.name}.config]", rough, "config"))
    elif "config" in table.keys:
        faults += [
            Fault('a secret is written { env = "NAME" } or { file = "PATH" }', rough, f"config.{name}")
            for name, value in given.get("config", {}).items()
            if isinstance(value, dict) and reference(value) is None
        ]
    if given.get("password") is not None and reference(given["password"]) is None:
        faults.append(Fault('write { env = "NAME" } or { file = "PATH" }', rough, "password"))
    if len(faults) > before:
        return []
    try:
        return [Entry(table, number, table.canonical({name: _json(name, value) for name, value in given.items()}))]
    except ValueError as error:
        key, _, detail = str(error).rpartition(": ")
        faults.append(Fault(detail, rough, key))
        return []


def _json(key: str, value: Any) -> Any:
    """As JSON has it. Raises ValueError, its message `key: sentence`, for what JSON has not."""
    match value:
        case datetime():
            if value.tzinfo is None:
                raise ValueError(f"{key}: a time needs a zone; put Z behind it")
            return clock.to_rfc3339(clock.from_datetime(value.astimezone(UTC)))
        case date() | time():
            raise ValueError(f"{key}: must be a time such as 2026-11-23T03:00:00Z")
        case float() if not math.isfinite(value):
            raise ValueError(f"{key}: must be a finite number")
        case list():
            return [_json(f"{key}.{number}", each) for number, each in enumerate(value)]
        case dict():
            return {name: _json(f"{key}.{name}", each) for name, each in value.items()}
    return value


def _find_doubles(entries: list[Entry], faults: list[Fault]) -> None:
    """Where an entry is there twice. Channels, schedules and policies may have the same name; their numbers count."""
    seen: dict[tuple[str, ...], Entry] = {}
    for entry in entries:
        if entry.table.name not in ("hosts", "users"):
            continue
        known = seen.setdefault((entry.table.name, *entry.table.identity(entry.values)), entry)
        if known is not entry:
            faults.append(Fault(f"is there already, as number {known.number}: take one of them out", entry))
