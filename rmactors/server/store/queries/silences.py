"""Reads of silences."""

# ruff: noqa: S608 - what is put into the SQL here are column names of dataclasses; values are always bound

from dataclasses import dataclass
from typing import Any

from rmactors.server.store.database import Database
from rmactors.server.store.queries.rows import Page, columns, read


@dataclass(frozen=True, slots=True)
class SilenceRow:
    """A silence that was not deleted, also one that has ended. `recurrence` is JSON text."""

    id: str
    host_id: str | None
    kind: str | None
    tag: str | None
    starts_at: int
    ends_at: int | None
    recurrence: str | None
    reason: str
    created_by: str
    created_at: int


_SELECT = f"SELECT {columns(SilenceRow)} FROM silences WHERE deleted_at IS NULL"


def silence(db: Database, silence_id: str) -> SilenceRow | None:
    row = db.execute(f"{_SELECT} AND id = ?", (silence_id,)).fetchone()
    return SilenceRow(*row) if row is not None else None


def silences(db: Database, limit: int, after: tuple[Any, ...] | None = None) -> Page[SilenceRow]:
    """Newest first."""
    at, last_id = after or (1 << 62, "")
    rows = db.execute(
        f"{_SELECT} AND (created_at, id) < (?, ?) ORDER BY created_at DESC, id DESC LIMIT ?", (at, last_id, limit + 1)
    ).fetchall()
    items = read(SilenceRow, rows[:limit])
    return Page(items, (items[-1].created_at, items[-1].id) if len(rows) > limit else None)
