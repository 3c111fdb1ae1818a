"""Reads of alerts: lists that cost the same however many there are, counts from indexes, one alert's timeline."""

# ruff: noqa: S608 - what is put into the SQL here are column names of dataclasses; values are always bound

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from rmactors.common import clock
from rmactors.common.vocabulary import Severity
from rmactors.server.store.database import Database
from rmactors.server.store.queries import host_lists
from rmactors.server.store.queries.rows import Page, columns, read

AlertStatus = Literal["open", "acknowledged", "resolved"]
AlertSort = Literal["severity", "newest", "oldest"]
_PARTS: Final[Mapping[AlertSort, tuple[tuple[int, Severity | None], ...]]] = {
    "severity": ((0, "critical"), (0, "warning"), (0, "info"), (1, None)),
    "newest": ((0, None), (1, None)),
    "oldest": ((0, None), (1, None)),
}
"""(resolved, severity) of what follows each other in a list; each part is read along an index."""


@dataclass(frozen=True, slots=True)
class AlertRow:
    """An alert. Times in microseconds. `schedule_name`: of the schedule that is its subject, also a deleted one."""

    id: str
    host_id: str
    host_name: str
    kind: str
    subject: str
    severity: Severity
    message: str
    occurrences: int
    job_id: str | None
    created_at: int
    last_seen_at: int
    acknowledged_at: int | None
    acknowledged_by: str | None
    acknowledged_note: str | None
    resolved_at: int | None
    resolved_by: str | None
    resolved_note: str | None
    schedule_name: str | None = None

    @property
    def status(self) -> AlertStatus:
        if self.resolved_at is not None:
            return "resolved"
        return "open" if self.acknowledged_at is None else "acknowledged"


