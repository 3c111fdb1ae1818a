"""Reads of status pages, and of what they show."""

# ruff: noqa: S608 - what is put into the SQL here are column names of dataclasses; values are always bound

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rmactors.server.store.database import Database
from rmactors.server.store.queries.pages import AlertCount, alert_counts
from rmactors.server.store.queries.rows import Page, columns, read, tuples


@dataclass(frozen=True, slots=True)
class StatusPageRow:
    """`host_tags` is a JSON list as text; `show` is `overview` or `hosts`."""

    id: str
    name: str
    host_tags: str
    show: str
    created_by: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Watched:
    """Every host by name: id, name, and its tags as JSON; its open alerts; when a backup of it ended well last."""

    hosts: list[tuple[str, str, str]]
    alerts: list[AlertCount]
    last_backups: Mapping[str, int]


_SELECT = f"SELECT {columns(StatusPageRow)} FROM status_pages"


def status_page(db: Database, page_id: str) -> StatusPageRow | None:
    row = db.execute(f"{_SELECT} WHERE id = ?", (page_id,)).fetchone()
    return StatusPageRow(*row) if row is not None else None


def status_pages(db: Database, limit: int, after: tuple[Any, ...] | None = None) -> Page[StatusPageRow]:
    """Newest first."""
    at, last_id = after or (1 << 62, "")
    rows = db.execute(
        f"{_SELECT} WHERE (created_at, id) < (?, ?) ORDER BY created_at DESC, id DESC LIMIT ?", (at, last_id, limit + 1)
    ).fetchall()
    items = read(StatusPageRow, rows[:limit])
    return Page(items, (items[-1].created_at, items[-1].id) if len(rows) > limit else None)


def by_digest(db: Database) -> dict[str, StatusPageRow]:
    """All of them, by the digest of the secret in their address: there are few."""
    return {
        row[0]: StatusPageRow(*row[1:])
        for row in db.execute(f"SELECT token_hash, {columns(StatusPageRow)} FROM status_pages")
    }


def watched(db: Database) -> Watched:
    """What each page is made of, whichever hosts it is about."""
    hosts = tuples(
        db.execute("SELECT id, name, tags FROM hosts WHERE deleted_at IS NULL ORDER BY name_key, id")
    ).fetchall()
    last = db.execute("SELECT host_id, max(at) FROM good_ends WHERE kind = 'backup' GROUP BY host_id")
    return Watched(hosts, alert_counts(db), dict(tuples(last)))
