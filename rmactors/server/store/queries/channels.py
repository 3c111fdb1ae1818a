"""Reads of channels, their health, their log and their deliveries. Configs stay encrypted here."""

# ruff: noqa: S608 - what is put into the SQL here are column names of dataclasses; values are always bound

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from rmactors.common.vocabulary import GroupBy, Priority, Severity
from rmactors.server.store.database import Database
from rmactors.server.store.queries.rows import Page, columns, placeholders, read
from rmactors.server.store.queries.waiting import QUIET, waiting

State = Literal["ok", "failing", "dead", "idle"]


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """A channel. `config` is encrypted; `events`, `host_tags`, `quiet_hours` and `digest` are JSON as text."""

    id: str
    kind: str
    name: str
    enabled: int
    config: bytes
    default_priority: Priority | None
    min_severity: Severity
    events: str
    host_tags: str
    group_seconds: float
    remind_hours: float
    group_by: GroupBy
    after_minutes: float
    quiet_hours: str | None
    digest: str | None
    created_at: int
    updated_at: int
    last_fired_at: int | None
    last_error: str | None
    failing_since: int | None
    held_until: int | None = None
    held_because: str | None = None

    def __repr__(self) -> str:
        return f"ChannelRow({self.id}, {self.kind}, {self.name!r})"


@dataclass(frozen=True, slots=True)
class ChannelHealth:
    """How a channel does.

    state   `failing`: the last attempt failed and more will be made; `dead`: it failed and nothing is left to try;
            `idle`: nothing was sent yet, or it is disabled; else `ok`
    queued  how many messages wait, the oldest since `oldest_queued_at`, without what only waits for the end of quiet
            hours; `dead`: how many were given up
    held_until  the receiver wants quiet until then, or its quiet hours end, `held_because` of this; it may be over
    """

    state: State
    since: int | None
    last_error: str | None
    queued: int
    oldest_queued_at: int | None
    dead: int
    held_until: int | None = None
    held_because: str | None = None


@dataclass(frozen=True, slots=True)
class Glance:
    """What pages say of all channels: how many are enabled, and (id, name) of those that do not deliver."""

    enabled: int
    failing: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class LogRow:
    """One attempt. `n` is the order of commit."""

    id: str
    n: int
    channel_id: str
    alert_id: str
    delivery_id: str
    event: str
    attempt: int
    ok: int
    status_code: int | None
    latency_ms: float
    error: str | None
    fired_at: int


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    id: str
    channel_id: str
    alert_id: str
    event: str
    state: str
    attempts: int
    created_at: int
    due_at: int
    last_error: str | None
    finished_at: int | None


_SELECT = f"SELECT {columns(ChannelRow)} FROM channels"


def channel(db: Database, channel_id: str, at: int) -> tuple[ChannelRow, ChannelHealth] | None:
    """As of `at`: whether its own quiet hours hold it."""
    row = db.execute(f"{_SELECT} WHERE id = ?", (channel_id,)).fetchone()
    return _with_health(db, [ChannelRow(*row)], at)[0] if row is not None else None


def channels(
    db: Database, at: int, limit: int, after: tuple[Any, ...] | None = None
) -> Page[tuple[ChannelRow, ChannelHealth]]:
    """In the order in which they were made, as of `at`."""
    created, last_id = after or (-1, "")
    rows = db.execute(
        f"{_SELECT} WHERE (created_at, id) > (?, ?) ORDER BY created_at, id LIMIT ?", (created, last_id, limit + 1)
    ).fetchall()
    items = read(ChannelRow, rows[:limit])
    return Page(_with_health(db, items, at), (items[-1].created_at, items[-1].id) if len(rows) > limit else None)


def log(db: Database, channel_id: str, limit: int, after: tuple[Any, ...] | None = None) -> Page[LogRow]:
    """A channel's attempts, newest first."""
    (before,) = after or (1 << 62,)
    rows = db.execute(
        f"SELECT {columns(LogRow)} FROM notification_log WHERE channel_id = ? AND n < ? ORDER BY n DESC LIMIT ?",
        (channel_id, before, limit + 1),
    ).fetchall()
    items = read(LogRow, rows[:limit])
    return Page(items, (items[-1].n,) if len(rows) > limit else None)


def delivery(db: Database, delivery_id: str) -> DeliveryRow | None:
    row = db.execute(f"SELECT {columns(DeliveryRow)} FROM deliveries WHERE id = ?", (delivery_id,)).fetchone()
    return DeliveryRow(*row) if row is not None else None


def dead_deliveries(db: Database, channel_id: str, limit: int = 50) -> list[DeliveryRow]:
    """What a channel gave up on and nobody dismissed, newest first."""
    rows = db.execute(
        f"SELECT {columns(DeliveryRow)} FROM deliveries WHERE channel_id = ? AND state = 'dead' AND dismissed = 0"
        " ORDER BY seq DESC LIMIT ?",
        (channel_id, limit),
    )
    return read(DeliveryRow, rows)


def alerts_of(db: Database, alert_ids: Iterable[str]) -> dict[str, tuple[str, str]]:
    """(kind, host) of alerts that messages were about, by id; of those that are still there."""
    wanted = tuple(set(alert_ids))
    rows = db.execute(f"SELECT id, kind, host_name FROM alerts WHERE id IN ({placeholders(wanted)})", wanted)
    return {row[0]: (row[1], row[2]) for row in rows}


def _with_health(db: Database, rows: list[ChannelRow], at: int) -> list[tuple[ChannelRow, ChannelHealth]]:
    return [(row, _health(db, row, at)) for row in rows]


def _health(db: Database, row: ChannelRow, at: int) -> ChannelHealth:
    """Counts from the two partial indexes: what was delivered is never looked at."""
    queued, oldest, dead = db.execute(
        "SELECT (SELECT count(*) FROM deliveries WHERE channel_id = :id AND state = 'queued'),"
        " (SELECT created_at FROM deliveries WHERE channel_id = :id AND state = 'queued' ORDER BY seq LIMIT 1),"
        " (SELECT count(*) FROM deliveries WHERE channel_id = :id AND state = 'dead' AND dismissed = 0)",
        {"id": row.id},
    ).fetchone()
    state: State
    if row.failing_since is not None:
        state, since = ("failing" if queued else "dead"), row.failing_since
    elif not row.enabled or row.last_fired_at is None:
        state, since = "idle", None
    else:
        state, since = "ok", row.last_fired_at
    held_until, held_because = row.held_until, row.held_because
    if row.quiet_hours is not None and row.enabled and queued:
        found = waiting(db, row.id, row.quiet_hours, at)
        oldest = found.oldest_at
        if found.quiet_until is not None and found.quiet_until > (held_until or 0):
            held_until, held_because = found.quiet_until, QUIET
    return ChannelHealth(state, since, row.last_error, queued, oldest, dead, held_until, held_because)


def glance(db: Database) -> Glance:
    """From the few rows of channels, and an index that has nothing of what was delivered."""
    rows = db.execute(
        "SELECT id, name, failing_since IS NOT NULL OR EXISTS (SELECT 1 FROM deliveries WHERE channel_id = channels.id"
        " AND state = 'dead' AND dismissed = 0 AND coalesce(last_error, '') <> 'channel disabled')"
        " FROM channels WHERE enabled = 1 ORDER BY created_at, id"
    ).fetchall()
    return Glance(len(rows), tuple((row[0], row[1]) for row in rows if row[2]))
