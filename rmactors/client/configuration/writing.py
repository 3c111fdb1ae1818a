"""A configuration file, written. What is as it is by default is left out. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import tomlkit
from tomlkit.items import InlineTable

from rmactors.client.configuration.tables import ALL, CHANNELS, Table, Values


def text(found: Mapping[str, Iterable[Values]], head: Iterable[str]) -> str:
    """The file of canonical entries by the name of their table; `head` are lines of comment."""
    parts = ["".join(f"# {line}\n" if line else "#\n" for line in head)]
    for table in ALL:
        entries = sorted(found.get(table.name, ()), key=lambda values, table=table: _order(table, values))  # type: ignore[misc]
        parts += [_entry(table, values) for values in entries]
    return "\n".join(parts)


def _order(table: Table, values: Values) -> tuple[str, ...]:
    return (*table.identity(values), *(str(values[name]) for name in table.keys))


def _entry(table: Table, values: Values) -> str:
    lines = [f"[[{table.name}]]"]
    below = []
    for name, default in table.keys.items():
        value = values[name]
        if value is None or value == default:
            continue
        if name == "config":
            below = [f"[{table.name}.{name}]", *(_line(key, each) for key, each in value.items())]
        else:
            lines.append(_line(name, value))
    return "\n".join([*lines, *below]) + "\n"


def _line(name: str, value: Any) -> str:
    return f"{tomlkit.key(name).as_string()} = {_value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, str) and "\n" in value and "\r" not in value:
        return tomlkit.string(value, multiline=True).as_string()
    return str(tomlkit.item(_inline(value)).as_string())


def _inline(value: Any) -> Any:
    """Tables on one line; null, which TOML has not, is left out."""
    if isinstance(value, Mapping):
        table: InlineTable = tomlkit.inline_table()
        table.update({name: _inline(each) for name, each in value.items() if each is not None})
        return table
    if isinstance(value, list):
        return [_inline(each) for each in value if each is not None]
    return value


def with_placeholders(channels: Iterable[Values]) -> list[Values]:
    """The channels with a reference in place of each secret, every one to a variable of its own."""
    taken: set[str] = set()
    return [
        {
            **channel,
            "config": {
                name: {"env": _variable(channel["name"], name, taken)} if value == {"set": True} else value
                for name, value in channel["config"].items()
            },
        }
        for channel in sorted(channels, key=lambda values: _order(CHANNELS, values))
    ]


def _variable(channel: str, field: str, taken: set[str]) -> str:
    """`RM_CHANNEL_OPS_MAIL_PASSWORD`; with a number behind it where that is another one's."""
    words = (re.sub(r"[^A-Z0-9]+", "_", word.upper()).strip("_") for word in (channel, field))
    first = name = "_".join(["RM_CHANNEL", *filter(None, words)])
    number = 1
    while name in taken:
        number += 1
        name = f"{first}_{number}"
    taken.add(name)
    return name
