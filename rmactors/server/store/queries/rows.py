"""Rows as frozen dataclasses whose fields are named like the columns, and pages of rows."""

import dataclasses
import sqlite3
from collections.abc import Iterable
from typing import Any, Generic, TypeVar

from rmactors.server.store.database import Row, Rows

R = TypeVar("R")


def columns(kind: type[Any], table: str = "") -> str:
    """The SELECT list for a dataclass or a named tuple: its field names, in order."""
    prefix = f"{table}." if table else ""
    names = getattr(kind, "_fields", None) or [field.name for field in dataclasses.fields(kind)]
    return ", ".join(prefix + name for name in names)


def read(kind: type[R], rows: Iterable[Row]) -> list[R]:
    """The rows of a SELECT of `columns(kind)`."""
    if isinstance(rows, sqlite3.Cursor):
        rows = tuples(rows)
    if make := getattr(kind, "_make", None):  # of a named tuple: several times as fast
        return list(map(make, rows))
    return [kind(*row) for row in rows]


def tuples(rows: Rows) -> Rows:
    """The same rows as plain tuples, which are faster: for those that are read by place alone."""
    if isinstance(rows, sqlite3.Cursor):
        rows.row_factory = None
    return rows


@dataclasses.dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """Some rows of a list, and where the next ones begin: the sort key of the last row, None at the end."""

    items: list[R]
    after: tuple[Any, ...] | None


def placeholders(values: Iterable[object]) -> str:
    """`?, ?, ?` for an IN list; for none `NULL`, in which nothing is, as PostgreSQL has no empty list."""
    return ", ".join("?" for _ in values) or "NULL"
