"""The store's SQL in PostgreSQL's words. Pure.

Little differs, because the SQL is written for both: the marks of parameters, and hints about indexes, which
PostgreSQL does not know. The functions that SQLite has and PostgreSQL has not are made by `schema/postgresql.sql`.

What PostgreSQL alone is to read stands in `/*pg … */`, a comment to SQLite: most often an order that SQLite's index
gives by itself.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

_TOKEN: Final = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*"  # texts, names and comments stay as they are
    r"|/\*pg (?P<own>.*?)\*/"
    r"|\?|(?<![:\w]):[a-z_]\w*|\sINDEXED BY \w+|\bBLOB\b|\bUPDATE OR IGNORE\b"
)
_SAVED: Final = 4_096
"""Texts whose translation is kept: the program has some hundreds, and lists make some more of their filters."""


@lru_cache(_SAVED)
def translated(sql: str) -> tuple[str, tuple[str, ...] | None]:
    """The statement with `$1`, `$2`, …, and the names of its parameters in that order; None where they have none."""
    names: list[str] = []
    marks = 0

    def replaced(found: re.Match[str]) -> str:
        nonlocal marks
        word = found[0]
        if found["own"] is not None:
            return found["own"].rstrip()
        if word == "?":
            marks += 1
            return f"${marks}"
        if word[0] == ":":
            name = word[1:]
            if name not in names:
                names.append(name)
            return f"${names.index(name) + 1}"
        if word == "BLOB":
            return "BYTEA"
        if word == "UPDATE OR IGNORE":
            return "UPDATE"
        return "" if word.lstrip().startswith("INDEXED") else word

    text = _TOKEN.sub(replaced, sql)
    if marks and names:
        raise ValueError(f"parameters with and without names in one statement: {sql[:80]!r}")
    return text, tuple(names) if names else None


def statements(script: str) -> Iterator[str]:
    """The statements of a script of the schema, in PostgreSQL's words. A semicolon at the end of a line ends one,
    unless it stands between two `$$`."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        bare = re.sub(r"--[^\n]*", "", pending)
        if bare.rstrip().endswith(";") and bare.count("$$") % 2 == 0:
            yield translated(pending.strip())[0]
            pending = ""
    if re.sub(r"--[^\n]*", "", pending).strip():
        raise ValueError(f"a statement has no end: {pending.strip()[:60]!r}")