@dataclass(frozen=True, slots=True)
class Counts:
    """`open` is unresolved and unacknowledged; `resolved_24h` was resolved within the last 24 hours."""

    open: int
    acknowledged: int
    resolved_24h: int


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """What a list of alerts is narrowed to, and its order. `q` is a literal part of the message, upper and lower case
    alike; with `anywhere` also of the host's name. `host` is a part of the name of hosts, `tag` one of their tags.

    Unresolved ones come first. Among them `severity` has the critical ones first, the newest first among those.
    """

    status: Literal["open", "acknowledged", "resolved", "all"] = "open"
    severity: str | None = None
    kind: str | None = None
    host_id: str | None = None
    q: str | None = None
    host: str | None = None
    tag: str | None = None
    anywhere: bool = False
    sort: AlertSort = "newest"


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One thing that happened to an alert: a transition, or an attempt to notify (`delivery_id` to `error`)."""

    at: int
    event: str
    by: str | None = None
    note: str | None = None
    message: str | None = None
    channel_id: str | None = None
    channel_name: str | None = None
    reason: str | None = None
    delivery_id: str | None = None
    attempt: int | None = None
    status_code: int | None = None
    latency_ms: float | None = None
    error: str | None = None


_STORED = columns(AlertRow).removesuffix(", schedule_name")
_SELECT = f"SELECT {_STORED}, (SELECT name FROM schedules WHERE schedules.id = alerts.subject) FROM alerts"


def alert(db: Database, alert_id: str) -> AlertRow | None:
    row = db.execute(f"{_SELECT} WHERE id = ?", (alert_id,)).fetchone()
    return AlertRow(*row) if row is not None else None


def alerts(db: Database, wanted: AlertFilter, limit: int, after: tuple[Any, ...] | None = None) -> Page[AlertRow]:
    """Unresolved ones first, then in the wanted order. `after` is (part, created_at, id) of the last row seen."""
    descending = wanted.sort != "oldest"
    beginning = (1 << 62, "") if descending else (-1, "")
    last_part, *last = after or (0, *beginning)
    found: list[tuple[int, AlertRow]] = []
    for part, (resolved, severity) in enumerate(_PARTS[wanted.sort]):
        if part < last_part or not _may_have(wanted, resolved, severity) or len(found) > limit:
            continue
        where, parameters = _where(db, wanted, resolved, severity)
        way, past = ("DESC", "<") if descending else ("ASC", ">")
        rows = db.execute(
            f"{_SELECT} {_index(wanted, severity)} WHERE {where} AND (created_at, id) {past} (?, ?)"
            f" ORDER BY created_at {way}, id {way} LIMIT ?",
            (*parameters, *(last if part == last_part else beginning), limit + 1 - len(found)),
        )
        found += [(part, row) for row in read(AlertRow, rows)]
    items = [row for _part, row in found[:limit]]
    if len(found) <= limit:
        return Page(items, None)
    part, row = found[limit - 1]
    return Page(items, (part, row.created_at, row.id))


def counts(db: Database, now: int) -> Counts:
    """Of all alerts, whatever the list is narrowed to.

    Each from its own partial index, which SQLite has to be told: left alone it counts rows of `alerts_listed`.
    """
    row = db.execute(
        "SELECT (SELECT count(*) FROM alerts INDEXED BY alerts_open WHERE resolved = 0 AND acknowledged_at IS NULL),"
        " (SELECT count(*) FROM alerts INDEXED BY alerts_acknowledged"
        " WHERE resolved = 0 AND acknowledged_at IS NOT NULL),"
        " (SELECT count(*) FROM alerts INDEXED BY alerts_by_end WHERE resolved = 1 AND resolved_at > ?)",
        (now - clock.DAY,),
    ).fetchone()
    return Counts(*row)


def listed(
    db: Database, wanted: AlertFilter, now: int, limit: int, after: tuple[Any, ...] | None = None
) -> tuple[Page[AlertRow], Counts]:
    """A list and the counts beside it, of one snapshot."""
    return alerts(db, wanted, limit, after), counts(db, now)


def timeline(db: Database, alert_id: str) -> list[TimelineEntry]:
    """Transitions and attempts, oldest first; also attempts of a message about this alert and others."""
    entries = [
        TimelineEntry(*row)
        for row in db.execute(
            "SELECT at, event, by_whom, note, message, channel_id, channel_name, reason FROM alert_events"
            " WHERE alert_id = ? ORDER BY pos",
            (alert_id,),
        )
    ]
    entries += [
        TimelineEntry(
            row["fired_at"],
            "delivered" if row["ok"] else "dead" if row["dead"] else "attempt_failed",
            channel_id=row["channel_id"],
            channel_name=row["name"],
            delivery_id=row["delivery_id"],
            attempt=row["attempt"],
            status_code=row["status_code"],
            latency_ms=row["latency_ms"],
            error=row["error"],
        )
        for row in db.execute(
            "SELECT log.*, channels.name FROM notification_log log JOIN channels ON channels.id = log.channel_id"
            " WHERE log.delivery_id IN (SELECT id FROM deliveries WHERE alert_id = ?"
            " UNION SELECT carried_by FROM deliveries WHERE alert_id = ? AND carried_by IS NOT NULL) ORDER BY log.n",
            (alert_id, alert_id),
        )
    ]
    return sorted(entries, key=lambda entry: entry.at)  # stable: transitions before attempts, each in their order


def was_meant(db: Database, alert_id: str) -> bool:
    """Whether it was resolved because what looked wrong is meant."""
    found = db.execute(
        "SELECT 1 FROM alert_events WHERE alert_id = ? AND event = 'resolved' AND reason = 'meant'", (alert_id,)
    ).fetchone()
    return found is not None


def _may_have(wanted: AlertFilter, resolved: int, severity: Severity | None) -> bool:
    if severity is not None and wanted.severity not in (None, severity):
        return False
    return wanted.status == "all" or (wanted.status == "resolved") == bool(resolved)


def _index(wanted: AlertFilter, severity: Severity | None) -> str:
    """The partial index of a status, so that a list of few does not walk past many."""
    if severity is not None and wanted.host_id is None:
        return "INDEXED BY alerts_by_severity"
    match wanted:
        case AlertFilter(status="open", host_id=None):
            return "INDEXED BY alerts_open"
        case AlertFilter(status="acknowledged", host_id=None):
            return "INDEXED BY alerts_acknowledged"
        case _:
            return ""


def _where(db: Database, wanted: AlertFilter, resolved: int, severity: Severity | None) -> tuple[str, list[Any]]:
    conditions, parameters = [f"resolved = {resolved}"], list[Any]()
    if severity is not None:
        conditions.append("severity = ?")
        parameters.append(severity)
    if wanted.status == "open":
        conditions.append("acknowledged_at IS NULL")
    elif wanted.status == "acknowledged":
        conditions.append("acknowledged_at IS NOT NULL")
    for column in ("host_id", "severity", "kind"):
        value = getattr(wanted, column)
        if value is not None:
            conditions.append(f"{column} = ?")
            parameters.append(value)
    hosts, bound = host_lists.ids_of(wanted.host, wanted.tag)
    if hosts:
        conditions.append(f"host_id IN ({hosts})")
        parameters += bound
    if wanted.q:
        literal, lower = host_lists.literal(wanted.q), "lower"
        if not literal.isascii():  # SQLite's own knows A to Z only
            lower = "unicode_lower"
        columns_searched = ("message", "host_name") if wanted.anywhere else ("message",)
        found = " OR ".join(f"{lower}({column}) LIKE {lower}(?) ESCAPE '\\'" for column in columns_searched)
        conditions.append(f"({found})")
        parameters += [literal] * len(columns_searched)
    return " AND ".join(conditions), parameters
